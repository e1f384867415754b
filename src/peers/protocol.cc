#include "peers/protocol.hpp"

#include <fmt/format.h>

#include <charconv>

namespace yaks::peers {
namespace {
// Takes a number and what follows it off the front: `end` or the end of the text.
template <class T>
bool take(std::string_view& from, char end, bool is_last, T& to) {
  auto size = is_last ? from.size() : from.find(end);
  if (size == from.npos) return false;
  auto [stop, error] = std::from_chars(from.data(), from.data() + size, to);
  if (error != std::errc() || stop != from.data() + size) return false;
  from.remove_prefix(is_last ? size : size + 1);
  return true;
}
}  // namespace

std::uint64_t question::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& r : ranges) sum += r.bytes;
  return sum;
}

std::string target_of(const question& q) {
  std::string text = fmt::format("{}?object={}", range_path, q.object.value().text());
  for (const auto& r : q.ranges) {
    text += fmt::format("&at={}.{}.{}.{}", r.position, r.bytes, r.base_offset.value(), r.records);
    if (r.append_time) text += fmt::format(".{}", r.append_time->value());
  }
  return text;
}

std::optional<question> parse_query(std::string_view query) {
  question q;
  bool has_object = false;
  while (!query.empty()) {
    auto size = std::min(query.find('&'), query.size());
    auto field = query.substr(0, size);
    query.remove_prefix(std::min(size + 1, query.size()));
    if (field.starts_with("object=")) {
      auto id = uuid::parse(field.substr(7));
      if (!id || has_object) return std::nullopt;
      q.object = object_id(*id);
      has_object = true;
    } else if (field.starts_with("at=")) {
      field.remove_prefix(3);
      wanted_range r;
      std::int64_t base = 0, append_time = 0;
      if (!take(field, '.', false, r.position) || !take(field, '.', false, r.bytes) || !take(field, '.', false, base))
        return std::nullopt;
      bool has_time = field.find('.') != field.npos;
      if (!take(field, '.', !has_time, r.records)) return std::nullopt;
      if (has_time) {
        if (!take(field, '.', true, append_time) || append_time < 0) return std::nullopt;
        r.append_time = timestamp_ms(append_time);
      }
      if (base < 0 || r.bytes == 0 || r.records == 0 || q.ranges.size() == ranges_max) return std::nullopt;
      r.base_offset = offset(base);
      q.ranges.push_back(r);
    }  // what a newer agent adds is not looked at
  }
  if (!has_object || q.ranges.empty()) return std::nullopt;
  // A single range may be larger: it cannot be asked for in parts.
  if (q.ranges.size() > 1 && q.bytes() > answer_bytes_max) return std::nullopt;
  return q;
}

bool secrets_match(std::string_view given, std::string_view right) {
  if (right.empty()) return false;
  unsigned difference = given.size() != right.size();
  for (std::size_t i = 0; i < right.size(); ++i)
    difference |= unsigned(std::uint8_t(right[i]) ^ std::uint8_t(given.empty() ? 0 : given[i % given.size()]));
  // Through memory, so that no compiler ends the loop early.
  volatile unsigned sum = difference;
  return sum == 0;
}
}  // namespace yaks::peers
