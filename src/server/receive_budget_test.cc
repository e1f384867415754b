// Goal: unfinished frames hold a bounded amount of memory; what moves gets on, what drips is given up.
// Method: accounts charged by hand, in time that moves when told.
#include "server/receive_budget.hpp"

#include "runtime/task_group.hpp"
#include "server/test_world.hpp"

namespace yaks {
namespace {
using test::manual_runtime;

struct frame {
  frame(receive_budget& budget) : account(budget, [this] { ++evictions; }) {}
  receive_budget::account account;
  int evictions = 0;
  bool got_room = false;
  awaitable<void> wait() {
    co_await account.wait_for_room();
    got_room = !account.is_evicted();
  }
};

TEST(receive_budget, counts_what_is_unfinished) {
  manual_runtime rt;
  receive_budget budget(rt, 100, 1s);
  {
    frame a(budget), b(budget);
    a.account.charge(30);
    b.account.charge(50);
    a.account.charge(40);
    EXPECT_EQ(budget.used(), 90u);
    EXPECT_FALSE(budget.is_full());
    a.account.charge(0);
    EXPECT_EQ(budget.used(), 50u);
  }
  EXPECT_EQ(budget.used(), 0u);
}

TEST(receive_budget, the_slowest_is_given_up_first) {
  manual_runtime rt;
  receive_budget budget(rt, 100, 1s);
  frame drip(budget), old(budget), mine(budget);
  auto body = [&]() -> awaitable<void> {
    drip.account.charge(2);
    old.account.charge(40);
    co_await rt.advance(10s);
    mine.account.charge(70);  // fast, and full now
    co_await mine.wait();
    EXPECT_EQ(drip.evictions, 1);
    EXPECT_EQ(old.evictions, 1);  // 110 were still too many without the drip
    EXPECT_EQ(mine.evictions, 0);
    EXPECT_TRUE(mine.got_room);
    EXPECT_EQ(budget.used(), 70u);
  };
  rt.run(body());
}

TEST(receive_budget, young_frames_wait_for_each_other) {
  manual_runtime rt;
  receive_budget budget(rt, 100, 1s);
  frame a(budget), b(budget);
  task_group tasks(rt.executor());
  auto body = [&]() -> awaitable<void> {
    a.account.charge(60);
    b.account.charge(60);
    tasks.spawn(b.wait());
    co_await rt.advance(500ms);
    EXPECT_FALSE(b.got_room);
    a.account.charge(0);  // complete
    co_await rt.settle();
    EXPECT_TRUE(b.got_room);
    EXPECT_EQ(a.evictions + b.evictions, 0);
  };
  rt.run(run_then_close(body(), tasks));
}

TEST(receive_budget, a_crowd_without_progress_loses_one_after_the_grace) {
  manual_runtime rt;
  receive_budget budget(rt, 100, 1s);
  frame a(budget), b(budget);
  task_group tasks(rt.executor());
  auto body = [&]() -> awaitable<void> {
    a.account.charge(49);
    b.account.charge(60);
    tasks.spawn(a.wait());
    tasks.spawn(b.wait());
    co_await rt.advance(999ms);
    EXPECT_EQ(a.evictions + b.evictions, 0);
    co_await rt.advance(1ms);
    EXPECT_EQ(a.evictions, 1);
    EXPECT_FALSE(a.got_room);
    EXPECT_TRUE(b.got_room);
  };
  rt.run(run_then_close(body(), tasks));
}

TEST(receive_budget, an_evicted_frame_is_charged_no_more) {
  manual_runtime rt;
  receive_budget budget(rt, 10, 0s);
  frame a(budget), b(budget);
  auto body = [&]() -> awaitable<void> {
    a.account.charge(1);
    co_await rt.advance(1s);
    b.account.charge(9);
    co_await b.wait();
    EXPECT_EQ(a.evictions, 1);
  };
  rt.run(body());
  a.account.charge(5);
  EXPECT_TRUE(b.got_room);
  EXPECT_EQ(budget.used(), 9u);
}
}  // namespace
}  // namespace yaks
