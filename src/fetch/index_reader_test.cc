// Goal: what has left the state is read through the index as if it had not: by offset, by timestamp, also while ranges move
// there, at the cost of one question per chunk. Method: an agent's write and read path in virtual time; the index is moved
// by hand, and asked through a counter that can let things happen while an answer is on its way.
#include "fetch/index_reader.hpp"

#include <gtest/gtest.h>

#include "fetch/fetcher.hpp"
#include "fetch/offset_lookup.hpp"
#include "ingest/test_world.hpp"

namespace yaks::fetch {
namespace {
using namespace yaks::test;
using metadata::log_error;

struct watched_index final : metadata::range_index {
  using found = result<std::vector<metadata::indexed_range>, log_error>;
  metadata::range_index& inner;
  std::size_t questions = 0;
  std::function<awaitable<void>()> on_the_way;  // once, after the answer was read and before it arrives
  std::optional<log_error> fault;
  explicit watched_index(metadata::range_index& index) : inner(index) {}

  template <class T>
  using answer_of = awaitable<result<T, log_error>>;
  using term = std::uint64_t;
  awaitable<found> answer(awaitable<found> asked) {
    ++questions;
    if (fault) co_return failure(*fault);
    auto got = co_await std::move(asked);
    if (auto once = std::exchange(on_the_way, nullptr)) co_await once();
    co_return got;
  }
  awaitable<found> find(topic_partition where, offset at) override { return answer(inner.find(where, at)); }
  awaitable<found> find_time(topic_partition where, offset from, timestamp_ms target) override {
    return answer(inner.find_time(where, from, target));
  }
  awaitable<found> find_largest_time(topic_partition where, offset from) override {
    return answer(inner.find_largest_time(where, from));
  }
  // The rest as it is.
  answer_of<void> begin_term(term t) override { return inner.begin_term(t); }
  answer_of<std::vector<std::pair<topic_partition, offset>>> add(term t, metadata::index_write what) override {
    return inner.add(t, std::move(what));
  }
  answer_of<metadata::oldest_ranges> find_oldest(std::vector<metadata::index_place> where) override {
    return inner.find_oldest(std::move(where));
  }
  answer_of<void> trim(term t, std::vector<metadata::index_place> to) override { return inner.trim(t, std::move(to)); }
  answer_of<bool> drop(term t, topic_id topic, std::size_t most) override { return inner.drop(t, topic, most); }
  answer_of<void> replace(term t, metadata::indexed_object into, std::vector<metadata::moved_ranges> parts) override {
    return inner.replace(t, into, std::move(parts));
  }
  answer_of<metadata::index_page> read(topic_partition where, offset from, std::size_t most) override {
    return inner.read(where, from, most);
  }
  answer_of<void> release(term t, std::vector<metadata::indexed_object> objects) override {
    return inner.release(t, std::move(objects));
  }
  answer_of<std::uint64_t> retire(term t, log_sequence at, timestamp_ms time) override { return inner.retire(t, at, time); }
  answer_of<std::vector<metadata::indexed_object>> retired(log_sequence at, timestamp_ms time, std::size_t most) override {
    return inner.retired(at, time, most);
  }
  answer_of<void> forget(term t, std::vector<metadata::object_number> objects) override {
    return inner.forget(t, std::move(objects));
  }
  answer_of<std::vector<object_id>> known_objects(std::vector<object_id> which) override {
    return inner.known_objects(std::move(which));
  }
  answer_of<metadata::object_totals> totals() override { return inner.totals(); }
};

struct index_world : ingest_world {
  explicit index_world(std::size_t ranges_max = 10'000)
      : ingest_world(1, {.flush_interval = 1ms}),
        reader(rt, store, cache, {}, metrics),
        memory(256u << 20),
        watched(session.index()),
        index(watched, replica, ranges_max, metrics),
        fetcher(rt, replica, reader, index, waiting, memory, 50u << 20),
        lookup(rt, replica, reader, index, memory) {
    applied = [this](const metadata::changes& c) { waiting.wake(c); };
  }
  void play(std::function<awaitable<void>()> scene) {
    ingest_world::play([this, scene]() -> awaitable<void> {
      tasks.spawn(reader.run());
      at = co_await make_topic("t");
      co_await scene();
    });
  }
  // One range of one record, whose value is its offset.
  awaitable<void> write(std::int64_t time) {
    auto value = std::to_string(replica.current().find_partition(at)->high_watermark.value());
    auto bytes = shared_bytes::copy_of(batch_bytes({value}, {}, some_time(time)));
    auto info = records::validate_produced(bytes.view(), {});
    auto t = buffer.add({.where = at,
                         .bytes = bytes,
                         .info = {.bytes = info->bytes, .record_count = 1, .max_timestamp = info->max_timestamp},
                         .crc32c = info->crc32c},
                        rt.now() + 30s);
    co_await t.in->wait_until(rt, rt.now() + 30s);
  }
  awaitable<void> write_all(std::vector<std::int64_t> times) {
    for (auto t : times) co_await write(t);
  }
  // The state's oldest ranges become one chunk, and leave.
  awaitable<void> move(std::size_t n) {
    const auto* p = replica.current().find_partition(at);
    metadata::index_write w;
    w.chunks.push_back({at, {p->ranges.begin(), p->ranges.begin() + std::ptrdiff_t(n)}});
    for (const auto& r : w.chunks.front().ranges) {
      const auto& o = replica.current().find_object(r.object);
      w.objects.push_back({r.object, o.id, o.bytes});
    }
    auto ends = co_await session.index().add(1, std::move(w));
    YAKS_CHECK(ends && ends->size() == 1, "the index takes a chunk");
    (void)co_await replica.submit(metadata::advance_index{{{at.topic, at.partition, ends->front().second, 0}}});
  }
  awaitable<std::pair<std::uint64_t, fetch_error>> fetch(std::int64_t from, std::uint32_t bytes = 50u << 20) {
    auto got = co_await fetcher.fetch({.partitions = {{at, offset(from), bytes}}, .bytes_max = bytes});
    co_return std::pair<std::uint64_t, fetch_error>{got.partitions[0].records, got.partitions[0].error};
  }
  awaitable<std::int64_t> first_at(std::int64_t time) {
    auto got = co_await lookup.first_at_or_after(at, some_time(time));
    co_return got ? got->at.value() : -100;
  }
  awaitable<std::int64_t> largest() {
    auto got = co_await lookup.largest_timestamp(at);
    co_return got ? got->at.value() : -100;
  }

  topic_partition at;
  range_reader reader;
  waiters waiting;
  byte_budget memory;
  watched_index watched;
  fetch::index_reader index;
  fetch::fetcher fetcher;
  offset_lookup lookup;
};

TEST(index_reader, one_answer_goes_from_the_index_into_the_state) {
  index_world w;
  w.play([&]() -> awaitable<void> {
    for (int i = 0; i < 20; ++i) co_await w.write(i);
    co_await w.move(8);
    co_await w.move(8);
    EXPECT_EQ((co_await w.fetch(0)).first, 20u);
    EXPECT_EQ(w.watched.questions, 2u);  // one per chunk, and none for what the state has
    EXPECT_EQ((co_await w.fetch(5)).first, 15u);
    EXPECT_EQ((co_await w.fetch(15)).first, 5u);
    EXPECT_EQ(w.watched.questions, 2u);  // still known
    EXPECT_EQ((co_await w.fetch(16)).first, 4u);
    EXPECT_EQ((co_await w.fetch(20)).first, 0u);
    EXPECT_EQ(w.watched.questions, 2u);
    EXPECT_EQ((co_await w.fetch(3, 1)).first, 1u);  // at least one batch, whatever the limit
  });
}

TEST(index_reader, what_was_not_used_lately_is_asked_for_again) {
  index_world w(10);
  w.play([&]() -> awaitable<void> {
    for (int i = 0; i < 25; ++i) co_await w.write(i);
    for (int i = 0; i < 4; ++i) co_await w.move(5);
    EXPECT_EQ((co_await w.fetch(0)).first, 25u);
    EXPECT_EQ(w.watched.questions, 4u);
    EXPECT_LE(w.index.held(), 10u);
    EXPECT_EQ((co_await w.fetch(12)).first, 13u);  // the newest two are known
    EXPECT_EQ(w.watched.questions, 4u);
    EXPECT_EQ((co_await w.fetch(0, 1)).first, 1u);
    EXPECT_EQ(w.watched.questions, 5u);
  });
}

TEST(index_reader, an_index_that_is_away_or_damaged_is_no_end_of_the_log) {
  index_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.write_all({1, 2, 3, 4});
    co_await w.move(2);
    for (auto fault : {log_error::unavailable, log_error::refused}) {
      w.watched.fault = fault;
      EXPECT_EQ((co_await w.fetch(0)).second, fetch_error::storage);
      EXPECT_EQ(co_await w.first_at(1), -100);
      EXPECT_EQ(co_await w.largest(), -100);
      EXPECT_EQ((co_await w.fetch(2)).first, 2u);
    }
    w.watched.fault.reset();
    EXPECT_EQ((co_await w.fetch(0)).first, 4u);
  });
}

TEST(index_reader, ranges_that_move_while_the_index_is_asked_are_still_found) {
  index_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.write_all({1, 2, 3, 50, 5, 6, 7, 8});
    co_await w.move(2);
    // When the index read its answer, 3 was in the state; when the answer arrives, it no longer is.
    auto moves = [&]() -> awaitable<void> { co_await w.move(2); };
    w.watched.on_the_way = moves;
    EXPECT_EQ(co_await w.first_at(10), 3);
    w.watched.on_the_way = moves;
    EXPECT_EQ(co_await w.largest(), 3);
    w.watched.on_the_way = moves;
    EXPECT_EQ((co_await w.fetch(0)).second, fetch_error::none);
    EXPECT_EQ((co_await w.fetch(0)).first, 8u);
  });
}

TEST(index_reader, a_timestamp_search_goes_on_in_later_chunks) {
  index_world w;
  w.play([&]() -> awaitable<void> {
    // The second chunk has the time 50 only at its first offset, the third has it again.
    co_await w.write_all({1, 2, 50, 3, 4, 60, 5, 6, 70, 7});
    co_await w.move(2);
    co_await w.move(3);
    co_await w.move(3);
    for (int from = 0; from < 10; ++from) {
      std::int64_t expected = from <= 2 ? 2 : from <= 5 ? 5 : 8;
      if (from > 8) expected = -1;
      auto got = co_await w.lookup.first_at_or_after(w.at, some_time(50), offset(from));
      EXPECT_EQ(got ? got->at.value() : -100, expected) << "from " << from;
    }
    EXPECT_EQ(co_await w.first_at(65), 8);
    EXPECT_EQ(co_await w.first_at(71), -1);
    EXPECT_EQ(co_await w.largest(), 8);
  });
}

TEST(index_reader, the_largest_timestamp_is_that_of_the_first_record_that_has_it) {
  index_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.write_all({1, 9, 9, 2, 9, 3});
    EXPECT_EQ(co_await w.largest(), 1);
    co_await w.move(1);
    EXPECT_EQ(co_await w.largest(), 1);
    co_await w.move(1);
    EXPECT_EQ(co_await w.largest(), 1);
    co_await w.move(4);
    EXPECT_EQ(co_await w.largest(), 1);
  });
}
}  // namespace
}  // namespace yaks::fetch
