// The files of web/, as they were when this program was built.
#pragma once
#include <span>
#include <string_view>

namespace yaks::console {
struct asset {
  std::string_view path;  // "/app.js"
  std::string_view content_type;
  std::string_view bytes;
};
std::span<const asset> assets();  // made by cmake/embed.cmake
}  // namespace yaks::console
