// Writing JSON (RFC 8259): texts and numbers as they go into a document that is put together by hand.
#pragma once
#include <string>
#include <string_view>

namespace yaks {
// `text` in quotes. Bytes that are not UTF-8 become U+FFFD, so that the document is well formed whatever a client
// called a topic.
void append_json(std::string& out, std::string_view text);
// null where JSON has no such number (infinite, not a number). Short: at most 9 digits where `is_exact` is false.
void append_json(std::string& out, double number, bool is_exact = true);
}  // namespace yaks
