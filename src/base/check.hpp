// Always-on assertions about what this process controls. A false one is a bug of ours: the process says where and stops,
// because going on with a broken invariant could acknowledge what is not stored. Never used for input or for I/O.
#pragma once
#include <string_view>

namespace yaks {
[[noreturn]] void check_failed(std::string_view expression, std::string_view what, std::string_view file, int line);
}  // namespace yaks

#define YAKS_CHECK(expression, what) \
  ((expression) ? void(0) : ::yaks::check_failed(#expression, (what), __FILE__, __LINE__))
