// A whole run: topics, producers, ledger, consumer, verdict.
#pragma once
#include <atomic>

#include "oracle/checker.hpp"
#include "oracle/report.hpp"
#include "oracle/settings.hpp"

namespace yaks::oracle {
struct run_result {
  run_facts facts;
  findings found;
  run_figures figures;
};

// Blocks until the end. `stop` ends the producing early. Progress, one line per second, goes to standard error. Throws
// environment_error or std::runtime_error with a sentence where the run cannot take place.
run_result run_oracle(const settings& from, const std::atomic<bool>& stop);
}  // namespace yaks::oracle
