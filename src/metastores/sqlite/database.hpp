// A thin layer over SQLite's C interface: one database, prepared statements, errors as exceptions. Blocking: for use
// inside runtime::run_blocking, by one thread at a time.
#pragma once
#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "base/bytes.hpp"

namespace yaks::metastores::sqlite {
struct database_error : std::runtime_error {
  database_error(int with_code, const std::string& what) : std::runtime_error(what), code(with_code) {}
  int code;  // SQLite's extended result code
  bool is_full() const { return (code & 0xff) == SQLITE_FULL; }
  // A failed fsync: the kernel may have dropped the pages, and a later fsync would succeed without them.
  bool is_lost_write() const {
    return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC || code == SQLITE_CORRUPT ||
           code == SQLITE_NOTADB;
  }
};

class database;

// Bound from 1 on; columns from 0 on.
class statement {
 public:
  statement(database& db, const char* sql);
  ~statement();
  statement(const statement&) = delete;
  statement& operator=(const statement&) = delete;
  statement& bind(int index, std::int64_t value);
  // The bytes must stay until the next reset.
  statement& bind(int index, byte_view bytes);
  statement& bind_text(int index, const std::string& text);
  // True while there is a row.
  bool step();
  void run() {
    step();
    reset();
  }
  void reset();
  std::int64_t integer(int column) const { return sqlite3_column_int64(handle_, column); }
  byte_view bytes(int column) const;
  std::string text(int column) const { return std::string(as_text(bytes(column))); }

 private:
  database& db_;
  sqlite3_stmt* handle_ = nullptr;
};

// Resets at the end of its scope: a statement that is left in the middle would keep its transaction open.
struct scoped_reset {
  statement& what;
  ~scoped_reset() { what.reset(); }
};

class database {
 public:
  // Opens or creates the file, in WAL mode with every commit synced.
  explicit database(const std::string& path);
  ~database();
  database(const database&) = delete;
  database& operator=(const database&) = delete;
  void execute(const char* sql);
  bool in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }
  [[noreturn]] void fail(int code) const;
  sqlite3* handle() { return handle_; }

 private:
  sqlite3* handle_ = nullptr;
};
}  // namespace yaks::metastores::sqlite
