// Snapshots of the state: made now and then by one agent, read by every agent that starts.
//
// A snapshot is made from the one before it and the entries since, on a state of its own and off the serving thread: nothing
// that serves clients waits for it. Its object is stored first, then its record is added, which trims the log. A crash in
// between leaves an object that nobody refers to; one that is made twice is dropped by the store.
//
// Where entries come fast, snapshots do not: the log is trimmed up to the snapshot before the newest, and an agent that was away
// from it for as long as it may be finds what it needs next.
#pragma once
#include <optional>
#include <string>

#include "membership/members.hpp"
#include "metadata/metastore.hpp"
#include "metadata/replica.hpp"
#include "metadata/state.hpp"
#include "metrics/registry.hpp"
#include "objects/object_store.hpp"
#include "runtime/runtime.hpp"

namespace yaks::upkeep {
// The newest snapshot that can be read, or nothing where there is none: the log then has everything. Waits while a store is
// away. A damaged one is logged, and the one before it is taken.
awaitable<std::optional<metadata::state>> load_newest_snapshot(runtime& rt, metadata::metastore& store, object_store& objects);

struct snapshot_settings {
  std::string key_prefix;         // of objects, "" or ending in '/'
  std::int64_t entries = 10'000;  // YAKS_SNAPSHOT_ENTRIES: that many new entries are worth one
  duration look_interval = 1s;
  duration log_kept = 0s;  // YAKS_LOG_STALE_MS: no entry is trimmed before that age, unless there are very many
};

class snapshotter {
 public:
  snapshotter(runtime& rt, metadata::metastore& store, object_store& objects, const metadata::replica& log,
              const membership::members& members, snapshot_settings settings, metrics::registry& metrics);
  // Makes snapshots when they are due and this agent is the one to make them, until cancelled.
  awaitable<void> run();
  // Makes one of everything that the log holds now. False where a store was away: the next try begins anew.
  awaitable<bool> make_one();

 private:
  runtime& rt_;
  metadata::metastore& store_;
  object_store& objects_;
  const metadata::replica& log_;
  const membership::members& members_;
  snapshot_settings settings_;
  bool is_too_soon() const;

  log_sequence newest_;
  std::optional<time_point> newest_since_;  // when this agent saw it first
  metrics::counter &made_, &failures_;
  metrics::histogram& seconds_;
  metrics::gauge& bytes_;
};
}  // namespace yaks::upkeep
