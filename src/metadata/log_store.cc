#include "metadata/log_store.hpp"

namespace yaks::metadata {
std::string_view name(log_error error) {
  switch (error) {
    case log_error::unavailable:
      return "unavailable";
    case log_error::unknown:
      return "unknown outcome";
    case log_error::trimmed:
      return "trimmed";
    case log_error::diverged:
      return "diverged";
    case log_error::old_term:
      return "another agent does the upkeep now";
    case log_error::refused:
      return "refused";
  }
  return "?";
}
}  // namespace yaks::metadata
