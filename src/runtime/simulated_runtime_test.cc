// Goal: virtual time is a fair stand-in for the real one: it jumps, it orders, it repeats itself from a seed, and
// cancelling what sleeps leaves nothing behind. Method: small coroutines, several processes in one world, and two runs
// of the same seed compared.
#include "runtime/simulated_runtime.hpp"

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <string>

#include "runtime/first_of.hpp"
#include "runtime/task_group.hpp"

namespace yaks {
namespace {
TEST(simulated_runtime, an_hour_passes_at_once_and_in_order) {
  simulated_world world(1);
  simulated_runtime rt(world);
  std::string order;
  auto sleeper = [&](duration d, char name) -> awaitable<void> {
    co_await rt.sleep_for(d);
    order += name;
  };
  task_group tasks(rt.executor());
  auto begun = rt.now();
  auto body = [&]() -> awaitable<void> {
    tasks.spawn(sleeper(3h, 'c'));
    tasks.spawn(sleeper(1h, 'a'));
    tasks.spawn(sleeper(1h, 'b'));  // a tie: first set, first due
    co_await rt.sleep_for(4h);
  };
  rt.run(run_then_close(body(), tasks));
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(rt.now() - begun, 4h);
}

TEST(simulated_runtime, a_cancelled_sleep_leaves_no_timer) {
  simulated_world world(1);
  {
    simulated_runtime rt(world);
    task_group tasks(rt.executor());
    auto body = [&]() -> awaitable<void> {
      tasks.spawn(rt.sleep_for(10h));
      co_await rt.sleep_for(1s);
    };
    rt.run(run_then_close(body(), tasks));
  }
  EXPECT_FALSE(world.step());
}

TEST(simulated_runtime, blocking_work_takes_time_and_passes_on_its_failure) {
  simulated_world world(1);
  simulated_runtime rt(world);
  auto begun = rt.now();
  bool worked = false;
  auto body = [&]() -> awaitable<void> {
    co_await rt.run_blocking([&] { worked = true; });
    EXPECT_TRUE(worked);
    EXPECT_LT(begun, rt.now());
    co_await rt.run_blocking([] { throw std::runtime_error("disk full"); });
  };
  EXPECT_THROW(rt.run(body()), std::runtime_error);
}

TEST(simulated_runtime, a_paused_process_runs_later) {
  simulated_world world(1);
  simulated_runtime one(world), other(world);
  time_point woken{};
  auto sleeper = [&]() -> awaitable<void> {
    co_await other.sleep_for(1s);
    woken = other.now();
  };
  task_group tasks(other.executor());
  auto body = [&]() -> awaitable<void> {
    tasks.spawn(sleeper());
    co_await one.sleep_for(1ms);  // it sleeps now
    other.pause(true);
    co_await one.sleep_for(1min);
    EXPECT_EQ(woken, time_point{});
    other.pause(false);
    co_await one.sleep_for(1s);
    EXPECT_NE(woken, time_point{});
  };
  one.run(body());
  EXPECT_EQ(tasks.size(), 0u);
}

// What several processes do to a shared place, in the order in which they do it.
std::string history(std::uint64_t seed) {
  simulated_world world(seed);
  simulated_runtime a(world), b(world), c(world);
  std::string all;
  auto worker = [&](simulated_runtime& rt, char name) -> awaitable<void> {
    for (int i = 0; i < 20; ++i) {
      all += name;
      co_await rt.sleep_for(duration(std::int64_t(rt.random_below(3))));
    }
  };
  task_group on_b(b.executor()), on_c(c.executor());
  auto body = [&]() -> awaitable<void> {
    on_b.spawn(worker(b, 'b'));
    on_c.spawn(worker(c, 'c'));
    co_await worker(a, 'a');
    co_await a.sleep_for(1s);
  };
  a.run(body());
  return all;
}

TEST(simulated_runtime, a_seed_repeats_itself_and_another_differs) {
  EXPECT_EQ(history(7), history(7));
  EXPECT_NE(history(7), history(8));
}

// ---- first_of: here because it needs time

TEST(first_of, ends_with_the_first_failure_too) {
  simulated_world world(1);
  simulated_runtime rt(world);
  auto fails = [&]() -> awaitable<void> {
    co_await rt.sleep_for(1s);
    throw std::runtime_error("broken part");
  };
  auto begun = rt.now();
  EXPECT_THROW(rt.run(first_of(rt.sleep_for(10h), fails())), std::runtime_error);
  EXPECT_EQ(rt.now() - begun, 1s);
  EXPECT_THROW(rt.run(first_of(fails(), rt.sleep_for(10h))), std::runtime_error);
  EXPECT_EQ(rt.now() - begun, 2s);
}

TEST(first_of, cancels_and_joins_the_other) {
  simulated_world world(1);
  simulated_runtime rt(world);
  bool unwound = false;
  auto slow = [&]() -> awaitable<void> {
    struct guard {
      bool& flag;
      ~guard() { flag = true; }
    } at_end{unwound};
    co_await rt.sleep_for(10h);
  };
  auto begun = rt.now();
  auto body = [&]() -> awaitable<void> {
    co_await first_of(slow(), rt.sleep_for(1s));
    EXPECT_TRUE(unwound);
  };
  rt.run(body());
  EXPECT_EQ(rt.now() - begun, 1s);
}

TEST(first_of, passes_on_its_own_cancellation) {
  simulated_world world(1);
  simulated_runtime rt(world);
  task_group tasks(rt.executor());
  auto body = [&]() -> awaitable<void> {
    tasks.spawn(first_of(rt.sleep_for(10h), rt.sleep_for(11h)));
    co_await rt.sleep_for(1s);
  };
  rt.run(run_then_close(body(), tasks));
  EXPECT_EQ(tasks.size(), 0u);
}

// Killed after each of its handlers in turn: its tasks unwind, nothing of them is left behind, and nothing happens afterwards.
TEST(simulated_runtime, a_process_can_be_killed_between_any_two_handlers) {
  std::uint64_t killed = 0;
  for (std::uint64_t at = 1;; ++at) {
    simulated_world world(7);
    int begun = 0, ended = 0, worked_after_death = 0;
    bool over = false;
    {
      simulated_runtime rt(world);
      asio::cancellation_signal stop;
      task_group tasks(rt.executor());
      struct counted {
        int& n;
        ~counted() { ++n; }
      };
      auto child = [&]() -> awaitable<void> {
        counted guard{(++begun, ended)};
        for (int i = 0; i < 3; ++i) {
          co_await rt.sleep_for(1ms);
          co_await rt.run_blocking([&] { worked_after_death += rt.is_dying(); });
        }
      };
      auto main = [&]() -> awaitable<void> {
        counted guard{(++begun, ended)};
        tasks.spawn(child());
        tasks.spawn(child());
        co_await rt.sleep_for(20ms);
      };
      bool done = false;
      asio::co_spawn(rt.executor(), run_then_close(main(), tasks),
                     asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr) { done = true; }));
      while (rt.handlers() < at && world.step()) continue;
      over = done;
      if (!over) {
        rt.kill([&] { stop.emit(asio::cancellation_type::terminal); });
        ++killed;
      }
      EXPECT_TRUE(done);
      EXPECT_THROW(
          {
            rt.kill([] {});
            rt.check_alive();
          },
          boost::system::system_error);
    }
    EXPECT_EQ(begun, ended) << at;
    EXPECT_EQ(worked_after_death, 0) << at;
    EXPECT_FALSE(world.step()) << at;
    if (over) break;
  }
  EXPECT_GT(killed, 10u);
}

TEST(simulated_runtime, a_wall_clock_may_be_wrong) {
  simulated_world world(1);
  simulated_runtime right(world), wrong(world);
  wrong.set_wall_clock_error(-5000);
  EXPECT_EQ(wrong.wall_clock(), right.wall_clock() - 5000);
  EXPECT_EQ(wrong.now(), right.now());
}
}  // namespace
}  // namespace yaks
