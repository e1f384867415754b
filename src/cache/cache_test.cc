// Goal: a cached range serves exactly the batches that were stored, at the log's offsets, and the cache stays in its
// budget. Method: batches from the builder; damage, lookups at every offset, slices compared byte by byte, eviction
// order, scans.
#include <gtest/gtest.h>

#include "cache/block_cache.hpp"
#include "cache/cached_range.hpp"
#include "records/builder.hpp"

namespace yaks {
namespace {
shared_bytes batch_of(int records, std::string_view value = "value") {
  records::batch_builder builder;
  for (int i = 0; i < records; ++i) builder.add(timestamp_ms(1000 + i), std::nullopt, value);
  return shared_bytes::copy_of(builder.build());
}

shared_bytes joined(std::vector<shared_bytes> parts) {
  std::string all;
  for (const auto& p : parts) all += as_text(p.view());
  return shared_bytes::copy_of(as_bytes(all));
}

TEST(cached_range, gives_batches_their_offsets_and_finds_them) {
  auto range = cached_range::make({batch_of(3), joined({batch_of(1), batch_of(2)})}, offset(100), true);
  ASSERT_TRUE(range);
  ASSERT_EQ(range->batches().size(), 3u);
  for (std::int64_t at = 100; at < 106; ++at) {
    auto index = range->find(offset(at));
    ASSERT_LT(index, 3u);
    EXPECT_EQ(index, at < 103 ? 0u : at < 104 ? 1u : 2u);
    auto batch = records::batch_view::parse(range->batch_bytes(index).view());
    ASSERT_TRUE(batch);
    EXPECT_TRUE(batch->crc_matches());
    EXPECT_EQ(batch->base_offset(), range->batches()[index].base_offset);
    EXPECT_EQ(batch->leader_epoch(), leader_epoch);
  }
  EXPECT_EQ(range->find(offset(99)), 3u);
  EXPECT_EQ(range->find(offset(106)), 3u);
}

TEST(cached_range, slices_join_neighbours_of_one_segment) {
  auto range = cached_range::make({batch_of(1), joined({batch_of(1), batch_of(1)})}, offset(0), true);
  ASSERT_TRUE(range);
  std::vector<shared_bytes> slices;
  range->append_slices(0, 3, slices);
  ASSERT_EQ(slices.size(), 2u);
  EXPECT_EQ(slices[0].size() + slices[1].size(), range->bytes());
  slices.clear();
  range->append_slices(2, 3, slices);
  ASSERT_EQ(slices.size(), 1u);
  EXPECT_EQ(slices[0].size(), range->batches()[2].bytes);
}

TEST(cached_range, refuses_damaged_and_cut_bytes) {
  for (std::size_t at : {std::size_t(17), std::size_t(61), std::size_t(70)}) {
    auto bytes = batch_of(2);
    bytes.writable()[at] ^= std::byte(1);
    EXPECT_FALSE(cached_range::make({bytes}, offset(0), true)) << at;
  }
  auto whole = batch_of(2);
  for (std::size_t size = 1; size < whole.size(); ++size)
    EXPECT_FALSE(cached_range::make({whole.slice(0, size)}, offset(0), true)) << size;
}

// ---- the cache

range_key key(std::uint32_t n) {
  return {object_id(uuid::v4(1, 1)), n};
}
block_cache::entry one(std::size_t bytes = 1000) {
  return cached_range::make({batch_of(1, std::string(bytes, 'x'))}, offset(0), true);
}

struct cache_of {  // so many ranges of one()
  metrics::registry metrics;
  std::size_t charge = one()->charge();
  block_cache cache;
  explicit cache_of(std::size_t ranges) : cache(one()->charge() * ranges, metrics) {}
  std::size_t held() const { return cache.bytes() / charge; }
  std::vector<std::uint32_t> there(std::uint32_t first, std::uint32_t last) const {
    std::vector<std::uint32_t> found;
    for (auto n = first; n < last; ++n)
      if (cache.peek(key(n))) found.push_back(n);
    return found;
  }
};

TEST(block_cache, drops_the_least_recently_used) {
  cache_of c(8);  // 7 of them for the tail
  for (std::uint32_t n = 0; n < 7; ++n) c.cache.insert(key(n), one());
  EXPECT_TRUE(c.cache.find(key(0)));  // now 1 is the oldest
  c.cache.insert(key(7), one());
  EXPECT_EQ(c.there(0, 8), (std::vector<std::uint32_t>{0, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(c.cache.bytes(), c.charge * 7);
  c.cache.erase(key(0));
  EXPECT_EQ(c.cache.bytes(), c.charge * 6);
  c.cache.insert(key(7), one());  // again: it is there once
  EXPECT_EQ(c.cache.bytes(), c.charge * 6);
}

TEST(block_cache, a_backfill_never_evicts_the_tail) {
  cache_of c(64);
  for (std::uint32_t n = 0; n < 56; ++n) c.cache.insert(key(n), one());
  // Three readers of the same old data, one after the other, who also read each range with several fetches.
  for (int reader = 0; reader < 3; ++reader)
    for (std::uint32_t n = 1000; n < 1200; ++n) {
      c.cache.insert(key(n), one(), range_use::backfill);
      for (int fetch = 0; fetch < 3; ++fetch) EXPECT_TRUE(c.cache.find(key(n)));
    }
  EXPECT_EQ(c.there(0, 56).size(), 56u);
  EXPECT_EQ(c.there(1000, 1200).size(), 8u);
  EXPECT_LE(c.cache.bytes(), c.charge * 64);
}

TEST(block_cache, the_tail_takes_its_room_back_from_a_backfill) {
  cache_of c(64);
  for (std::uint32_t n = 1000; n < 1200; ++n) c.cache.insert(key(n), one(), range_use::backfill);
  EXPECT_EQ(c.there(1000, 1200).size(), 64u);  // nobody else needed it
  for (std::uint32_t n = 0; n < 100; ++n) c.cache.insert(key(n), one());
  EXPECT_EQ(c.there(0, 100).size(), 56u);
  EXPECT_TRUE(c.cache.peek(key(99)));
  EXPECT_EQ(c.there(1000, 1200).size(), 8u);
}

TEST(block_cache, what_is_wanted_again_later_stays_while_a_scan_passes) {
  cache_of c(64);
  for (std::uint32_t n = 0; n < 4; ++n) {
    c.cache.insert(key(n), one(), range_use::backfill);
    c.cache.find(key(n));
  }
  for (std::uint32_t n = 100; n < 120; ++n) c.cache.insert(key(n), one(), range_use::backfill);
  for (std::uint32_t n = 0; n < 2; ++n) EXPECT_TRUE(c.cache.find(key(n)));  // wanted again, the other two are not
  for (std::uint32_t n = 200; n < 400; ++n) c.cache.insert(key(n), one(), range_use::backfill);
  EXPECT_EQ(c.there(0, 4), (std::vector<std::uint32_t>{0, 1}));
  // Not even that is safe from the tail's needs.
  for (std::uint32_t n = 500; n < 556; ++n) c.cache.insert(key(n), one());
  EXPECT_EQ(c.there(500, 556).size(), 56u);
  EXPECT_LE(c.cache.bytes(), c.charge * 64);
}

TEST(block_cache, counts_what_slices_pin_and_each_chunk_once) {
  metrics::registry metrics;
  block_cache cache(std::size_t(1) << 20, metrics);
  std::vector<shared_bytes> parts;
  for (int i = 0; i < 10; ++i) parts.push_back(batch_of(1, std::string(100, 'x')));
  auto download = joined(parts);
  std::size_t size = parts[0].size(), index = 0;
  for (std::uint32_t i = 0; i < 10; ++i) {
    auto range = cached_range::make({download.slice(i * size, size)}, offset(i), true);
    ASSERT_TRUE(range);
    EXPECT_EQ(range->charge(), range->index_bytes() + download.size());
    index = range->index_bytes();
    cache.insert(key(i), std::move(range));
    EXPECT_EQ(cache.bytes(), download.size() + (i + 1) * index);
  }
  for (std::uint32_t i = 0; i < 9; ++i) cache.erase(key(i));
  EXPECT_EQ(cache.bytes(), download.size() + index);  // the last slice still keeps all of it
  cache.erase(key(9));
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(block_cache, stays_in_its_budget_whatever_comes) {
  metrics::registry metrics;
  block_cache cache(100'000, metrics);
  std::uint64_t chance = 1;
  auto draw = [&](std::uint64_t below) {
    chance = chance * 6364136223846793005ull + 1442695040888963407ull;
    return (chance >> 33) % below;
  };
  for (int i = 0; i < 20'000; ++i) {
    auto at = key(std::uint32_t(draw(200)));
    switch (draw(4)) {
      case 0:
        cache.insert(at, one(draw(5000)), draw(2) ? range_use::tail : range_use::backfill);
        break;
      case 1:
        cache.erase(at);
        break;
      default:
        cache.find(at);
    }
    ASSERT_LE(cache.bytes(), 100'000u);
  }
  for (std::uint32_t n = 0; n < 200; ++n) cache.erase(key(n));
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(block_cache, does_not_keep_what_is_larger_than_itself) {
  metrics::registry metrics;
  block_cache cache(5000, metrics);
  cache.insert(key(0), one());
  for (auto use : {range_use::tail, range_use::backfill}) {
    cache.insert(key(1), one(5000), use);
    EXPECT_FALSE(cache.find(key(1)));
  }
  EXPECT_TRUE(cache.find(key(0)));  // nothing had to go for it
}
}  // namespace
}  // namespace yaks
