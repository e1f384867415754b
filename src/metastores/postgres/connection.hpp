// One connection to PostgreSQL: libpq, non-blocking, on the executor.
//
//   connect ─▶ query()*           one statement at a time, results as text: to set the session up
//           ─▶ start_pipeline() ─▶ send()* … receive()*     prepared statements, each its own transaction, results
//           binary
//
// In a pipeline a statement is done when its Sync is answered, not when its rows are: the commit lies in between. A
// WARNING on the way makes the outcome unknown, for that is how PostgreSQL reports a commit that was not replicated as
// asked.
//
// Only on the executor's thread. A connection that broke stays broken; make another one.
#pragma once
#include <libpq-fe.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/uuid.hpp"
#include "metastores/postgres/settings.hpp"
#include "runtime/runtime.hpp"

namespace yaks::metastores::postgres {
// No connection could be made. `sqlstate` is "" where no server answered.
struct connect_error : std::runtime_error {
  connect_error(const std::string& what, std::string state) : std::runtime_error(what), sqlstate(std::move(state)) {}
  std::string sqlstate;
};
// The connection is gone; what was outstanding may have happened.
struct connection_lost : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// What became of one statement.
struct outcome {
  enum class kind { done, error, lost };  // lost: the connection broke after the statement was handed over
  kind what = kind::done;
  std::unique_ptr<PGresult, decltype(&PQclear)> rows{nullptr, &PQclear};
  std::string sqlstate, severity, message;  // of an error; severity not localised
  bool was_warned = false;

  bool is_done() const { return what == kind::done; }
  int row_count() const { return rows ? PQntuples(rows.get()) : 0; }
  bool is_null(int row, int column) const { return PQgetisnull(rows.get(), row, column) != 0; }
  byte_view bytes(int row, int column) const {
    return {reinterpret_cast<const std::byte*>(PQgetvalue(rows.get(), row, column)),
            std::size_t(PQgetlength(rows.get(), row, column))};
  }
  std::string text(int row, int column) const { return std::string(as_text(bytes(row, column))); }
  std::int64_t int64(int row, int column) const;  // of a binary result
  yaks::uuid uuid(int row, int column) const;     // of a binary result
};

// A statement's parameters, $1 first. Holds what it was given.
class parameters {
 public:
  parameters() = default;
  parameters(const parameters&) = delete;
  parameters(parameters&&) = default;
  parameters& operator=(const parameters&) = delete;
  parameters& operator=(parameters&&) = default;
  parameters& int32(std::int32_t value);
  parameters& int64(std::int64_t value);
  parameters& uuid(const yaks::uuid& value);
  parameters& bytes(shared_bytes value);
  parameters& text(std::string value);

 private:
  friend class connection;
  void add(const char* data, std::size_t size, bool is_binary);
  std::deque<std::string> owned_;  // a deque, and no string is changed: the pointers below stay valid
  std::vector<shared_bytes> shared_;
  std::vector<const char*> values_;
  std::vector<int> lengths_, formats_;
};

struct notification {
  std::string channel, payload;
  int sender_pid = 0;
};

class connection {
 public:
  // Resolves names on the blocking pool, then connects. Throws connect_error.
  static awaitable<std::unique_ptr<connection>> connect(runtime& rt, const postgres_settings& settings,
                                                        std::string application_name);
  ~connection();
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  // Before start_pipeline only, one at a time. Without parameters `sql` may be several statements: one transaction, and
  // the last one's rows. An error of the server is an outcome; throws connection_lost.
  awaitable<outcome> query(std::string sql, parameters with = {});

  void start_pipeline();
  // Hands a prepared statement over to libpq. False: the connection is broken, and nothing was sent.
  bool send(const char* prepared, const parameters& with);
  // Writes what waits to be written; true when some is left, for which writable() must be waited.
  bool flush();
  awaitable<void> writable();
  // Waits for input and takes it in. Throws connection_lost.
  awaitable<void> receive();
  // The next statement's outcome, in the order of sending; nullopt while it is not complete.
  std::optional<outcome> next_outcome();
  std::optional<notification> next_notification();

  int backend_pid() const { return PQbackendPID(handle_.get()); }
  int server_version() const { return PQserverVersion(handle_.get()); }
  std::string error_text() const;

 private:
  explicit connection(runtime& rt);
  awaitable<void> establish(const postgres_settings& settings, std::string application_name);
  awaitable<void> wait_for(bool writable);
  void take_in();
  static void on_notice(void* self, const PGresult* notice);
  static void add_result(outcome& to, PGresult* result);

  runtime& rt_;
  std::unique_ptr<PGconn, decltype(&PQfinish)> handle_{nullptr, &PQfinish};
  // Borrows libpq's socket: released, never closed, before libpq is done with it.
  asio::posix::stream_descriptor descriptor_;
  std::size_t in_flight_ = 0;  // in the pipeline
  outcome current_;            // of the first of them, as far as it has come
  bool was_warned_ = false;
};

// host:port as people write it, for sentences.
std::string where(const postgres_settings& settings);
// The sentence for an operator: what failed, and which settings to look at.
std::string explain(const connect_error& error, const postgres_settings& settings);
}  // namespace yaks::metastores::postgres
