// One run of a simulated world: a cluster, its clients, faults, then calm, and what must be true at the end.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/scenario.hpp"

namespace yaks::sim {
struct run_settings {
  std::uint64_t seed = 1;
  scenario what;
  bool prints = false;  // a trace, to the standard output
};

struct run_report {
  std::uint64_t seed = 0, hash = 0, operations = 0, acknowledgements = 0, records = 0, entries = 0, steps = 0;
  duration simulated{};
  std::vector<std::string> violations;
  std::map<std::string, std::uint64_t> marks;
};

run_report run(const run_settings& settings);
}  // namespace yaks::sim
