// What an outcome of PostgreSQL means for the caller of the log. Pure.
#pragma once
#include <string_view>

#include "metadata/log_store.hpp"

namespace yaks::metastores::postgres {
// Raised by our functions (migrations.cc).
inline constexpr std::string_view sqlstate_trimmed = "YK001", sqlstate_diverged = "YK002", sqlstate_unusable = "YK003";

// `severity` (not localised) and `sqlstate` of an error message that ended a transaction. An append whose session was
// ended by the server may have been committed: its wait for a standby is cut short by that. A read has no outcome to
// doubt.
metadata::log_error error_of(std::string_view severity, std::string_view sqlstate, bool is_append);
}  // namespace yaks::metastores::postgres
