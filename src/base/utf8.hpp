// Text from clients, for places that take only valid text.
#pragma once
#include <string>
#include <string_view>

namespace yaks {
// Every byte that is no part of valid UTF-8 (RFC 3629), and every U+0000, becomes '?'.
std::string clean_text(std::string_view text);
}  // namespace yaks
