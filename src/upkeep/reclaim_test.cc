// Goal: what expires or is deleted leaves the index and the bucket, and nothing that anybody may still read ever does. Method:
// agents with all of the upkeep on a memory log and a memory bucket in virtual time; cases one by one; then random histories in
// which agents merge ranges, are killed between any two handlers, are paused beyond their leases, and writes into the index fail, or happen
// although they seem to have failed, with a checker that compares state, index and bucket all the time.
#include <gtest/gtest.h>

#include <cstdlib>

#include "upkeep/upkeep_testing.hpp"

namespace yaks::upkeep {
namespace {
struct reclaiming : testing::Test {
  shared_world w{1};
  void run(std::function<awaitable<void>()> what) { w.outside.run(what()); }
  awaitable<void> wait(duration d) { return w.outside.sleep_for(d); }
  std::size_t objects() { return w.stored().size(); }
};

TEST_F(reclaiming, what_is_older_than_the_limit_goes_from_everywhere) {
  run([&]() -> awaitable<void> {
    w.limits["t"] = {.ms = 600'000};
    node a(w, 1);
    co_await a.start();
    auto t = first_of_topic(co_await a.make_topic("t"));
    for (int i = 0; i < 100; ++i) {
      co_await a.commit({t});
      co_await wait(20s);
      expect_clean(w);
    }
    // 100 ranges over 2,000 seconds: the newest 600 seconds are there, and no more than a look and a grace beyond.
    const auto* p = a.log.current().find_partition(t);
    EXPECT_EQ(p->high_watermark, offset(300));
    EXPECT_GE(p->log_start, offset(3 * 68));
    EXPECT_LE(p->log_start, offset(3 * 70));
    EXPECT_EQ(p->bytes, std::uint64_t(300 - p->log_start.value()) / 3 * 100);
    EXPECT_LE(objects(), 36u);
    EXPECT_GE(objects(), 30u);
    co_await wait(30min);  // everything expires, in the state and in the index
    EXPECT_EQ(a.log.current().find_partition(t)->log_start, offset(300));
    EXPECT_EQ(a.log.current().find_partition(t)->bytes, 0u);
    EXPECT_EQ(objects(), 0u);
    EXPECT_TRUE(w.log.object_counts().empty());
    EXPECT_TRUE(w.log.index().empty());
    expect_clean(w);
    co_await a.commit({t});
    EXPECT_EQ(a.log.current().find_partition(t)->high_watermark, offset(303));
    co_await a.stop();
  });
}

TEST_F(reclaiming, a_partition_keeps_at_least_its_bytes_and_one_range_more_at_most) {
  run([&]() -> awaitable<void> {
    w.limits["t"] = {.bytes = 2050};
    node a(w, 1);
    co_await a.start();
    auto t = first_of_topic(co_await a.make_topic("t"));
    for (int i = 0; i < 200; ++i) co_await a.commit({t});
    co_await wait(3min);
    EXPECT_EQ(a.log.current().find_partition(t)->bytes, 2100u);
    EXPECT_EQ(objects(), 21u);
    expect_clean(w);
    w.limits["t"] = {};
    for (int i = 0; i < 50; ++i) co_await a.commit({t});
    co_await wait(3min);
    EXPECT_EQ(a.log.current().find_partition(t)->bytes, 7100u);
    co_await a.stop();
  });
}

TEST_F(reclaiming, a_topic_that_is_deleted_goes_and_shared_objects_wait_for_the_other) {
  run([&]() -> awaitable<void> {
    node a(w, 1);
    co_await a.start();
    auto gone = co_await a.make_topic("gone", 2), stays = co_await a.make_topic("stays");
    for (int i = 0; i < 60; ++i) {
      co_await a.commit({{gone, partition_index(0)}, {gone, partition_index(1)}});
      co_await a.commit({{gone, partition_index(0)}, {stays, partition_index(0)}});
    }
    co_await wait(60s);
    (void)co_await a.log.submit(metadata::delete_topic{gone});
    auto again = co_await a.make_topic("gone");
    EXPECT_NE(again, gone);
    EXPECT_EQ(a.log.current().find_partition(first_of_topic(again))->high_watermark, offset(0));
    co_await wait(50s);
    EXPECT_EQ(objects(), 120u);  // the grace
    co_await wait(90s);
    EXPECT_EQ(objects(), 60u);
    expect_clean(w);
    EXPECT_TRUE(w.check().unreferenced.empty());
    (void)co_await a.log.submit(metadata::delete_topic{stays});
    co_await wait(3min);
    EXPECT_EQ(objects(), 0u);
    EXPECT_TRUE(w.log.object_counts().empty());
    EXPECT_TRUE(a.log.current().drops().empty());
    co_await a.stop();
  });
}

TEST_F(reclaiming, an_agent_that_is_behind_or_still_reads_holds_everything_up) {
  run([&]() -> awaitable<void> {
    node a(w, 1), b(w, 2);
    co_await a.start();
    co_await b.start(false);
    auto t = co_await a.make_topic("t");
    for (int i = 0; i < 60; ++i) co_await a.commit({first_of_topic(t)});
    co_await wait(60s);
    (void)co_await b.log.barrier();
    {
      metadata::replica::reader slow(b.log);
      (void)co_await a.log.submit(metadata::delete_topic{t});
      co_await wait(20min);
      EXPECT_EQ(objects(), 60u);
    }
    co_await wait(60s);
    EXPECT_EQ(objects(), 0u);
    co_await a.stop();
    co_await b.stop();
  });
}

TEST_F(reclaiming, a_store_that_does_not_delete_is_asked_again_and_nothing_is_forgotten_before) {
  run([&]() -> awaitable<void> {
    node a(w, 1, 1s);
    co_await a.start();
    auto t = co_await a.make_topic("t");
    for (int i = 0; i < 10; ++i) co_await a.commit({first_of_topic(t)});
    w.bucket.before_remove = [] { return std::optional(object_error::unknown); };
    (void)co_await a.log.submit(metadata::delete_topic{t});
    co_await wait(5min);
    EXPECT_EQ(w.log.object_counts().size(), 10u);
    EXPECT_EQ(objects(), 10u);
    w.bucket.before_remove = nullptr;
    co_await wait(5min);
    EXPECT_EQ(objects(), 0u);
    EXPECT_TRUE(w.log.object_counts().empty());
    co_await a.stop();
  });
}

TEST_F(reclaiming, an_agent_of_an_earlier_term_writes_nothing_into_the_index) {
  run([&]() -> awaitable<void> {
    node a(w, 1), b(w, 2);
    co_await a.start(false);
    co_await b.start(false);
    auto t = co_await a.make_topic("t");
    for (int i = 0; i < 40; ++i) co_await a.commit({first_of_topic(t)});
    EXPECT_TRUE(co_await a.office.take());
    auto old = a.office.held();
    EXPECT_TRUE(old.has_value());
    if (!old) co_return;
    (void)co_await b.log.barrier();
    EXPECT_TRUE(co_await b.office.take());
    // a has not read that entry: it believes itself to be in office, and its writes are refused.
    std::vector<metadata::indexed_object> none;
    auto written = co_await a.session.index().release(*old, none);
    EXPECT_TRUE(!written && written.error() == metadata::log_error::old_term);
    auto settled = co_await a.log.submit(metadata::settle_upkeep{.term = *old, .trims = {}, .drops = {t}, .objects = {}, .merges = {}});
    EXPECT_TRUE(settled && settled->error == metadata::apply_error::wrong_term);
    EXPECT_FALSE(a.office.held().has_value());
    co_await a.stop();
    co_await b.stop();
  });
}

TEST_F(reclaiming, what_was_never_committed_goes_and_what_is_committed_late_does_not_come_to_life) {
  run([&]() -> awaitable<void> {
    node a(w, 1);
    co_await a.start();
    auto t = first_of_topic(co_await a.make_topic("t"));
    for (int i = 0; i < 30; ++i) co_await a.commit({t});
    auto never = co_await a.upload(), late = co_await a.upload();
    co_await wait(8min);
    auto young = co_await a.upload();
    co_await wait(150s);
    EXPECT_EQ(objects(), 33u);  // within the deadline
    co_await wait(9min);
    EXPECT_FALSE(w.stored().contains(never));
    EXPECT_FALSE(w.stored().contains(late));
    EXPECT_TRUE(w.stored().contains(young));
    co_await a.commit_of(late, {t});
    EXPECT_EQ(a.log.current().find_partition(t)->high_watermark, offset(90));
    co_await a.commit_of(young, {t});
    EXPECT_EQ(a.log.current().find_partition(t)->high_watermark, offset(90));
    co_await wait(30min);
    EXPECT_GE(objects(), 30u);
    expect_clean(w);
    EXPECT_TRUE(w.check().unreferenced.empty());
    // Snapshots that nobody recorded, and only those.
    auto put = [&](std::string key) -> awaitable<void> {
      std::vector<shared_bytes> segments{shared_bytes::copy_of(as_bytes(body))};
      (void)co_await w.bucket.put(std::move(key), std::move(segments), records::crc32c(as_bytes(body)), w.outside.now() + 10s);
    };
    std::vector<std::string> keys{"snapshots/00000000000000000003-a", "snapshots/00000000000000000003-b", "snapshots/00000000000000000009-c"};
    for (const auto& key : keys) co_await put(key);
    metadata::snapshot_record record{.at = {w.log.entries()[2].sequence, w.log.entries()[2].id}, .key = keys[0], .bytes = 10, .digest = 1};
    EXPECT_TRUE(co_await a.session.add_snapshot(record));
    record = {.at = {w.log.entries()[4].sequence, w.log.entries()[4].id}, .key = "snapshots/00000000000000000005-d", .bytes = 10, .digest = 1};
    EXPECT_TRUE(co_await a.session.add_snapshot(record));
    EXPECT_TRUE(co_await a.sweep.sweep_snapshots());
    EXPECT_TRUE(w.bucket.find(keys[0]));
    EXPECT_FALSE(w.bucket.find(keys[1]));
    EXPECT_TRUE(w.bucket.find(keys[2]));
    co_await a.stop();
  });
}

TEST_F(reclaiming, what_lies_below_a_moved_log_start_is_freed_up_to_the_range_that_holds_it) {
  run([&]() -> awaitable<void> {
    node a(w, 1);
    co_await a.start();
    auto t = first_of_topic(co_await a.make_topic("t"));
    for (int i = 0; i < 40; ++i) co_await a.commit({t});
    co_await wait(60s);
    (void)co_await a.log.submit(metadata::move_log_start{t.topic, t.partition, offset(50)});  // inside the 17th range
    EXPECT_EQ(a.log.current().find_partition(t)->bytes, 4000u);
    co_await wait(3min);
    const auto* p = a.log.current().find_partition(t);
    EXPECT_EQ(p->log_start, offset(50));
    EXPECT_EQ(p->held_from, offset(48));
    EXPECT_EQ(p->bytes, 2400u);
    EXPECT_EQ(objects(), 24u);
    expect_clean(w);
    (void)co_await a.log.submit(metadata::move_log_start{t.topic, t.partition, offset(-1)});
    co_await wait(3min);
    EXPECT_EQ(a.log.current().find_partition(t)->log_start, offset(120));
    EXPECT_EQ(objects(), 0u);
    expect_clean(w);
    co_await a.stop();
  });
}

TEST_F(reclaiming, a_report_says_what_waits_and_for_what) {
  run([&]() -> awaitable<void> {
    node a(w, 1), b(w, 2);
    co_await a.start();
    co_await b.start(false);
    auto gone = co_await a.make_topic("gone"), stays = co_await a.make_topic("stays");
    for (int i = 0; i < 30; ++i) {
      co_await a.commit({first_of_topic(gone)});
      co_await a.commit({first_of_topic(stays)});
    }
    (void)co_await a.commit({first_of_topic(gone), first_of_topic(stays)});
    (void)co_await a.upload();
    co_await wait(30s);
    report_settings wanted{.key_prefix = "", .grace = 60s, .lists_bucket = true};
    auto look = [&]() -> awaitable<storage_report> {
      auto r = co_await make_storage_report(w.outside, a.session, w.bucket, wanted);
      if (!r) throw std::runtime_error(r.error());
      co_return *r;
    };
    auto r = co_await look();
    EXPECT_EQ(r.topics.size(), 2u);
    EXPECT_EQ(r.topics.back().name, "stays");
    EXPECT_EQ(r.topics.back().bytes, 3100u);
    EXPECT_EQ(r.topics.back().records, 93u);
    EXPECT_EQ(r.live.objects, 61u);
    EXPECT_EQ(r.live.bytes, 6200u);
    EXPECT_EQ(r.gone_in_live_bytes, 0u);
    EXPECT_EQ(r.young.objects, 1u);
    EXPECT_EQ(r.sizes.front().objects.objects, 62u);
    EXPECT_TRUE(r.deletions.empty());
    (void)co_await b.log.barrier();
    {
      metadata::replica::reader slow(b.log);
      (void)co_await a.log.submit(metadata::delete_topic{gone});
      co_await wait(30s);
      r = co_await look();
      EXPECT_EQ(r.live.objects, 31u);
      EXPECT_EQ(r.live.bytes, 3200u);  // the one that both topics share waits for the other
      EXPECT_EQ(r.gone_in_live_bytes, 100u);
      EXPECT_NE(as_table(r).find("of records that are gone"), std::string::npos);
      EXPECT_EQ(r.held_by_agents.objects, 30u);
      EXPECT_EQ(r.slow_agents.size(), 1u);
      EXPECT_NE(as_table(r).find("held up by h2:9092"), std::string::npos);
    }
    co_await wait(10s);
    r = co_await look();
    EXPECT_EQ(r.within_grace.objects, 30u);
    EXPECT_EQ(r.held_by_agents.objects, 0u);
    w.bucket.before_remove = [] { return std::optional(object_error::unavailable); };
    co_await wait(15min);
    r = co_await look();
    EXPECT_EQ(r.due.objects, 30u);
    EXPECT_EQ(r.orphaned.objects, 1u);
    EXPECT_EQ(r.deletions.size(), 31u);
    EXPECT_NE(as_json(r).find("\"never_committed\""), std::string::npos);
    co_await a.stop();
    co_await b.stop();
  });
}

// ---- random histories ----------------------------------------------------------------------------------------------

struct history {
  shared_world w;
  std::vector<std::unique_ptr<node>> nodes;
  std::vector<topic_id> topics;
  int next_id = 1, made = 0;
  std::size_t readers = 0;
  bool is_calm = false;
  std::vector<object_id> uploaded;  // and not committed yet
  std::vector<std::string> wrong;
  std::uint64_t merges = 0;  // by the agents that live to the end
  explicit history(std::uint64_t seed) : w(seed) {}
  std::uint64_t below(std::uint64_t n) { return w.outside.random() % n; }

  void check(const char* when) {
    auto found = w.check();
    for (const auto& v : found.violations) wrong.push_back(std::string(when) + ": " + v);
  }
};

// A read by a live agent, as slow as can be: its object must be there.
awaitable<void> one_read(history& h, node& n, topic_partition where, offset from) {
  struct counted {
    std::size_t& n;
    explicit counted(std::size_t& of) : n(++of) {}
    ~counted() { --n; }
  } guard(h.readers);
  auto self = n.log.self();
  bool found = co_await n.read(where, from, std::chrono::milliseconds(h.below(200'000)));
  // One that was fenced meanwhile is not waited for; it knows by then.
  if (!found && h.w.head().agents().contains(self)) h.wrong.push_back("an object was gone while it was read");
}

awaitable<void> play(history& h) {
  for (int i = 0; i < 3; ++i) {
    h.nodes.push_back(std::make_unique<node>(h.w, h.next_id++, 5s, true));
    co_await h.nodes.back()->start();
  }
  h.w.log.hooks.before_index_write = [&] {
    return !h.is_calm && h.below(15) == 0 ? std::optional(metadata::log_error::unavailable) : std::nullopt;
  };
  h.w.log.hooks.after_index_write = [&] {
    return !h.is_calm && h.below(15) == 0 ? std::optional(metadata::log_error::unavailable) : std::nullopt;
  };
  h.w.log.hooks.late_index_write = [&](std::function<void()> work) {
    if (h.is_calm || h.below(15) != 0) return false;
    h.w.world.after(std::chrono::milliseconds(h.below(60'000)), [work = std::move(work)] { work(); });
    return true;
  };
  h.w.log.hooks.index_write_takes = [&] { return std::chrono::milliseconds(h.below(300)); };
  h.w.log.hooks.after_append = [&](metadata::append_id) {
    return !h.is_calm && h.below(40) == 0 ? std::optional(metadata::log_error::unknown) : std::nullopt;
  };
  h.w.bucket.before_remove = [&] { return !h.is_calm && h.below(5) == 0 ? std::optional(object_error::unknown) : std::nullopt; };
  for (int step = 0; step < 300 && h.wrong.empty(); ++step) {
    node& n = *h.nodes[h.below(h.nodes.size())];
    switch (h.below(13)) {
      case 0:
        if (h.topics.size() < 3) {
          auto name = "t" + std::to_string(h.made++);
          h.w.limits[name] = h.below(2) == 0 ? retention_limits{.ms = 300'000} : retention_limits{.bytes = 1500};
          h.topics.push_back(co_await n.make_topic(name, 2));
        }
        break;
      case 1:
        if (!h.topics.empty() && h.below(4) == 0) {
          auto which = h.below(h.topics.size());
          (void)co_await n.log.submit(metadata::delete_topic{h.topics[which]});
          h.topics.erase(h.topics.begin() + std::ptrdiff_t(which));
        }
        break;
      case 2:  // two that both believe to be in office, or one that takes it from a paused one
        (void)co_await n.office.take();
        break;
      case 3:
        if (h.below(3) == 0) {  // gone without a word, wherever it waits: between any two steps
          auto which = h.below(h.nodes.size());
          co_await h.nodes[which]->stop();
          h.nodes[which] = std::make_unique<node>(h.w, h.next_id++, 5s, true);
          co_await h.nodes[which]->start();
        } else if (h.below(3) == 0) {  // stands still for longer than its lease, and goes on as if nothing had been
          n.rt.pause(true);
          co_await h.w.outside.sleep_for(std::chrono::milliseconds(h.below(90'000)));
          h.check("paused");
          n.rt.pause(false);
        }
        break;
      case 4:
      case 5:
        if (!h.topics.empty() && h.readers < 20) {
          topic_partition where{h.topics[h.below(h.topics.size())], partition_index(std::int32_t(h.below(2)))};
          const auto* p = n.log.current().find_partition(where);
          if (p && p->high_watermark > p->log_start)
            n.tasks.spawn(one_read(h, n, where, p->log_start + std::int64_t(h.below(std::uint64_t(p->high_watermark - p->log_start)))));
        }
        break;
      case 6:  // an object that is committed late, or never
        if (h.uploaded.empty() || h.below(2) == 0) {
          h.uploaded.push_back(co_await n.upload());
        } else if (!h.topics.empty()) {
          auto which = h.below(h.uploaded.size());
          auto id = h.uploaded[which];
          h.uploaded.erase(h.uploaded.begin() + std::ptrdiff_t(which));
          co_await n.commit_of(id, {first_of_topic(h.topics.front())});
        }
        break;
      default:
        if (!h.topics.empty()) {
          std::vector<topic_partition> where;
          for (auto t : h.topics)
            for (int p = 0; p < 2; ++p)
              if (h.below(2) == 0) where.push_back({t, partition_index(p)});
          if (!where.empty()) co_await n.commit(where);
        }
    }
    co_await h.w.outside.sleep_for(std::chrono::milliseconds(h.below(step % 50 == 0 ? 120'000 : 5'000)));
    h.check("under way");
  }
  // Calm: what is left is what the limits say, and nothing else.
  h.is_calm = true;
  if (h.wrong.empty()) {
    co_await h.w.outside.sleep_for(50min);
    h.check("at the end");
    auto found = h.w.check();
    for (auto id : found.unreferenced) h.wrong.push_back("object " + id.value().text() + " is left, and nobody refers to it");
    const auto& head = h.w.head();
    if (!head.merges().empty() || !head.trims().empty() || !head.drops().empty() || !head.released().empty()) h.wrong.push_back("debts to the index are left");
    for (const auto& n : h.nodes) {
      (void)co_await n->log.barrier();
      if (n->log.current().digest() != h.w.head().digest()) h.wrong.push_back("agents have different states");
    }
  }
  for (auto& n : h.nodes) {
    h.merges += n->join.objects_made();
    co_await n->stop();
  }
}

TEST(reclaim_histories, nothing_that_is_referred_to_is_deleted_and_nothing_else_is_left) {
  std::uint64_t merges = 0;
  const char* more = std::getenv("YAKS_TEST_SEEDS");
  for (std::uint64_t seed = 1; seed <= (more ? std::strtoull(more, nullptr, 10) : 4) && !testing::Test::HasFailure(); ++seed) {
    history h(seed);
    h.w.outside.run(play(h));
    for (const auto& w : h.wrong) ADD_FAILURE() << "seed " << seed << ": " << w;
    merges += h.merges;
  }
  EXPECT_GT(merges, 0u);
}

TEST(reclaim_histories, mistakes_of_the_index_would_be_found) {
  for (int mistake = 0; mistake < 4; ++mistake) {
    bool is_found = false;
    for (std::uint64_t seed = 1; seed <= 60 && !is_found; ++seed) {
      history h(seed);
      h.w.log.mistakes = {.counts_one_too_few = mistake == 0, .takes_old_terms = mistake == 1, .retires_at_once = mistake == 2, .counts_no_merged = mistake == 3};
      h.w.outside.run(play(h));
      is_found = !h.wrong.empty();
    }
    EXPECT_TRUE(is_found) << "mistake " << mistake;
  }
}
}  // namespace
}  // namespace yaks::upkeep
