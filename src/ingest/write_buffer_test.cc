// Goal: what is acknowledged is in the log once, in order, at the acknowledged offset, whatever fails on the way; what
// was not stored is called so, what is unknown is called unknown; memory is bounded, and PUTs keep to their budget.
// Method: the write path in virtual time over stores that fail when told; then producers that retry as real clients do
// over stores that fail at random, hundreds of seeds.
#include "ingest/write_buffer.hpp"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "ingest/test_world.hpp"
#include "metastores/faulty/faulty_log_store.hpp"
#include "objects/faulty/faulty_store.hpp"

namespace yaks::ingest {
namespace {
using namespace yaks::test;
constexpr duration long_enough = 30s;

// Waits for the answer of a ticket; nothing at its deadline.
awaitable<std::optional<produce_result>> answer(runtime& rt, ticket t, time_point deadline) {
  if (!co_await t.in->wait_until(rt, deadline)) co_return std::nullopt;
  co_return t.in->result(t.index);
}

struct write_buffer : testing::Test {
  ticket send(ingest_world& w, topic_partition where, std::string value, records::batch_settings settings = {}) {
    return w.buffer.add(produced(where, {std::move(value)}, settings), w.rt.now() + long_enough);
  }
};

TEST_F(write_buffer, a_lone_record_waits_for_one_put_only) {
  ingest_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    co_await w.rt.sleep_for(1s);
    auto begun = w.rt.now();
    auto r = co_await answer(w.rt, send(w, at, "v"), w.rt.now() + long_enough);
    EXPECT_TRUE(r && r->error == produce_error::none && r->base_offset == offset(0));
    EXPECT_LE(w.rt.now() - begun, w.store.put_delay + 10ms);
  });
}

// yaks.flush.interval.ms of a topic: below the buffer's interval a promise that needs no token, above it a wish to wait.
TEST_F(write_buffer, a_topic_may_be_faster_or_slower_than_the_buffer) {
  ingest_world w(1, {.flush_interval = 10s, .saved_puts_max = 1});
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    auto took = [&](std::optional<duration> interval, duration patience) -> awaitable<duration> {
      auto begun = w.rt.now();
      auto batch = produced(at, {"v"}, {});
      batch.flush_interval = interval;
      auto r = co_await answer(w.rt, w.buffer.add(std::move(batch), begun + patience), begun + patience);
      EXPECT_TRUE(r && r->error == produce_error::none);
      co_return w.rt.now() - begun - w.store.put_delay;
    };
    co_await took(std::nullopt, long_enough);  // leaves the bucket empty
    auto fast = co_await took(100ms, long_enough);
    EXPECT_GE(fast, 90ms);
    EXPECT_LE(fast, 120ms);
    co_await w.rt.sleep_for(30s);  // now a token is there
    auto slow = co_await took(20s, 60s);
    EXPECT_GE(slow, 20s);
    EXPECT_LE(slow, 21s);
    co_await w.rt.sleep_for(30s);
    auto impatient = co_await took(20s, 10s);  // half of what the client waits
    EXPECT_LE(impatient, 6s);
    co_await w.rt.sleep_for(30s);
    auto waiting = produced(at, {"v"}, {});
    waiting.flush_interval = 20s;
    auto joined = w.buffer.add(std::move(waiting), w.rt.now() + 60s);
    co_await w.rt.sleep_for(1s);
    EXPECT_LE(co_await took(std::nullopt, long_enough), 1s);
    EXPECT_TRUE(co_await joined.in->wait_until(w.rt, w.rt.now()));  // went with it
  });
}

TEST_F(write_buffer, a_stream_of_records_keeps_to_the_put_budget) {
  ingest_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    for (int i = 0; i < 10'000; ++i) {  // 10 seconds
      send(w, at, "v");
      co_await w.rt.sleep_for(1ms);
    }
    co_await w.buffer.drain();
    EXPECT_GE(w.store.puts, 38u);
    EXPECT_LE(w.store.puts, 44u);
    EXPECT_EQ(w.replica.current().find_partition(at)->high_watermark, offset(10'000));
  });
}

TEST_F(write_buffer, a_full_flush_does_not_wait_for_the_budget) {
  ingest_world w(1, {.flush_interval = 1h, .flush_bytes = 10'000, .saved_puts_max = 0});
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    auto begun = w.rt.now();
    ticket last;
    for (int i = 0; i < 12; ++i) last = send(w, at, std::string(1000, 'x'));
    EXPECT_TRUE(co_await answer(w.rt, send(w, at, "x"), w.rt.now() + 1s) ==
                std::nullopt);  // in the second flush: no budget
    EXPECT_EQ(w.store.puts, 1u);
    EXPECT_LE(w.rt.now() - begun, 1s + 100ms);
    EXPECT_FALSE(last.in->is_done());
    EXPECT_GT(w.replica.current().find_partition(at)->high_watermark, offset(8));
    co_await w.buffer.drain();  // needs none either
    EXPECT_TRUE(last.in->is_done());
  });
}

TEST_F(write_buffer, batches_are_committed_in_order_although_a_later_put_is_faster) {
  ingest_world w(1, {.flush_interval = 1ms});
  w.store.put_delay_of = [](std::size_t n) { return n == 1 ? duration(5s) : duration(1ms); };
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    std::vector<ticket> tickets;
    for (int i = 0; i < 5; ++i) {
      tickets.push_back(send(w, at, std::to_string(i), of_producer(7, i)));
      co_await w.rt.sleep_for(20ms);
    }
    EXPECT_GE(w.store.puts, 5u);
    EXPECT_FALSE(tickets[4].in->is_done());
    for (int i = 0; i < 5; ++i) {
      auto r = co_await answer(w.rt, tickets[std::size_t(i)], w.rt.now() + long_enough);
      EXPECT_TRUE(r && r->error == produce_error::none && r->base_offset == offset(i)) << i;
    }
    EXPECT_EQ(stored_values(w.replica.current(), w.objects, at), (std::vector<std::string>{"0", "1", "2", "3", "4"}));
  });
}

TEST_F(write_buffer, a_lost_batch_holds_back_the_next_ones_of_its_producer_only) {
  ingest_world w(1, {.flush_interval = 1ms});
  w.store.fail_put = [](std::size_t n) { return n == 1 ? std::optional(object_error::unavailable) : std::nullopt; };
  w.store.put_delay_of = [](std::size_t n) { return n == 1 ? duration(1s) : duration(1ms); };
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    auto lost = send(w, at, "a0", of_producer(7, 0));
    co_await w.rt.sleep_for(20ms);
    auto next = send(w, at, "a1", of_producer(7, 1));
    auto other = send(w, at, "b0", of_producer(8, 0));
    auto plain = send(w, at, "c");
    auto until = w.rt.now() + long_enough;
    EXPECT_EQ((co_await answer(w.rt, lost, until))->error, produce_error::not_stored);
    EXPECT_EQ((co_await answer(w.rt, next, until))->error, produce_error::not_stored);
    EXPECT_EQ((co_await answer(w.rt, other, until))->error, produce_error::none);
    EXPECT_EQ((co_await answer(w.rt, plain, until))->error, produce_error::none);
    // Alone it is still held back; after the lost one it goes through.
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "a1", of_producer(7, 1)), until))->error, produce_error::not_stored);
    auto again = send(w, at, "a0", of_producer(7, 0));
    auto after = send(w, at, "a1", of_producer(7, 1));
    EXPECT_EQ((co_await answer(w.rt, again, until))->error, produce_error::none);
    EXPECT_EQ((co_await answer(w.rt, after, until))->error, produce_error::none);
    EXPECT_EQ(stored_values(w.replica.current(), w.objects, at), (std::vector<std::string>{"b0", "c", "a0", "a1"}));
  });
}

// A client with an unanswered batch before the lost one sends that one first, and alone.
TEST_F(write_buffer, an_earlier_batch_that_is_tried_again_is_not_held_back) {
  ingest_world w(1, {.flush_interval = 1ms});
  w.store.fail_put = [](std::size_t n) { return n == 2 ? std::optional(object_error::unavailable) : std::nullopt; };
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    auto until = w.rt.now() + long_enough;
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "a0", of_producer(7, 0)), until))->error, produce_error::none);
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "a1", of_producer(7, 1)), until))->error, produce_error::not_stored);
    auto again = co_await answer(w.rt, send(w, at, "a0", of_producer(7, 0)), until);
    EXPECT_EQ(again->error, produce_error::none);
    EXPECT_TRUE(again->duplicate);
    EXPECT_EQ(again->base_offset, offset(0));
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "a1", of_producer(7, 1)), until))->error, produce_error::none);
  });
}

TEST_F(write_buffer, the_earliest_of_several_losses_is_waited_for) {
  ingest_world w(1, {.flush_interval = 1ms});
  w.store.fail_put = [](std::size_t n) { return n <= 2 ? std::optional(object_error::unavailable) : std::nullopt; };
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    auto until = w.rt.now() + long_enough;
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "a1", of_producer(7, 1)), until))->error, produce_error::not_stored);
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "a0", of_producer(7, 0)), until))->error, produce_error::not_stored);
    // a1 would be taken for the first one of an unknown producer.
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "a1", of_producer(7, 1)), until))->error, produce_error::not_stored);
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "a0", of_producer(7, 0)), until))->error, produce_error::none);
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "a1", of_producer(7, 1)), until))->error, produce_error::none);
  });
}

TEST_F(write_buffer, a_lost_batch_that_came_again_at_another_agent_holds_back_nothing) {
  ingest_world w(1, {.flush_interval = 1ms});
  w.store.fail_put = [](std::size_t n) { return n == 1 ? std::optional(object_error::unavailable) : std::nullopt; };
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    auto until = w.rt.now() + long_enough;
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "a0", of_producer(7, 0)), until))->error, produce_error::not_stored);
    // The other agent's commit.
    metadata::commit_object elsewhere{.object = object_id(uuid::v7(w.world.wall_clock().value(), 1, 2)),
                                      .object_bytes = 100};
    elsewhere.topics.push_back(
        {at.topic,
         {{at.partition,
           {{.bytes = 100, .record_count = 1, .producer = producer_id(7), .producer_epoch = 0, .base_sequence = 0}}}}});
    (void)co_await w.replica.submit(std::move(elsewhere));
    auto r = co_await answer(w.rt, send(w, at, "a1", of_producer(7, 1)), until);
    EXPECT_EQ(r->error, produce_error::none);
    EXPECT_EQ(r->base_offset, offset(1));
  });
}

TEST_F(write_buffer, a_new_epoch_starts_anew_after_a_loss) {
  ingest_world w(1, {.flush_interval = 1ms});
  w.store.fail_put = [](std::size_t n) { return n == 1 ? std::optional(object_error::unavailable) : std::nullopt; };
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    auto until = w.rt.now() + long_enough;
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "a", of_producer(7, 5)), until))->error, produce_error::not_stored);
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "b", of_producer(7, 0, 1)), until))->error, produce_error::none);
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "c", of_producer(7, 1, 1)), until))->error, produce_error::none);
  });
}

TEST_F(write_buffer, sequences_go_round) {
  ingest_world w(1, {.flush_interval = 1ms});
  w.store.fail_put = [](std::size_t n) { return n == 1 ? std::optional(object_error::unavailable) : std::nullopt; };
  constexpr std::int32_t last = std::numeric_limits<std::int32_t>::max();
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    auto until = w.rt.now() + long_enough;
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "a", of_producer(7, last)), until))->error, produce_error::not_stored);
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "b", of_producer(7, 0)), until))->error, produce_error::not_stored);
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "a", of_producer(7, last)), until))->error, produce_error::none);
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "b", of_producer(7, 0)), until))->error, produce_error::none);
  });
}

TEST_F(write_buffer, an_append_whose_answer_is_lost_is_acknowledged_once) {
  ingest_world w(1, {.flush_interval = 1ms});
  int lost = 0;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    w.log.hooks.after_append = [&](metadata::append_id) -> std::optional<metadata::log_error> {
      if (lost++ < 3) return metadata::log_error::unknown;
      return std::nullopt;
    };
    auto r = co_await answer(w.rt, send(w, at, "a"), w.rt.now() + long_enough);
    EXPECT_TRUE(r && r->error == produce_error::none && r->base_offset == offset(0));
    EXPECT_EQ(stored_values(w.replica.current(), w.objects, at), (std::vector<std::string>{"a"}));
  });
  EXPECT_GT(lost, 0);
}

TEST_F(write_buffer, at_the_deadline_the_outcome_is_unknown_and_the_record_may_still_be_stored) {
  ingest_world w(1, {.flush_interval = 1ms});
  bool away = true;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    w.log.hooks.before_append = [&](metadata::append_id) {
      return away ? std::optional(metadata::log_error::unavailable) : std::nullopt;
    };
    auto deadline = w.rt.now() + 2s;
    auto t = send(w, at, "a");
    EXPECT_FALSE(co_await answer(w.rt, t, deadline));
    EXPECT_GE(w.rt.now(), deadline);
    EXPECT_LE(w.rt.now(), deadline + 1ms);
    away = false;
    auto r = co_await answer(w.rt, t, w.rt.now() + long_enough);
    EXPECT_TRUE(r && r->error == produce_error::none);
    EXPECT_EQ(stored_values(w.replica.current(), w.objects, at), (std::vector<std::string>{"a"}));
  });
}

TEST_F(write_buffer, a_flush_that_is_too_old_for_the_log_is_not_stored) {
  ingest_world w(1, {.flush_interval = 1ms});
  bool away = true;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    w.log.hooks.before_append = [&](metadata::append_id) {
      return away ? std::optional(metadata::log_error::unavailable) : std::nullopt;
    };
    auto t = send(w, at, "a", of_producer(7, 0));
    co_await w.rt.sleep_for(601s);  // more than the upload deadline
    away = false;
    auto r = co_await answer(w.rt, t, w.rt.now() + long_enough);
    EXPECT_TRUE(r && r->error == produce_error::not_stored);
    EXPECT_EQ((co_await answer(w.rt, send(w, at, "a", of_producer(7, 0)), w.rt.now() + long_enough))->error,
              produce_error::none);
    EXPECT_EQ(stored_values(w.replica.current(), w.objects, at), (std::vector<std::string>{"a"}));
  });
}

TEST_F(write_buffer, a_full_buffer_admits_again_when_there_is_room) {
  ingest_world w(1, {.flush_interval = 1ms, .flush_bytes = 1000, .buffer_bytes_max = 5000, .uploads_max = 2});
  w.store.put_delay = 1s;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    int sent = 0;
    auto begun = w.rt.now();
    while (w.rt.now() - begun < 20s) {
      co_await w.buffer.admission();
      send(w, at, std::string(900, 'x'));
      ++sent;
      EXPECT_LE(sent - int(w.replica.current().find_partition(at)->high_watermark.value()), 6);
      co_await w.rt.sleep_for(1ms);
    }
    EXPECT_LE(w.store.puts_under_way_max, 2u);
    EXPECT_GT(sent, 30);  // two a second, all the time
    co_await w.buffer.drain();
    EXPECT_FALSE(w.buffer.is_full());
    EXPECT_EQ(w.replica.current().find_partition(at)->high_watermark, offset(sent));
  });
}

TEST_F(write_buffer, what_was_written_is_in_the_cache_at_its_offsets) {
  ingest_world w(1, {.flush_interval = 1ms});
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t", 2);
    topic_partition other{at.topic, partition_index(1)};
    co_await answer(w.rt, send(w, at, "first", of_producer(7, 0)), w.rt.now() + long_enough);
    // A duplicate and a batch out of order split the range of what is new.
    std::vector<ticket> all{send(w, at, "a"),   send(w, at, "first", of_producer(7, 0)),
                            send(w, at, "b"),   send(w, at, "bad", of_producer(7, 9)),
                            send(w, at, "c"),   send(w, at, "d"),
                            send(w, other, "e")};
    for (auto& t : all) co_await answer(w.rt, t, w.rt.now() + long_enough);
    std::size_t ranges = 0;
    for (auto where : {at, other})
      for (const auto& r : w.replica.current().find_partition(where)->ranges) {
        auto cached = w.cache.find({w.replica.current().find_object(r.object).id, r.position});
        EXPECT_TRUE(cached);
        if (!cached) continue;
        ++ranges;
        EXPECT_EQ(cached->bytes(), r.bytes);
        EXPECT_EQ(cached->batches().front().base_offset, r.base_offset);
        EXPECT_EQ(cached->batches().back().end_offset(), r.end_offset());
      }
    EXPECT_EQ(ranges, 5u);
  });
}

struct exploding_store final : object_store {  // breaks its contract: throws
  awaitable<result<void, object_error>> put(std::string, std::vector<shared_bytes>, std::uint32_t,
                                            time_point) override {
    throw std::runtime_error("the store broke");
    co_return result<void, object_error>{};
  }
  awaitable<result<shared_bytes, object_error>> get(std::string, std::uint64_t, std::uint64_t, time_point) override {
    co_return failure(object_error::not_found);
  }
  awaitable<result<std::vector<object_info>, object_error>> list(std::string, time_point) override {
    co_return std::vector<object_info>{};
  }
  awaitable<result<void, object_error>> remove(std::vector<std::string>, time_point) override {
    co_return result<void, object_error>{};
  }
};

// Else every later flush would wait for the broken one, for ever and in silence.
TEST_F(write_buffer, an_upload_that_breaks_ends_the_buffer) {
  ingest_world w;
  exploding_store broken;
  metrics::registry metrics;
  ingest::write_buffer buffer(w.rt, broken, w.replica, w.cache, {}, metrics);
  auto scene = [&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    buffer.add(produced(at, {"a"}), w.rt.now() + long_enough);
    co_await buffer.run();
  };
  EXPECT_THROW(w.play(scene), std::runtime_error);
}

// ---- at random

// What the seeds have provoked, all together: a run without it proves nothing.
struct {
  std::uint64_t not_stored = 0, timed_out = 0, duplicates = 0;
} provoked;

// An idempotent producer with up to five batches in flight, which retries as clients do. `one_by_one` as Java's: while
// a batch is tried again, nothing but the earliest one is sent; else as librdkafka: everything from the failed one on,
// in order.
class random_producer {
 public:
  random_producer(runtime& rt, ingest::write_buffer& buffer, std::int64_t id, topic_partition where, int batches,
                  bool one_by_one)
      : rt_(rt), buffer_(buffer), id_(id), where_(where), batches_(batches), one_by_one_(one_by_one) {}

  awaitable<void> run() {
    while (int(acknowledged_.size()) < batches_) {
      refill();
      if (one_by_one_ && retrying_) {
        co_await take(window_.front());
      } else {
        for (auto& b : window_)
          if (!b.sent) send(b);
        co_await take(window_.front());
        // What was answered meanwhile and has failed is sent again, in order, before anything new.
      }
      while (!window_.empty() && window_.front().done) {
        acknowledged_.push_back(window_.front().at);
        window_.pop_front();
      }
      if (std::ranges::none_of(window_, &batch::failed)) retrying_ = false;
    }
  }
  // By batch: where its record was said to be.
  const std::vector<offset>& acknowledged() const { return acknowledged_; }
  std::string value(std::int64_t batch) const { return fmt::format("p{}-{}", id_, batch); }

 private:
  struct batch {
    int number;
    std::optional<ticket> sent;
    time_point deadline;
    bool failed = false, done = false;
    offset at;
  };
  void refill() {
    if (retrying_) return;
    while (window_.size() < 5 && next_ < batches_) window_.push_back({.number = next_++});
  }
  void send(batch& b) {
    b.deadline = rt_.now() + 600ms;
    b.sent = buffer_.add(produced(where_, {value(b.number)}, of_producer(id_, b.number)), b.deadline);
  }
  awaitable<void> take(batch& first) {
    if (!first.sent) send(first);
    if (!co_await first.sent->in->wait_until(rt_, first.deadline)) {
      ++provoked.timed_out;
      fail_from(first);
    } else {
      auto r = first.sent->in->result(first.sent->index);
      YAKS_CHECK(
          r.error != produce_error::unknown_topic_or_partition && r.error != produce_error::invalid_producer_epoch,
          "no such answer is right");
      // Nothing is before it: it cannot be out of order.
      YAKS_CHECK(r.error != produce_error::out_of_order_sequence, "the earliest batch in flight is never out of order");
      if (r.error == produce_error::none)
        first.done = true, first.failed = false, first.at = r.base_offset;
      else
        ++provoked.not_stored, fail_from(first);
      provoked.duplicates += r.duplicate;
    }
    if (first.failed) co_await rt_.sleep_for(duration(std::int64_t(rt_.random_below(100'000'000))));
  }
  void fail_from(batch& first) {
    retrying_ = true;
    first.failed = true;
    first.sent.reset();
    // The answers of those behind it are failures, too, or come later than our patience: all are sent again.
    for (auto& b : window_)
      if (&b != &first) b.sent.reset(), b.failed = true;
  }

  runtime& rt_;
  ingest::write_buffer& buffer_;
  std::int64_t id_;
  topic_partition where_;
  int batches_, next_ = 0;
  bool one_by_one_, retrying_ = false;
  std::deque<batch> window_;
  std::vector<offset> acknowledged_;
};

void random_run(std::uint64_t seed) {
  SCOPED_TRACE(seed);
  simulated_world world(seed);
  simulated_runtime rt(world);
  metrics::registry metrics;
  metastores::memory_log log([&] { return world.wall_clock(); });
  memory_store objects;
  faulty_store store(
      rt, objects,
      {.unavailable = 60, .slow_down = 30, .unknown_done = 30, .unknown_not_done = 30, .delay_most = 400ms});
  metastores::memory_metastore session(rt, log);
  metastores::faulty_log_store faulty_log(rt, session.log(),
                                          {.unavailable_permille = 60,
                                           .unknown_done_permille = 60,
                                           .unknown_not_done_permille = 40,
                                           .unknown_done_later_permille = 40,
                                           .lost_notification_permille = 100,
                                           .delay_permille = 200,
                                           .delay_max = 300ms,
                                           .late_max = 4s});
  metadata::replica replica(rt, faulty_log, {.registration = {.node = node_id(1), .upload_deadline_ms = 20'000}},
                            metrics, [](const metadata::changes&) {});
  block_cache cache(1u << 20, metrics);
  ingest::write_buffer buffer(rt, store, replica, cache,
                              {.flush_interval = 20ms, .flush_bytes = 600, .upload_deadline = 20s, .uploads_max = 4},
                              metrics);
  task_group tasks(rt.executor()), producing(rt.executor());
  std::deque<random_producer> producers;
  topic_partition at[2];
  auto scene = [&]() -> awaitable<void> {
    co_await session.open();
    tasks.spawn(replica.run());
    co_await replica.wait_until_ready();
    tasks.spawn(buffer.run());
    topic_id id(uuid::v4(seed, 1));
    (void)co_await replica.submit(metadata::create_topic{.id = id, .name = "t", .partitions = 2});
    for (int i = 0; i < 2; ++i) at[i] = {id, partition_index(i)};
    auto produce = [&]() -> awaitable<void> {
      for (int i = 0; i < 4; ++i) {
        producers.emplace_back(rt, buffer, 100 + i, at[i % 2], 25, i < 2);
        producing.spawn(producers.back().run());
      }
      auto calm = rt.now() + 30s;
      while (producing.size() > 0) {
        co_await rt.sleep_for(100ms);
        if (rt.now() > calm) faulty_log.rates = {}, store.set({});
      }
      co_await rt.sleep_for(0ms);
    };
    co_await run_then_close(produce(), producing);
    store.set({});
    faulty_log.rates = {};
    co_await buffer.drain();
    (void)co_await replica.barrier();
    co_await faulty_log.close();
  };
  rt.run(run_then_close(scene(), tasks), 1h);
  for (int i = 0; i < 4; ++i) {
    const auto& p = producers[std::size_t(i)];
    auto values = stored_values(replica.current(), objects, at[i % 2]);
    ASSERT_EQ(p.acknowledged().size(), 25u);
    std::map<std::string, int> times;
    for (const auto& v : values) ++times[v];
    offset last{-1};
    for (std::int64_t n = 0; n < 25; ++n) {
      auto where = p.acknowledged()[std::size_t(n)];
      ASSERT_LT(where.value(), std::int64_t(values.size())) << p.value(n);
      EXPECT_EQ(values[std::size_t(where.value())], p.value(n)) << "at the acknowledged offset";
      EXPECT_EQ(times[p.value(n)], 1) << p.value(n);
      EXPECT_LT(last, where) << "in order";
      last = where;
    }
  }
}

TEST(write_buffer_at_random, every_acknowledged_record_is_there_once_in_order) {
  for (std::uint64_t seed = 1; seed <= 250 && !testing::Test::HasFailure(); ++seed) random_run(seed);
  EXPECT_GT(provoked.not_stored, 1000u);
  EXPECT_GT(provoked.timed_out, 100u);
  EXPECT_GT(provoked.duplicates, 100u);
  RecordProperty("not_stored", int(provoked.not_stored));
  RecordProperty("timed_out", int(provoked.timed_out));
  RecordProperty("duplicates", int(provoked.duplicates));
}
}  // namespace
}  // namespace yaks::ingest
