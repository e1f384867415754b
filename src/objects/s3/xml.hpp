// The little XML that S3 answers with: elements without attributes whose text has no elements in it, or a list of them.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace yaks::s3 {
// What stands between the first <name> and </name> at or after `from`, which is moved behind it.
std::optional<std::string_view> element(std::string_view xml, std::string_view name, std::size_t& from);
// The text of the first such element, decoded; "" where there is none.
std::string text_of(std::string_view xml, std::string_view name);
std::string decode_entities(std::string_view text);
std::string encode_entities(std::string_view text);
}  // namespace yaks::s3
