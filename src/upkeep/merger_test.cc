// Goal: history becomes long runs and nothing of it changes, whatever comes in between; a merge is void where its
// ranges have changed, a crash leaves an orphan at most, and who still reads the objects of before can. Method: agents
// with all of the upkeep on a memory log and a memory bucket in virtual time, the checker of upkeep_testing.hpp after
// each step; the random histories of reclaim_test.cc merge too.
#include "upkeep/merger.hpp"

#include <gtest/gtest.h>

#include "upkeep/upkeep_testing.hpp"

namespace yaks::upkeep {
namespace {
struct merging : testing::Test {
  shared_world w{1};
  void run(std::function<awaitable<void>()> what) { w.outside.run(what()); }
  awaitable<void> wait(duration d) { return w.outside.sleep_for(d); }
  std::size_t objects() { return w.stored().size(); }
  // Of a partition in the index.
  std::size_t runs(topic_partition where) {
    std::size_t n = 0;
    const metadata::range* before = nullptr;
    auto image = w.image();
    for (const auto& c : image.chunks[where])
      for (const auto& r : c) {
        n += !before || before->object != r.object || before->position + before->bytes != r.position;
        before = &r;
      }
    return n;
  }
  // Ranges in both partitions of a topic, in the index but for the last few.
  awaitable<topic_id> fill(node& a, int n, std::string name = "t") {
    auto t = co_await a.make_topic(std::move(name), 2);
    for (int i = 0; i < n; ++i) co_await a.commit({{t, partition_index(0)}, {t, partition_index(1)}});
    co_await wait(1s);
    co_return t;
  }
};
topic_partition first(topic_id t) {
  return {t, partition_index(0)};
}
topic_partition second(topic_id t) {
  return {t, partition_index(1)};
}

TEST_F(merging, history_becomes_long_runs_and_the_objects_of_before_go) {
  run([&]() -> awaitable<void> {
    node a(w, 1, 5s, true);
    co_await a.start();
    auto t = co_await fill(a, 105);
    EXPECT_EQ(runs(first(t)), 100u);
    co_await wait(3min);
    expect_clean(w);
    // 100 ranges of 100 bytes in each partition, 2,000 in an object.
    EXPECT_LE(runs(first(t)), 6u);
    EXPECT_LE(runs(second(t)), 6u);
    EXPECT_LE(objects(), 5u + 12u);
    EXPECT_GE(a.join.objects_made(), 10u);
    EXPECT_TRUE(w.check().unreferenced.empty());
    EXPECT_TRUE(a.log.current().merges().empty());
    EXPECT_GT(a.log.current().find_partition(first(t))->index_generation, 0u);
    for (const auto& [where, chunks] : w.log.index()) EXPECT_LE(chunks.size(), 10u);
    auto objects_made = a.join.objects_made();
    co_await wait(10min);  // and no more than that
    EXPECT_LE(a.join.objects_made(), objects_made + 1);
    // All of it is read as it was written.
    for (std::int64_t at = 0; at < 315; at += 3) EXPECT_TRUE(co_await a.read(first(t), offset(at), 1ms)) << at;
    (void)co_await a.log.submit(metadata::delete_topic{t});
    co_await wait(3min);
    EXPECT_EQ(objects(), 0u);
    EXPECT_TRUE(w.log.object_counts().empty());
    co_await a.stop();
  });
}

TEST_F(merging, objects_that_one_topic_keeps_for_little_are_emptied) {
  run([&]() -> awaitable<void> {
    node a(w, 1, 5s, true);
    co_await a.start();
    auto gone = first(co_await a.make_topic("a gone")), stays = first(co_await a.make_topic("b stays"));
    for (int i = 0; i < 15; ++i) co_await a.commit({gone, stays});
    co_await wait(60s);
    expect_clean(w);
    EXPECT_EQ(a.join.objects_made(), 1u);  // ten ranges of both
    EXPECT_EQ(objects(), 6u);
    (void)co_await a.log.submit(metadata::delete_topic{gone.topic});
    co_await wait(3min);
    expect_clean(w);
    EXPECT_EQ(a.join.objects_made(), 2u);  // half of it was for nobody
    EXPECT_EQ(objects(), 6u);
    std::uint64_t bytes = 0;
    for (const auto& [key, object] : w.bucket.objects()) bytes += object.size();
    EXPECT_LE(bytes, 1000 + 5 * 800u + 200u);  // what the state holds, and a footer
    co_await a.stop();
  });
}

// What a merge was made for has changed when its command comes: nothing happens but an orphan.
TEST_F(merging, a_stale_merge_is_void) {
  run([&]() -> awaitable<void> {
    node a(w, 1, 5s);
    co_await a.start();
    auto t = co_await fill(a, 45);
    co_await wait(5s);
    auto term = a.office.held();
    EXPECT_TRUE(term.has_value());
    auto generation = [&] { return a.log.current().find_partition(first(t))->index_generation; };
    auto propose = [&](std::int64_t from, std::int64_t to, std::uint32_t of,
                       std::uint64_t in_term) -> awaitable<metadata::apply_error> {
      std::string bytes;
      for (auto at = from; at < to; at += 3) bytes += w.truth[first(t)].at(offset(at)).bytes;
      auto high = a.rt.random(), low = a.rt.random();
      object_id id(uuid::v7(a.log.log_time().value(), high, low));
      std::vector<shared_bytes> segments{shared_bytes::copy_of(as_bytes(bytes))};
      (void)co_await w.bucket.put(object_key("", id), std::move(segments), records::crc32c(as_bytes(bytes)),
                                  a.rt.now() + 10s);
      metadata::merge_object c{
          in_term, id, bytes.size(), {{t, partition_index(0), of, offset(from), offset(to), 0, bytes.size()}}};
      auto done = co_await a.log.submit(std::move(c));
      co_return done ? done->error : metadata::apply_error::withheld;
    };
    using enum metadata::apply_error;
    expect_clean(w);
    EXPECT_EQ(co_await propose(0, 30, generation(), *term + 1), wrong_term);
    EXPECT_EQ(co_await propose(0, 30, generation() + 1, *term), ranges_changed);
    EXPECT_EQ(co_await propose(0, 135, generation(), *term), ranges_changed);  // the state still has some of it
    EXPECT_EQ(co_await propose(15, 60, generation(), *term), none);
    EXPECT_EQ(co_await propose(60, 90, generation(), *term), ranges_changed);  // one is pending
    co_await wait(5s);
    expect_clean(w);
    EXPECT_EQ(generation(), 1u);
    EXPECT_EQ(co_await propose(60, 90, 0, *term), ranges_changed);
    (void)co_await a.log.submit(metadata::move_log_start{t, partition_index(0), offset(12)});
    co_await wait(20s);
    EXPECT_EQ(a.log.current().find_partition(first(t))->held_from, offset(12));
    EXPECT_EQ(co_await propose(0, 12, generation(), *term), ranges_changed);
    EXPECT_EQ(co_await propose(9, 15, generation(), *term), ranges_changed);
    // A trim and a deletion that come between a merge and the index: it is paid first, and they find what they name.
    EXPECT_EQ(co_await propose(12, 90, generation(), *term), none);
    (void)co_await a.log.submit(
        metadata::trim_partitions{*term, {{t, partition_index(0), offset(12), offset(48), offset(48), 1200}}});
    EXPECT_EQ(a.log.current().find_partition(first(t))->held_from, offset(48));
    co_await wait(30s);
    expect_clean(w);
    EXPECT_TRUE(a.log.current().merges().empty() && a.log.current().trims().empty());
    EXPECT_EQ(co_await propose(48, 90, generation(), *term), none);
    (void)co_await a.log.submit(metadata::delete_topic{t});
    co_await wait(60s);
    expect_clean(w);
    EXPECT_TRUE(a.log.current().merges().empty() && a.log.current().drops().empty());
    co_await wait(40min);  // the sweeper finds what never came to life
    EXPECT_EQ(objects(), 0u);
    co_await a.stop();
  });
}

TEST_F(merging, an_agent_that_is_away_reads_the_objects_of_before_until_the_grace_is_over) {
  run([&]() -> awaitable<void> {
    node a(w, 1, 30s, true), b(w, 2);
    co_await a.start();
    co_await b.start(false);
    auto t = co_await fill(a, 45);
    (void)co_await b.log.barrier();
    // It has found its range, and takes its time.
    bool is_done = false, found = false;
    auto slow = [&]() -> awaitable<void> {
      found = co_await b.read(first(t), offset(6), 200s);
      is_done = true;
    };
    b.tasks.spawn(slow());
    co_await wait(190s);
    EXPECT_GT(a.join.objects_made(), 0u);
    EXPECT_LT(runs(first(t)), 10u);
    EXPECT_FALSE(is_done);
    EXPECT_GE(objects(), 45u);
    co_await wait(20s);
    EXPECT_TRUE(is_done && found);
    co_await wait(90s);
    EXPECT_LT(objects(), 20u);
    expect_clean(w);
    co_await a.stop();
    co_await b.stop();
  });
}

TEST_F(merging, a_holder_that_ends_in_between_leaves_a_debt_or_an_orphan) {
  for (int crash = 0; crash < 60; ++crash) {
    shared_world world(std::uint64_t(crash) + 1);
    auto story = [](shared_world& in, int handlers) -> awaitable<void> {
      auto a = std::make_unique<node>(in, 1, 5s, true);
      co_await a->start();
      auto t = co_await a->make_topic("t", 2);
      for (int i = 0; i < 45; ++i) co_await a->commit({{t, partition_index(0)}, {t, partition_index(1)}});
      co_await in.outside.sleep_for(3s + std::chrono::milliseconds(handlers * 23));
      co_await a->stop();  // wherever it is
      a.reset();
      expect_clean(in);
      node b(in, 2, 5s, true);
      co_await b.start();
      co_await in.outside.sleep_for(40min);
      expect_clean(in);
      EXPECT_TRUE(in.check().unreferenced.empty()) << handlers;
      EXPECT_TRUE(in.head().merges().empty());
      for (std::int64_t at = 0; at < 135; at += 3) EXPECT_TRUE(co_await b.read(first(t), offset(at), 1ms)) << at;
      co_await b.stop();
    };
    world.outside.run(story(world, crash));
  }
}

TEST_F(merging, damaged_bytes_are_not_merged_and_hold_up_nobody) {
  run([&]() -> awaitable<void> {
    node a(w, 1, 5s, true);
    co_await a.start();
    auto t = co_await a.make_topic("t", 2);
    for (int i = 0; i < 3; ++i) co_await a.commit({first(t), second(t)});
    object_id damaged = a.log.current().find_object(a.log.current().find_partition(first(t))->ranges.back().object).id;
    (*w.bucket.find(object_key("", damaged)))[90] ^= 1;
    for (int i = 0; i < 50; ++i) co_await a.commit({first(t), second(t)});
    co_await wait(5min);
    EXPECT_LE(runs(second(t)), 6u);
    bool is_kept = false;
    for (const auto& [number, id, ranges] : w.log.object_counts()) is_kept |= id == damaged && ranges == 1;
    EXPECT_TRUE(is_kept);
    co_await a.stop();
  });
}

TEST_F(merging, bytes_per_second_are_bounded) {
  run([&]() -> awaitable<void> {
    node a(w, 1, 5s);
    co_await a.start();
    auto t = co_await fill(a, 400);
    metrics::registry metrics;
    merger slow(
        a.rt, a.session, a.log, w.bucket, a.office, [](const metadata::topic&) { return retention_limits{}; },
        {.interval = 3s, .bytes_per_second = 100, .limits = {.object_bytes = 2000, .runs_min = 4, .age_ms = 0}},
        metrics);
    auto begun = w.outside.now();
    std::optional<std::size_t> made;
    double seconds = 0;
    bool is_done = false;
    auto look = [&]() -> awaitable<void> {  // on the agent's executor, as everything of an agent
      made = co_await slow.run_once();
      seconds = std::chrono::duration<double>(w.outside.now() - begun).count();
      is_done = true;
    };
    a.tasks.spawn(look());
    while (!is_done) co_await wait(1s);
    EXPECT_GE(made.value_or(0), 30u);
    EXPECT_GE(seconds, double(made.value_or(1) - 1) * 1500 / 100);
    expect_clean(w);
    (void)t;
    co_await a.stop();
  });
}
}  // namespace
}  // namespace yaks::upkeep
