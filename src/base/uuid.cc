#include "base/uuid.hpp"

#include <cstring>

#include "base/endian.hpp"

namespace yaks {
namespace {
uuid from_halves(std::uint64_t high, std::uint64_t low, unsigned version) {
  high = (high & ~0xf000ull) | (std::uint64_t(version) << 12);
  low = (low & ~(3ull << 62)) | (2ull << 62);  // the variant of RFC 9562
  uuid id;
  store_big_endian(id.bytes.data(), high);
  store_big_endian(id.bytes.data() + 8, low);
  return id;
}
int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}
}  // namespace

uuid uuid::v4(std::uint64_t random_high, std::uint64_t random_low) { return from_halves(random_high, random_low, 4); }

uuid uuid::v7(std::int64_t unix_ms, std::uint64_t random_high, std::uint64_t random_low) {
  return from_halves((std::uint64_t(unix_ms) << 16) | (random_high & 0xffff), random_low, 7);
}

std::int64_t uuid::v7_unix_ms() const { return std::int64_t(load_big_endian<std::uint64_t>(bytes.data()) >> 16); }

std::string uuid::text() const {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  out.reserve(36);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    out += digits[std::to_integer<unsigned>(bytes[i]) >> 4];
    out += digits[std::to_integer<unsigned>(bytes[i]) & 15];
  }
  return out;
}

std::string uuid::kafka_text() const {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (std::byte b : bytes) {
    bits = (bits << 8) | std::to_integer<std::uint32_t>(b);
    for (count += 8; count >= 6; count -= 6) out += digits[(bits >> (count - 6)) & 63];
  }
  if (count > 0) out += digits[(bits << (6 - count)) & 63];
  return out;
}

std::optional<uuid> uuid::parse(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  uuid id;
  std::size_t at = 0;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10)
      if (text[at++] != '-') return std::nullopt;
    int high = hex_digit(text[at]), low = hex_digit(text[at + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    id.bytes[i] = std::byte(high << 4 | low);
    at += 2;
  }
  return id;
}
}  // namespace yaks

std::size_t std::hash<yaks::uuid>::operator()(const yaks::uuid& id) const noexcept {
  std::uint64_t high, low;  // random enough already, except for the time in front of version 7
  std::memcpy(&high, id.bytes.data(), 8);
  std::memcpy(&low, id.bytes.data() + 8, 8);
  return std::size_t(high * 0x9e3779b97f4a7c15ull ^ low);
}
