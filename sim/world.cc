#include "sim/world.hpp"

#include <fmt/format.h>

namespace yaks::sim {
world::world(std::uint64_t seed, const scenario& most, bool prints) : time(seed), what(varied(most, time.chance)), prints_(prints) {
  time.on_handler = [this](simulated_runtime& ran) { 
    note_quietly(ran.number(), ran.handlers());
    if (after_handler) after_handler(ran);
  };
}

duration world::some_time(duration most) {
  auto part = time.chance.below(4) == 0 ? most : most / 8;
  return time.chance.between(duration(0), part);
}

void world::note_quietly(std::uint64_t a, std::uint64_t b) {
  auto mix = [this](std::uint64_t n) { hash_ = (hash_ ^ n) * 1099511628211u; };
  mix(a), mix(b), mix(std::uint64_t(time.now().time_since_epoch().count()));
}

void world::note(std::string_view event, std::uint64_t a, std::uint64_t b) {
  for (char c : event) hash_ = (hash_ ^ std::uint64_t(c)) * 1099511628211u;
  note_quietly(a, b);
  if (prints_)
    fmt::print("{:14.6f} {:<24} {} {}\n", std::chrono::duration<double>(time.now().time_since_epoch()).count() - 3600, event, a, b);
}

void world::violation(std::string sentence) {
  note("violation");
  if (prints_) fmt::print("               {}\n", sentence);
  if (violations_.size() < 10) violations_.push_back(std::move(sentence));
}
}  // namespace yaks::sim
