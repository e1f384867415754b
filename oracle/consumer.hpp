// The consuming half of a run: reads every partition from its beginning to its end, without a consumer group.
#pragma once
#include <atomic>
#include <string>
#include <vector>

#include "oracle/checker.hpp"
#include "oracle/kafka.hpp"
#include "oracle/settings.hpp"

namespace yaks::oracle {
struct consume_progress {
  std::atomic<std::uint64_t> consumed{0};
  std::atomic<std::uint64_t> bytes{0};     // keys and values
  std::atomic<std::uint64_t> expected{0};  // by the high watermarks, as far as they are known
  std::atomic<double> seconds{0};          // from the first request to the last record, so far
  std::atomic<bool> done{false};           // everything is read, or given up; the consumer is being closed
};

// Feeds `into`. A partition's end is its high watermark, asked for now, or what was acknowledged, whichever is further;
// watermarks are asked for again at the end, since a record of unknown outcome may appear late. Returns when every
// partition was read to its end, or when nothing has come for consume_timeout: then `into` finds what is missing.
// Returns what the consumer complained about. Throws environment_error where the cluster does not even say where
// partitions end.
std::vector<std::string> consume_all(const run_facts& facts, const settings& from, complaints& heard, checker& into,
                                     consume_progress& progress);
}  // namespace yaks::oracle
