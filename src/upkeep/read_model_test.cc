// Goal: the tables for SQL become what the state is, whoever writes them and whatever happened before, a bounded number of rows at a
// time. Method: replicas on a memory log in virtual time; the tables are compared with the state, through outages, changes of the
// writer, deleted topics, and text that no database takes.
#include "upkeep/read_model.hpp"

#include <gtest/gtest.h>

#include "metastores/memory/memory_metastore.hpp"
#include "runtime/simulated_runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::upkeep {
namespace {
topic_id topic_of(std::uint64_t n) {
  return topic_id(uuid::v4(n, n));
}

struct node {
  simulated_runtime& rt;
  metrics::registry metrics;
  metastores::memory_metastore session;
  metadata::register_agent self;
  metadata::replica log;
  membership::members members;
  read_model_writer work;
  task_group tasks;
  node(simulated_runtime& runtime, metastores::memory_log& shared, int id, std::size_t rows_max = 10)
      : rt(runtime),
        session(runtime, shared, "node"),
        self{.node = node_id(id), .upload_deadline_ms = 600'000, .host = "h" + std::to_string(id), .port = 9092},
        log(runtime, session.log(), {.registration = self}, metrics, [this](const metadata::changes& c) { work.applied(c); }),
        members(runtime, session, log, {.self = self}, metrics),
        work(runtime, session, log, members, {.interval = 5s, .rows_max = rows_max}, metrics),
        tasks(runtime.executor()) {}
  awaitable<void> start() {
    co_await session.open();
    tasks.spawn(log.run());
    tasks.spawn(members.run());
    co_await log.wait_until_ready();
    tasks.spawn(work.run());
  }
  awaitable<void> stop() {
    auto nothing = []() -> awaitable<void> { co_return; };
    co_await run_then_close(nothing(), tasks);
    co_await members.leave();
    co_await session.close();
  }
  awaitable<void> make_topic(std::uint64_t n, int partitions) {
    (void)co_await log.submit(metadata::create_topic{topic_of(n), "t" + std::to_string(n), partitions, {{"retention.ms", "7"}}});
  }
  awaitable<void> commit(std::uint64_t n, int partition) {
    auto high = rt.random(), low = rt.random();
    metadata::commit_object c{object_id(uuid::v7(log.log_time().value(), high, low)), 100,
                              {{topic_of(n), {{partition_index(partition), {{.bytes = 100, .record_count = 3}}}}}}};
    (void)co_await log.submit(std::move(c));
  }
  awaitable<void> commit_offset(std::string group, std::uint64_t n, int partition, std::int64_t at, std::string metadata = "") {
    (void)co_await log.submit(
        metadata::commit_group_offsets{std::move(group), {{topic_of(n), partition_index(partition), offset(at), -1, std::move(metadata)}}});
  }
};

struct sql_tables : testing::Test {
  simulated_world world{1};
  simulated_runtime rt{world};
  metastores::memory_log shared{[this] {
    return timestamp_ms(1'700'000'000'000 + std::chrono::duration_cast<std::chrono::milliseconds>(rt.now().time_since_epoch()).count());
  }};
  void run(std::function<awaitable<void>()> body) { rt.run(body()); }
  void expect_equal(const metadata::state& state) {
    const auto& t = shared.tables();
    EXPECT_EQ(t.topics.size(), state.topics_by_name().size());
    std::size_t partitions = 0;
    for (const auto& [name, topic] : state.topics_by_name()) {
      auto row = t.topics.find(topic->id);
      ASSERT_NE(row, t.topics.end()) << name;
      EXPECT_EQ(row->second, (metadata::topic_row{topic->id, name, topic->created, std::int64_t(topic->partitions.size()), R"({"retention.ms":"7"})"}));
      for (std::size_t i = 0; i < topic->partitions.size(); ++i) {
        const auto& p = topic->partitions[i];
        topic_partition at{topic->id, partition_index(std::int32_t(i))};
        auto there = t.partitions.find(at);
        if (p.high_watermark == offset(0)) {
          EXPECT_EQ(there, t.partitions.end());
          continue;
        }
        ++partitions;
        ASSERT_NE(there, t.partitions.end()) << name << " " << i;
        EXPECT_EQ(there->second, (metadata::partition_row{at, p.log_start, p.high_watermark, p.bytes}));
      }
    }
    EXPECT_EQ(t.partitions.size(), partitions);
    EXPECT_EQ(t.groups.size(), state.group_names().size());
    for (const auto& name : state.group_names()) {
      auto rows = t.groups.find(name);
      ASSERT_NE(rows, t.groups.end()) << name;
      std::size_t n = 0;
      for (const auto& [where, what] : *state.find_group_offsets(name)) {
        ASSERT_LT(n, rows->second.size());
        EXPECT_EQ(rows->second[n++], (metadata::offset_row{where, what}));
      }
      EXPECT_EQ(rows->second.size(), n);
    }
  }
};

TEST_F(sql_tables, follow_the_state) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, 1);
    co_await a.start();
    for (int n = 1; n <= 4; ++n) co_await a.make_topic(std::uint64_t(n), 10);
    for (int i = 0; i < 60; ++i) {
      co_await a.commit(1 + std::uint64_t(i) % 4, i % 7);
      co_await a.commit_offset("g" + std::to_string(i % 3), 1 + std::uint64_t(i) % 4, i % 7, i);
      if (i % 10 == 0) co_await rt.sleep_for(7s);
    }
    co_await rt.sleep_for(120s);
    EXPECT_FALSE(a.work.has_work());
    expect_equal(a.log.current());
    (void)co_await a.log.submit(metadata::delete_topic{topic_of(2)});
    (void)co_await a.log.submit(metadata::create_partitions{topic_of(3), 12});
    co_await rt.sleep_for(60s);
    expect_equal(a.log.current());
    co_await a.stop();
  });
}

TEST_F(sql_tables, whoever_begins_makes_good_what_was_missed) {
  run([&]() -> awaitable<void> {
    {
      node a(rt, shared, 1);
      co_await a.start();
      for (int n = 1; n <= 3; ++n) co_await a.make_topic(std::uint64_t(n), 9);
      for (int i = 0; i < 27; ++i) co_await a.commit(1 + std::uint64_t(i) % 3, i % 9);
      co_await a.commit_offset("left", 1, 0, 1);
      co_await rt.sleep_for(120s);
      expect_equal(a.log.current());
      shared.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
      (void)co_await a.log.submit(metadata::delete_topic{topic_of(1)});  // "left" goes with it
      co_await a.commit(2, 0);
      co_await a.commit_offset("new", 3, 0, 1);
      co_await rt.sleep_for(30s);
      EXPECT_EQ(shared.tables().topics.size(), 3u);
      shared.hooks.before_read = nullptr;
      co_await a.stop();
    }
    node b(rt, shared, 2);
    co_await b.start();
    co_await rt.sleep_for(120s);
    expect_equal(b.log.current());
    co_await b.stop();
  });
}

TEST_F(sql_tables, one_write_is_bounded_and_an_outage_loses_nothing) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, 1, 10);
    co_await a.start();
    co_await a.make_topic(1, 100);
    co_await rt.sleep_for(20s);
    for (int i = 0; i < 100; ++i) co_await a.commit(1, i);
    auto rows = co_await a.work.run_once();
    EXPECT_EQ(rows, 10u);
    shared.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    rows = co_await a.work.run_once();
    EXPECT_FALSE(rows);
    shared.hooks.before_read = nullptr;
    co_await rt.sleep_for(120s);
    expect_equal(a.log.current());
    co_await a.stop();
  });
}

TEST_F(sql_tables, text_that_no_database_takes_harms_nobody) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, 1);
    co_await a.start();
    co_await a.make_topic(1, 1);
    co_await a.commit_offset(std::string("g\0\xff", 3), 1, 0, 5, "\xc3");
    co_await a.commit_offset(std::string(5000, 'x'), 1, 0, 6);
    co_await rt.sleep_for(60s);
    const auto& groups = shared.tables().groups;
    EXPECT_EQ(groups.size(), 1u);
    EXPECT_TRUE(groups.contains("g??") && groups.at("g??").front().what.metadata == "?");
    co_await a.stop();
  });
}
}  // namespace
}  // namespace yaks::upkeep
