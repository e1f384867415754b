// Goal: a cached range serves exactly the batches that were stored, at the log's offsets, and the cache stays in its budget.
// Method: batches from the builder; damage, lookups at every offset, slices compared byte by byte, eviction order.
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

TEST(block_cache, drops_the_least_recently_used) {
  metrics::registry metrics;
  auto one = [](offset at) { return cached_range::make({batch_of(1, std::string(1000, 'x'))}, at, true); };
  auto charge = one(offset(0))->charge();
  block_cache cache(charge * 3, metrics);
  auto key = [](std::uint32_t n) { return range_key{object_id(uuid::v4(1, 1)), n}; };
  for (std::uint32_t n = 0; n < 3; ++n) cache.insert(key(n), one(offset(n)));
  EXPECT_TRUE(cache.find(key(0)));  // now 1 is the oldest
  cache.insert(key(3), one(offset(3)));
  EXPECT_TRUE(cache.find(key(0)));
  EXPECT_FALSE(cache.find(key(1)));
  EXPECT_TRUE(cache.find(key(2)));
  EXPECT_TRUE(cache.find(key(3)));
  EXPECT_EQ(cache.bytes(), charge * 3);
  cache.erase(key(0));
  EXPECT_EQ(cache.bytes(), charge * 2);
}

TEST(block_cache, does_not_keep_what_is_larger_than_itself) {
  metrics::registry metrics;
  block_cache cache(100, metrics);
  range_key key{object_id(uuid::v4(1, 1)), 0};
  cache.insert(key, cached_range::make({batch_of(1, std::string(1000, 'x'))}, offset(0), true));
  EXPECT_FALSE(cache.find(key));
  EXPECT_EQ(cache.bytes(), 0u);
}
}  // namespace
}  // namespace yaks
