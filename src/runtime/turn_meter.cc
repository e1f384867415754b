#include "runtime/turn_meter.hpp"

#include <algorithm>

namespace yaks {
namespace {
double seconds(std::chrono::nanoseconds d) {
  return std::chrono::duration<double>(d).count();
}
}  // namespace

turn_meter::turn_meter(metrics::registry& metrics)
    : seconds_(
          metrics.add_histogram("yaks_loop_turn_cpu_seconds",
                                "Processor time of each turn of the event loop, during which nobody else is served.",
                                {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1})) {
  metrics.add_callback("yaks_loop_longest_turn_cpu_seconds",
                       "Processor time of the longest turn of the event loop since the start.",
                       [this] { return seconds(longest()); });
  metrics.add_callback("yaks_loop_recent_longest_turn_cpu_seconds",
                       "Processor time of the longest turn of the event loop in the last one to two minutes.",
                       [this] { return seconds(longest_recently()); });
}

void turn_meter::begin(nanoseconds now, nanoseconds cpu) {
  now_ = window_began_ = now;
  cpu_ = cpu;
  unaccounted_ = {};
  turns_ = 0;
}

void turn_meter::account(nanoseconds cpu) {
  auto used = std::max(cpu - cpu_, nanoseconds(0));
  cpu_ = cpu;
  // All turns but the last one took less than look_after together: a long one can only be the last.
  auto last = std::min(last_, used);
  if (last >= look_after) {
    observe_long(last);
    used -= last;
    --turns_;
  }
  if (turns_ > 0) seconds_.observe(seconds(used) / double(turns_), turns_);
  turns_ = 0;
  unaccounted_ = {};
}

void turn_meter::observe_long(nanoseconds turn) {
  seconds_.observe(seconds(turn));
  longest_ = std::max(longest_, turn);
  if (now_ - window_began_ >= window) {
    in_window_before_ = now_ - window_began_ < 2 * window ? in_window_ : nanoseconds(0);
    in_window_ = {};
    window_began_ = now_;
  }
  in_window_ = std::max(in_window_, turn);
}

turn_meter::nanoseconds turn_meter::longest_recently() const {
  auto age = now_ - window_began_;
  if (age >= 2 * window) return {};
  return age >= window ? in_window_ : std::max(in_window_, in_window_before_);
}
}  // namespace yaks
