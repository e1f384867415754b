// How the fields of our own formats are written: varints, zigzag where they may be negative, texts and lists after their
// length, UUIDs as 16 bytes. Shared by log entries and snapshots.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/uuid.hpp"
#include "base/varint.hpp"
#include "metadata/commands.hpp"
#include "metadata/entry_codec.hpp"

namespace yaks::metadata::fields {
// Appends to a string.
struct out {
  std::string& to;
  void number(std::uint64_t n) {
    std::byte buffer[varint_bytes_max];
    std::size_t size = store_uvarint(buffer, n);
    to.append(reinterpret_cast<const char*>(buffer), size);
  }
  void signed_number(std::int64_t n) { number(zigzag(n)); }
  // Modulo 2^64: timestamps and producer ids come from clients and may be as far apart as they like.
  void delta(std::int64_t& previous, std::int64_t n) {
    signed_number(std::int64_t(std::uint64_t(n) - std::uint64_t(std::exchange(previous, n))));
  }
  void id(const uuid& u) { to.append(reinterpret_cast<const char*>(u.bytes.data()), u.bytes.size()); }
  void text(std::string_view s) {
    number(s.size());
    to.append(s);
  }
  void optional_text(const std::optional<std::string>& s) {
    number(s.has_value());
    if (s) text(*s);
  }
  void configs(const std::vector<config_value>& values) {
    number(values.size());
    for (const auto& c : values) {
      text(c.name);
      number(c.value.has_value());
      if (c.value) text(*c.value);
    }
  }
};

// Takes off the front; throws log_format_error where the bytes are not what was written.
struct in {
  byte_view left;
  [[noreturn]] static void broken() {
    throw log_format_error("an entry or snapshot of the metadata holds bytes that are broken");
  }
  std::uint64_t number() {
    std::uint64_t n;
    if (!take_uvarint(left, n)) broken();
    return n;
  }
  std::int64_t signed_number() { return unzigzag(number()); }
  // For fields that are narrower than a varint: what does not fit was never written.
  template <class T>
  T narrow() {
    if constexpr (std::is_signed_v<T>) {
      auto n = signed_number();
      if (!std::in_range<T>(n)) broken();
      return T(n);
    } else {
      auto n = number();
      if (!std::in_range<T>(n)) broken();
      return T(n);
    }
  }
  // A signed field that is hardly ever negative, written as unsigned: no entry that we write may be one that we refuse.
  std::int32_t natural() { return std::int32_t(narrow<std::uint32_t>()); }
  std::int64_t delta(std::int64_t& previous) {
    return previous = std::int64_t(std::uint64_t(previous) + std::uint64_t(signed_number()));
  }
  byte_view bytes(std::uint64_t n) {
    if (n > left.size()) broken();
    auto front = left.first(std::size_t(n));
    left = left.subspan(std::size_t(n));
    return front;
  }
  uuid id() {
    uuid u;
    auto b = bytes(16);
    std::copy(b.begin(), b.end(), u.bytes.begin());
    return u;
  }
  std::string text() { return std::string(as_text(bytes(number()))); }
  std::optional<std::string> optional_text() {
    if (number() == 0) return std::nullopt;
    return text();
  }
  // A list's count, believed only as far as its elements can be there: no entry makes a reader allocate much more than
  // its own size.
  std::size_t count(std::size_t element_bytes_min) {
    auto n = number();
    if (n > left.size() / element_bytes_min) broken();
    return std::size_t(n);
  }
  std::vector<config_value> configs() {
    std::vector<config_value> values(count(2));
    for (auto& c : values) {
      c.name = text();
      if (number() != 0) c.value = text();
    }
    return values;
  }
};
}  // namespace yaks::metadata::fields
