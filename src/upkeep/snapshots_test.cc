// Goal: an agent that starts from a snapshot has the state of one that read everything; the log is trimmed and stays readable;
// damage, outages and a crash between the steps lose nothing.
// Method: replicas on one memory log and one memory store, in virtual time.
#include "upkeep/snapshots.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "metastores/memory/memory_metastore.hpp"
#include "objects/faulty/faulty_store.hpp"
#include "objects/memory/memory_store.hpp"
#include "runtime/simulated_runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::upkeep {
namespace {
struct node {
  simulated_runtime& rt;
  metrics::registry metrics;
  metastores::memory_metastore session;
  metadata::register_agent self;
  metadata::replica log;
  membership::members members;
  snapshotter snapshots;
  task_group tasks;
  node(simulated_runtime& runtime, metastores::memory_log& shared, object_store& objects, int id, duration log_kept = 0s)
      : rt(runtime),
        session(runtime, shared, "node"),
        self{.node = node_id(id), .upload_deadline_ms = 600'000, .host = "h" + std::to_string(id), .port = 9092},
        log(runtime, session.log(), {.registration = self}, metrics, [](const metadata::changes&) {}),
        members(runtime, session, log, {.self = self}, metrics),
        snapshots(runtime, session, objects, log, members, {.key_prefix = "p/", .entries = 10, .log_kept = log_kept}, metrics),
        tasks(runtime.executor()) {}
  awaitable<void> start(object_store& objects) {
    co_await session.open();
    if (auto loaded = co_await load_newest_snapshot(rt, session, objects)) log.begin_from(std::move(*loaded));
    tasks.spawn(log.run());
    tasks.spawn(members.run());
    co_await log.wait_until_ready();
  }
  awaitable<void> stop() {
    auto nothing = []() -> awaitable<void> { co_return; };
    co_await run_then_close(nothing(), tasks);
    co_await session.close();
  }
  awaitable<void> work(int entries) {
    for (int i = 0; i < entries; ++i) (void)co_await log.submit(metadata::allocate_producer_ids{1});
  }
};

struct snapshots : testing::Test {
  simulated_world world{1};
  simulated_runtime rt{world};
  metastores::memory_log shared{[this] {
    return timestamp_ms(1'700'000'000'000 + std::chrono::duration_cast<std::chrono::milliseconds>(rt.now().time_since_epoch()).count());
  }};
  memory_store objects;
  void run(std::function<awaitable<void>()> body) { rt.run(body()); }
  awaitable<std::vector<std::string>> keys() {
    auto all = co_await objects.list("", rt.now() + 1s);
    std::vector<std::string> found;
    for (auto& o : *all) found.push_back(o.key);
    co_return found;
  }
};

TEST_F(snapshots, a_new_agent_starts_from_one_and_the_log_is_trimmed) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, objects, 1);
    co_await a.start(objects);
    a.tasks.spawn(a.snapshots.run());
    for (int round = 0; round < 6; ++round) {
      co_await a.work(12);
      co_await rt.sleep_for(3s);
    }
    EXPECT_LT(shared.entries().size(), 40u);  // of more than 70
    EXPECT_EQ((co_await keys()).size(), 2u);
    node b(rt, shared, objects, 2);
    co_await b.start(objects);
    (void)co_await a.log.barrier();
    EXPECT_EQ(a.log.current().position(), b.log.current().position());
    EXPECT_EQ(a.log.current().digest(), b.log.current().digest());
    EXPECT_EQ(b.log.current().next_producer_id(), producer_id(72));
    co_await a.stop();
    co_await b.stop();
  });
}

TEST_F(snapshots, a_damaged_one_is_skipped_for_the_one_before) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, objects, 1);
    co_await a.start(objects);
    for (int i = 0; i < 2; ++i) {
      co_await a.work(20);
      EXPECT_TRUE(co_await a.snapshots.make_one());
    }
    co_await a.work(5);
    auto records = co_await a.session.snapshots();
    (*objects.find(records->front().key))[30] ^= 1;
    node b(rt, shared, objects, 2);
    co_await b.start(objects);
    (void)co_await a.log.barrier();
    EXPECT_EQ(a.log.current().digest(), b.log.current().digest());
    co_await a.stop();
    co_await b.stop();
  });
}

// Where snapshots come fast, the one that a starting agent is about to read may be dropped meanwhile.
TEST_F(snapshots, one_that_is_dropped_while_it_is_read_is_not_missed) {
  struct slow_store final : object_store {
    memory_store& inner;
    std::function<awaitable<void>()> before_get;
    explicit slow_store(memory_store& store) : inner(store) {}
    awaitable<result<void, object_error>> put(std::string key, std::vector<shared_bytes> body, std::uint32_t crc,
                                              time_point due) override {
      return inner.put(std::move(key), std::move(body), crc, due);
    }
    awaitable<result<shared_bytes, object_error>> get(std::string key, std::uint64_t at, std::uint64_t n,
                                                      time_point due) override {
      if (auto once = std::exchange(before_get, nullptr)) co_await once();
      co_return co_await inner.get(std::move(key), at, n, due);
    }
    awaitable<result<std::vector<object_info>, object_error>> list(std::string prefix, time_point due) override {
      return inner.list(std::move(prefix), due);
    }
    awaitable<result<void, object_error>> remove(std::vector<std::string> keys, time_point due) override {
      return inner.remove(std::move(keys), due);
    }
  };
  run([&]() -> awaitable<void> {
    node a(rt, shared, objects, 1);
    co_await a.start(objects);
    auto make_two = [&]() -> awaitable<void> {
      for (int i = 0; i < 2; ++i) {
        co_await a.work(12);
        EXPECT_TRUE(co_await a.snapshots.make_one());
      }
    };
    co_await make_two();
    slow_store slow(objects);
    slow.before_get = make_two;
    node b(rt, shared, slow, 2);
    co_await b.start(slow);
    (void)co_await a.log.barrier();
    EXPECT_EQ(a.log.current().digest(), b.log.current().digest());
    co_await a.stop();
    co_await b.stop();
  });
}

TEST_F(snapshots, a_store_that_is_away_is_waited_for) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, objects, 1);
    co_await a.start(objects);
    for (int i = 0; i < 2; ++i) {
      co_await a.work(12);
      EXPECT_TRUE(co_await a.snapshots.make_one());
    }
    faulty_store away(rt, objects, {.unavailable = 1000});
    node b(rt, shared, away, 2);
    task_group meanwhile(rt.executor());
    auto comes_back = [&]() -> awaitable<void> {
      co_await rt.sleep_for(10min);
      away.set({});
    };
    auto starts = [&]() -> awaitable<void> {
      meanwhile.spawn(comes_back());
      co_await b.start(away);
    };
    co_await run_then_close(starts(), meanwhile);
    (void)co_await a.log.barrier();
    EXPECT_EQ(a.log.current().digest(), b.log.current().digest());
    co_await a.stop();
    co_await b.stop();
  });
}

// Neither of the two can be used: the log's beginning is gone, and nothing is made up.
TEST_F(snapshots, objects_that_are_gone_for_good_do_not_stop_the_search) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, objects, 1);
    co_await a.start(objects);
    for (int i = 0; i < 2; ++i) {
      co_await a.work(12);
      EXPECT_TRUE(co_await a.snapshots.make_one());
    }
    auto records = co_await a.session.snapshots();
    std::vector<std::string> newest{records->front().key};
    (void)co_await objects.remove(std::move(newest), rt.now() + 1s);
    auto loaded = co_await load_newest_snapshot(rt, a.session, objects);
    EXPECT_TRUE(loaded && loaded->position() == records->back().at);
    std::vector<std::string> other{records->back().key};
    (void)co_await objects.remove(std::move(other), rt.now() + 1s);
    EXPECT_FALSE(co_await load_newest_snapshot(rt, a.session, objects));
    co_await a.stop();
  });
}

TEST_F(snapshots, only_one_agent_makes_them_and_another_takes_over) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, objects, 1), b(rt, shared, objects, 2);
    co_await a.start(objects);
    co_await b.start(objects);
    a.tasks.spawn(a.snapshots.run());
    b.tasks.spawn(b.snapshots.run());
    co_await a.work(30);
    co_await rt.sleep_for(5s);
    auto first = co_await a.session.snapshots();
    EXPECT_EQ(first->size(), 1u);
    bool a_is_first = a.members.is_first();
    auto& maker = a_is_first ? a : b;
    auto& other = a_is_first ? b : a;
    co_await maker.stop();
    co_await rt.sleep_for(60s);
    co_await other.work(30);
    co_await rt.sleep_for(5s);
    auto second = co_await other.session.snapshots();
    EXPECT_EQ(second->size(), 2u);
    co_await other.stop();
  });
}

// Another agent may be away for a minute: however fast entries come, it goes on where it was.
TEST_F(snapshots, the_log_keeps_what_an_agent_needs_that_was_away) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, objects, 1, 60s);
    co_await a.start(objects);
    a.tasks.spawn(a.snapshots.run());
    std::deque<std::pair<time_point, metadata::log_position>> positions;
    for (int second = 0; second < 400; ++second) {
      co_await a.work(10);
      co_await rt.sleep_for(1s);
      positions.emplace_back(rt.now(), a.log.current().position());
      while (rt.now() - positions.front().first > 60s) positions.pop_front();
      auto tail = co_await a.session.log().read_after(positions.front().second);
      EXPECT_TRUE(tail) << second;
    }
    EXPECT_LT(shared.entries().size(), 2000u);  // of more than 4000
    co_await a.stop();
  });
}

// An agent must start in a time that has a bound.
TEST_F(snapshots, the_log_does_not_grow_without_bound_for_those_who_are_away) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, objects, 1, 24h);
    co_await a.start(objects);
    a.tasks.spawn(a.snapshots.run());
    for (int second = 0; second < 300; ++second) {
      co_await a.work(20);
      co_await rt.sleep_for(1s);
    }
    EXPECT_LT(shared.entries().size(), 2200u);  // of more than 6000
    co_await a.stop();
  });
}

TEST_F(snapshots, an_outage_delays_one_and_loses_nothing) {
  run([&]() -> awaitable<void> {
    node a(rt, shared, objects, 1);
    co_await a.start(objects);
    co_await a.work(20);
    shared.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    a.tasks.spawn(a.snapshots.run());
    co_await rt.sleep_for(30s);
    EXPECT_EQ((co_await keys()).size(), 0u);
    shared.hooks.before_read = nullptr;
    co_await rt.sleep_for(120s);
    EXPECT_EQ((co_await keys()).size(), 1u);
    co_await a.stop();
  });
}
}  // namespace
}  // namespace yaks::upkeep
