#include "metastores/sqlite/database.hpp"

#include "base/check.hpp"

namespace yaks::metastores::sqlite {
statement::statement(database& db, const char* sql) : db_(db) {
  if (int code = sqlite3_prepare_v3(db.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr);
      code != SQLITE_OK)
    db_.fail(code);
}
statement::~statement() {
  sqlite3_finalize(handle_);
}

statement& statement::bind(int index, std::int64_t value) {
  if (int code = sqlite3_bind_int64(handle_, index, value); code != SQLITE_OK) db_.fail(code);
  return *this;
}
statement& statement::bind(int index, byte_view bytes) {
  // A null pointer would bind NULL instead of an empty blob.
  const void* data = bytes.empty() ? static_cast<const void*>("") : bytes.data();
  if (int code = sqlite3_bind_blob64(handle_, index, data, bytes.size(), SQLITE_STATIC); code != SQLITE_OK)
    db_.fail(code);
  return *this;
}
statement& statement::bind_text(int index, const std::string& text) {
  if (int code = sqlite3_bind_text(handle_, index, text.data(), int(text.size()), SQLITE_TRANSIENT); code != SQLITE_OK)
    db_.fail(code);
  return *this;
}
bool statement::step() {
  int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  code = sqlite3_extended_errcode(db_.handle());
  try {
    db_.fail(code);
  } catch (...) {
    sqlite3_reset(handle_);
    throw;
  }
}
void statement::reset() {
  sqlite3_reset(handle_);
}  // answers the last step's error once more, which was thrown

byte_view statement::bytes(int column) const {
  auto data = static_cast<const std::byte*>(sqlite3_column_blob(handle_, column));
  return {data, std::size_t(sqlite3_column_bytes(handle_, column))};
}

database::database(const std::string& path) {
  int code = sqlite3_open_v2(path.c_str(), &handle_,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                             nullptr);
  try {
    if (code != SQLITE_OK) fail(code);
    // Others only look (sqlite3 on the command line): they hold us up for a moment at most.
    sqlite3_busy_timeout(handle_, 5000);
    // Before there is anything in a new file: what is deleted can then be given back, a few pages at a time.
    execute("pragma auto_vacuum = incremental");
    execute("pragma journal_mode = wal");
    execute("pragma journal_size_limit = 16777216");  // of the file of recent writes, between bursts
    execute("pragma synchronous = full");
    execute("pragma foreign_keys = on");
  } catch (...) {
    sqlite3_close(handle_);
    throw;
  }
}
database::~database() {
  int code = sqlite3_close(handle_);
  YAKS_CHECK(code == SQLITE_OK, "statements end before their database");
}
void database::execute(const char* sql) {
  if (int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr); code != SQLITE_OK)
    fail(sqlite3_extended_errcode(handle_));
}
void database::fail(int code) const {
  throw database_error(code, handle_ ? sqlite3_errmsg(handle_) : sqlite3_errstr(code));
}
}  // namespace yaks::metastores::sqlite
