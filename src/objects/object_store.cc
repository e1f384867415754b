#include "objects/object_store.hpp"

namespace yaks {
std::string_view name(object_error error) {
  switch (error) {
    case object_error::not_found:
      return "not_found";
    case object_error::unavailable:
      return "unavailable";
    case object_error::slow_down:
      return "slow_down";
    case object_error::unknown:
      return "unknown";
    case object_error::corrupt:
      return "corrupt";
    case object_error::denied:
      return "denied";
  }
  return "?";
}

bool is_object_key(std::string_view key) {
  if (key.empty() || key.size() > 1024) return false;
  for (std::size_t begin = 0; begin <= key.size();) {
    std::size_t end = std::min(key.find('/', begin), key.size());
    std::string_view component = key.substr(begin, end - begin);
    if (component.empty() || component == "." || component == ".." || component.size() > 255) return false;
    for (char c : component)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') return false;
    begin = end + 1;
  }
  return true;
}
}  // namespace yaks
