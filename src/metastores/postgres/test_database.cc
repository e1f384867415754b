#include "metastores/postgres/test_database.hpp"

#include <libpq-fe.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>

namespace yaks::metastores::postgres {
namespace {
std::string run(const std::string& conninfo, const std::string& statement) {
  std::unique_ptr<PGconn, decltype(&PQfinish)> on(PQconnectdb(conninfo.c_str()), &PQfinish);
  if (PQstatus(on.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(on.get()));
  std::unique_ptr<PGresult, decltype(&PQclear)> got(PQexec(on.get(), statement.c_str()), &PQclear);
  auto status = PQresultStatus(got.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
    throw std::runtime_error(PQresultErrorMessage(got.get()));
  int rows = PQntuples(got.get());
  return rows > 0 ? PQgetvalue(got.get(), rows - 1, 0) : "";
}
}  // namespace

std::optional<std::string> test_conninfo() {
  auto* text = std::getenv("YAKS_TEST_POSTGRES");
  if (!text || !*text) return std::nullopt;
  return text;
}

test_database::test_database(std::string conninfo) : conninfo_(std::move(conninfo)) {
  name_ = "yaks_test_" + std::to_string(::getpid()) + "_" + std::to_string(std::random_device{}());
  run(conninfo_, "create database " + name_);
}

test_database::~test_database() {
  try {
    run(conninfo_, "drop database " + name_ + " with (force)");
  } catch (const std::exception&) {  // the server may be gone with the test
  }
}

postgres_settings test_database::settings() const {
  std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconninfoParse(conninfo_.c_str(), nullptr),
                                                                       &PQconninfoFree);
  std::map<std::string, std::string> given;
  for (auto* o = options.get(); o && o->keyword; ++o)
    if (o->val) given[o->keyword] = o->val;
  postgres_settings settings;
  if (given.contains("host")) settings.host = given["host"];
  if (given.contains("port")) settings.port = std::uint16_t(std::stoi(given["port"]));
  if (given.contains("sslmode")) settings.sslmode = given["sslmode"];
  settings.user = given["user"];
  settings.password = given["password"];
  settings.database = name_;
  return settings;
}

std::string test_database::sql(const std::string& statement) const {
  return run(conninfo_ + " dbname=" + name_, statement);
}
std::string test_database::server_sql(const std::string& statement) const {
  return run(conninfo_, statement);
}
}  // namespace yaks::metastores::postgres
