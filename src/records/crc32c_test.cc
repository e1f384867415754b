// Goal: the checksum is CRC-32C, and combining or changing it without reading the bytes is exact.
// Method: the vectors of RFC 3720, a bit by bit computation as reference for every length around the switch between the
// two implementations, and random splits and changes against direct computation.
#include <gtest/gtest.h>
// gtest first: rapidcheck's header needs it.
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "records/crc32c.hpp"

namespace yaks::records {
namespace {
std::uint32_t bit_by_bit(byte_view bytes) {
  std::uint32_t crc = ~0u;
  for (std::byte b : bytes) {
    crc ^= std::to_integer<std::uint32_t>(b);
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc;
}

std::vector<std::byte> random_bytes(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(size);
  std::ranges::generate(bytes, [&] { return std::byte(random()); });
  return bytes;
}

TEST(crc32c, matches_the_vectors_of_rfc_3720) {
  std::vector<std::byte> bytes(32);
  EXPECT_EQ(crc32c(bytes), 0x8a9136aau);
  std::ranges::fill(bytes, std::byte(0xff));
  EXPECT_EQ(crc32c(bytes), 0x62a8ab43u);
  for (int i = 0; i < 32; ++i) bytes[std::size_t(i)] = std::byte(i);
  EXPECT_EQ(crc32c(bytes), 0x46dd794eu);
  std::ranges::reverse(bytes);
  EXPECT_EQ(crc32c(bytes), 0x113fdb5cu);
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c({}), 0u);
}

TEST(crc32c, matches_the_definition_at_every_length_and_alignment) {
  auto bytes = random_bytes(700, 1);
  for (std::size_t from = 0; from < 9; ++from)
    for (std::size_t size = 0; size + from <= bytes.size(); ++size) {
      byte_view view(bytes.data() + from, size);
      ASSERT_EQ(crc32c(view), bit_by_bit(view)) << "from " << from << " size " << size;
    }
}

TEST(crc32c, chains) {
  auto bytes = random_bytes(5000, 2);
  byte_view all(bytes);
  for (std::size_t cut : {0, 1, 100, 199, 200, 201, 2500, 4801, 4999, 5000})
    EXPECT_EQ(crc32c(all.subspan(cut), crc32c(all.first(cut))), crc32c(all)) << cut;
}

TEST(crc32c, combines_at_every_length) {
  auto bytes = random_bytes(1500, 3);
  byte_view all(bytes);
  for (std::size_t cut = 0; cut <= all.size(); ++cut)
    ASSERT_EQ(crc32c_combine(crc32c(all.first(cut)), crc32c(all.subspan(cut)), all.size() - cut), crc32c(all)) << cut;
}

RC_GTEST_PROP(crc32c, combines_any_parts, ()) {
  auto parts =
      *rc::gen::container<std::vector<std::vector<std::uint8_t>>>(rc::gen::arbitrary<std::vector<std::uint8_t>>());
  std::vector<std::uint8_t> joined;
  std::uint32_t combined = 0;
  for (const auto& part : parts) {
    joined.insert(joined.end(), part.begin(), part.end());
    combined = crc32c_combine(combined, crc32c(std::as_bytes(std::span(part))), part.size());
  }
  RC_ASSERT(combined == crc32c(std::as_bytes(std::span(joined))));
}

TEST(crc32c, combines_lengths_beyond_memory) {
  // Appending n and then m zero bytes is appending n + m, whatever the table of powers does with the digits of each.
  const std::uint32_t crc = crc32c(as_bytes("yaks"));
  std::mt19937_64 random(4);
  for (int i = 0; i < 1000; ++i) {
    std::uint64_t n = random() >> (random() % 63 + 1), m = random() >> (random() % 63 + 1);
    ASSERT_EQ(crc32c_combine(crc32c_combine(crc, 0, n), 0, m), crc32c_combine(crc, 0, n + m)) << n << ' ' << m;
    ASSERT_EQ(detail::append_zeros_portable(crc, n), crc32c_combine(crc, 0, n)) << n;
  }
  // 16^6 - 1 and 16^6 bytes, whose digits use the low and the high rows, against bytes that were read.
  auto bytes = random_bytes((1 << 24) + 5, 5);
  byte_view all(bytes);
  for (std::size_t size : {(1 << 24) - 1, 1 << 24})
    EXPECT_EQ(crc32c_combine(crc32c(all.first(5)), crc32c(all.subspan(5, size)), size), crc32c(all.first(5 + size)));
}

TEST(crc32c, follows_changes_without_reading_the_rest) {
  auto bytes = random_bytes(3000, 6);
  std::mt19937_64 random(7);
  for (int i = 0; i < 500; ++i) {
    std::uint32_t before = crc32c(bytes);
    std::size_t at = random() % bytes.size(), size = random() % std::min<std::size_t>(bytes.size() - at + 1, 300);
    auto change = random_bytes(size, random());
    for (std::size_t j = 0; j < size; ++j) bytes[at + j] ^= change[j];
    ASSERT_EQ(crc32c_after_change(before, change, bytes.size() - at - size), crc32c(bytes)) << at << ' ' << size;
  }
}
}  // namespace
}  // namespace yaks::records
