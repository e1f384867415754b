#include "oracle/record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "base/endian.hpp"

namespace yaks::oracle {
namespace {
constexpr std::string_view magic = "YORACLE1";
constexpr std::size_t checksum_at = 40;

// The finaliser of SplitMix64: a bijection, so no two inputs collide.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}
std::uint64_t mix(std::uint64_t seed, std::uint32_t producer, std::uint64_t sequence, std::uint64_t purpose) {
  return mix(mix(mix(seed ^ purpose) ^ producer) ^ sequence);
}

// Every step is a bijection of the sum so far, so that a change inside one word is always noticed.
std::uint64_t add_to_checksum(std::uint64_t sum, byte_view bytes) {
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) sum = mix(sum ^ load_big_endian<std::uint64_t>(bytes.data() + at));
  std::uint64_t rest = 0;
  for (; at < bytes.size(); ++at) rest = rest << 8 | std::to_integer<std::uint64_t>(bytes[at]);
  return mix(mix(sum ^ rest) ^ bytes.size());
}
std::uint64_t checksum_of(byte_view key, byte_view value) {
  std::uint64_t sum = add_to_checksum(0, key);
  sum = add_to_checksum(sum, value.first(checksum_at));
  return add_to_checksum(sum, value.subspan(record_header_bytes));
}
}  // namespace

std::uint32_t slot_of(std::uint64_t seed, std::uint32_t producer, std::uint64_t sequence, std::uint32_t slots) {
  YAKS_CHECK(slots > 0, "a run has at least one partition");
  return static_cast<std::uint32_t>(mix(seed, producer, sequence, 1) % slots);
}

std::size_t value_bytes_of(std::uint64_t seed, std::uint32_t producer, std::uint64_t sequence, std::size_t mean_bytes) {
  std::size_t bytes = mean_bytes / 2 + mix(seed, producer, sequence, 2) % (mean_bytes + 1);
  return std::max(bytes, record_header_bytes);
}

std::string make_key(const record_identity& id) {
  return fmt::format("{}/{}", id.producer, id.sequence);
}

std::uint64_t make_value(const record_identity& id, std::uint64_t seed, std::size_t bytes, std::string& value) {
  YAKS_CHECK(bytes >= record_header_bytes, "a value has at least its header");
  value.resize(bytes);
  auto* at = reinterpret_cast<std::byte*>(value.data());
  std::memcpy(at, magic.data(), magic.size());
  store_big_endian(at + 8, id.run);
  store_big_endian(at + 16, id.producer);
  store_big_endian(at + 20, id.slot);
  store_big_endian(at + 24, id.sequence);
  store_big_endian(at + 32, id.timestamp_ms);
  std::uint64_t word = mix(seed, id.producer, id.sequence, 3);
  for (std::size_t i = record_header_bytes; i < bytes; i += 8) {
    word = mix(word);
    std::memcpy(at + i, &word, std::min<std::size_t>(8, bytes - i));
  }
  std::uint64_t checksum = checksum_of(as_bytes(make_key(id)), as_bytes(value));
  store_big_endian(at + checksum_at, checksum);
  return checksum;
}

parsed_record parse_record(byte_view key, byte_view value, std::int64_t timestamp_ms) {
  parsed_record parsed;
  if (value.size() < record_header_bytes || as_text(value.first(magic.size())) != magic) {
    parsed.what = damage::foreign;
    return parsed;
  }
  const std::byte* at = value.data();
  parsed.id = {.run = load_big_endian<std::uint64_t>(at + 8),
               .producer = load_big_endian<std::uint32_t>(at + 16),
               .slot = load_big_endian<std::uint32_t>(at + 20),
               .sequence = load_big_endian<std::uint64_t>(at + 24),
               .timestamp_ms = load_big_endian<std::int64_t>(at + 32)};
  parsed.checksum = checksum_of(key, value);
  if (parsed.checksum != load_big_endian<std::uint64_t>(at + checksum_at)) {
    // With the key that belongs to it the value may still be intact: then two records were mixed up.
    bool value_intact =
        checksum_of(as_bytes(make_key(parsed.id)), value) == load_big_endian<std::uint64_t>(at + checksum_at);
    parsed.what = value_intact ? damage::key : damage::checksum;
  } else if (timestamp_ms >= 0 && timestamp_ms != parsed.id.timestamp_ms) {
    parsed.what = damage::timestamp;
  }
  return parsed;
}
}  // namespace yaks::oracle
