// Goal: a range is read once however many want it, neighbours share a GET, damage is found and stays with its
// partition, memory stays in its budget and is shared fairly, and who goes away leaves nothing behind. Method: the
// reader and the fetcher in virtual time over objects in memory that are slow, damaged or short when told; GETs are
// counted.
#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/endian.hpp"
#include "fetch/fetcher.hpp"
#include "ingest/test_world.hpp"
#include "records/batch.hpp"
#include "runtime/turnstile.hpp"

namespace yaks::fetch {
namespace {
using namespace yaks::test;

struct fetch_world : ingest_world {
  explicit fetch_world(std::size_t memory_bytes = 256u << 20)
      : ingest_world(1, {.flush_interval = 1ms}),
        cold_cache(64u << 20, cold_metrics),
        reader(rt, store, cold_cache, {}, cold_metrics),
        memory(memory_bytes),
        index(session.index(), replica, 10'000, metrics),
        fetcher(rt, replica, reader, index, waiting, memory, 50u << 20) {
    applied = [this](const metadata::changes& c) { waiting.wake(c); };
  }
  void play(std::function<awaitable<void>()> scene) {
    ingest_world::play([this, scene]() -> awaitable<void> {
      tasks.spawn(reader.run());
      co_await scene();
    });
  }
  // One object with a range in each partition.
  awaitable<void> write(topic_partition at, int partitions, std::size_t bytes) {
    std::vector<ingest::ticket> all;
    for (int i = 0; i < partitions; ++i)
      all.push_back(
          buffer.add(produced({at.topic, partition_index(i)}, {std::string(bytes, char('a' + i))}), rt.now() + 30s));
    for (auto& t : all) co_await t.in->wait_until(rt, rt.now() + 30s);
  }
  fetch_request of(topic_partition at, int partitions) {
    fetch_request r{.bytes_max = 50u << 20};
    for (int i = 0; i < partitions; ++i) r.partitions.push_back({{at.topic, partition_index(i)}, offset(0), 50u << 20});
    return r;
  }
  // A cache of its own: the write buffer fills the other one, and here everything is read from the store.
  metrics::registry cold_metrics;
  block_cache cold_cache;
  range_reader reader;
  waiters waiting;
  byte_budget memory;
  fetch::index_reader index;
  fetch::fetcher fetcher;
};

// Runs `n` of them at the same time, and waits for all.
awaitable<void> together(runtime& rt, int n, std::function<awaitable<void>(int)> one) {
  task_group tasks(rt.executor());
  auto body = [&]() -> awaitable<void> {
    for (int i = 0; i < n; ++i) tasks.spawn(one(i));
    while (tasks.size() > 0) co_await rt.sleep_for(1ms);
  };
  co_await run_then_close(body(), tasks);
}

TEST(fetcher, tells_no_end_that_is_older_than_the_records_it_gives) {
  fetch_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t", 1);
    co_await w.write(at, 1, 100);
    turnstile turns;
    auto before = turns.next_turn(), mine = turns.next_turn();
    co_await together(w.rt, 2, [&](int i) -> awaitable<void> {
      if (i == 0) {
        // It has looked at the log, and waits for its memory.
        auto request = w.of(at, 1);
        request.memory_turn = &mine;
        auto r = co_await w.fetcher.fetch(std::move(request));
        EXPECT_EQ(r.partitions[0].records, 2u);
        EXPECT_EQ(r.partitions[0].high_watermark, offset(2));
      } else {
        co_await w.write(at, 1, 100);
        before.pass();
      }
    });
  });
}

TEST(range_reader, many_who_want_the_same_share_one_get_and_neighbours_too) {
  fetch_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t", 8);
    co_await w.write(at, 8, 1000);
    co_await together(w.rt, 50, [&](int i) -> awaitable<void> {
      auto r = co_await w.fetcher.fetch(w.of(at, 1 + i % 8));
      for (const auto& p : r.partitions) EXPECT_EQ(p.records, 1u);
    });
    // The first asked for partition 0 alone; the others' ranges were each asked for by whoever came first.
    EXPECT_LE(w.store.gets, 8u);
    auto before = w.store.gets;
    co_await w.fetcher.fetch(w.of(at, 8));
    EXPECT_EQ(w.store.gets, before);  // all in the cache now
  });
}

TEST(range_reader, one_request_for_neighbours_is_one_get) {
  fetch_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t", 8);
    co_await w.write(at, 8, 1000);
    auto r = co_await w.fetcher.fetch(w.of(at, 8));
    for (const auto& p : r.partitions) EXPECT_EQ(p.records, 1u);
    EXPECT_EQ(w.store.gets, 1u);
  });
}

TEST(range_reader, far_apart_is_two_gets) {
  fetch_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t", 3);
    std::vector<ingest::ticket> all;
    for (int i = 0; i < 3; ++i)
      all.push_back(w.buffer.add(produced({at.topic, partition_index(i)}, {std::string(i == 1 ? 1'000'000 : 10, 'x')}),
                                 w.rt.now() + 30s));
    for (auto& t : all) co_await t.in->wait_until(w.rt, w.rt.now() + 30s);
    auto request = w.of(at, 3);
    request.partitions.erase(request.partitions.begin() + 1);
    co_await w.fetcher.fetch(request);
    EXPECT_EQ(w.store.gets, 2u);
  });
}

// Whatever is ready to run when an entry is applied runs before the flush that waits for it.
TEST(range_reader, a_commit_that_is_known_before_its_bytes_are_in_the_cache_costs_no_get) {
  for (bool waits : {true, false}) {
    fetch_world w;
    metrics::registry metrics;
    range_reader_settings settings;
    if (waits) settings.settled = [&](object_id object) { return w.buffer.settled(object); };
    range_reader reader(w.rt, w.store, w.cache, settings, metrics);
    w.play([&]() -> awaitable<void> {
      w.tasks.spawn(reader.run());
      auto at = co_await w.make_topic("t");
      auto ticket = w.buffer.add(produced(at, {"a"}), w.rt.now() + 30s);
      event appending;
      w.log.hooks.before_append = [&](metadata::append_id) -> std::optional<metadata::log_error> {
        appending.notify_all();
        return std::nullopt;
      };
      co_await appending.wait();
      w.log.hooks.before_append = nullptr;
      auto partition = [&] { return w.replica.current().find_partition(at); };
      for (int turns = 0; turns < 10'000 && partition()->ranges.empty(); ++turns)
        co_await asio::post(w.rt.executor(), asio::use_awaitable);
      EXPECT_FALSE(partition()->ranges.empty());
      if (partition()->ranges.empty()) co_return;
      const auto& range = partition()->ranges.front();
      located_range where{w.replica.current().find_object(range.object).id, range};
      EXPECT_FALSE(ticket.in->is_done());
      EXPECT_FALSE(w.cache.peek(where.key()));
      std::vector<located_range> wanted{where};
      auto read = co_await reader.read(wanted);
      EXPECT_TRUE(read.front().has_value());
      EXPECT_EQ(w.store.gets, waits ? 0u : 1u);
    });
  }
}

TEST(range_reader, append_times_are_in_what_was_just_written_and_in_what_is_read_back) {
  fetch_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    metadata::alter_topic_configs change{at.topic, {{"message.timestamp.type", "LogAppendTime"}}};
    EXPECT_TRUE(co_await w.replica.submit(change));
    co_await w.write(at, 1, 100);
    auto& range = w.replica.current().find_partition(at)->ranges.front();
    located_range where{w.replica.current().find_object(range.object).id, range};
    auto hot = w.cache.find(where.key());
    std::vector<located_range> wanted{where};
    auto cold = co_await w.reader.read(wanted);
    EXPECT_TRUE(hot && cold.front());
    if (!hot || !cold.front()) co_return;
    EXPECT_EQ(w.store.gets, 1u);
    for (const auto& entry : {hot, *cold.front()}) {
      auto bytes = entry->batch_bytes(0);
      auto batch = records::batch_view::parse(bytes.view());
      EXPECT_TRUE(batch && batch->is_log_append_time() && batch->crc_matches());
      EXPECT_EQ(batch->max_timestamp(), range.max_timestamp);
      EXPECT_EQ(entry->batches().front().max_timestamp, range.max_timestamp);
    }
    EXPECT_TRUE(std::ranges::equal(hot->batch_bytes(0).view(), (*cold.front())->batch_bytes(0).view()));
  });
}

TEST(range_reader, damage_on_the_way_is_read_again) {
  for (bool is_short : {false, true}) {
    fetch_world w;
    w.store.damage_get = [&](std::size_t n, std::string& bytes) {
      if (n > 1) return;
      if (is_short)
        bytes.resize(bytes.size() - 10);
      else
        bytes[bytes.size() / 2] ^= 4;
    };
    w.play([&]() -> awaitable<void> {
      auto at = co_await w.make_topic("t", 3);
      co_await w.write(at, 3, 1000);
      auto r = co_await w.fetcher.fetch(w.of(at, 3));
      for (const auto& p : r.partitions) {
        EXPECT_EQ(p.error, fetch_error::none);
        EXPECT_EQ(p.records, 1u);
      }
      EXPECT_EQ(w.store.gets, is_short ? 4u : 2u);  // only what was damaged
    });
  }
}

TEST(range_reader, damage_in_the_store_is_an_error_of_its_partition_only_and_for_now) {
  fetch_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t", 3);
    co_await w.write(at, 3, 1000);
    const auto& state = w.replica.current();
    const auto& range = state.find_partition({at.topic, partition_index(1)})->ranges[0];
    std::string& object = *w.objects.find(object_key("", state.find_object(range.object).id));
    object[range.position + 100] ^= 1;
    auto r = co_await w.fetcher.fetch(w.of(at, 3));
    EXPECT_EQ(r.partitions[0].records, 1u);
    EXPECT_EQ(r.partitions[1].error, fetch_error::storage);
    EXPECT_TRUE(r.partitions[1].batches.empty());
    EXPECT_EQ(r.partitions[2].records, 1u);
    object[range.position + 100] ^= 1;  // repaired
    r = co_await w.fetcher.fetch(w.of(at, 3));
    EXPECT_EQ(r.partitions[1].records, 1u);
  });
}

// Whole batches with right checksums, but not those that the log means.
TEST(range_reader, other_batches_than_the_logs_are_damage) {
  fetch_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t", 2);
    co_await w.write(at, 2, 1000);
    const auto& state = w.replica.current();
    const auto& range = state.find_partition(at)->ranges[0];
    std::string& object = *w.objects.find(object_key("", state.find_object(range.object).id));
    records::batch_builder two;
    two.add(some_time(), "k", "1").add(some_time(), "k", "2");
    auto base = two.build();
    records::batch_builder padded;
    padded.add(some_time(), "k", "1").add(some_time(), "k", std::string(range.bytes - base.size() + 1 - 2, 'x'));
    auto other = padded.build();
    if (other.size() != range.bytes) {  // a length's varint may take one byte more or less
      ADD_FAILURE() << other.size() << " " << range.bytes;
      co_return;
    }
    std::memcpy(object.data() + range.position, other.data(), other.size());
    auto r = co_await w.fetcher.fetch(w.of(at, 2));
    EXPECT_EQ(r.partitions[0].error, fetch_error::storage);
    EXPECT_EQ(r.partitions[1].records, 1u);
  });
}

TEST(range_reader, a_store_that_is_away_is_an_error_and_asked_anew) {
  fetch_world w;
  w.store.fail_get = [](std::size_t n) { return n == 1 ? std::optional(object_error::unavailable) : std::nullopt; };
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    co_await w.write(at, 1, 1000);
    EXPECT_EQ((co_await w.fetcher.fetch(w.of(at, 1))).partitions[0].error, fetch_error::storage);
    EXPECT_EQ((co_await w.fetcher.fetch(w.of(at, 1))).partitions[0].records, 1u);
  });
}

TEST(range_reader, a_request_that_goes_away_leaves_nothing_and_harms_nobody) {
  fetch_world w;
  w.store.get_delay = 10s;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    co_await w.write(at, 1, 1000);
    task_group leaving(w.rt.executor());
    std::uint64_t records = 0;
    auto scene = [&]() -> awaitable<void> {
      leaving.spawn(
          [](fetch_world& f, topic_partition p) -> awaitable<void> { co_await f.fetcher.fetch(f.of(p, 1)); }(w, at));
      co_await w.rt.sleep_for(1s);
      EXPECT_EQ(w.store.gets_under_way, 1u);
    };
    co_await together(w.rt, 2, [&](int i) -> awaitable<void> {
      if (i == 0) {
        co_await run_then_close(scene(), leaving);
      } else {
        co_await w.rt.sleep_for(500ms);
        auto r = co_await w.fetcher.fetch(w.of(at, 1));  // joins the other's GET
        records = r.partitions[0].records;
      }
    });
    EXPECT_EQ(records, 1u);
    EXPECT_EQ(w.store.gets, 1u);
    EXPECT_EQ(w.memory.held(), 0u);
  });
}

TEST(fetcher, reads_hold_no_more_memory_than_there_is_and_all_get_on) {
  fetch_world w(3'000);
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t", 8);
    co_await w.write(at, 8, 1000);
    int served = 0;
    co_await together(w.rt, 40, [&](int i) -> awaitable<void> {
      auto request = w.of(at, 8);
      // One and two partitions; every tenth asks for more than there ever is.
      if (i % 10 != 9) request.partitions.resize(std::size_t(1 + i % 2));
      auto r = co_await w.fetcher.fetch(request);
      EXPECT_LE(w.memory.held(), w.memory.bytes_max());
      EXPECT_GT(w.memory.held(), 0u);
      co_await w.rt.sleep_for(10ms);  // it is being sent
      for (const auto& p : r.partitions) EXPECT_EQ(p.error, fetch_error::none);
      EXPECT_EQ(r.partitions[0].records, 1u);
      ++served;
    });
    EXPECT_EQ(served, 40);
    EXPECT_EQ(w.memory.held(), 0u);
    EXPECT_EQ(w.memory.waiting(), 0u);
    EXPECT_LE(w.store.gets, 8u);  // what came while they waited is not read again
  });
}

// Thirty objects of one record each; the index has the first twenty, in two chunks, and the state has let go of them.
awaitable<topic_partition> write_and_index(fetch_world& w) {
  auto at = co_await w.make_topic("t");
  for (int i = 0; i < 30; ++i) {
    auto batch = produced(at, {"v" + std::to_string(i)});
    batch.info.max_timestamp = some_time(i);
    auto t = w.buffer.add(std::move(batch), w.rt.now() + 30s);
    co_await t.in->wait_until(w.rt, w.rt.now() + 30s);
  }
  const auto* p = w.replica.current().find_partition(at);
  EXPECT_EQ(p->ranges.size(), 30u);
  metadata::index_write write;
  for (int chunk = 0; chunk < 2; ++chunk)
    write.chunks.push_back({at, {p->ranges.begin() + 10 * chunk, p->ranges.begin() + 10 * (chunk + 1)}});
  for (int i = 0; i < 20; ++i) {
    const auto& o = w.replica.current().find_object(p->ranges[std::size_t(i)].object);
    write.objects.push_back({p->ranges[std::size_t(i)].object, o.id, o.bytes});
  }
  EXPECT_TRUE(co_await w.session.index().add(1, std::move(write)));
  EXPECT_TRUE(co_await w.replica.submit(metadata::advance_index{{{at.topic, at.partition, offset(20), 0}}}));
  EXPECT_EQ(w.replica.current().find_partition(at)->state_begin(), offset(20));
  co_return at;
}

TEST(index_reader, what_the_state_has_let_go_of_is_read_as_if_it_had_not) {
  fetch_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await write_and_index(w);
    for (std::int64_t from : {0, 5, 9, 10, 19, 20, 29}) {
      auto request = w.of(at, 1);
      request.partitions[0].from = offset(from);
      auto r = co_await w.fetcher.fetch(request);
      EXPECT_EQ(r.partitions[0].error, fetch_error::none);
      EXPECT_EQ(r.partitions[0].records, std::uint64_t(30 - from)) << from;
      EXPECT_EQ(load_big_endian<std::int64_t>(r.partitions[0].batches.front().view().data()), from);
    }
    // A limit is kept, and one batch is given at least.
    auto request = w.of(at, 1);
    request.partitions[0].bytes_max = 1;
    EXPECT_EQ((co_await w.fetcher.fetch(request)).partitions[0].records, 1u);
    // Both chunks were asked for once.
    EXPECT_EQ(w.index.held(), 20u);
    w.log.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    EXPECT_EQ((co_await w.fetcher.fetch(w.of(at, 1))).partitions[0].records, 30u);
  });
}

TEST(index_reader, an_index_that_is_away_is_a_retriable_error_of_those_partitions_only) {
  fetch_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await write_and_index(w);
    auto other = co_await w.make_topic("other");
    co_await w.write(other, 1, 10);
    w.log.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    auto request = w.of(at, 1);
    request.partitions.push_back({other, offset(0), 50u << 20});
    auto r = co_await w.fetcher.fetch(request);
    EXPECT_EQ(r.partitions[0].error, fetch_error::storage);
    EXPECT_EQ(r.partitions[1].records, 1u);
    w.log.hooks.before_read = nullptr;
    EXPECT_EQ((co_await w.fetcher.fetch(request)).partitions[0].records, 30u);
  });
}

TEST(index_reader, memory_is_bounded) {
  fetch_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await write_and_index(w);
    index_reader small(w.session.index(), w.replica, 10, w.cold_metrics);
    for (int i = 0; i < 3; ++i)
      for (std::int64_t from : {0, 10}) {
        std::vector<located_range> got;
        auto end = co_await small.each(at, offset(from), [&](const located_range& r) { return got.push_back(r), false; });
        EXPECT_TRUE(end && *end == offset(from + 1) && got.size() == 1 && got[0].range.base_offset == offset(from));
        EXPECT_LE(small.held(), 10u);
      }
  });
}

TEST(byte_budget, first_come_first_served_and_the_large_one_is_not_starved) {
  simulated_world world(1);
  simulated_runtime rt(world);
  byte_budget budget(100);
  std::string order;
  auto one = [&](int i) -> awaitable<void> {
    co_await rt.sleep_for(duration(i));
    auto lease = co_await budget.reserve(i == 2 ? 100 : 40);
    order += char('0' + i);
    co_await rt.sleep_for(1s);
  };
  rt.run(together(rt, 6, one));
  EXPECT_EQ(order, "012345");
  EXPECT_EQ(budget.held(), 0u);
}

TEST(byte_budget, who_is_cancelled_in_the_queue_makes_room) {
  simulated_world world(1);
  simulated_runtime rt(world);
  byte_budget budget(100);
  bool got = false;
  auto scene = [&]() -> awaitable<void> {
    auto held = co_await budget.reserve(60);
    task_group leaving(rt.executor()), staying(rt.executor());
    auto large = [&]() -> awaitable<void> { (void)co_await budget.reserve(90); };
    auto small = [&]() -> awaitable<void> {
      auto lease = co_await budget.reserve(40);
      got = true;
    };
    auto wait = [&]() -> awaitable<void> {
      leaving.spawn(large());
      co_await rt.sleep_for(1ms);
      staying.spawn(small());
      co_await rt.sleep_for(1ms);
      EXPECT_EQ(budget.waiting(), 2u);
    };
    auto both = [&]() -> awaitable<void> {
      co_await run_then_close(wait(), leaving);
      co_await rt.sleep_for(1ms);
    };
    co_await run_then_close(both(), staying);
    EXPECT_TRUE(got);
  };
  rt.run(scene());
  EXPECT_EQ(budget.held(), 0u);
  EXPECT_EQ(budget.waiting(), 0u);
}

// ---- backfills

struct gate_world {
  simulated_world world{1};
  simulated_runtime rt{world};
};

TEST(backfill_gate, so_many_at_a_time_and_those_whom_somebody_waits_for_first) {
  gate_world w;
  backfill_gate gate(w.rt, {.gets_max = 3, .gets_ahead_max = 2});
  std::vector<bool> is_awaited(20, false);
  for (std::size_t i = 10; i < 20; ++i) is_awaited[i] = true;  // they come last
  std::vector<int> order;
  std::size_t most = 0, most_ahead = 0, ahead = 0;
  w.rt.run(together(w.rt, 20, [&](int i) -> awaitable<void> {
    auto n = std::size_t(i);
    auto pass = co_await gate.enter(1, [&is_awaited, n] { return is_awaited[n]; });
    order.push_back(i);
    ahead += n < 10;
    most = std::max(most, gate.under_way()), most_ahead = std::max(most_ahead, ahead);
    co_await w.rt.sleep_for(1s);
    ahead -= n < 10;
  }));
  EXPECT_EQ(most, 3u);
  EXPECT_EQ(most_ahead, 2u);
  // Two were let in before anybody waited for anything; of the rest, those with somebody waiting, in their order.
  std::vector<int> awaited_first{0, 1};
  for (int i = 10; i < 20; ++i) awaited_first.push_back(i);
  for (int i = 2; i < 10; ++i) awaited_first.push_back(i);
  EXPECT_EQ(order, awaited_first);
  EXPECT_EQ(gate.under_way(), 0u);
  EXPECT_EQ(gate.waiting(), 0u);
}

TEST(backfill_gate, who_is_waited_for_by_now_is_moved_up) {
  gate_world w;
  backfill_gate gate(w.rt, {.gets_max = 1, .gets_ahead_max = 1});
  bool last_is_awaited = false;
  std::string order;
  w.rt.run(together(w.rt, 5, [&](int i) -> awaitable<void> {
    if (i == 4) {
      co_await w.rt.sleep_for(500ms);
      last_is_awaited = true;
      gate.reconsider();
      co_return;
    }
    auto pass = co_await gate.enter(1, [&, i] { return i == 3 && last_is_awaited; });
    order += char('0' + i);
    co_await w.rt.sleep_for(1s);
  }));
  EXPECT_EQ(order, "0312");
}

TEST(backfill_gate, no_more_bytes_per_second_than_it_is_told) {
  gate_world w;
  backfill_gate gate(w.rt, {.bytes_per_s = 1'000'000});
  auto begun = w.rt.now();
  w.rt.run(together(w.rt, 21, [&](int) -> awaitable<void> {
    auto pass = co_await gate.enter(500'000, [] { return true; });
    auto now = w.rt.now() - begun;
    EXPECT_EQ(gate.is_congested(), now > 0s && now < 7400ms)
        << now.count();  // the first one is alone, the last ones are few
  }));
  auto took = std::chrono::duration<double>(w.rt.now() - begun).count();
  EXPECT_NEAR(took, 10.0, 0.1);
  EXPECT_FALSE(gate.is_congested());
}

TEST(backfill_gate, who_is_cancelled_in_the_queue_makes_room) {
  gate_world w;
  backfill_gate gate(w.rt, {.gets_max = 1});
  bool got = false;
  auto scene = [&]() -> awaitable<void> {
    auto held = co_await gate.enter(1, [] { return true; });
    task_group leaving(w.rt.executor()), staying(w.rt.executor());
    auto give_up = [&]() -> awaitable<void> { (void)co_await gate.enter(1, [] { return true; }); };
    auto wait = [&]() -> awaitable<void> {
      auto pass = co_await gate.enter(1, [] { return true; });
      got = true;
    };
    auto queue = [&]() -> awaitable<void> {
      leaving.spawn(give_up());
      co_await w.rt.sleep_for(1ms);
      staying.spawn(wait());
      co_await w.rt.sleep_for(1ms);
      EXPECT_EQ(gate.waiting(), 2u);
    };
    auto both = [&]() -> awaitable<void> {
      co_await run_then_close(queue(), leaving);
      EXPECT_EQ(gate.waiting(), 1u);
      held = {};
      co_await w.rt.sleep_for(1ms);
    };
    co_await run_then_close(both(), staying);
  };
  w.rt.run(scene());
  EXPECT_TRUE(got);
  EXPECT_EQ(gate.under_way(), 0u);
}

// A reader for which everything is old, over the same objects and a cache of its own.
struct old_world : fetch_world {
  metrics::registry old_metrics;
  block_cache old_cache{64u << 20, old_metrics};
  range_reader old{rt, store, old_cache, {.log_time = [this] { return replica.log_time() + 3'600'000; }}, old_metrics};
  fetch::fetcher old_fetcher{rt, replica, old, index, waiting, memory, 50u << 20};

  void play_old(std::function<awaitable<void>(topic_partition)> scene) {
    play([&]() -> awaitable<void> {
      tasks.spawn(old.run());
      auto at = co_await make_topic("t", 3);
      // 40 objects with some 100 kB for each partition.
      for (int i = 0; i < 40; ++i) co_await write(at, 3, 100'000);
      co_await scene(at);
    });
  }
  std::uint32_t range_bytes(topic_partition at) const { return replica.current().find_partition(at)->ranges[0].bytes; }
  awaitable<fetch_result> read(topic_partition at, std::int64_t from, std::uint32_t n) {
    fetch_request r{.bytes_max = 50u << 20};
    r.partitions.push_back({at, offset(from), n * range_bytes(at)});
    return old_fetcher.fetch(std::move(r));
  }
};

TEST(read_ahead, what_comes_next_is_there_when_it_is_asked_for) {
  old_world w;
  w.play_old([&](topic_partition at) -> awaitable<void> {
    std::int64_t next = 0;
    for (int round = 0; next < 40; ++round) {
      auto begun = w.rt.now();
      auto got = co_await w.read(at, next, 5);
      EXPECT_EQ(got.partitions[0].records, 5u);
      next += std::int64_t(got.partitions[0].records);
      if (round == 0)
        EXPECT_GE(w.rt.now() - begun, 10ms);
      else
        EXPECT_LT(w.rt.now() - begun, 10ms) << round;
      co_await w.rt.sleep_for(50ms);  // the client works on it
    }
    EXPECT_EQ(w.store.gets, 40u);  // nothing twice
    EXPECT_EQ(w.memory.held(), 0u);
  });
}

TEST(read_ahead, does_not_take_the_tails_place_in_the_cache) {
  old_world w;
  w.play_old([&](topic_partition at) -> awaitable<void> {
    for (std::int64_t next = 0; next < 40; next += 5) co_await w.read(at, next, 5);
    EXPECT_NE(w.old_metrics.text().find("yaks_cache_tail_bytes 0\n"), std::string::npos);
    EXPECT_GT(w.old_cache.bytes(), 4'000'000u);
  });
}

// What is fresh is read as far as it is asked for.
TEST(read_ahead, is_not_for_the_tail) {
  fetch_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    for (int i = 0; i < 10; ++i) co_await w.write(at, 1, 100'000);
    fetch_request r{.bytes_max = 50u << 20};
    r.partitions.push_back({at, offset(0), 210'000});
    auto got = co_await w.fetcher.fetch(std::move(r));
    auto gets = w.store.gets;
    co_await w.rt.sleep_for(1s);
    EXPECT_EQ(w.store.gets, gets);
    EXPECT_LE(gets, 3u);
  });
}

// Partitions that lie near each other in an object share a GET, also over what nobody asked for.
TEST(read_ahead, ranges_of_old_objects_are_merged_over_larger_gaps) {
  old_world w;
  w.play_old([&](topic_partition at) -> awaitable<void> {
    fetch_request r{.bytes_max = 50u << 20};
    for (int i : {0, 2}) r.partitions.push_back({{at.topic, partition_index(i)}, offset(0), w.range_bytes(at)});
    auto got = co_await w.old_fetcher.fetch(std::move(r));
    EXPECT_EQ(got.partitions[0].records, 1u);
    EXPECT_EQ(got.partitions[1].records, 1u);
    EXPECT_EQ(w.store.gets,
              2u);  // one for what was asked for, one for what comes next; of fresh objects it would be two each
  });
}

// One that is read ahead and fails is asked for anew by whoever wants it.
TEST(read_ahead, its_failure_is_nobodys) {
  old_world w;
  w.store.fail_get = [](std::size_t n) {
    return n > 5 && n <= 10 ? std::optional(object_error::unavailable) : std::nullopt;
  };
  w.play_old([&](topic_partition at) -> awaitable<void> {
    EXPECT_EQ((co_await w.read(at, 0, 5)).partitions[0].records, 5u);
    co_await w.rt.sleep_for(1s);
    EXPECT_EQ(w.store.gets, 10u);
    auto got = co_await w.read(at, 5, 5);
    EXPECT_EQ(got.partitions[0].error, fetch_error::none);
    EXPECT_EQ(got.partitions[0].records, 5u);
  });
}
// Two partitions whose first 40 records lie one after the other in an object of each, as merging leaves them, and that is
// old; ten more are in the state, in objects of their own.
struct scan_world : fetch_world {
  metrics::registry old_metrics;
  block_cache old_cache{64u << 20, old_metrics};
  scan_settings scans{.bytes_min = 500'000, .window_max = 1'000'000, .piece_bytes = 250'000};
  std::optional<range_reader> old;
  std::optional<fetch::fetcher> old_fetcher;
  topic_partition at, other;
  static constexpr std::size_t record_bytes = 100'000;

  awaitable<void> merge(topic_partition where) {
    const auto* p = replica.current().find_partition(where);
    std::vector<shared_bytes> body;
    std::uint32_t crc = 0, position = 0;
    metadata::index_write write;
    write.chunks.push_back({where, {p->ranges.begin(), p->ranges.begin() + 40}});
    auto number = metadata::object_number(1'000'000 + std::uint64_t(where.partition.value()));
    for (auto& r : write.chunks[0].ranges) {
      auto from = replica.current().find_object(r.object).id;
      body.push_back(*co_await objects.get(object_key("", from), r.position, r.bytes, rt.now() + 1s));
      crc = records::crc32c(body.back().view(), crc);
      r.object = number;
      r.position = position;
      position += r.bytes;
    }
    object_id merged(uuid::v7(replica.log_time().value(), rt.random(), rt.random()));
    EXPECT_TRUE(co_await objects.put(object_key("", merged), body, crc, rt.now() + 1s));
    write.objects.push_back({number, merged, position});
    EXPECT_TRUE(co_await session.index().add(1, std::move(write)));
    EXPECT_TRUE(co_await replica.submit(metadata::advance_index{{{where.topic, where.partition, offset(40), 0}}}));
  }
  void play_scans(std::function<awaitable<void>()> scene) {
    play([&]() -> awaitable<void> {
      old.emplace(rt, store, old_cache,
                  range_reader_settings{.log_time = [this] { return replica.log_time() + 3'600'000; }, .scans = scans},
                  old_metrics);
      old_fetcher.emplace(rt, replica, *old, index, waiting, memory, 50u << 20);
      tasks.spawn(old->run());
      at = co_await make_topic("t", 2);
      other = {at.topic, partition_index(1)};
      for (int i = 0; i < 50; ++i) co_await write(at, 2, record_bytes);
      co_await merge(at);
      co_await merge(other);
      store.gets = 0;
      co_await scene();
    });
  }
  awaitable<fetch_result> fetch(topic_partition where, std::int64_t from, std::uint32_t bytes = 450'000) {
    return old_fetcher->fetch({.partitions = {{where, offset(from), bytes}}, .bytes_max = 50u << 20});
  }
  // All of [from, to), one fetch after the other; counts errors.
  awaitable<int> read(topic_partition where, std::int64_t from, std::int64_t to, duration pause = 20ms) {
    int errors = 0;
    while (from < to) {
      auto got = co_await fetch(where, from);
      auto& p = got.partitions[0];
      errors += p.error != fetch_error::none;
      for (const auto& b : p.batches) EXPECT_EQ(load_big_endian<std::int64_t>(b.view().data()), from++);
      co_await rt.sleep_for(pause);
      if (errors > 100) break;
    }
    co_return errors;
  }
  std::uint64_t downloaded() const {
    auto text = old_metrics.text();
    std::string name = "\nyaks_fetch_s3_download_bytes_total ";
    return std::uint64_t(std::stod(text.substr(text.find(name) + name.size())));
  }
};

TEST(scan, a_long_run_is_read_with_one_get_and_no_further_than_its_reader_and_a_window) {
  scan_world w;
  w.play_scans([&]() -> awaitable<void> {
    for (std::int64_t from = 0, round = 0; from < 40; ++round) {
      auto begun = w.rt.now();
      auto got = co_await w.fetch(w.at, from);
      from += std::int64_t(got.partitions[0].records);
      // The first window is as large as what was asked for, and it doubles.
      auto window = std::min(std::uint64_t(500'000) << round, w.scans.window_max);
      co_await w.rt.sleep_for(50ms);
      if (from < 30) EXPECT_LE(w.downloaded(), std::uint64_t(from) * 101'000 + window + 101'000) << round;
      if (round > 0) EXPECT_EQ(w.rt.now() - begun, 50ms) << round;  // it was there
    }
    EXPECT_EQ(w.store.streams, 1u);
    EXPECT_LE(w.store.gets, 8u);  // what follows in the state, piece by piece
    EXPECT_EQ(w.store.streams_open, 0u);
    EXPECT_EQ(co_await w.read(w.at, 40, 50), 0);
  });
}

TEST(scan, one_that_looks_at_a_record_reads_little) {
  scan_world w;
  w.play_scans([&]() -> awaitable<void> {
    auto got = co_await w.fetch(w.at, 7, 1000);
    EXPECT_EQ(got.partitions[0].records, 1u);
    co_await w.rt.sleep_for(5s);
    EXPECT_LE(w.downloaded(), 210'000u);
  });
}

TEST(scan, ends_when_its_reader_has_gone) {
  scan_world w;
  w.play_scans([&]() -> awaitable<void> {
    co_await w.fetch(w.at, 0);
    co_await w.rt.sleep_for(9s);
    EXPECT_EQ(w.store.streams_open, 1u);
    co_await w.rt.sleep_for(2s);
    EXPECT_EQ(w.store.streams_open, 0u);
    EXPECT_EQ(co_await w.read(w.at, 0, 50), 0);  // it was only away
    EXPECT_EQ(w.store.streams, 2u);
  });
}

TEST(scan, a_store_that_lets_go_of_it_is_asked_again_from_there) {
  scan_world w;
  w.store.fail_piece = [](std::size_t n) { return n % 5 == 4 ? std::optional(object_error::unavailable) : std::nullopt; };
  w.play_scans([&]() -> awaitable<void> {
    EXPECT_EQ(co_await w.read(w.at, 0, 50), 0);
    EXPECT_GE(w.store.streams, 3u);
    EXPECT_LE(w.downloaded(), 41u * 101'000 + 1'100'000);
  });
}

TEST(scan, a_store_that_cannot_stream_is_read_in_the_plain_way) {
  scan_world w;
  w.store.fail_piece = [](std::size_t) { return std::optional(object_error::corrupt); };
  w.play_scans([&]() -> awaitable<void> {
    EXPECT_EQ(co_await w.read(w.at, 0, 50), 0);
    EXPECT_LE(w.downloaded(), 100u * 101'000);
  });
}

TEST(scan, a_store_that_is_away_is_a_retriable_error_until_it_is_back) {
  scan_world w;
  bool is_away = false;
  w.store.fail_piece = [&](std::size_t) { return is_away ? std::optional(object_error::unavailable) : std::nullopt; };
  w.store.fail_get = w.store.fail_piece;
  w.play_scans([&]() -> awaitable<void> {
    EXPECT_EQ(co_await w.read(w.at, 0, 10), 0);
    is_away = true;
    EXPECT_GT(co_await w.read(w.at, 35, 36), 100);
    is_away = false;
    EXPECT_EQ(co_await w.read(w.at, 10, 50), 0);
    EXPECT_EQ(co_await w.read(w.at, 0, 50), 0);
  });
}

// One who waits for a later piece of a scan waits for those before it: they are not made to wait behind others' reads.
TEST(scan, who_waits_for_what_lies_ahead_goes_before_those_who_do_not) {
  scan_world w;
  w.play_scans([&]() -> awaitable<void> {
    co_await w.fetch(w.at, 0);
    co_await w.rt.sleep_for(1s);  // its window is there
    co_await together(w.rt, 2, [&](int i) -> awaitable<void> {
      if (i == 0)
        co_await w.fetch(w.at, 5);
      else
        EXPECT_EQ((co_await w.fetch(w.at, 14, 1000)).partitions[0].records, 1u);
    });
    EXPECT_EQ(w.store.streams, 1u);
  });
}

TEST(scan, readers_at_different_places_of_one_object_each_get_all) {
  scan_world w;
  w.play_scans([&]() -> awaitable<void> {
    co_await together(w.rt, 4, [&](int i) -> awaitable<void> {
      EXPECT_EQ(co_await w.read(w.at, i < 2 ? 0 : 20, 50, i % 2 ? 20ms : 30ms), 0);
    });
    EXPECT_LE(w.store.streams, 4u);
    EXPECT_LE(w.downloaded(), 2u * 50 * 101'000 + 2'000'000);  // not once per reader
  });
}

TEST(scan, there_are_so_many_and_one_that_stands_still_makes_room) {
  scan_world w;
  w.scans.open_max = 1;
  w.play_scans([&]() -> awaitable<void> {
    co_await w.fetch(w.at, 0);
    EXPECT_EQ(co_await w.read(w.other, 0, 20, 1ms), 0);  // with GETs of its own
    EXPECT_EQ(w.store.streams, 1u);
    EXPECT_GE(w.store.gets, 4u);
    co_await w.rt.sleep_for(1s);
    EXPECT_EQ(co_await w.read(w.other, 20, 40), 0);
    EXPECT_EQ(w.store.streams, 2u);
    EXPECT_LE(w.store.streams_open, 1u);
    EXPECT_EQ(co_await w.read(w.at, 5, 50), 0);
  });
}

TEST(scan, bookkeeping) {
  std::vector<located_range> run;
  for (std::uint32_t i = 0; i < 10; ++i)
    run.push_back({object_id(uuid::v7(1, 2, 3)), {.base_offset = offset(i), .position = 100 + i * 10, .bytes = 10}});
  scan s(run, 20, time_point{});
  EXPECT_EQ(s.begin(), 100u);
  EXPECT_EQ(s.end(), 200u);
  s.ask(115, 30, time_point{});
  EXPECT_EQ(s.allowed(), 3u);  // up to 135, whole ranges
  EXPECT_TRUE(s.will_reach(150));
  EXPECT_FALSE(s.will_reach(160));
  EXPECT_EQ(s.piece(1), 1u);
  EXPECT_EQ(s.piece(20), 2u);
  EXPECT_EQ(s.piece(1000), 3u);
  s.took(2);
  EXPECT_FALSE(s.will_reach(110));
  EXPECT_TRUE(s.is_near(110));
  s.ask(120, 30, time_point{});
  EXPECT_EQ(s.window(), 30u);
  EXPECT_EQ(s.allowed(), 5u);
  s.ask(190, 30, time_point{});
  EXPECT_EQ(s.allowed(), 10u);
  EXPECT_TRUE(s.is_wanted());
  s.took(8);
  EXPECT_TRUE(s.is_over());
}

TEST(scan, the_table_finds_the_one_that_is_near) {
  auto run = [](std::uint32_t begin, std::uint32_t n) {
    std::vector<located_range> all;
    for (std::uint32_t i = 0; i < n; ++i)
      all.push_back({object_id(uuid::v7(1, 2, 3)), {.base_offset = offset(i), .position = begin + i * 10, .bytes = 10}});
    return all;
  };
  scan_table table;
  auto a = std::make_shared<scan>(run(0, 100), 20, time_point{}), b = std::make_shared<scan>(run(0, 100), 20, time_point{}),
       c = std::make_shared<scan>(run(300, 5), 20, time_point{});
  for (const auto& s : {a, b, c}) table.insert(s);
  a->ask(500, 20, time_point{});
  b->ask(10, 20, time_point{});
  auto at = [&](std::uint32_t position) { return table.find({a->object(), position}); };
  EXPECT_EQ(at(510), a);  // behind the end of c, and far from b
  EXPECT_EQ(at(310), c);
  EXPECT_EQ(at(1000), nullptr);
  table.erase(a);
  EXPECT_EQ(at(510), b);
  EXPECT_EQ(table.size(), 2u);
}
}  // namespace
}  // namespace yaks::fetch
