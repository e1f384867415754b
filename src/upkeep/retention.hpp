// Decides which records are kept no longer: those older than retention.ms, by the log's clock and the timestamps of their batches,
// and the oldest ones while a partition has more than retention.bytes. Whole ranges go, so that a partition keeps at least what
// its settings say and at most one range more. Also frees what lies below a log start that was moved by a client (DeleteRecords).
//
// All partitions are looked at once per interval, a few thousand at a time. What the index said of a partition's oldest range is
// remembered, so that most looks are free of queries. On the agent's executor only.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "metadata/metastore.hpp"
#include "metadata/replica.hpp"
#include "metrics/registry.hpp"
#include "runtime/runtime.hpp"
#include "upkeep/term.hpp"

namespace yaks::upkeep {
struct retention_limits {
  std::int64_t ms = -1;     // -1: none
  std::int64_t bytes = -1;  // -1: none
};

struct retention_settings {
  duration interval = 60s;                 // YAKS_RETENTION_INTERVAL_MS: how often each partition is looked at
  std::size_t partitions_at_once = 5000;   // between two breaths: about a millisecond
  std::size_t chunks_at_once = 20;         // of one partition, read from the index to decide: one of each with one question
  std::size_t trims_at_once = 500;         // in one command
};

class retention {
 public:
  // `limits` says what holds for a topic.
  retention(runtime& rt, metadata::metastore& store, metadata::replica& log, term& office,
            std::function<retention_limits(const metadata::topic&)> limits, retention_settings settings, metrics::registry& metrics);
  awaitable<void> run();
  // One look at every partition. Answers how many were trimmed; nothing where a store was away or the term is over.
  awaitable<std::optional<std::size_t>> run_once();

 private:
  // The oldest range of a partition that begins in the index.
  struct oldest {
    offset base;
    timestamp_ms max_timestamp;
  };
  struct wanted {
    topic_partition where;
    retention_limits limits;
  };
  // One whose oldest ranges are looked at: what goes of it, as far as is known.
  struct decision {
    wanted what;
    metadata::partition_trim trim;
    std::uint64_t bytes_left = 0;
    bool is_made = false;  // the range at trim.to stays
  };
  bool may_be_due(topic_partition where, const metadata::partition& p, retention_limits limits) const;
  // Where the partition still begins there: nothing else may be decided.
  const metadata::partition* stands(const decision& d) const;
  bool goes(const decision& d, const metadata::partition& p, const metadata::range& r, timestamp_ms time) const;
  void take(decision& d, const metadata::partition& p, const std::vector<metadata::range>& chunk,
            const std::map<metadata::object_number, object_id>& untimed);
  void take_from_state(decision& d, const metadata::partition& p) const;
  awaitable<result<std::vector<metadata::partition_trim>, metadata::log_error>> decide(std::vector<wanted> due);
  awaitable<std::optional<std::size_t>> trim(std::vector<wanted> due);

  runtime& rt_;
  metadata::metastore& store_;
  metadata::replica& log_;
  term& office_;
  std::function<retention_limits(const metadata::topic&)> limits_;
  retention_settings settings_;
  std::unordered_map<topic_partition, oldest> known_;
  metrics::counter &trims_, &trimmed_bytes_, &failures_;
};
}  // namespace yaks::upkeep
