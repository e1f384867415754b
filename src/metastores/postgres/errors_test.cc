// Goal: an append that may have been committed is never called undone, and one that was surely rolled back is not
// doubted. Method: SQLSTATEs as PostgreSQL's documentation lists them.
#include "metastores/postgres/errors.hpp"

#include <gtest/gtest.h>

namespace yaks::metastores::postgres {
namespace {
using metadata::log_error;

TEST(postgres_errors, tells_what_is_known_from_what_is_not) {
  struct row {
    const char *severity, *sqlstate;
    log_error of_append, of_read;
  };
  for (auto& [severity, sqlstate, of_append, of_read] : {
           row{"ERROR", "YK001", log_error::trimmed, log_error::trimmed},
           row{"ERROR", "YK002", log_error::diverged, log_error::diverged},
           row{"ERROR", "YK003", log_error::refused, log_error::refused},
           row{"ERROR", "3F000", log_error::refused, log_error::refused},          // schema dropped
           row{"ERROR", "42883", log_error::refused, log_error::refused},          // function dropped
           row{"ERROR", "42501", log_error::unavailable, log_error::unavailable},  // no privilege (any more)
           row{"ERROR", "57014", log_error::unknown, log_error::unavailable},      // cancelled: by whom, when?
           row{"FATAL", "57P01", log_error::unknown, log_error::unavailable},      // terminated by an administrator
           row{"FATAL", "57P02", log_error::unknown, log_error::unavailable},      // another backend crashed
           row{"ERROR", "53100", log_error::unavailable, log_error::unavailable},  // disk full
           row{"PANIC", "53100", log_error::unknown, log_error::unavailable},      // disk full while writing WAL
           row{"ERROR", "25006", log_error::unavailable, log_error::unavailable},  // a standby by now
           row{"ERROR", "40001", log_error::unavailable, log_error::unavailable},
           row{"ERROR", "40003", log_error::unknown, log_error::unavailable},
           row{"FATAL", "08006", log_error::unknown, log_error::unavailable},
       }) {
    EXPECT_EQ(error_of(severity, sqlstate, true), of_append) << sqlstate;
    EXPECT_EQ(error_of(severity, sqlstate, false), of_read) << sqlstate;
  }
}
}  // namespace
}  // namespace yaks::metastores::postgres
