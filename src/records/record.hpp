// Records inside the (decompressed) body of a batch: views, no copies.
//
//     length           varint   of all that follows
//     attributes       1 byte   unused
//     timestamp delta  varlong  from the batch's base timestamp, ms
//     offset delta     varint   from the batch's base offset
//     key length       varint   -1: no key
//     key
//     value length     varint   -1: no value (a tombstone)
//     value
//     header count     varint
//     headers                   each: key length varint, key, value length varint (-1: none), value
//
// All varints are zigzag.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.hpp"
#include "base/varint.hpp"
#include "model/ids.hpp"

namespace yaks::records {
// Largest zigzag varint of 32 bits.
inline constexpr std::size_t varint32_bytes_max = 5;

struct record_header {
  std::string_view key;
  std::optional<byte_view> value;
};

// The headers of one record that record_reader has accepted.
class header_reader {
 public:
  header_reader(byte_view bytes, std::int32_t count) : bytes_(bytes), left_(count) {}
  std::optional<record_header> next();

 private:
  byte_view bytes_;
  std::int32_t left_;
};

struct record_view {
  std::int64_t timestamp_delta = 0;
  std::int32_t offset_delta = 0;
  std::optional<byte_view> key, value;
  std::int32_t header_count = 0;
  byte_view header_bytes;
  header_reader headers() const { return {header_bytes, header_count}; }
  // Wraps around where a producer sent nonsense, like Kafka's.
  timestamp_ms timestamp(timestamp_ms base) const {
    return timestamp_ms(std::int64_t(std::uint64_t(base.value()) + std::uint64_t(timestamp_delta)));
  }
};

// Walks the records of a body. Everything that a record claims about its lengths is checked, headers included, so what
// next() hands out is safe to use as it is.
class record_reader {
 public:
  explicit record_reader(byte_view body) : at_(body.data()), end_(body.data() + body.size()) {}
  // False at the end, and from the first broken record on.
  [[nodiscard]] bool next(record_view& record);
  bool broken() const { return broken_; }
  bool at_end() const { return at_ == end_; }

 private:
  bool fail() {
    broken_ = true;
    return false;
  }
  const std::byte* at_;
  const std::byte* end_;
  bool broken_ = false;
};

namespace detail {
// A zigzag varint off [at, end); false when it is cut short or too long. One and two bytes are nearly all there are.
[[nodiscard]] bool take_long_varint(const std::byte*& at, const std::byte* end, std::size_t bytes_max,
                                    std::uint64_t& raw);

template <std::size_t BytesMax>
[[nodiscard]] inline bool take_zigzag(const std::byte*& at, const std::byte* end, std::int64_t& value) {
  std::uint64_t raw;
  if (at != end && at[0] < std::byte(0x80)) [[likely]] {
    raw = std::to_integer<std::uint64_t>(*at++);
  } else if (end - at >= 2 && at[1] < std::byte(0x80)) [[likely]] {
    raw = (std::to_integer<std::uint64_t>(at[0]) & 0x7f) | std::to_integer<std::uint64_t>(at[1]) << 7;
    at += 2;
  } else if (!take_long_varint(at, end, BytesMax, raw)) {
    return false;
  }
  value = unzigzag(raw);
  return true;
}
[[nodiscard]] inline bool take_varint32(const std::byte*& at, const std::byte* end, std::int64_t& value) {
  return take_zigzag<varint32_bytes_max>(at, end, value);
}
[[nodiscard]] inline bool take_varint64(const std::byte*& at, const std::byte* end, std::int64_t& value) {
  return take_zigzag<varint_bytes_max>(at, end, value);
}
// Length and bytes; -1 is nothing.
[[nodiscard]] inline bool take_nullable(const std::byte*& at, const std::byte* end, std::optional<byte_view>& bytes) {
  std::int64_t size;
  if (!take_varint32(at, end, size) || size > end - at || size < -1) return false;
  if (size < 0) {
    bytes.reset();
    return true;
  }
  bytes = byte_view(at, std::size_t(size));
  at += size;
  return true;
}
// Checks that `count` headers fill [at, end) exactly.
[[nodiscard]] bool headers_fit(const std::byte* at, const std::byte* end, std::int64_t count);
}  // namespace detail

inline bool record_reader::next(record_view& record) {
  if (at_ == end_ || broken_) return false;
  std::int64_t size;
  if (!detail::take_varint32(at_, end_, size) || size < 1 || size > end_ - at_) return fail();
  const std::byte* at = at_ + 1;  // attributes
  const std::byte* end = at_ + size;
  std::int64_t offset_delta, header_count;
  if (!detail::take_varint64(at, end, record.timestamp_delta) || !detail::take_varint32(at, end, offset_delta) ||
      !detail::take_nullable(at, end, record.key) || !detail::take_nullable(at, end, record.value) ||
      !detail::take_varint32(at, end, header_count) || header_count < 0)
    return fail();
  if (header_count == 0 ? at != end : !detail::headers_fit(at, end, header_count)) return fail();
  record.offset_delta = std::int32_t(offset_delta);
  record.header_count = std::int32_t(header_count);
  record.header_bytes = byte_view(at, end);
  at_ = end;
  return true;
}
}  // namespace yaks::records
