// Goal: an idempotent producer's batch is stored once, in the order of its sequences, and a repeated one is told from a
// gap (KIP-98, as Apache Kafka 4.2 decides it). Method: the cases one by one, and a long random run of a producer that
// repeats, skips and wraps, against the plain rule.
#include "metadata/producer_state.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace yaks::metadata {
namespace {
constexpr std::int32_t last_sequence = std::numeric_limits<std::int32_t>::max();

batch_commit batch(std::int32_t sequence, std::uint32_t records = 1, std::int16_t epoch = 0) {
  return {.bytes = 100,
          .record_count = records,
          .max_timestamp = timestamp_ms(1),
          .producer = producer_id(9),
          .producer_epoch = epoch,
          .base_sequence = sequence};
}

// A producer whose batches get the offsets 1000, 1001, … and the times 1, 2, …
struct producer {
  producer_state state;
  std::int64_t stored = 0;
  batch_outcome send(const batch_commit& b) {
    auto verdict = state.check(b);
    if (verdict.error == apply_error::none && !verdict.duplicate) {
      state.add(b, offset(1000 + stored), timestamp_ms(1 + stored));
      ++stored;
    }
    return verdict;
  }
  bool stores(const batch_commit& b) {
    auto before = stored;
    send(b);
    return stored == before + 1;
  }
};

TEST(advance_sequence, wraps_after_the_largest) {
  EXPECT_EQ(advance_sequence(0, 1), 1);
  EXPECT_EQ(advance_sequence(last_sequence, 1), 0);
  EXPECT_EQ(advance_sequence(last_sequence - 1, 1), last_sequence);
  EXPECT_EQ(advance_sequence(last_sequence, 5), 4);
  EXPECT_EQ(advance_sequence(0, 0x80000000u), 0);
}

TEST(producer_state, an_unknown_producer_begins_anywhere) {
  for (auto sequence : {0, 1, 77, last_sequence}) {
    producer p;
    EXPECT_TRUE(p.stores(batch(sequence)));
  }
}

TEST(producer_state, the_next_batch_begins_after_the_last_record) {
  producer p;
  EXPECT_TRUE(p.stores(batch(10, 5)));
  for (auto wrong : {0, 9, 11, 14, 16, 17, last_sequence})
    EXPECT_EQ(p.send(batch(wrong, 3)).error, apply_error::out_of_order_sequence) << wrong;
  EXPECT_TRUE(p.stores(batch(15, 1)));
  EXPECT_TRUE(p.stores(batch(16, 1)));
}

TEST(producer_state, sequences_wrap_to_zero_within_a_batch_and_between_two) {
  producer between;
  EXPECT_TRUE(between.stores(batch(last_sequence - 1, 2)));
  EXPECT_EQ(between.send(batch(1)).error, apply_error::out_of_order_sequence);
  EXPECT_TRUE(between.stores(batch(0)));
  producer within;
  EXPECT_TRUE(within.stores(batch(last_sequence - 1, 5)));  // last - 1, last, 0, 1, 2
  EXPECT_EQ(within.send(batch(2)).error, apply_error::out_of_order_sequence);
  EXPECT_TRUE(within.send(batch(last_sequence - 1, 5)).duplicate);
  EXPECT_TRUE(within.stores(batch(3)));
}

TEST(producer_state, a_repeated_batch_has_the_offset_and_time_of_the_first) {
  producer p;
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(p.stores(batch(i * 10, 10)));
  for (int i = 0; i < 5; ++i) {
    auto again = p.send(batch(i * 10, 10));
    EXPECT_EQ(again.error, apply_error::none);
    EXPECT_TRUE(again.duplicate);
    EXPECT_EQ(again.base_offset, offset(1000 + i));
    EXPECT_EQ(again.append_time, timestamp_ms(1 + i));
  }
  EXPECT_EQ(p.stored, 5);
}

TEST(producer_state, the_sixth_batch_forgets_the_first) {
  producer p;
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(p.stores(batch(i)));
  EXPECT_EQ(p.state.batches(), producer_state::window);
  EXPECT_EQ(p.send(batch(0)).error, apply_error::out_of_order_sequence);
  EXPECT_FALSE(p.send(batch(0)).duplicate);
  for (int i = 1; i < 6; ++i) EXPECT_TRUE(p.send(batch(i)).duplicate) << i;
}

// Exact first and last sequence: a client that splits or merges what it sent before has lost count.
TEST(producer_state, a_batch_that_overlaps_is_no_duplicate) {
  producer p;
  EXPECT_TRUE(p.stores(batch(0, 10)));
  for (auto& b : {batch(0, 9), batch(0, 11), batch(1, 9), batch(5, 5), batch(9, 1)})
    EXPECT_EQ(p.send(b).error, apply_error::out_of_order_sequence) << b.base_sequence << "+" << b.record_count;
}

TEST(producer_state, a_new_epoch_begins_at_zero_and_fences_the_old_one) {
  producer p;
  EXPECT_TRUE(p.stores(batch(0, 5, 3)));
  EXPECT_EQ(p.send(batch(5, 1, 4)).error, apply_error::out_of_order_sequence);
  EXPECT_EQ(p.state.epoch(), 3);  // a refused batch changes nothing
  EXPECT_TRUE(p.stores(batch(0, 5, 4)));
  EXPECT_EQ(p.state.epoch(), 4);
  EXPECT_EQ(p.send(batch(5, 1, 3)).error, apply_error::invalid_producer_epoch);
  EXPECT_EQ(p.send(batch(0, 5, 3)).error, apply_error::invalid_producer_epoch);  // stored once, but under the old epoch
  auto again = p.send(batch(0, 5, 4));
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.base_offset, offset(1001));
  EXPECT_TRUE(p.stores(batch(0, 1, std::numeric_limits<std::int16_t>::max())));
}

TEST(producer_state, a_refused_or_repeated_batch_does_not_prolong_its_life) {
  producer p;
  p.send(batch(0));
  p.send(batch(0));
  p.send(batch(7));
  EXPECT_EQ(p.state.last_write(), timestamp_ms(1));
}

TEST(producer_state, agrees_with_the_plain_rule_over_a_long_life) {
  struct sent {
    std::int16_t epoch;
    std::int64_t first, count;
    std::int64_t offset;
  };
  for (unsigned seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    producer p;
    std::deque<sent> window;  // of the current epoch
    std::int16_t epoch = 0;
    std::int64_t next = last_sequence - 200;  // wraps soon
    for (int step = 0; step < 2000; ++step) {
      auto count = std::int64_t(1 + random() % 50);
      auto b_epoch = random() % 100 == 0 ? std::int16_t(epoch + 1 - std::int16_t(random() % 3)) : epoch;
      std::int64_t first = next;
      switch (random() % 5) {
        case 0:  // again, if there is one
          if (window.empty()) break;
          first = window[random() % window.size()].first;
          if (random() % 4 != 0)
            for (const auto& w : window)
              if (w.first == first) count = w.count;
          break;
        case 1:
          first = random() % 2 == 0 ? 0 : std::int64_t(random() % (std::uint64_t(last_sequence) + 1));
          break;
        default:
          break;
      }
      auto b = batch(std::int32_t(first), std::uint32_t(count), b_epoch);
      auto got = p.send(b);
      bool expect_stored = false;
      if (p.stored == (got.error == apply_error::none && !got.duplicate ? 1 : 0)) {
        expect_stored = true;  // nothing was known
      } else if (b_epoch < epoch) {
        EXPECT_EQ(got.error, apply_error::invalid_producer_epoch);
      } else if (b_epoch > epoch) {
        expect_stored = first == 0;
        if (!expect_stored) EXPECT_EQ(got.error, apply_error::out_of_order_sequence);
      } else {
        const sent* same = nullptr;
        for (const auto& w : window)
          if (w.first == first && w.count == count) same = &w;
        if (same) {
          EXPECT_TRUE(got.duplicate);
          EXPECT_EQ(got.base_offset, offset(same->offset));
        } else if (first == next) {
          expect_stored = true;
        } else {
          EXPECT_EQ(got.error, apply_error::out_of_order_sequence);
        }
      }
      ASSERT_EQ(expect_stored, got.error == apply_error::none && !got.duplicate) << "seed " << seed << " step " << step;
      if (!expect_stored) continue;
      if (b_epoch != epoch) window.clear();
      epoch = b_epoch;
      window.push_back({b_epoch, first, count, 1000 + p.stored - 1});
      if (window.size() > 5) window.pop_front();
      next = (first + count) % (std::int64_t(last_sequence) + 1);
    }
    EXPECT_GT(p.stored, 500) << seed;
  }
}
}  // namespace
}  // namespace yaks::metadata
