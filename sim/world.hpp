// What all parts of a simulated world share: time, chance, the trace, what went wrong, and which rare branches were reached.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/simulated_runtime.hpp"
#include "sim/scenario.hpp"

namespace yaks::sim {
class world {
 public:
  // Draws this run's scenario from the most that it may be.
  world(std::uint64_t seed, const scenario& most, bool prints);

  simulated_world time;
  scenario what;
  bool calm = false;  // no more faults
  // Called after each handler of any process, from outside of it. May be empty.
  std::function<void(simulated_runtime&)> after_handler;

  // True `permille` times of 1,000, and never in calm.
  bool drawn(std::uint64_t permille) { return !calm && permille > 0 && time.chance.below(1000) < permille; }
  // Mostly short, now and then up to `most`.
  duration some_time(duration most);

  // Everything that happens ends up in the hash; what is noted is printed, too, where a trace is wanted.
  void note(std::string_view event, std::uint64_t a = 0, std::uint64_t b = 0);
  void note_quietly(std::uint64_t a, std::uint64_t b);
  std::uint64_t hash() const { return hash_; }

  // A rare branch: what no run reaches is not tested.
  void reached(std::string_view mark, std::uint64_t times = 1) { marks_[std::string(mark)] += times; }
  const std::map<std::string, std::uint64_t>& marks() const { return marks_; }

  // A promise is broken. The first ones are kept in words; the run ends soon.
  void violation(std::string sentence);
  const std::vector<std::string>& violations() const { return violations_; }
  bool failed() const { return !violations_.empty(); }

 private:
  bool prints_;
  std::uint64_t hash_ = 14695981039346656037u;
  std::map<std::string, std::uint64_t> marks_;
  std::vector<std::string> violations_;
};
}  // namespace yaks::sim
