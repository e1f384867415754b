// Goal: a record says who sent it, and every change of it is noticed.
// Method: make records, parse them back, then flip every single bit of key and value, cut and lengthen them.
#include "oracle/record.hpp"

#include <gtest/gtest.h>

#include <set>

namespace yaks::oracle {
namespace {
const record_identity someone{
    .run = 0x1122334455667788, .producer = 7, .slot = 3, .sequence = 991, .timestamp_ms = 1700000000123};

TEST(record, comes_back_as_it_was_made) {
  std::string value;
  for (std::size_t bytes : {48, 49, 55, 56, 57, 300}) {
    std::uint64_t checksum = make_value(someone, 5, bytes, value);
    EXPECT_EQ(value.size(), bytes);
    parsed_record parsed = parse_record(as_bytes(make_key(someone)), as_bytes(value), someone.timestamp_ms);
    EXPECT_EQ(parsed.what, damage::none);
    EXPECT_EQ(parsed.id, someone);
    EXPECT_EQ(parsed.checksum, checksum);
  }
}

TEST(record, every_flipped_bit_is_noticed) {
  std::string key = make_key(someone), value;
  make_value(someone, 5, 131, value);
  auto each_bit = [](std::string& text, auto&& look) {
    for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
      look();
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << bit % 8));
    }
  };
  each_bit(value, [&] { EXPECT_NE(parse_record(as_bytes(key), as_bytes(value), -1).what, damage::none); });
  each_bit(key, [&] { EXPECT_EQ(parse_record(as_bytes(key), as_bytes(value), -1).what, damage::key); });
  EXPECT_EQ(parse_record(as_bytes(key), as_bytes(value), -1).what, damage::none);
}

TEST(record, every_other_length_is_noticed) {
  std::string key = make_key(someone), value;
  make_value(someone, 5, 131, value);
  for (std::size_t bytes = 0; bytes < value.size(); ++bytes)
    EXPECT_NE(parse_record(as_bytes(key), as_bytes(value.substr(0, bytes)), -1).what, damage::none);
  EXPECT_EQ(parse_record(as_bytes(key), as_bytes(value + '\0'), -1).what, damage::checksum);
  EXPECT_EQ(parse_record(as_bytes(key + "0"), as_bytes(value), -1).what, damage::key);
}

TEST(record, swapped_words_are_noticed) {
  std::string key = make_key(someone), value;
  make_value(someone, 5, 131, value);
  std::swap_ranges(value.begin() + 64, value.begin() + 72, value.begin() + 80);
  EXPECT_EQ(parse_record(as_bytes(key), as_bytes(value), -1).what, damage::checksum);
}

TEST(record, another_timestamp_is_noticed_unless_the_broker_sets_it) {
  std::string key = make_key(someone), value;
  make_value(someone, 5, 131, value);
  EXPECT_EQ(parse_record(as_bytes(key), as_bytes(value), someone.timestamp_ms + 1).what, damage::timestamp);
  EXPECT_EQ(parse_record(as_bytes(key), as_bytes(value), -1).what, damage::none);
}

TEST(record, foreign_values_are_foreign) {
  EXPECT_EQ(parse_record({}, {}, 0).what, damage::foreign);
  EXPECT_EQ(parse_record({}, as_bytes(std::string(200, 'x')), 0).what, damage::foreign);
}

TEST(record, partitions_are_used_evenly_and_sizes_vary_around_the_mean) {
  std::array<int, 6> used{};
  double bytes = 0;
  std::set<std::size_t> sizes;
  for (std::uint64_t sequence = 0; sequence < 6000; ++sequence) {
    ++used[slot_of(9, 1, sequence, 6)];
    std::size_t size = value_bytes_of(9, 1, sequence, 256);
    EXPECT_GE(size, 128u);
    EXPECT_LE(size, 384u);
    sizes.insert(size);
    bytes += static_cast<double>(size);
  }
  for (int n : used) EXPECT_NEAR(n, 1000, 150);
  EXPECT_NEAR(bytes / 6000, 256, 5);
  EXPECT_GT(sizes.size(), 200u);
  EXPECT_EQ(value_bytes_of(9, 1, 0, 1), record_header_bytes);
}
}  // namespace
}  // namespace yaks::oracle
