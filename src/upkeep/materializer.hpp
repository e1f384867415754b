// Moves ranges from the state into the index, so that no agent's memory grows with retention.
//
// One agent does it (term). It writes the oldest ranges of a partition as a chunk into the metastore, and then
// appends the command that lets every agent's state go of them, at the same place of the log. A crash in between leaves a chunk
// that the state still has too: the next run finds that the index ends further on, and appends just the command. Of two agents that
// both believe to be the one, the store refuses the earlier.
#pragma once
#include <cstdint>
#include <set>
#include <vector>

#include "metadata/metastore.hpp"
#include "metadata/replica.hpp"
#include "metrics/registry.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"
#include "upkeep/term.hpp"

namespace yaks::upkeep {
struct materializer_settings {
  duration interval = 100ms;        // YAKS_MATERIALIZE_INTERVAL_MS
  std::size_t chunks_max = 1000;    // YAKS_MATERIALIZE_BATCH_SIZE: in one write
  // YAKS_MATERIALIZE_CHUNK_RANGES for both.
  std::size_t ranges_kept = 100;  // of each partition, in the state: its tail is read without a query
  std::size_t ranges_per_chunk = 100;
  // Partitions that grow slowly get smaller chunks, when their oldest range is so old.
  duration age_for_small_chunk = 10min;  // of at least small_chunk ranges
  std::size_t small_chunk = 16;
  duration age_for_any_chunk = 60min;
};

class materializer {
 public:
  materializer(runtime& rt, metadata::metastore& store, metadata::replica& log, term& office,
               materializer_settings settings, metrics::registry& metrics);
  awaitable<void> run();
  // What an entry changed: where there may be something to do.
  void applied(const metadata::changes& changes);
  // One write and its command. Answers how many chunks went into the index; nothing where a store was away or
  // somebody else does it.
  awaitable<std::optional<std::size_t>> run_once();

 private:
  // The ranges of a partition that are due, or none.
  std::size_t due(const metadata::partition& p) const;
  void look_around();

  runtime& rt_;
  metadata::metastore& store_;
  metadata::replica& log_;
  term& office_;
  materializer_settings settings_;
  std::set<topic_partition> candidates_;
  event changed_;
  std::string next_topic_;  // where look_around() goes on
  std::size_t next_partition_ = 0;
  metrics::counter &chunks_, &ranges_, &failures_;
  metrics::histogram& seconds_;
};
}  // namespace yaks::upkeep
