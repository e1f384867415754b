// The producing half of a run: every producer of the run has a librdkafka handle of its own, with its own connection
// and producer id; a few threads feed and poll them all.
#pragma once
#include <atomic>
#include <string>
#include <vector>

#include "oracle/checker.hpp"
#include "oracle/kafka.hpp"
#include "oracle/ledger.hpp"
#include "oracle/settings.hpp"

namespace yaks::oracle {
// Read by the thread that shows progress while others write.
struct produce_progress {
  std::atomic<std::uint64_t> sent{0};  // handed to librdkafka
  std::atomic<std::uint64_t> acknowledged{0};
  std::atomic<std::uint64_t> unknown{0};
  std::atomic<std::uint64_t> not_stored{0};
  std::atomic<std::uint64_t> acknowledged_bytes{0};  // keys and values
  std::atomic<double> seconds{0};                    // from the first record to the last outcome, set at the end
};

// Sends all records of the run and returns when each has an outcome, which librdkafka gives at the latest after
// produce_timeout; `stop` ends the sending early. Outcomes go to `to`. Returns what went fatally wrong, one sentence
// per producer that ended early. Throws environment_error where a producer cannot be
// made, and what the ledger's writer threw.
std::vector<std::string> produce_all(const run_facts& facts, const settings& from, ledger_writer& to, complaints& heard,
                                     produce_progress& progress, const std::atomic<bool>& stop);
}  // namespace yaks::oracle
