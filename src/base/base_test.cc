// Goal: the small values under everything else behave at their edges.
// Method: known vectors (RFC 9562, protobuf's zigzag), round trips, and every truncated prefix.
#include <gtest/gtest.h>

#include "base/utf8.hpp"

#include "base/bytes.hpp"
#include "base/endian.hpp"
#include "base/strong.hpp"
#include "base/uuid.hpp"
#include "base/varint.hpp"

namespace yaks {
namespace {
TEST(varint, round_trips_and_refuses_every_prefix) {
  for (std::uint64_t value : {0ull, 1ull, 127ull, 128ull, 300ull, 0xffffffffull, ~0ull}) {
    std::byte buffer[varint_bytes_max];
    std::size_t size = store_uvarint(buffer, value);
    byte_view in(buffer, size);
    std::uint64_t back = 0;
    ASSERT_TRUE(take_uvarint(in, back));
    EXPECT_EQ(back, value);
    EXPECT_TRUE(in.empty());
    for (std::size_t cut = 0; cut < size; ++cut) {
      byte_view prefix(buffer, cut);
      EXPECT_FALSE(take_uvarint(prefix, back));
    }
  }
}

TEST(varint, refuses_more_than_64_bits) {
  std::byte buffer[10];
  for (auto& b : buffer) b = std::byte(0xff);
  buffer[9] = std::byte(2);
  byte_view in(buffer, 10);
  std::uint64_t value;
  EXPECT_FALSE(take_uvarint(in, value));
}

TEST(varint, zigzag_matches_protobuf) {
  EXPECT_EQ(zigzag(0), 0u);
  EXPECT_EQ(zigzag(-1), 1u);
  EXPECT_EQ(zigzag(1), 2u);
  EXPECT_EQ(zigzag(INT64_MIN), UINT64_MAX);
  for (std::int64_t n : {INT64_MIN, std::int64_t(-5), std::int64_t(0), INT64_MAX}) EXPECT_EQ(unzigzag(zigzag(n)), n);
}

TEST(uuid, text_round_trips) {
  auto id = uuid::v4(0x0123456789abcdefull, 0xfedcba9876543210ull);
  EXPECT_EQ(id.text(), "01234567-89ab-4def-bedc-ba9876543210");
  EXPECT_EQ(uuid::parse(id.text()), id);
  EXPECT_FALSE(uuid::parse("01234567-89ab-4def-bedc-ba987654321"));
  EXPECT_FALSE(uuid::parse("01234567x89ab-4def-bedc-ba9876543210"));
  EXPECT_FALSE(uuid::parse("g1234567-89ab-4def-bedc-ba9876543210"));
  EXPECT_EQ(uuid{}.kafka_text(), "AAAAAAAAAAAAAAAAAAAAAA");
}

TEST(uuid, version_7_carries_its_time) {
  auto id = uuid::v7(1'700'000'000'123, ~0ull, ~0ull);
  EXPECT_EQ(id.v7_unix_ms(), 1'700'000'000'123);
  EXPECT_EQ(std::to_integer<int>(id.bytes[6]) >> 4, 7);
}

TEST(endian, matches_the_wire) {
  std::byte buffer[4];
  store_big_endian(buffer, std::int32_t(0x01020304));
  EXPECT_EQ(buffer[0], std::byte(1));
  EXPECT_EQ(load_big_endian<std::int32_t>(buffer), 0x01020304);
}

TEST(shared_bytes, a_slice_keeps_its_chunk_alive) {
  shared_bytes part;
  {
    auto whole = shared_bytes::copy_of(as_bytes("hello world"));
    part = whole.slice(6, 5);
  }
  EXPECT_EQ(as_text(part.view()), "world");
  EXPECT_EQ(part.pinned_bytes(), 11u);
}
TEST(utf8, what_is_no_text_becomes_question_marks) {
  using namespace std::string_literals;
  for (auto good : {""s, "plain"s, "h\u00e9\u20ac\U0001f600\u07ff\uffff"s}) EXPECT_EQ(clean_text(good), good);
  EXPECT_EQ(clean_text("a\0b"s), "a?b");
  EXPECT_EQ(clean_text("\xff\x80x"), "??x");
  EXPECT_EQ(clean_text("\xc0\xaf"), "??");          // longer than needed
  EXPECT_EQ(clean_text("\xe0\x80\x80"), "???");
  EXPECT_EQ(clean_text("\xed\xa0\x80"), "???");      // a surrogate
  EXPECT_EQ(clean_text("\xf4\x90\x80\x80"), "????");  // beyond the last
  EXPECT_EQ(clean_text("x\xe2\x82"), "x??");         // cut off
}
}  // namespace
}  // namespace yaks
