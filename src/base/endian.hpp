// Big-endian integers in memory, as Kafka and our own formats store them.
#pragma once
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>

namespace yaks {
template <std::integral T>
constexpr T big_endian(T value) {
  if constexpr (std::endian::native == std::endian::little && sizeof(T) > 1) return std::byteswap(value);
  else return value;
}
// The caller vouches for sizeof(T) bytes behind `from`.
template <std::integral T>
T load_big_endian(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return big_endian(value);
}
template <std::integral T>
void store_big_endian(std::byte* to, T value) {
  value = big_endian(value);
  std::memcpy(to, &value, sizeof value);
}
}  // namespace yaks
