// UUIDs (RFC 9562): topic ids, object names, incarnations.
#pragma once
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace yaks {
struct uuid {
  std::array<std::byte, 16> bytes{};
  constexpr auto operator<=>(const uuid&) const = default;
  constexpr bool is_nil() const { return *this == uuid{}; }

  // Version 4 from 128 random bits; version 7 from a Unix time and 74 random bits. Chance and time come from the caller.
  static uuid v4(std::uint64_t random_high, std::uint64_t random_low);
  static uuid v7(std::int64_t unix_ms, std::uint64_t random_high, std::uint64_t random_low);
  // The Unix milliseconds of a version 7 UUID.
  std::int64_t v7_unix_ms() const;

  std::string text() const;         // 8-4-4-4-12 lower-case hexadecimal
  std::string kafka_text() const;   // URL-safe base64 without padding, as Kafka's tools print topic ids
  static std::optional<uuid> parse(std::string_view text);  // of text()
};
}  // namespace yaks

template <>
struct std::hash<yaks::uuid> {
  std::size_t operator()(const yaks::uuid& id) const noexcept;
};
