// How the findings are told: to people, line by line, and to programs, as one JSON object.
#pragma once
#include <string>

#include "oracle/checker.hpp"

namespace yaks::oracle {
// What the run cost, beside what it found.
struct run_figures {
  double produce_seconds = 0;
  double consume_seconds = 0;
  std::uint64_t produced_bytes = 0;  // keys and values of acknowledged records
  std::uint64_t consumed_bytes = 0;
  std::string data_dir;
  std::vector<std::string> troubles;  // what producers and consumer complained about, worst first
  bool interrupted = false;
  bool require_all = false;  // a record that was not acknowledged makes the run fail
};

// Whether the run as a whole is good: no violation, something was acknowledged, and what `require_all` demands.
bool passed(const run_facts& facts, const findings& found, const run_figures& figures);

std::string text_report(const run_facts& facts, const findings& found, const run_figures& figures);
std::string json_report(const run_facts& facts, const findings& found, const run_figures& figures);

// "12.3 MB/s"; 1 MB is 10^6 bytes.
std::string rate_text(std::uint64_t bytes, double seconds);
}  // namespace yaks::oracle
