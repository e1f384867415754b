// Accepts clients and keeps their connections. Nothing that a client, or a shortage of file descriptors, does ends it.
//
// Stopping:  run() runs in a task of its own; stop(deadline) closes the listener, lets the connections answer what they
// have read, and breaks off at the deadline what is left; then run() returns. Cancelling run() breaks off everything at
// once.
#pragma once
#include <cstdint>
#include <list>
#include <memory>

#include "metrics/registry.hpp"
#include "net/network.hpp"
#include "runtime/event.hpp"
#include "runtime/task_group.hpp"
#include "server/connection.hpp"
#include "server/receive_budget.hpp"
#include "server/request_handler.hpp"

namespace yaks {
struct server_settings {
  connection_settings connections;
  std::size_t connections_max = 10'000;        // YAKS_MAX_CONNECTIONS; further ones are accepted, closed and counted
  std::size_t receive_bytes_max = 128u << 20;  // for unfinished frames; at least one of the largest size always fits
  duration receive_grace = 1s;                 // a frame may take this long, however scarce memory is
  duration sweep_interval = 1s;                // how exactly timeouts are kept
};

class kafka_server {
 public:
  // `handler`, `rt` and `metrics` outlive the server.
  kafka_server(runtime& rt, std::unique_ptr<listener> listener, request_handler& handler, server_settings settings,
               metrics::registry& metrics);
  awaitable<void> run();
  awaitable<void> stop(time_point deadline);
  std::uint16_t port() const { return listener_->port(); }
  std::size_t connections() const { return connections_.size(); }

 private:
  awaitable<void> accept_clients(task_group& tasks);
  awaitable<void> serve(std::unique_ptr<byte_stream> stream);
  awaitable<void> sweep();

  runtime& rt_;
  std::unique_ptr<listener> listener_;
  request_handler& handler_;
  server_settings settings_;
  connection_metrics metrics_;
  receive_budget budget_;
  std::list<connection*> connections_;  // those that run
  std::uint64_t last_id_ = 0;
  bool stopping_ = false, stopped_ = false;
  event changed_;  // a connection has ended, or the server has stopped
};
}  // namespace yaks
