#include "base/json.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <iterator>

namespace yaks {
namespace {
// The length of the UTF-8 sequence at the beginning of `text`; 0 where there is none.
std::size_t sequence_length(std::string_view text) {
  auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  auto follows = [&](std::size_t i) { return (at(i) & 0xc0) == 0x80; };
  unsigned first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first < 0xf0) {
    bool overlong = first == 0xe0 && at(1) < 0xa0, surrogate = first == 0xed && at(1) >= 0xa0;
    return follows(1) && follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first < 0xf5) {
    bool overlong = first == 0xf0 && at(1) < 0x90, too_large = first == 0xf4 && at(1) >= 0x90;
    return follows(1) && follows(2) && follows(3) && !overlong && !too_large ? 4 : 0;
  }
  return 0;
}
}  // namespace

void append_json(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    std::size_t length = sequence_length(text.substr(i));
    if (length == 0) {
      out += "\xef\xbf\xbd";
      ++i;
      continue;
    }
    char c = text[i];
    if (length > 1)
      out += text.substr(i, length);
    else if (c == '"' || c == '\\')
      out += '\\', out += c;
    else if (static_cast<unsigned char>(c) < 0x20)
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", unsigned(c));
    else
      out += c;
    i += length;
  }
  out += '"';
}

void append_json(std::string& out, double number, bool is_exact) {
  if (!std::isfinite(number))
    out += "null";
  else if (number == std::floor(number) && std::abs(number) < 1e15)
    fmt::format_to(std::back_inserter(out), "{}", std::int64_t(number));
  else if (is_exact)
    fmt::format_to(std::back_inserter(out), "{}", number);
  else
    fmt::format_to(std::back_inserter(out), "{:.9g}", number);
}
}  // namespace yaks
