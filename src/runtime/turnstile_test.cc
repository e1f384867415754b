// Goal: turns pass in their order, whoever waits, fails or leaves early.
// Method: tasks that come to the turnstile in another order than they took their turns.
#include "runtime/turnstile.hpp"

#include <gtest/gtest.h>

#include "runtime/simulated_runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks {
namespace {
awaitable<void> pass_at(runtime& rt, turnstile::turn turn, duration after, int id, std::vector<int>& order) {
  co_await rt.sleep_for(after);
  co_await turn.wait();
  order.push_back(id);
  co_await rt.sleep_for(1ms);  // the ordered part may suspend, too
  turn.pass();
}

TEST(turnstile, passes_in_the_order_of_the_turns) {
  simulated_world world(1);
  simulated_runtime rt(world);
  turnstile gate;
  std::vector<int> order;
  task_group tasks(rt.executor());
  auto body = [&]() -> awaitable<void> {
    for (int i = 0; i < 5; ++i) tasks.spawn(pass_at(rt, gate.next_turn(), duration(10ms) * (5 - i), i, order));
    while (tasks.size() > 0) co_await rt.sleep_for(1ms);
  };
  rt.run(run_then_close(body(), tasks));
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(turnstile, a_turn_that_leaves_without_waiting_holds_nobody_up) {
  simulated_world world(1);
  simulated_runtime rt(world);
  turnstile gate;
  std::vector<int> order;
  task_group tasks(rt.executor());
  auto body = [&]() -> awaitable<void> {
    auto first = gate.next_turn();
    {
      auto failed = gate.next_turn();  // passes at its end, before the first one has
    }
    tasks.spawn(pass_at(rt, gate.next_turn(), 0ms, 2, order));
    co_await rt.sleep_for(10ms);
    EXPECT_TRUE(order.empty());
    first.pass();
    first.pass();
    co_await rt.sleep_for(10ms);
    EXPECT_EQ(order, std::vector<int>{2});
  };
  rt.run(run_then_close(body(), tasks));
}
}  // namespace
}  // namespace yaks
