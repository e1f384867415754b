#include "metastores/postgres/errors.hpp"

namespace yaks::metastores::postgres {
using metadata::log_error;

log_error error_of(std::string_view severity, std::string_view sqlstate, bool is_append) {
  if (sqlstate == sqlstate_trimmed) return log_error::trimmed;
  if (sqlstate == sqlstate_diverged) return log_error::diverged;
  if (sqlstate == sqlstate_unusable) return log_error::refused;
  // Schema, table, function or column is not there: somebody dropped or changed what the migrations made.
  if (sqlstate == "3F000" || sqlstate == "42P01" || sqlstate == "42883" || sqlstate == "42703")
    return log_error::refused;
  bool is_lost = severity == "FATAL" || severity == "PANIC" || sqlstate.starts_with("08") || sqlstate == "40003" ||
                 sqlstate.starts_with("57");
  return is_append && is_lost ? log_error::unknown : log_error::unavailable;
}
}  // namespace yaks::metastores::postgres
