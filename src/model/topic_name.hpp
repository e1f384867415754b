// Which names a topic may have: Kafka's rule.
#pragma once
#include <string_view>

namespace yaks {
inline constexpr std::size_t topic_name_bytes_max = 249;

constexpr bool is_valid_topic_name(std::string_view name) {
  if (name.empty() || name.size() > topic_name_bytes_max || name == "." || name == "..") return false;
  for (char c : name) {
    bool known = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    if (!known) return false;
  }
  return true;
}
}  // namespace yaks
