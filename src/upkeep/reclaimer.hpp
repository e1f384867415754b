// Gives back what nobody refers to any more: ranges leave the index after the state has let go of them, and objects leave the
// store after their last range. docs/guarantees.md says why nothing that anybody may still read is deleted.
//
//   1. what the state owes (state::merges, trims, drops, released) is done in the index, which counts the ranges per object
//   2. an entry is appended (settle_upkeep): the debts are paid, and whoever has applied it finds nothing of the objects that
//      are gone by then; they are retired with its sequence
//   3. when every registered agent has reported a later sequence (and has no reader left that began before it), and the grace
//      has passed by the log's clock, their bytes are deleted, and after the store has said so they are forgotten
//
// All debts of one round are those of one moment, and merges are paid first: the ranges that a merge names are there until then,
// whatever was trimmed or deleted after it. Settling a merge moves the index generation of its partitions, so that whoever has
// applied that entry believes nothing that was read of the index before; only then are the objects of before retired.
//
// A crash anywhere leaves steps to be repeated, and repeating one changes nothing. On the agent's executor only.
#pragma once
#include <optional>
#include <string>
#include <utility>

#include "metadata/metastore.hpp"
#include "metadata/replica.hpp"
#include "metrics/registry.hpp"
#include "objects/object_store.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"
#include "upkeep/term.hpp"

namespace yaks::upkeep {
struct reclaimer_settings {
  std::string key_prefix;        // of objects, "" or ending in '/'
  duration interval = 1s;
  duration grace = 60s;          // YAKS_DELETE_GRACE_MS
  duration delete_patience = 30s;
  std::size_t trims_max = 500;      // partitions whose oldest ranges leave the index in one round, with one write
  std::size_t chunks_max = 200;     // of a deleted topic, in one write
  std::size_t objects_max = 10'000;  // released in one round
  std::size_t keys_max = 1000;      // in one delete
  duration totals_interval = 15s;   // of the metrics that count objects
};

class reclaimer {
 public:
  reclaimer(runtime& rt, metadata::metastore& store, metadata::replica& log, object_store& objects, term& office,
            reclaimer_settings settings, metrics::registry& metrics);
  awaitable<void> run();
  // Steps 1 and 2. False where a store was away, or the term is over.
  awaitable<bool> settle();
  // Step 3, one delete at most. Answers how many objects went; nothing where a store was away.
  awaitable<std::optional<std::size_t>> delete_retired();

 private:
  bool owes() const;
  awaitable<bool> pay_merges(std::uint64_t term, const std::vector<std::uint64_t>& numbers);
  awaitable<std::optional<log_sequence>> read_by_all();
  awaitable<void> look_at_totals();

  runtime& rt_;
  metadata::metastore& store_;
  metadata::replica& log_;
  object_store& objects_;
  term& office_;
  reclaimer_settings settings_;
  std::uint64_t retired_in_ = 0;  // the term in which everything that went before it has been looked at
  metadata::object_totals totals_;
  metrics::counter &deleted_, &deleted_bytes_, &failures_;
};
}  // namespace yaks::upkeep
