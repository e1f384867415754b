// Goal: agents see who lives: at once who comes or leaves, within a lease who dies; those behind one address are one broker; and
// partitions move no more than they must.
// Method: agents on one memory log in virtual time; routing by counting.
#include <gtest/gtest.h>

#include <map>

#include "membership/members.hpp"
#include "metastores/memory/memory_metastore.hpp"
#include "runtime/simulated_runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::membership {
namespace {
std::vector<broker> some(int n) {
  std::vector<broker> all;
  for (int i = 0; i < n; ++i) all.push_back({.id = node_id(i), .host = "h" + std::to_string(i), .port = 9092, .zone = i % 2 ? "b" : "a"});
  return all;
}

TEST(routing, spreads_evenly_and_moves_only_what_it_must) {
  auto five = some(5), four = some(4);
  std::map<node_id, int> counts;
  int moved = 0;
  for (int i = 0; i < 10'000; ++i) {
    auto key = routing_key(topic_partition{topic_id(uuid::v4(7, 7)), partition_index(i)});
    auto with = favourite(five, key).id, without = favourite(four, key).id;
    ++counts[with];
    if (with != without) {
      ++moved;
      EXPECT_EQ(with, node_id(4));  // only what the one that is gone had
    }
  }
  EXPECT_EQ(moved, counts[node_id(4)]);
  for (const auto& [id, count] : counts) {
    EXPECT_GT(count, 1800);
    EXPECT_LT(count, 2200);
  }
}

TEST(routing, keeps_within_a_zone_that_has_brokers) {
  EXPECT_EQ(within_zone(some(4), "a").size(), 2u);
  EXPECT_EQ(within_zone(some(4), "nowhere").size(), 4u);
  EXPECT_EQ(within_zone(some(4), "").size(), 4u);
  EXPECT_EQ(zone_of_client("app yaks_az=eu-1a"), "eu-1a");
  EXPECT_EQ(zone_of_client("yaks_az=x,app"), "x");
  EXPECT_EQ(zone_of_client("app"), "");
  EXPECT_EQ(zone_of_client("yaks_az="), "");
}

// One agent as far as membership goes.
struct node {
  simulated_runtime& rt;
  metrics::registry metrics;
  metastores::memory_metastore session;
  metadata::register_agent self;
  metadata::replica log;
  membership::members members;
  task_group tasks;
  node(simulated_runtime& runtime, metastores::memory_log& shared, int id, std::string host, std::uint32_t format_max = 1)
      : rt(runtime),
        session(runtime, shared, host),
        self{.node = node_id(id), .format_max = format_max, .upload_deadline_ms = 600'000, .host = host, .port = 9092},
        log(runtime, session.log(), {.registration = self}, metrics, [](const metadata::changes&) {}),
        members(runtime, session, log, {.self = self}, metrics),
        tasks(runtime.executor()) {}
  std::vector<int> seen() const {
    std::vector<int> ids;
    for (const auto& b : members.brokers()) ids.push_back(b.id.value());
    return ids;
  }
  awaitable<void> start() {
    co_await session.open();
    tasks.spawn(log.run());
    tasks.spawn(members.run());
    co_await log.wait_until_ready();
  }
};

struct membership : testing::Test {
  simulated_world world{1};
  simulated_runtime rt{world};
  metastores::memory_log shared{[this] { return timestamp_ms(1'700'000'000'000 + std::chrono::duration_cast<std::chrono::milliseconds>(rt.now().time_since_epoch()).count()); }};
  // Runs `body` with the nodes, each of which is started and, at the end, closed by it or here.
  void run(std::function<awaitable<void>()> body) { rt.run(body()); }
  static awaitable<void> stop(node& n) {
    auto nothing = []() -> awaitable<void> { co_return; };
    co_await run_then_close(nothing(), n.tasks);
    co_await n.session.close();
  }
};

TEST_F(membership, who_comes_and_leaves_is_seen_at_once) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, 1, "a"), b(rt, shared, 2, "b");
    co_await a.start();
    EXPECT_EQ(a.seen(), std::vector<int>({1}));
    co_await b.start();
    EXPECT_EQ(b.seen(), std::vector<int>({1, 2}));
    co_await rt.sleep_for(1s);
    EXPECT_EQ(a.seen(), std::vector<int>({1, 2}));
    co_await b.members.leave();
    co_await rt.sleep_for(1s);
    EXPECT_EQ(a.seen(), std::vector<int>({1}));
    EXPECT_EQ(a.log.current().agents().size(), 1u);
    co_await stop(a);
    co_await stop(b);
  });
}

TEST_F(membership, who_dies_is_dropped_with_its_lease_and_fenced) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, 1, "a"), b(rt, shared, 2, "b");
    co_await a.start();
    co_await b.start();
    co_await rt.sleep_for(60s);
    EXPECT_EQ(a.seen(), std::vector<int>({1, 2}));  // it renews
    co_await stop(b);
    co_await rt.sleep_for(5s);
    EXPECT_EQ(a.seen(), std::vector<int>({1, 2}));  // nobody can know yet
    co_await rt.sleep_for(25s);
    EXPECT_EQ(a.seen(), std::vector<int>({1}));
    EXPECT_EQ(a.log.current().agents().size(), 1u);
    co_await stop(a);
  });
}

TEST_F(membership, who_dies_is_no_broker_as_soon_as_nobody_holds_its_node_id) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, 1, "a"), b(rt, shared, 2, "b"), c(rt, shared, 3, "c"), again(rt, shared, 2, "b");
    for (auto* n : {&a, &b, &c}) {
      co_await n->start();
      co_await n->session.hold_node_id(n->self.node, 1s);
    }
    co_await rt.sleep_for(60s);
    EXPECT_EQ(a.seen(), std::vector<int>({1, 2, 3}));
    co_await stop(b);
    co_await rt.sleep_for(1s);
    for (auto* n : {&a, &c}) {
      EXPECT_EQ(n->seen(), std::vector<int>({1, 3}));
      EXPECT_EQ(n->members.agents().size(), 3u) << "its lease lives";
      EXPECT_EQ(n->log.current().agents().size(), 3u) << "it is not fenced for that";
    }
    co_await again.session.open();
    co_await again.session.hold_node_id(node_id(2), 1s);
    again.tasks.spawn(again.log.run());
    again.tasks.spawn(again.members.run());
    co_await again.log.wait_until_ready();
    co_await rt.sleep_for(1s);
    EXPECT_EQ(a.seen(), std::vector<int>({1, 2, 3}));
    // A store that cannot say, and one that has nobody's id: it has just come back.
    shared.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    co_await stop(c);
    co_await rt.sleep_for(3s);
    EXPECT_EQ(a.seen(), std::vector<int>({1, 2, 3}));
    shared.hooks.before_read = nullptr;
    co_await rt.sleep_for(10s);
    EXPECT_EQ(a.seen(), std::vector<int>({1, 2}));
    co_await stop(a);
    co_await stop(again);
  });
}

TEST_F(membership, a_format_is_used_when_the_last_agent_has_been_upgraded) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, 1, "a"), b(rt, shared, 2, "b"), upgraded_a(rt, shared, 1, "a", 2), upgraded_b(rt, shared, 2, "b", 3);
    co_await a.start();
    co_await b.start();
    co_await rt.sleep_for(60s);
    co_await a.members.leave();
    co_await stop(a);
    co_await upgraded_a.start();
    co_await rt.sleep_for(60s);
    EXPECT_EQ(upgraded_a.log.current().format(), 1u);  // b does not know more
    co_await b.members.leave();
    co_await stop(b);
    co_await upgraded_b.start();
    co_await rt.sleep_for(60s);
    EXPECT_EQ(upgraded_a.log.current().format(), 2u);  // what both know
    EXPECT_EQ(upgraded_b.log.current().format(), 2u);
    co_await upgraded_a.members.leave();
    co_await stop(upgraded_a);
    co_await rt.sleep_for(60s);
    EXPECT_EQ(upgraded_b.log.current().format(), 3u);
    co_await stop(upgraded_b);
  });
}

TEST_F(membership, agents_behind_one_address_are_one_broker_for_ever) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, 5, "lb"), b(rt, shared, 3, "lb"), c(rt, shared, 9, "lb");
    co_await a.start();
    EXPECT_EQ(a.seen(), std::vector<int>({5}));
    co_await b.start();
    co_await rt.sleep_for(1s);
    EXPECT_EQ(a.seen(), std::vector<int>({3}));
    EXPECT_EQ(a.members.self(), node_id(3));
    co_await b.members.leave();
    co_await stop(b);
    co_await c.start();
    co_await rt.sleep_for(60s);
    EXPECT_EQ(a.seen(), std::vector<int>({3}));  // although 3 is gone
    EXPECT_EQ(c.members.self(), node_id(3));
    EXPECT_EQ(a.log.current().digest(), a.log.current().recompute_digest());
    co_await stop(a);
    co_await stop(c);
  });
}

TEST_F(membership, a_store_that_is_away_changes_nothing) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, 1, "a"), b(rt, shared, 2, "b");
    co_await a.start();
    co_await b.start();
    co_await rt.sleep_for(60s);
    shared.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    co_await rt.sleep_for(60s);
    EXPECT_EQ(a.seen(), std::vector<int>({1, 2}));
    shared.hooks.before_read = nullptr;
    co_await rt.sleep_for(60s);
    EXPECT_EQ(a.seen(), std::vector<int>({1, 2}));
    EXPECT_EQ(b.seen(), std::vector<int>({1, 2}));
    co_await stop(a);
    co_await stop(b);
  });
}
}  // namespace
}  // namespace yaks::membership
