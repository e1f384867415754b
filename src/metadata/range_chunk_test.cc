// Goal: a chunk gives back its ranges and stays small; the state lets go of exactly what the index holds.
// Method: random ranges there and back, damage, sizes; a history whose older half is handed to the index.
#include "metadata/range_chunk.hpp"

#include <gtest/gtest.h>

#include <random>

#include "metadata/metadata_testing.hpp"

namespace yaks::metadata {
namespace {
std::vector<range> some_ranges(std::mt19937_64& random, std::size_t n) {
  std::vector<range> ranges;
  offset at(std::int64_t(random() % 1'000'000));
  object_number object = 5'000 + random() % 1000;
  for (std::size_t i = 0; i < n; ++i) {
    range r{.base_offset = at, .object = object += 1 + random() % 3, .position = std::uint32_t(random() % 5'000'000),
            .bytes = std::uint32_t(100 + random() % 60'000), .record_count = std::uint32_t(1 + random() % 300),
            .batch_count = std::uint32_t(1 + random() % 4), .max_timestamp = timestamp_ms(1'700'000'000'000 + std::int64_t(i * 250))};
    at = r.end_offset();
    ranges.push_back(r);
  }
  return ranges;
}

TEST(range_chunk, round_trips_and_is_small) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100; ++i) {
    auto ranges = some_ranges(random, 1 + random() % 200);
    auto bytes = encode_ranges(ranges);
    EXPECT_EQ(decode_ranges(ranges.front().base_offset, ranges.front().object, as_bytes(bytes)), ranges);
  }
  auto hundred = some_ranges(random, 100);
  EXPECT_LE(encode_ranges(hundred).size(), 1'600u);
}

TEST(range_chunk, a_merge_moves_what_it_names_and_changes_nothing_else) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 200; ++i) {
    auto all = some_ranges(random, 1 + random() % 350);
    all[random() % all.size()].batch_count |= 1u << 31;  // has_append_time
    std::vector<std::vector<range>> chunks;
    for (std::size_t at = 0; at < all.size();) {
      auto n = std::min(all.size() - at, std::size_t(1 + random() % 120));
      chunks.emplace_back(all.begin() + std::ptrdiff_t(at), all.begin() + std::ptrdiff_t(at + n));
      at += n;
    }
    auto first = random() % all.size(), last = first + 1 + random() % (all.size() - first);
    auto from = all[first].base_offset, to = all[last - 1].end_offset();
    std::uint64_t bytes = 0, position = 777;
    auto wanted = all;
    for (auto r = first; r < last; ++r) {
      wanted[r].object = 9'000;
      wanted[r].position = std::uint32_t(position + bytes);
      bytes += all[r].bytes;
    }
    auto merged = merged_chunks(chunks, from, to, 9'000, position, bytes);
    ASSERT_TRUE(merged.has_value());
    std::vector<range> got;
    for (const auto& c : *merged) {
      EXPECT_LE(c.size(), ranges_per_chunk_max);
      got.insert(got.end(), c.begin(), c.end());
    }
    EXPECT_EQ(got, wanted);
    EXPECT_EQ(merged->size(), (all.size() + ranges_per_chunk_max - 1) / ranges_per_chunk_max);
    // Of ranges that are others than those that were read, nothing becomes of it.
    EXPECT_FALSE(merged_chunks(chunks, from, to, 9'000, position, bytes + 1));
    EXPECT_FALSE(merged_chunks(chunks, from, to, 9'000, position, bytes - 1));
    EXPECT_FALSE(merged_chunks(chunks, from, to, 9'000, (std::uint64_t(1) << 32) - bytes + 1, bytes));
    EXPECT_FALSE(merged_chunks(chunks, from + -1, to, 9'000, position, bytes));
    EXPECT_FALSE(merged_chunks(chunks, from, to + 1, 9'000, position, bytes));
    if (all[last - 1].record_count > 1) EXPECT_FALSE(merged_chunks(chunks, from, to + -1, 9'000, position, bytes));
    EXPECT_FALSE(merged_chunks(std::span(chunks).first(0), from, to, 9'000, position, bytes));
  }
}

TEST(range_chunk, cut_bytes_never_read_beyond_and_never_agree) {
  std::mt19937_64 random(2);
  auto ranges = some_ranges(random, 5);
  auto bytes = encode_ranges(ranges);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    auto got = decode_ranges(ranges.front().base_offset, ranges.front().object, as_bytes(std::string_view(bytes).substr(0, cut)));
    EXPECT_TRUE(!got || got->size() < ranges.size());
  }
}

TEST(advance_index, lets_go_of_whole_ranges_and_of_their_objects) {
  test_log log;
  log.register_writer(1);
  log.append(test_incarnation(1), {create_topic{test_topic(1), "t", 1, {}}});
  for (int i = 0; i < 10; ++i)
    log.append(test_incarnation(1), {commit_object{object_id(uuid::v7(log.time.value(), std::uint64_t(i), 1)), 100,
                                                   {{test_topic(1), {{partition_index(0), {{.bytes = 100, .record_count = 3}}}}}}}});
  topic_partition at{test_topic(1), partition_index(0)};
  ASSERT_EQ(log.state().object_count(), 10u);
  auto advance = [&](std::int64_t end, std::uint32_t generation = 0) {
    log.append(test_incarnation(1), {advance_index{{{at.topic, at.partition, offset(end), generation}}}});
    EXPECT_EQ(log.state().digest(), log.state().recompute_digest());
  };
  advance(13);  // inside the fifth range: four leave
  const auto* p = log.state().find_partition(at);
  EXPECT_EQ(p->state_begin(), offset(12));
  EXPECT_EQ(p->ranges.size(), 6u);
  EXPECT_EQ(log.state().object_count(), 6u);
  EXPECT_EQ(p->high_watermark, offset(30));
  EXPECT_EQ(p->bytes, 1000u);
  EXPECT_EQ(p->find(offset(5)), p->ranges.end());
  advance(13);            // again: nothing
  advance(30, 7);         // of another generation: void
  EXPECT_EQ(p->ranges.size(), 6u);
  advance(30);
  EXPECT_TRUE(p->ranges.empty());
  EXPECT_EQ(p->state_begin(), offset(30));
  EXPECT_EQ(log.state().object_count(), 0u);
  log.append(test_incarnation(1), {delete_topic{at.topic}});
  EXPECT_EQ(log.state().digest(), log.state().recompute_digest());
}
}  // namespace
}  // namespace yaks::metadata
