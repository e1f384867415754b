#include "base/utf8.hpp"

#include <cstddef>
#include <cstdint>

namespace yaks {
namespace {
// Bytes of the character at the front; 0 where there is none.
std::size_t character_bytes(std::string_view text) {
  auto byte = [&](std::size_t i) { return i < text.size() ? std::uint8_t(text[i]) : std::uint8_t(0); };
  auto is_next = [&](std::size_t i, std::uint8_t least = 0x80, std::uint8_t most = 0xbf) { return byte(i) >= least && byte(i) <= most; };
  auto first = byte(0);
  if (first == 0) return 0;
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return is_next(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef)  // neither longer than needed nor a surrogate
    return is_next(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf) && is_next(2) ? 3 : 0;
  if (first >= 0xf0 && first <= 0xf4)
    return is_next(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf) && is_next(2) && is_next(3) ? 4 : 0;
  return 0;
}
}  // namespace

std::string clean_text(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    auto bytes = character_bytes(text);
    if (bytes == 0)
      clean += '?', bytes = 1;
    else
      clean += text.substr(0, bytes);
    text.remove_prefix(bytes);
  }
  return clean;
}
}  // namespace yaks
