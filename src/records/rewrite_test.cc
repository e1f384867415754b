// Goal: a batch that is compressed again holds the same records under the same header, and what its records hide when they
// are compressed is found. Method: every compression into every other one, read back; records that break a rule.
#include "records/rewrite.hpp"

#include <gtest/gtest.h>

#include "records/builder.hpp"
#include "records/record.hpp"

namespace yaks::records {
namespace {
constexpr compression_type all_types[] = {compression_type::none, compression_type::gzip, compression_type::snappy,
                                          compression_type::lz4, compression_type::zstd};
constexpr std::size_t plenty = 1 << 20;

std::vector<std::byte> batch_of(compression_type type, std::optional<std::string_view> key = "key") {
  batch_builder b({.compression = type, .producer = producer_id(7), .producer_epoch = 1, .base_sequence = 3});
  for (int i = 0; i < 50; ++i) b.add(timestamp_ms(1000 + i), key, std::string(100, char('a' + i % 20)));
  return b.build();
}

std::vector<std::string> values_of(const batch_view& batch) {
  auto body = plain_body::open(batch, plenty);
  EXPECT_TRUE(body);
  std::vector<std::string> values;
  record_reader reader(body->bytes());
  for (record_view r; reader.next(r);) values.emplace_back(as_text(*r.value));
  EXPECT_FALSE(reader.broken());
  return values;
}

TEST(rewrite, every_compression_becomes_every_other) {
  for (auto from : all_types)
    for (auto to : all_types) {
      SCOPED_TRACE(std::string(name_of(from)) + " to " + std::string(name_of(to)));
      auto sent = batch_of(from);
      auto out = rewrite_produced(sent, {}, {.compression = to, .levels = {}, .plain_bytes_max = plenty});
      ASSERT_TRUE(out);
      EXPECT_EQ(out->bytes.empty(), from == to);
      auto before = *batch_view::parse(sent), after = from == to ? before : *batch_view::parse(out->bytes.view());
      EXPECT_TRUE(after.crc_matches());
      EXPECT_EQ(after.compression(), to);
      EXPECT_EQ(values_of(after), values_of(before));
      EXPECT_EQ(after.producer(), producer_id(7));
      EXPECT_EQ(after.base_sequence(), 3);
      EXPECT_EQ(after.record_count(), 50);
      EXPECT_EQ(after.max_timestamp(), before.max_timestamp());
      EXPECT_EQ(out->info, *validate_produced(after.bytes(), {}));
    }
}

TEST(rewrite, every_level_is_readable_and_a_higher_one_is_smaller) {
  auto sent = batch_of(compression_type::none);
  auto size = [&](compression_type type, compression_levels levels) {
    return rewrite_produced(sent, {}, {.compression = type, .levels = levels, .plain_bytes_max = plenty})->bytes.size();
  };
  EXPECT_LE(size(compression_type::zstd, {.zstd = 22}), size(compression_type::zstd, {.zstd = -131072}));
  for (int level : {-1, 1, 4, 9}) {
    auto out = rewrite_produced(sent, {}, {.compression = compression_type::gzip, .levels = {.gzip = level}, .plain_bytes_max = plenty});
    ASSERT_TRUE(out);
    EXPECT_EQ(values_of(*batch_view::parse(out->bytes.view())), values_of(*batch_view::parse(sent))) << level;
  }
  EXPECT_LE(size(compression_type::lz4, {.lz4 = 17}), size(compression_type::lz4, {.lz4 = 9}));
}

TEST(rewrite, records_are_checked_although_they_are_compressed) {
  for (auto type : all_types) {
    produce_rules keys{.requires_keys = true};
    auto keyless = batch_of(type, std::nullopt);
    auto out = rewrite_produced(keyless, keys, {.compression = {}, .levels = {}, .plain_bytes_max = plenty});
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().fault, batch_fault::missing_key);
    EXPECT_EQ(out.error().record_index, 0);
    auto good = batch_of(type);
    EXPECT_TRUE(rewrite_produced(good, keys, {.compression = {}, .levels = {}, .plain_bytes_max = plenty}));
  }
}

TEST(rewrite, limits_hold) {
  auto sent = batch_of(compression_type::zstd);
  auto bomb = rewrite_produced(sent, {}, {.compression = {}, .levels = {}, .plain_bytes_max = 100});
  ASSERT_FALSE(bomb);
  EXPECT_EQ(bomb.error().fault, batch_fault::decompressed_too_large);
  produce_rules small{.batch_bytes_max = std::uint32_t(sent.size())};
  auto grown = rewrite_produced(sent, small, {.compression = compression_type::none, .levels = {}, .plain_bytes_max = plenty});
  ASSERT_FALSE(grown);
  EXPECT_EQ(grown.error().fault, batch_fault::batch_too_large);
  auto broken = sent;
  for (std::size_t i = batch_header_bytes; i < broken.size(); ++i) broken[i] = std::byte(0x5a);
  reseal(broken);
  auto refused = rewrite_produced(broken, {}, {.compression = {}, .levels = {}, .plain_bytes_max = plenty});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, batch_fault::broken_compression);
}
}  // namespace
}  // namespace yaks::records
