#include "wire/message.hpp"

namespace yaks::wire {

bool record_segments::operator==(const record_segments& other) const {
  auto flat = [](const record_segments& records) {
    std::string bytes;
    for (const auto& part : records.parts) bytes += as_text(part.view());
    return bytes;
  };
  return flat(*this) == flat(other);
}

std::string_view name(fault why) {
  switch (why) {
    case fault::none:
      return "none";
    case fault::short_input:
      return "cut short";
    case fault::bad_length:
      return "impossible length";
    case fault::bad_varint:
      return "varint above 32 bits";
    case fault::unexpected_null:
      return "null where the version has none";
    case fault::over_budget:
      return "too many elements for its size";
    case fault::unsupported_version:
      return "unsupported version";
  }
  return "unknown";
}
}  // namespace yaks::wire
