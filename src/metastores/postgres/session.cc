#include "metastores/postgres/session.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/check.hpp"

namespace yaks::metastores::postgres {
session::session(runtime& rt, const postgres_settings& settings, std::string name, metrics::counter& reconnects,
                 hooks h)
    : rt_(rt), settings_(settings), name_(std::move(name)), reconnects_(reconnects), hooks_(std::move(h)) {}

session::~session() = default;

awaitable<void> session::run() {
  unsigned attempt = 0;
  for (;;) {
    std::string problem;
    bool was_connected = false;
    try {
      co_await connect_and_serve(was_connected);
    } catch (const connect_error& error) {
      problem = explain(error, settings_);
    } catch (const set_up_error& error) {
      problem = fmt::format("cannot use PostgreSQL at {}: {}", where(settings_), error.why.message);
      refuse_waiting(error.why);
    } catch (const connection_lost& error) {
      problem = fmt::format("lost the connection to PostgreSQL at {}: {}", where(settings_), error.what());
    }
    if (was_connected) attempt = 0;
    if (attempt % 10 == 0) spdlog::warn("{} ({}); trying again", problem, name_);
    reconnects_.add();
    co_await rt_.sleep_for(backoff(rt_, attempt++, settings_.retry_first, settings_.retry_most));
  }
}

awaitable<void> session::connect_and_serve(bool& was_connected) {
  auto fresh = co_await connection::connect(rt_, settings_, hooks_.application_name());
  co_await hooks_.set_up(*fresh);  // throws set_up_error
  fresh->start_pipeline();
  if (std::exchange(has_been_connected_, true))
    spdlog::info("connected to PostgreSQL at {} again ({})", where(settings_), name_);
  was_connected = true;
  connection_ = std::move(fresh);
  struct end {  // also when cancelled
    session& self;
    std::string why = "the session ended";
    ~end() {
      self.fail_in_flight(why);
      self.connection_.reset();
    }
  } at_end{*this};
  send_waiting();
  task_group tasks(rt_.executor());
  try {
    co_await run_then_close(serve(*connection_, tasks), tasks);
  } catch (const connection_lost& lost) {
    at_end.why = lost.what();
    throw;
  }
}

awaitable<void> session::serve(connection& on, task_group& tasks) {
  tasks.spawn(write_rest(on));
  for (;;) {
    co_await on.receive();
    deliver(on);
    if (is_read_only_) throw connection_lost("the server has become read-only (a standby by now?)");
  }
}

// After everything that may have read: libpq also takes input in while it cannot write, and the socket is silent about
// it.
void session::deliver(connection& on) {
  while (auto got = on.next_outcome()) {
    YAKS_CHECK(!in_flight_.empty(), "PostgreSQL answers what was asked");
    auto one = std::move(in_flight_.front());
    in_flight_.pop_front();
    is_read_only_ = is_read_only_ || got->sqlstate == "25006";
    one->answer = std::move(*got);
    one->answered.notify_all();
  }
  while (auto note = on.next_notification()) hooks_.notified(*note);
}

// What did not fit into the socket at once. serve() reads meanwhile, else both ends could wait for each other.
awaitable<void> session::write_rest(connection& on) {
  for (;;) {
    while (!must_write_) co_await write_wanted_.wait();
    co_await on.writable();
    must_write_ = on.flush();
    deliver(on);
  }
}

bool session::send(std::shared_ptr<pending> one) {
  if (!connection_->send(one->prepared, one->with)) return false;
  one->with = {};  // libpq has copied it
  in_flight_.push_back(std::move(one));
  if (connection_->flush() && !must_write_) {
    must_write_ = true;
    write_wanted_.notify_all();
  }
  deliver(*connection_);
  return true;
}

void session::send_waiting() {
  must_write_ = is_read_only_ = false;
  while (!waiting_.empty() && send(waiting_.front())) waiting_.pop_front();
}

void session::fail_in_flight(const std::string& why) {
  for (auto& one : in_flight_) {
    outcome lost;
    lost.what = outcome::kind::lost;
    lost.message = why;
    one->answer = std::move(lost);
    one->answered.notify_all();
  }
  in_flight_.clear();
}

// What cannot be prepared cannot be called either: the callers get the server's own answer, and know what it means.
void session::refuse_waiting(const server_error& why) {
  for (auto& one : std::exchange(waiting_, {})) {
    outcome refused;
    refused.what = outcome::kind::error;
    refused.sqlstate = why.sqlstate, refused.severity = why.severity, refused.message = why.message;
    one->answer = std::move(refused);
    one->answered.notify_all();
  }
}

awaitable<std::optional<outcome>> session::call(const char* prepared, parameters with) {
  auto mine = std::make_shared<pending>();
  mine->prepared = prepared;
  mine->with = std::move(with);
  // Behind those that wait already: order is kept.
  if (!connection_ || !waiting_.empty() || !send(mine)) {
    struct place {  // leaves the queue when the caller is cancelled
      session& self;
      std::shared_ptr<pending> mine;
      ~place() { self.waiting_.remove(mine); }
    } in_queue{*this, mine};
    waiting_.push_back(mine);
    auto due = rt_.now() + settings_.call_patience;
    auto is_waiting = [&] { return std::ranges::find(waiting_, mine) != waiting_.end(); };
    while (is_waiting() && !mine->answer) {
      if (!co_await mine->answered.wait_until(rt_, due) && is_waiting()) co_return std::nullopt;
    }
  }
  while (!mine->answer) co_await mine->answered.wait();
  co_return std::move(mine->answer);
}
}  // namespace yaks::metastores::postgres
