// How long one turn of an event loop takes: from one look at what is ready to the next, in processor time of its
// thread. While a turn lasts, nobody else is served; how often a thread is preempted is not its fault, hence no wall
// time.
//
// The processor clock is a system call (0.2 to 0.8 us), the monotonic one is not (20 ns). So the latter is read after
// each turn, and the former only when half a millisecond has gone by: what is shorter is counted in the first bucket
// without a look. A turn of half a millisecond or more is measured to within the short ones before it, half a
// millisecond at most, never as less than it was. Waiting for events is part of a turn, and takes no processor time.
//
// Pure but for its metrics; on the loop's thread only.
#pragma once
#include <chrono>
#include <cstdint>

#include "metrics/registry.hpp"

namespace yaks {
class turn_meter {
 public:
  using nanoseconds = std::chrono::nanoseconds;
  static constexpr nanoseconds look_after{500'000};
  static constexpr nanoseconds window{60'000'000'000};

  explicit turn_meter(metrics::registry& metrics);
  // The loop begins, by its monotonic clock and its thread's processor clock.
  void begin(nanoseconds now, nanoseconds cpu);
  // A turn has ended. True: say what the processor clock shows, with account().
  bool ended(nanoseconds now) {
    ++turns_;
    last_ = now - now_;
    now_ = now;
    unaccounted_ += last_;
    return unaccounted_ >= look_after;
  }
  void account(nanoseconds cpu);

  nanoseconds longest() const { return longest_; }
  // Of the last one to two minutes.
  nanoseconds longest_recently() const;

 private:
  void observe_long(nanoseconds turn);

  metrics::histogram& seconds_;
  nanoseconds now_{}, cpu_{};  // the newest that were read
  nanoseconds unaccounted_{};  // since cpu_
  nanoseconds last_{};         // of the newest turn, by the monotonic clock
  std::uint64_t turns_ = 0;    // since cpu_
  nanoseconds longest_{}, in_window_{}, in_window_before_{}, window_began_{};
};
}  // namespace yaks
