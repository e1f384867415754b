#include "agent/process.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <filesystem>
#include <stdexcept>

#include "agent/agent.hpp"
#include "agent/version.hpp"
#include "metastores/sqlite/sqlite_metastore.hpp"
#include "net/tcp_network.hpp"
#include "objects/directory/directory_store.hpp"
#include "runtime/first_of.hpp"
#include "runtime/real_runtime.hpp"

namespace yaks {
namespace {
// Everything that outlives the agent, in the order in which it is made.
class process {
 public:
  explicit process(const config::settings& settings) : settings_(settings), network_(runtime_) {}

  void run() { runtime_.run(main()); }

 private:
  awaitable<void> main();
  awaitable<void> serve();
  awaitable<void> watch_signals();
  std::unique_ptr<listener> listen(std::string host, std::uint16_t port, std::string_view setting);
  std::unique_ptr<metadata::metastore> make_metastore();
  std::unique_ptr<object_store> make_object_store();

  const config::settings& settings_;
  real_runtime runtime_;
  tcp_network network_;
  metrics::registry metrics_;
  std::unique_ptr<metadata::metastore> store_;
  std::unique_ptr<object_store> objects_;
  stop_request stop_;
};

std::unique_ptr<listener> process::listen(std::string host, std::uint16_t port, std::string_view setting) {
  try {
    return network_.listen({.host = host, .port = port});
  } catch (const boost::system::system_error& error) {
    throw std::runtime_error(fmt::format("cannot listen on {}:{} ({}): {}. Is another process using the port? `ss -ltnp` "
                                         "shows who; {} chooses another one",
                                         host, port, setting, error.code().message(), setting));
  }
}

std::unique_ptr<metadata::metastore> process::make_metastore() {
  return std::make_unique<metastores::sqlite_metastore>(
      runtime_, metrics_, metastores::sqlite_settings{.directory = settings_.process.data_directory});
}

std::unique_ptr<object_store> process::make_object_store() {
  return std::make_unique<directory_store>(runtime_, (std::filesystem::path(settings_.process.data_directory) / "objects").string());
}

awaitable<void> process::watch_signals() {
  asio::signal_set signals(runtime_.context(), SIGTERM, SIGINT);
  int first = co_await signals.async_wait(asio::use_awaitable);
  spdlog::info("{}: taking no more connections, flushing, answering; a second signal ends at once",
               first == SIGTERM ? "SIGTERM" : "SIGINT");
  stop_.ask();
  co_await signals.async_wait(asio::use_awaitable);
  spdlog::warn("second signal: ending now");
  ::_exit(130);
}

awaitable<void> process::main() {
  co_await first_of(serve(), watch_signals());
}

awaitable<void> process::serve() {
  const auto& s = settings_;
  auto begun = runtime_.now();
  spdlog::info("yaks {} starts, node id {}", version, s.process.node_id);
  auto serving = listen(s.listener.host, s.listener.port, "YAKS_BROKER_PORT");
  store_ = make_metastore();
  co_await store_->open();
  co_await store_->hold_node_id(node_id(s.process.node_id), s.cache_peers.lease);
  objects_ = make_object_store();
  spdlog::info("metadata: {}", store_->description());
  agent server(runtime_, std::move(serving), *store_, *objects_, s, metrics_);
  server.on_ready = [&] {
    auto took = std::chrono::duration_cast<std::chrono::milliseconds>(runtime_.now() - begun).count();
    spdlog::info("ready after {} ms: serving Kafka clients on {}:{}, advertised as {}:{}", took, s.listener.host, server.port(),
                 s.listener.advertised_host, s.listener.advertised_port != 0 ? s.listener.advertised_port : server.port());
  };
  co_await server.run(stop_);
  co_await store_->close();
  spdlog::info("stopped");
}
}  // namespace

void run_process(const config::settings& settings) { process(settings).run(); }
}  // namespace yaks
