#include "base/check.hpp"

#include <cstdio>
#include <cstdlib>

namespace yaks {
void check_failed(std::string_view expression, std::string_view what, std::string_view file, int line) {
  std::fprintf(stderr, "%.*s:%d: check failed: %.*s: %.*s\n", int(file.size()), file.data(), line, int(what.size()),
               what.data(), int(expression.size()), expression.data());
  std::fflush(stderr);
  std::abort();
}
}  // namespace yaks
