// What a client says of itself, for a log line: cut, and without anything that could forge a line or a terminal's command.
#pragma once
#include <string>
#include <string_view>

namespace yaks {
inline std::string printable(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, 100)) out += c >= ' ' && c < 127 ? c : '?';
  return out;
}
}  // namespace yaks
