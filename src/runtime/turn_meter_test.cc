// Goal: long turns are found, with the processor time that they took, and short ones cost no look at the processor
// clock. Method: clocks told by hand, also a thread that sleeps or is preempted; then a real loop with a turn that is
// long indeed.
#include "runtime/turn_meter.hpp"

#include <gtest/gtest.h>
#include <time.h>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "runtime/real_runtime.hpp"

namespace yaks {
namespace {
using namespace std::chrono_literals;

struct told {
  metrics::registry metrics;
  turn_meter meter{metrics};
  std::chrono::nanoseconds now = 1h, cpu = 5s;
  int looks = 0;
  told() { meter.begin(now, cpu); }
  void turn(std::chrono::nanoseconds wall, std::chrono::nanoseconds processor) {
    now += wall;
    cpu += processor;
    if (!meter.ended(now)) return;
    ++looks;
    meter.account(cpu);
  }
  const metrics::histogram* turns() const {
    const metrics::histogram* found = nullptr;
    metrics.visit_series("yaks_loop_turn_cpu_seconds",
                         [&](const metrics::registry::series& s) { found = s.distribution; });
    return found;
  }
};

TEST(turn_meter, short_turns_are_counted_together) {
  told t;
  for (int i = 0; i < 1000; ++i) t.turn(10us, 8us);
  EXPECT_EQ(t.looks, 20);
  EXPECT_EQ(t.meter.longest(), 0ns);
  EXPECT_EQ(t.turns()->count(), 1000u);
  EXPECT_EQ(t.turns()->counts()[0], 1000u);
  EXPECT_NEAR(t.turns()->sum(), 0.008, 1e-9);
}

TEST(turn_meter, a_long_turn_is_found) {
  told t;
  t.turn(100us, 100us);
  t.turn(7ms, 7ms);
  EXPECT_EQ(t.meter.longest(), 7ms);
  t.turn(30ms, 6ms);  // it waited, or another had the processor
  EXPECT_EQ(t.meter.longest(), 7ms);
  EXPECT_EQ(t.turns()->counts(), (std::vector<std::uint64_t>{1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0}));
  EXPECT_NEAR(t.turns()->sum(), 0.0131, 1e-9);
}

TEST(turn_meter, is_never_told_less_than_it_was_and_little_more) {
  told t;
  t.turn(499us, 499us);
  t.turn(10ms, 4ms);
  EXPECT_GE(t.meter.longest(), 4ms);
  EXPECT_LE(t.meter.longest(), 4ms + turn_meter::look_after);
}

TEST(turn_meter, waiting_is_no_work) {
  told t;
  for (int i = 0; i < 100; ++i) t.turn(1s, 20us);
  EXPECT_EQ(t.meter.longest(), 0ns);
  EXPECT_EQ(t.turns()->counts()[0], 100u);
}

TEST(turn_meter, forgets_the_longest_of_the_last_minutes) {
  told t;
  t.turn(9ms, 9ms);
  t.turn(70s, 10us);
  EXPECT_EQ(t.meter.longest_recently(), 9ms);
  t.turn(2ms, 2ms);
  EXPECT_EQ(t.meter.longest_recently(), 9ms);
  t.turn(59s, 10us);
  EXPECT_EQ(t.meter.longest_recently(), 9ms);
  t.turn(2s, 10us);
  EXPECT_EQ(t.meter.longest_recently(), 2ms);
  t.turn(120s, 10us);
  EXPECT_EQ(t.meter.longest_recently(), 0ns);
  EXPECT_EQ(t.meter.longest(), 9ms);
}

std::chrono::nanoseconds processor_time() {
  timespec t;
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

TEST(turn_meter, measures_a_real_loop) {
  metrics::registry metrics;
  turn_meter meter(metrics);
  real_runtime rt;
  rt.measure_turns(meter);
  std::chrono::nanoseconds used{};
  rt.run([](runtime& r, std::chrono::nanoseconds& took) -> awaitable<void> {
    for (int i = 0; i < 100; ++i) co_await asio::post(r.executor(), asio::use_awaitable);
    auto begun = processor_time();
    while (processor_time() - begun < 20ms) {
    }
    took = processor_time() - begun;
    co_await asio::post(r.executor(), asio::use_awaitable);
  }(rt, used));
  EXPECT_GE(meter.longest(), used);
  std::uint64_t turns = 0;
  metrics.visit_series("yaks_loop_turn_cpu_seconds",
                       [&](const metrics::registry::series& s) { turns = s.distribution->count(); });
  EXPECT_GE(turns, 100u);
}
}  // namespace
}  // namespace yaks
