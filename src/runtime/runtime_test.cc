// Goal: a parked coroutine is woken or cancelled, never both and never lost; a group always joins; blocking work comes back.
// Method: small coroutines on the real runtime.
#include "runtime/runtime.hpp"

#include <gtest/gtest.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <thread>

#include "runtime/event.hpp"
#include "runtime/real_runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks {
namespace {
awaitable<void> wait_for(event& e, bool& flag, int& woken) {
  while (!flag) co_await e.wait();
  ++woken;
}

TEST(event, wakes_every_waiter) {
  real_runtime rt;
  event e;
  bool flag = false;
  int woken = 0;
  auto body = [&](task_group& tasks) -> awaitable<void> {
    for (int i = 0; i < 3; ++i) tasks.spawn(wait_for(e, flag, woken));
    co_await rt.sleep_for(1ms);
    EXPECT_TRUE(e.has_waiters());
    flag = true;
    e.notify_all();
    while (tasks.size() > 0) co_await rt.sleep_for(1ms);
  };
  task_group tasks(rt.executor());
  rt.run(run_then_close(body(tasks), tasks));
  EXPECT_EQ(woken, 3);
}

TEST(event, wait_until_tells_which_came_first) {
  real_runtime rt;
  event e;
  auto body = [&]() -> awaitable<void> {
    EXPECT_FALSE(co_await e.wait_until(rt, rt.now() + 2ms));
    EXPECT_FALSE(e.has_waiters());
    EXPECT_FALSE(co_await e.wait_until(rt, rt.now() - 2ms));
  };
  rt.run(body());
}

TEST(task_group, closing_cancels_what_still_waits) {
  real_runtime rt;
  event e;
  bool never = false;
  int woken = 0;
  task_group tasks(rt.executor());
  auto body = [&]() -> awaitable<void> {
    tasks.spawn(wait_for(e, never, woken));
    co_await rt.sleep_for(1ms);
  };
  rt.run(run_then_close(body(), tasks));
  EXPECT_EQ(woken, 0);
  EXPECT_EQ(tasks.size(), 0u);
}

TEST(event, a_cancelled_wait_until_is_a_cancellation) {
  real_runtime rt;
  event e;
  task_group tasks(rt.executor());
  auto waits = [&]() -> awaitable<void> { co_await e.wait_until(rt, rt.now() + 60s); };
  auto body = [&]() -> awaitable<void> {
    tasks.spawn(waits());
    co_await rt.sleep_for(1ms);
    EXPECT_TRUE(e.has_waiters());
  };
  rt.run(run_then_close(body(), tasks));  // throws what is no cancellation
}

TEST(task_group, a_childs_failure_is_rethrown) {
  real_runtime rt;
  task_group tasks(rt.executor());
  auto child = []() -> awaitable<void> {
    throw std::runtime_error("broken child");
    co_return;
  };
  auto body = [&]() -> awaitable<void> {
    tasks.spawn(child());
    co_await tasks.failed();
  };
  EXPECT_THROW(rt.run(run_then_close(body(), tasks)), std::runtime_error);
}

TEST(run_blocking, runs_elsewhere_and_passes_on_exceptions) {
  real_runtime rt;
  auto here = std::this_thread::get_id();
  std::thread::id there;
  auto body = [&]() -> awaitable<void> {
    co_await rt.run_blocking([&] { there = std::this_thread::get_id(); });
    EXPECT_EQ(std::this_thread::get_id(), here);
    co_await rt.run_blocking([] { throw std::runtime_error("disk full"); });
  };
  EXPECT_THROW(rt.run(body()), std::runtime_error);
  EXPECT_NE(there, here);
}
TEST(real_runtime, runs_again_after_a_run_has_ended) {
  real_runtime rt;
  int runs = 0;
  auto body = [&]() -> awaitable<void> {
    co_await rt.sleep_for(1ms);
    ++runs;
  };
  rt.run(body());
  rt.run(body());
  EXPECT_EQ(runs, 2);
}
}  // namespace
}  // namespace yaks
