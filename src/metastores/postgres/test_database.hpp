// A database of its own for one test, on the server that YAKS_TEST_POSTGRES names. Blocking: test code only.
#pragma once
#include <optional>
#include <string>

#include "metastores/postgres/settings.hpp"

namespace yaks::metastores::postgres {
// libpq conninfo of a role that may create databases.
std::optional<std::string> test_conninfo();
inline constexpr const char* no_test_server =
    "YAKS_TEST_POSTGRES is not set (scripts/test-servers starts a server and prints it)";

class test_database {
 public:
  explicit test_database(std::string conninfo);
  ~test_database();  // drops it, sessions included
  test_database(const test_database&) = delete;
  test_database& operator=(const test_database&) = delete;
  // How a metastore reaches it; migrations are not asked for.
  postgres_settings settings() const;
  // The first field of the last row, "" where there is none. Throws std::runtime_error with the server's message.
  std::string sql(const std::string& statement) const;
  // The same in the database of YAKS_TEST_POSTGRES.
  std::string server_sql(const std::string& statement) const;

 private:
  std::string conninfo_, name_;
};
}  // namespace yaks::metastores::postgres
