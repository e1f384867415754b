// A connection that comes back: connects, sets itself up, carries calls in a pipeline, and starts again when it breaks.
#pragma once
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "metastores/postgres/connection.hpp"
#include "metastores/postgres/settings.hpp"
#include "metrics/registry.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::metastores::postgres {
struct server_error {
  std::string sqlstate, severity, message;
};
// The server is there, but a session cannot be made ready on it.
struct set_up_error : std::runtime_error {
  explicit set_up_error(const outcome& got)
      : std::runtime_error(got.message), why{got.sqlstate, got.severity, got.message} {}
  server_error why;
};

class session {
 public:
  struct hooks {
    std::function<std::string()> application_name;
    // Prepares statements and the like on a fresh connection; throws set_up_error and connection_lost.
    std::function<awaitable<void>(connection&)> set_up;
    std::function<void(const notification&)> notified = [](const notification&) {};
  };
  session(runtime& rt, const postgres_settings& settings, std::string name, metrics::counter& reconnects, hooks h);
  ~session();

  // Serves calls until cancelled. In a task group; ends before the session does.
  awaitable<void> run();
  // A prepared statement. Calls are sent in their order and answered in it; each is a transaction of its own. Waits for
  // a connection for call_patience at most: nullopt means that it was surely not sent. A caller that is cancelled
  // leaves the statement behind if it was sent.
  awaitable<std::optional<outcome>> call(const char* prepared, parameters with);
  bool is_connected() const { return connection_ != nullptr; }
  int backend_pid() const { return connection_ ? connection_->backend_pid() : 0; }

 private:
  struct pending {  // shared by the caller that waits and the session that answers; either may go first
    const char* prepared;
    parameters with;
    std::optional<outcome> answer;
    event answered;
  };
  awaitable<void> connect_and_serve(bool& was_connected);
  awaitable<void> serve(connection& on, task_group& tasks);
  awaitable<void> write_rest(connection& on);
  void deliver(connection& on);
  bool send(std::shared_ptr<pending> one);
  void send_waiting();
  void fail_in_flight(const std::string& why);
  void refuse_waiting(const server_error& why);

  runtime& rt_;
  const postgres_settings& settings_;
  std::string name_;
  metrics::counter& reconnects_;
  hooks hooks_;
  std::unique_ptr<connection> connection_;          // while calls can be sent
  std::list<std::shared_ptr<pending>> waiting_;     // for a connection
  std::deque<std::shared_ptr<pending>> in_flight_;  // sent, in order
  event write_wanted_;
  bool must_write_ = false, is_read_only_ = false;
  bool has_been_connected_ = false;
};
}  // namespace yaks::metastores::postgres
