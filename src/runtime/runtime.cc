#include "runtime/runtime.hpp"

#include <algorithm>

namespace yaks {
duration backoff(runtime& rt, unsigned attempt, duration first, duration most) {
  duration bound = std::min(most, first * (std::int64_t(1) << std::min(attempt, 20u)));
  return duration(std::int64_t(rt.random_below(std::uint64_t(bound.count()) + 1)));
}
}  // namespace yaks
