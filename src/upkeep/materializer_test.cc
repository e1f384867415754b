// Goal: ranges leave the state for the index and none is lost on the way: at every moment each offset is in one of them.
// Method: agents' replicas on a memory log in virtual time, with crashes between the write and its command, two that both work,
// outages, slow partitions and deleted topics.
#include "upkeep/materializer.hpp"

#include <gtest/gtest.h>

#include "metastores/memory/memory_metastore.hpp"
#include "runtime/simulated_runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::upkeep {
namespace {
const topic_id the_topic(uuid::v4(1, 1));
const topic_partition at{the_topic, partition_index(0)};

struct node {
  simulated_runtime& rt;
  metrics::registry metrics;
  metastores::memory_metastore session;
  metadata::register_agent self;
  metadata::replica log;
  membership::members members;
  term office;
  materializer work;
  task_group tasks;
  node(simulated_runtime& runtime, metastores::memory_log& shared, int id)
      : rt(runtime),
        session(runtime, shared, "node"),
        self{.node = node_id(id), .upload_deadline_ms = 600'000, .host = "h" + std::to_string(id), .port = 9092},
        log(runtime, session.log(), {.registration = self}, metrics, [this](const metadata::changes& c) { work.applied(c); }),
        members(runtime, session, log, {.self = self}, metrics),
        office(runtime, session, log, members, metrics),
        work(runtime, session, log, office, {.ranges_kept = 5, .ranges_per_chunk = 10, .small_chunk = 3}, metrics),
        tasks(runtime.executor()) {}
  awaitable<void> start() {
    co_await session.open();
    tasks.spawn(log.run());
    tasks.spawn(members.run());
    tasks.spawn(office.run());
    co_await log.wait_until_ready();
  }
  awaitable<void> stop() {
    auto nothing = []() -> awaitable<void> { co_return; };
    co_await run_then_close(nothing(), tasks);
    co_await session.close();
  }
  // One object with one range of three records.
  awaitable<void> commit() {
    auto high = rt.random(), low = rt.random();
    metadata::commit_object c{object_id(uuid::v7(log.log_time().value(), high, low)), 100,
                              {{the_topic, {{at.partition, {{.bytes = 100, .record_count = 3}}}}}}};
    auto done = co_await log.submit(std::move(c));
    EXPECT_TRUE(done && done->batches.front().error == metadata::apply_error::none);
  }
  // Every offset is in the index or in the state, and both name the same objects where they overlap.
  awaitable<void> check() {
    const auto* p = log.current().find_partition(at);
    offset next{0};
    while (next < p->high_watermark) {
      auto found = co_await session.index().find(at, next);
      if (found && !found->empty()) {
        for (const auto& r : *found) {
          EXPECT_EQ(r.range.base_offset, next);
          next = r.range.end_offset();
        }
        continue;
      }
      auto in_state = p->find(next);
      EXPECT_NE(in_state, p->ranges.end()) << "offset " << next.value() << " is nowhere";
      if (in_state == p->ranges.end()) co_return;
      next = in_state->end_offset();
    }
  }
};

struct materializing : testing::Test {
  simulated_world world{1};
  simulated_runtime rt{world};
  metastores::memory_log shared{[this] {
    return timestamp_ms(1'700'000'000'000 + std::chrono::duration_cast<std::chrono::milliseconds>(rt.now().time_since_epoch()).count());
  }};
  void run(std::function<awaitable<void>()> body) { rt.run(body()); }
  static awaitable<void> make_topic(node& n) {
    (void)co_await n.log.submit(metadata::create_topic{the_topic, "t", 1, {}});
  }
};

TEST_F(materializing, the_state_keeps_the_tail_only) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, 1);
    co_await a.start();
    co_await make_topic(a);
    a.tasks.spawn(a.work.run());
    for (int i = 0; i < 200; ++i) {
      co_await a.commit();
      co_await rt.sleep_for(50ms);
      if (i % 20 == 0) co_await a.check();
    }
    co_await rt.sleep_for(1s);
    const auto* p = a.log.current().find_partition(at);
    EXPECT_LT(p->ranges.size(), 15u);
    EXPECT_GE(p->ranges.size(), 5u);
    EXPECT_EQ(p->high_watermark, offset(600));
    EXPECT_LT(a.log.current().object_count(), 15u);
    co_await a.check();
    co_await a.stop();
  });
}

TEST_F(materializing, a_crash_between_the_write_and_its_command_repeats_nothing) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, 1);
    co_await a.start();
    co_await make_topic(a);
    for (int i = 0; i < 40; ++i) co_await a.commit();
    shared.hooks.before_append = [](metadata::append_id) { return std::optional(metadata::log_error::unavailable); };
    a.tasks.spawn(a.work.run());  // it writes, and cannot say so
    co_await rt.sleep_for(2s);
    auto indexed = co_await a.session.index().find(at, offset(0));
    EXPECT_TRUE(indexed && !indexed->empty());
    EXPECT_EQ(a.log.current().find_partition(at)->ranges.size(), 40u);
    co_await a.stop();
    shared.hooks.before_append = nullptr;
    node b(rt, shared, 2);
    co_await b.start();
    b.tasks.spawn(b.work.run());
    co_await rt.sleep_for(60s);
    EXPECT_LT(b.log.current().find_partition(at)->ranges.size(), 15u);
    co_await b.check();
    co_await b.stop();
  });
}

TEST_F(materializing, two_that_take_the_term_in_turns_agree) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, 1), b(rt, shared, 2);
    co_await a.start();
    co_await b.start();
    co_await make_topic(a);
    for (int i = 0; i < 100; ++i) {
      co_await a.commit();
      (void)co_await b.log.barrier();
      if (i % 40 == 0) EXPECT_TRUE(co_await (i % 80 == 0 ? a : b).office.take());
      if (i % 7 == 0) (void)co_await a.work.run_once();
      if (i % 5 == 0) (void)co_await b.work.run_once();
    }
    (void)co_await a.log.barrier();
    (void)co_await b.log.barrier();
    EXPECT_EQ(a.log.current().digest(), b.log.current().digest());
    EXPECT_LT(a.log.current().find_partition(at)->ranges.size(), 30u);
    co_await a.check();
    co_await b.check();
    co_await a.stop();
    co_await b.stop();
  });
}

TEST_F(materializing, slow_partitions_leave_by_age) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, 1);
    co_await a.start();
    co_await make_topic(a);
    a.tasks.spawn(a.work.run());
    co_await a.commit();
    co_await rt.sleep_for(30min);
    EXPECT_EQ(a.log.current().find_partition(at)->ranges.size(), 1u);  // one alone waits longer
    co_await rt.sleep_for(40min);
    EXPECT_EQ(a.log.current().find_partition(at)->ranges.size(), 0u);
    for (int i = 0; i < 4; ++i) co_await a.commit();
    co_await rt.sleep_for(15min);
    EXPECT_EQ(a.log.current().find_partition(at)->ranges.size(), 0u);
    co_await a.check();
    co_await a.stop();
  });
}

TEST_F(materializing, an_outage_only_delays) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, 1);
    co_await a.start();
    co_await make_topic(a);
    for (int i = 0; i < 40; ++i) co_await a.commit();
    shared.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    a.tasks.spawn(a.work.run());
    co_await rt.sleep_for(10s);
    EXPECT_EQ(a.log.current().find_partition(at)->ranges.size(), 40u);
    shared.hooks.before_read = nullptr;
    co_await rt.sleep_for(60s);
    EXPECT_LT(a.log.current().find_partition(at)->ranges.size(), 15u);
    co_await a.stop();
  });
}
}  // namespace
}  // namespace yaks::upkeep
