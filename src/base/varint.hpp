// Varints (LEB128) and zigzag, shared by the wire codec, record batches and our own formats.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

namespace yaks {
constexpr std::uint64_t zigzag(std::int64_t n) { return (std::uint64_t(n) << 1) ^ std::uint64_t(n >> 63); }
constexpr std::int64_t unzigzag(std::uint64_t n) { return std::int64_t(n >> 1) ^ -std::int64_t(n & 1); }

inline constexpr std::size_t varint_bytes_max = 10;

// Writes at most varint_bytes_max bytes; answers how many.
inline std::size_t store_uvarint(std::byte* to, std::uint64_t value) {
  std::size_t n = 0;
  for (; value >= 0x80; value >>= 7) to[n++] = std::byte(value | 0x80);
  to[n++] = std::byte(value);
  return n;
}
// Takes a varint off the front of `in`. False, with `in` unspecified, when it is cut short or longer than 64 bits.
[[nodiscard]] inline bool take_uvarint(byte_view& in, std::uint64_t& value) {
  value = 0;
  for (std::size_t i = 0; i < in.size() && i < varint_bytes_max; ++i) {
    auto bits = std::to_integer<std::uint64_t>(in[i]);
    if (i == 9 && bits > 1) return false;
    value |= (bits & 0x7f) << (7 * i);
    if (bits < 0x80) {
      in = in.subspan(i + 1);
      return true;
    }
  }
  return false;
}
[[nodiscard]] inline bool take_varint(byte_view& in, std::int64_t& value) {
  std::uint64_t raw;
  if (!take_uvarint(in, raw)) return false;
  value = unzigzag(raw);
  return true;
}
}  // namespace yaks
