#include "server/kafka_server.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/this_coro.hpp>

namespace yaks {
kafka_server::kafka_server(runtime& rt, std::unique_ptr<listener> listener, request_handler& handler,
                           server_settings settings, metrics::registry& metrics)
    : rt_(rt),
      listener_(std::move(listener)),
      handler_(handler),
      settings_(settings),
      metrics_(metrics),
      // A frame of the largest size that comes alone must not evict itself.
      budget_(rt, std::max(settings.receive_bytes_max, settings.connections.request_bytes_max + 4),
              settings.receive_grace) {}

awaitable<void> kafka_server::run() {
  task_group tasks(rt_.executor());
  co_await run_then_close(accept_clients(tasks), tasks);
}

awaitable<void> kafka_server::accept_clients(task_group& tasks) {
  tasks.spawn(sweep());
  unsigned failures = 0;  // in a row
  while (!stopping_) {
    std::unique_ptr<byte_stream> stream;
    boost::system::error_code failed;
    try {
      stream = co_await listener_->accept();
    } catch (const boost::system::system_error& error) {
      failed = error.code();
    }
    if (stopping_) break;
    if (!stream) {
      if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none)
        throw boost::system::system_error(failed);
      // Out of file descriptors, most probably: the client stays in the backlog until some connection ends.
      metrics_.accept_failures.add();
      if (failures++ % 100 == 0) spdlog::warn("cannot accept a connection: {}; trying again", failed.message());
      co_await rt_.sleep_for(10ms + backoff(rt_, std::min(failures, 10u), 10ms, 1s));
      continue;
    }
    failures = 0;
    metrics_.accepted.add();
    if (connections_.size() >= settings_.connections_max) {
      stream->close();
      metrics_.closed[std::size_t(close_reason::limit)]->add();
      spdlog::info("connection of {} is closed: there are YAKS_MAX_CONNECTIONS={}", stream->peer(),
                   settings_.connections_max);
      continue;
    }
    tasks.spawn(serve(std::move(stream)));
  }
  while (!stopped_) co_await changed_.wait();
}

awaitable<void> kafka_server::serve(std::unique_ptr<byte_stream> stream) {
  connection client(rt_, std::move(stream), handler_, budget_, settings_.connections, metrics_, ++last_id_);
  auto place = connections_.insert(connections_.end(), &client);
  metrics_.connections.set(double(connections_.size()));
  try {
    co_await client.run();
  } catch (...) {
    auto failure = std::current_exception();
    if (!is_cancellation(failure)) spdlog::error("connection of {} failed: {}", client.context().peer, what(failure));
  }
  connections_.erase(place);
  metrics_.connections.set(double(connections_.size()));
  metrics_.closed[std::size_t(client.reason())]->add();
  changed_.notify_all();
}

awaitable<void> kafka_server::sweep() {
  for (;;) {
    co_await rt_.sleep_for(settings_.sweep_interval);
    auto now = rt_.now();
    metrics_.receive_memory.set(double(budget_.used()));
    for (connection* one : connections_) one->sweep(now);
  }
}

awaitable<void> kafka_server::stop(time_point deadline) {
  stopping_ = true;
  listener_->close();
  for (connection* one : connections_) one->finish(close_reason::shutdown, deadline);
  while (!connections_.empty() && co_await changed_.wait_until(rt_, deadline)) {
  }
  for (connection* one : connections_) one->break_off(close_reason::shutdown);
  while (!connections_.empty()) co_await changed_.wait();
  stopped_ = true;
  changed_.notify_all();
}
}  // namespace yaks
