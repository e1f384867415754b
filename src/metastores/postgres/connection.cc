#include "metastores/postgres/connection.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/check.hpp"
#include "base/endian.hpp"

namespace yaks::metastores::postgres {
namespace {
std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  for (std::size_t at = 0;;) {
    auto comma = list.find(',', at);
    parts.push_back(list.substr(at, comma - at));
    if (comma == std::string::npos) return parts;
    at = comma + 1;
  }
}

// libpq's messages span lines and end with a full stop, sometimes; ours go into a sentence. Lines with a tab in front are
// libpq's guesses ("Is the server running on that host ...?"): ours say more.
std::string one_line(std::string_view text) {
  std::string line;
  bool is_start = true, is_guess = false;
  for (char c : text) {
    if (is_start) is_guess = c == '\t';
    is_start = c == '\n';
    if (is_guess) continue;
    if (c != '\n' && c != '\t')
      line += c;
    else if (!line.empty() && line.back() != ' ')
      line += ' ';
  }
  while (!line.empty() && (line.back() == ' ' || line.back() == '.')) line.pop_back();
  return line;
}

// Cancelled in `a || b`, both throw, and the operator says so in a type of its own that nobody takes for a
// cancellation.
[[noreturn]] void rethrow_first(const std::exception_ptr& failed) {
  try {
    std::rethrow_exception(failed);
  } catch (const asio::multiple_exceptions& several) {
    std::rethrow_exception(several.first_exception());
  }
}

struct addresses {
  std::string hosts, hostaddrs;  // as libpq wants them: lists of equal length
};

// libpq would look names up by itself, and block: it only does where it is not told the addresses. Blocking.
addresses resolve(const std::string& host_list) {
  addresses all;
  auto add = [&](const std::string& host, const std::string& address) {
    if (!all.hosts.empty()) all.hosts += ',', all.hostaddrs += ',';
    all.hosts += host, all.hostaddrs += address;
  };
  std::string last_failure;
  for (auto& host : split(host_list)) {
    if (host.empty() || host.front() == '/' || host.front() == '@') {  // a socket in the file system
      add(host, "");
      continue;
    }
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (int code = getaddrinfo(host.c_str(), nullptr, &hints, &found); code != 0) {
      last_failure = fmt::format("the name {} has no address: {}", host, gai_strerror(code));
      continue;
    }
    for (auto* one = found; one; one = one->ai_next) {
      char text[NI_MAXHOST];
      if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0)
        add(host, text);
    }
    freeaddrinfo(found);
  }
  if (all.hosts.empty() && !last_failure.empty()) throw connect_error(last_failure, "");
  return all;
}

// libpq keeps the SQLSTATE of a refused connection to itself, except in its verbose text: "FATAL:  28P01: password …".
std::string sqlstate_in(const std::string& text) {
  for (auto at = text.find(":  "); at != std::string::npos; at = text.find(":  ", at + 1)) {
    auto code = text.substr(at + 3, 6);
    auto is_code = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); };
    if (code.size() == 6 && code[5] == ':' && std::all_of(code.begin(), code.begin() + 5, is_code))
      return code.substr(0, 5);
  }
  return "";
}

std::string without_details(std::string text, const std::string& sqlstate) {
  if (auto location = text.find("\nLOCATION:"); location != std::string::npos) text.resize(location);
  if (auto at = text.find(sqlstate + ": "); !sqlstate.empty() && at != std::string::npos)
    text.erase(at, sqlstate.size() + 2);
  return one_line(text);
}
}  // namespace

// ---- values
// ----------------------------------------------------------------------------------------------------------

std::int64_t outcome::int64(int row, int column) const {
  auto raw = bytes(row, column);
  YAKS_CHECK(raw.size() == 8, "a bigint of a binary result");
  return load_big_endian<std::int64_t>(raw.data());
}

yaks::uuid outcome::uuid(int row, int column) const {
  auto raw = bytes(row, column);
  yaks::uuid id;
  YAKS_CHECK(raw.size() == id.bytes.size(), "a uuid of a binary result");
  std::ranges::copy(raw, id.bytes.begin());
  return id;
}

void parameters::add(const char* data, std::size_t size, bool is_binary) {
  values_.push_back(data);
  lengths_.push_back(int(size));
  formats_.push_back(is_binary ? 1 : 0);
}
parameters& parameters::int32(std::int32_t value) {
  auto& raw = owned_.emplace_back(sizeof value, '\0');
  store_big_endian(reinterpret_cast<std::byte*>(raw.data()), value);
  return add(raw.data(), raw.size(), true), *this;
}
parameters& parameters::int64(std::int64_t value) {
  auto& raw = owned_.emplace_back(sizeof value, '\0');
  store_big_endian(reinterpret_cast<std::byte*>(raw.data()), value);
  return add(raw.data(), raw.size(), true), *this;
}
parameters& parameters::uuid(const yaks::uuid& value) {
  auto& raw = owned_.emplace_back(as_text(value.bytes));
  return add(raw.data(), raw.size(), true), *this;
}
parameters& parameters::bytes(shared_bytes value) {
  auto& kept = shared_.emplace_back(std::move(value));
  // A null pointer would be NULL instead of empty.
  return add(kept.empty() ? "" : reinterpret_cast<const char*>(kept.data()), kept.size(), true), *this;
}
parameters& parameters::text(std::string value) {
  auto& kept = owned_.emplace_back(std::move(value));
  return add(kept.c_str(), kept.size(), false), *this;
}

// ---- connecting
// ------------------------------------------------------------------------------------------------------

connection::connection(runtime& rt) : rt_(rt), descriptor_(rt.executor()) {}

connection::~connection() {
  if (descriptor_.is_open()) descriptor_.release();  // else Asio closes the socket under libpq
}

awaitable<std::unique_ptr<connection>> connection::connect(runtime& rt, const postgres_settings& settings,
                                                           std::string application_name) {
  std::unique_ptr<connection> made(new connection(rt));
  co_await made->establish(settings, std::move(application_name));
  co_return made;
}

awaitable<void> connection::establish(const postgres_settings& settings, std::string application_name) {
  using namespace asio::experimental::awaitable_operators;
  auto due = rt_.now() + settings.connect_timeout;
  addresses to;
  auto look_up = [&] { to = resolve(settings.host); };
  co_await rt_.run_blocking(look_up);

  auto seconds = [](duration d) { return std::to_string(std::chrono::ceil<std::chrono::seconds>(d).count()); };
  auto port = std::to_string(settings.port);
  auto keepalive_idle = seconds(settings.dead_after / 2), keepalive_interval = seconds(settings.dead_after / 6);
  auto user_timeout = std::to_string(std::chrono::ceil<std::chrono::milliseconds>(settings.dead_after).count());
  const char* names[] = {"host",
                         "hostaddr",
                         "port",
                         "user",
                         "password",
                         "dbname",
                         "sslmode",
                         "application_name",
                         "gssencmode",
                         "keepalives",
                         "keepalives_idle",
                         "keepalives_interval",
                         "keepalives_count",
                         "tcp_user_timeout",
                         "target_session_attrs",
                         "client_encoding",
                         nullptr};
  const char* values[] = {to.hosts.c_str(),
                          to.hostaddrs.c_str(),
                          port.c_str(),
                          settings.user.c_str(),
                          settings.password.c_str(),
                          settings.database.c_str(),
                          settings.sslmode.c_str(),
                          application_name.c_str(),
                          "disable",  // would ask a Kerberos server, and block
                          "1",
                          keepalive_idle.c_str(),
                          keepalive_interval.c_str(),
                          "3",
                          user_timeout.c_str(),
                          "read-write",  // never a standby, also when a list of hosts is given
                          "UTF8",
                          nullptr};
  handle_.reset(PQconnectStartParams(names, values, 0));
  YAKS_CHECK(handle_, "libpq has memory");
  PQsetErrorVerbosity(handle_.get(), PQERRORS_VERBOSE);
  PQsetNoticeReceiver(handle_.get(), &connection::on_notice, this);
  auto poll = PQstatus(handle_.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (poll != PGRES_POLLING_OK && poll != PGRES_POLLING_FAILED) {
    // libpq may have gone on to another address with another socket, under the same number: hold it for one wait only.
    descriptor_.assign(PQsocket(handle_.get()));
    bool in_time = true;
    std::exception_ptr failed;
    try {
      auto got = co_await (wait_for(poll == PGRES_POLLING_WRITING) || rt_.sleep_until(due));
      in_time = got.index() == 0;
    } catch (...) {
      failed = std::current_exception();
    }
    descriptor_.release();
    if (failed) rethrow_first(failed);
    if (!in_time) throw connect_error(fmt::format("no answer within {} s", seconds(settings.connect_timeout)), "");
    poll = PQconnectPoll(handle_.get());
  }
  if (poll == PGRES_POLLING_FAILED) {
    std::string text = PQerrorMessage(handle_.get());
    auto sqlstate = sqlstate_in(text);
    throw connect_error(without_details(text, sqlstate), sqlstate);
  }
  PQsetErrorVerbosity(handle_.get(), PQERRORS_DEFAULT);
  PQsetnonblocking(handle_.get(), 1);
  descriptor_.assign(PQsocket(handle_.get()));

  // What a role, a database or a pooler may have set otherwise. An append that is cancelled by a timeout is only a
  // loss, and one that does not wait for the disk is a lie.
  std::string session =
      "set session characteristics as transaction isolation level read committed; set synchronous_commit = on; "
      "set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0; set jit = off;";
  if (server_version() >= 140000) session += "set idle_session_timeout = 0;";
  std::string problem;
  try {
    auto set = co_await query(session);
    if (!set.is_done()) problem = set.message;
  } catch (const connection_lost& lost) {
    problem = lost.what();
  }
  if (!problem.empty()) throw connect_error(problem, "");
}

std::string connection::error_text() const {
  return one_line(PQerrorMessage(handle_.get()));
}

// ---- input and output
// ------------------------------------------------------------------------------------------------

awaitable<void> connection::wait_for(bool writable) {
  using wait = asio::posix::descriptor_base;
  co_await descriptor_.async_wait(writable ? wait::wait_write : wait::wait_read, asio::use_awaitable);
}

awaitable<void> connection::writable() {
  return wait_for(true);
}

void connection::take_in() {
  do {
    if (PQconsumeInput(handle_.get()) == 0) throw connection_lost(error_text());
    // TLS may hold decrypted bytes that libpq had no room for; the socket will not tell.
    auto* tls = static_cast<SSL*>(PQsslStruct(handle_.get(), "OpenSSL"));
    if (!tls || SSL_pending(tls) == 0) return;
  } while (true);
}

bool connection::flush() {
  int left = PQflush(handle_.get());
  // A failed write is found by the next read, which also gets what the server still had to say.
  return left == 1;
}

awaitable<void> connection::receive() {
  co_await wait_for(false);
  take_in();
}

void connection::on_notice(void* self, const PGresult* notice) {
  auto field = [&](int which) {
    auto* text = PQresultErrorField(notice, which);
    return std::string(text ? text : "");
  };
  auto severity = field(PG_DIAG_SEVERITY_NONLOCALIZED);
  if (severity == "WARNING") {
    static_cast<connection*>(self)->was_warned_ = true;
    spdlog::warn("PostgreSQL warns: {} (SQLSTATE {})", field(PG_DIAG_MESSAGE_PRIMARY), field(PG_DIAG_SQLSTATE));
  } else {
    spdlog::debug("PostgreSQL: {}: {}", severity, field(PG_DIAG_MESSAGE_PRIMARY));
  }
}

// Keeps the first error, else the last rows. Takes the result.
void connection::add_result(outcome& to, PGresult* result) {
  std::unique_ptr<PGresult, decltype(&PQclear)> owned(result, &PQclear);
  switch (PQresultStatus(result)) {
    case PGRES_EMPTY_QUERY:
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_PIPELINE_ABORTED:  // follows an error of its own transaction
      if (to.is_done()) to.rows = std::move(owned);
      return;
    default:
      break;
  }
  if (!to.is_done()) return;
  auto field = [&](int which) {
    auto* text = PQresultErrorField(result, which);
    return std::string(text ? text : "");
  };
  to.what = outcome::kind::error;
  to.rows.reset();
  to.sqlstate = field(PG_DIAG_SQLSTATE);
  to.severity = field(PG_DIAG_SEVERITY_NONLOCALIZED);
  to.message = field(PG_DIAG_MESSAGE_PRIMARY);
  if (auto detail = field(PG_DIAG_MESSAGE_DETAIL); !detail.empty()) to.message += ": " + detail;
  if (to.sqlstate.empty()) {  // libpq's own: the connection
    to.what = outcome::kind::lost;
    to.message = one_line(PQresultErrorMessage(result));
  }
}

awaitable<outcome> connection::query(std::string sql, parameters with) {
  using namespace asio::experimental::awaitable_operators;
  YAKS_CHECK(PQpipelineStatus(handle_.get()) == PQ_PIPELINE_OFF, "query() comes before the pipeline");
  outcome got;
  was_warned_ = false;
  int sent = with.values_.empty()
                 ? PQsendQuery(handle_.get(), sql.c_str())
                 : PQsendQueryParams(handle_.get(), sql.c_str(), int(with.values_.size()), nullptr, with.values_.data(),
                                     with.lengths_.data(), with.formats_.data(), 0);
  if (sent == 0) throw connection_lost(error_text());
  while (flush()) {
    std::exception_ptr failed;
    try {
      co_await (wait_for(true) || wait_for(false));
    } catch (...) {
      failed = std::current_exception();
    }
    if (failed) rethrow_first(failed);
    take_in();
  }
  for (;;) {
    while (PQisBusy(handle_.get())) co_await receive();
    auto* result = PQgetResult(handle_.get());
    if (!result) break;
    add_result(got, result);
  }
  got.was_warned = was_warned_;
  if (got.what == outcome::kind::lost) throw connection_lost(got.message);
  co_return got;
}

// ---- the pipeline
// ----------------------------------------------------------------------------------------------------

void connection::start_pipeline() {
  was_warned_ = false;
  int done = PQenterPipelineMode(handle_.get());
  YAKS_CHECK(done == 1, "the pipeline begins while nothing is outstanding");
}

bool connection::send(const char* prepared, const parameters& with) {
  if (PQstatus(handle_.get()) != CONNECTION_OK) return false;
  if (PQsendQueryPrepared(handle_.get(), prepared, int(with.values_.size()), with.values_.data(), with.lengths_.data(),
                          with.formats_.data(), 1) == 0)
    return false;
  ++in_flight_;
  // A Sync of its own makes it a transaction of its own. Where it fails, the next receive() finds the connection
  // broken.
  if (PQpipelineSync(handle_.get()) == 0) spdlog::debug("cannot send to PostgreSQL: {}", error_text());
  return true;
}

std::optional<outcome> connection::next_outcome() {
  // Per statement: its results, a null, and the answer to its Sync. A second null in a row means that libpq has no
  // more.
  for (int nulls = 0; in_flight_ > 0 && nulls < 2 && PQisBusy(handle_.get()) == 0;) {
    auto* result = PQgetResult(handle_.get());
    if (!result) {
      ++nulls;
      continue;
    }
    nulls = 0;
    if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
      add_result(current_, result);
      continue;
    }
    PQclear(result);
    --in_flight_;
    current_.was_warned = std::exchange(was_warned_, false);
    return std::exchange(current_, outcome{});
  }
  return std::nullopt;
}

std::optional<notification> connection::next_notification() {
  std::unique_ptr<PGnotify, decltype(&PQfreemem)> got(PQnotifies(handle_.get()), &PQfreemem);
  if (!got) return std::nullopt;
  return notification{got->relname, got->extra, got->be_pid};
}

// ---- sentences
// -------------------------------------------------------------------------------------------------------

std::string where(const postgres_settings& settings) {
  return fmt::format("{}:{}", settings.host, settings.port);
}

std::string explain(const connect_error& error, const postgres_settings& settings) {
  if (error.sqlstate.starts_with("28"))
    return fmt::format(
        "PostgreSQL at {} does not let user {} in: check YAKS_DB_USER, YAKS_DB_PASSWORD and the server's "
        "pg_hba.conf ({})",
        where(settings), settings.user, error.what());
  if (error.sqlstate == "3D000")
    return fmt::format("PostgreSQL at {} has no database {}: create it (createdb {}) or set YAKS_DB_NAME",
                       where(settings), settings.database, settings.database);
  return fmt::format(
      "cannot connect to PostgreSQL at {}: {}. Does it run, and do YAKS_DB_HOST, YAKS_DB_PORT and "
      "YAKS_DB_SSLMODE fit?",
      where(settings), error.what());
}
}  // namespace yaks::metastores::postgres
