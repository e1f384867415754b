#include "agent/process.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <malloc.h>
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <filesystem>
#include <optional>
#include <stdexcept>

#include "agent/agent.hpp"
#include "agent/version.hpp"
#include "console/dashboard.hpp"
#include "metastores/postgres/postgres_metastore.hpp"
#include "metastores/sqlite/sqlite_metastore.hpp"
#include "net/http_server.hpp"
#include "net/tcp_network.hpp"
#include "objects/directory/directory_store.hpp"
#include "objects/s3/s3_store.hpp"
#include "runtime/first_of.hpp"
#include "runtime/real_runtime.hpp"
#include "runtime/task_group.hpp"
#include "telemetry/otlp_exporter.hpp"

namespace yaks {
namespace {
// Everything that outlives the agent, in the order in which it is made.
class process {
 public:
  explicit process(const config::settings& settings) : settings_(settings), network_(runtime_), turns_(metrics_) { runtime_.measure_turns(turns_); }

  using store_work = std::function<awaitable<void>(runtime&, metadata::metastore&, object_store&)>;
  void run() { runtime_.run(main()); }
  void run_with_stores(store_work work) { runtime_.run(with_stores(std::move(work))); }

 private:
  awaitable<void> main();
  awaitable<void> serve();
  awaitable<void> with_stores(store_work work);
  awaitable<void> watch_signals();
  std::unique_ptr<listener> listen(std::string host, std::uint16_t port, std::string_view setting);
  std::unique_ptr<metadata::metastore> make_metastore();
  awaitable<void> open_object_store();
  awaitable<void> serve_from(std::unique_ptr<listener> serving, std::unique_ptr<listener> scraping,
                             std::unique_ptr<listener> sharing);
  std::string peer_secret() const;
  std::optional<peer_access> peers_at(std::unique_ptr<listener> sharing);
  http::server_response answer(const http::server_request& request, const agent& server) const;
  telemetry::otlp_settings otlp_settings();
  // What runs beside an agent, each part where settings ask for it.
  struct side_parts {
    std::optional<http::server> health;
    std::optional<telemetry::otlp_exporter> exporter;
    std::optional<console::cluster_numbers> cluster;
    std::optional<console::dashboard> dashboard;
    std::optional<http::server> pages;
  };
  void make_console(agent& server, side_parts& into);
  awaitable<void> run_beside(agent& server, task_group& beside, side_parts& parts);

  const config::settings& settings_;
  real_runtime runtime_;
  tcp_network network_;
  metrics::registry metrics_;
  turn_meter turns_;
  std::unique_ptr<metadata::metastore> store_;
  std::unique_ptr<object_store> objects_;
  std::string objects_description_;
  std::unique_ptr<listener> console_at_;
  stop_request stop_;
  time_point begun_;
};

std::unique_ptr<listener> process::listen(std::string host, std::uint16_t port, std::string_view setting) {
  try {
    return network_.listen({.host = host, .port = port});
  } catch (const boost::system::system_error& error) {
    std::string advice;
    if (error.code() == boost::system::errc::address_in_use)
      advice = fmt::format("Another process uses the port: `ss -ltnp` shows which; {} chooses another one", setting);
    else if (error.code() == boost::system::errc::permission_denied)
      advice = fmt::format("Low ports need root or CAP_NET_BIND_SERVICE; {} chooses another one", setting);
    else
      advice = fmt::format("{} has to be an address of this machine; 0.0.0.0 is all of them",
                           setting == "YAKS_CONSOLE_PORT" ? "YAKS_CONSOLE_HOST" : "YAKS_BROKER_HOST");
    throw std::runtime_error(
        fmt::format("cannot listen on {}:{} ({}): {}. {}", host, port, setting, error.code().message(), advice));
  }
}

std::unique_ptr<metadata::metastore> process::make_metastore() {
  const auto& s = settings_;
  if (s.storage.metastore == config::metastore_kind::embedded)
    return std::make_unique<metastores::sqlite_metastore>(
        runtime_, metrics_, metastores::sqlite_settings{.directory = s.process.data_directory});
  return std::make_unique<metastores::postgres_metastore>(
      runtime_, metrics_,
      metastores::postgres_settings{.host = s.database.host,
                                    .port = s.database.port,
                                    .user = s.database.user,
                                    .password = s.database.password,
                                    .database = s.database.name,
                                    .sslmode = s.database.sslmode,
                                    .run_migrations = s.database.run_migrations});
}

awaitable<void> process::open_object_store() {
  const auto& s = settings_;
  if (s.storage.objects == config::object_store_kind::directory) {
    auto root = (std::filesystem::path(s.process.data_directory) / "objects").string();
    objects_ = std::make_unique<directory_store>(runtime_, root);
    objects_description_ = "folder " + root;
    co_return;
  }
  auto store = std::make_unique<s3_store>(
      runtime_, network_, metrics_,
      s3_settings{.endpoint = s.s3.endpoint,
                  .region = s.s3.region,
                  .who = {.access_key = s.s3.access_key, .secret_key = s.s3.secret_key, .session_token = s.s3.session_token},
                  .bucket = s.s3.bucket,
                  .path_style = s.s3.path_style,
                  .sign_payload = s.s3.sign_payload,
                  .create_bucket = s.s3.create_bucket,
                  .prices = {.put = s.prices.put_per_1000 / 1000,
                             .get = s.prices.get_per_1000 / 1000,
                             .transfer_byte = s.prices.transfer_per_gb / 1e9}});
  objects_description_ = store->description();
  auto& opening = *store;
  objects_ = std::move(store);
  co_await opening.open();
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
  begun_ = runtime_.now();
  spdlog::info("yaks {} starts, node id {}; storage: {}", version, s.process.node_id, s.storage.reason);
  auto serving = listen(s.listener.host, s.listener.port, "YAKS_BROKER_PORT");
  std::unique_ptr<listener> scraping;
  if (s.metrics.enabled) scraping = listen(s.listener.host, s.metrics.port, "YAKS_METRICS_PORT");
  if (s.console.port != 0) console_at_ = listen(s.console.host, s.console.port, "YAKS_CONSOLE_PORT");
  std::unique_ptr<listener> sharing;
  if (s.cache_peers.enabled) sharing = listen(s.listener.host, s.cache_peers.port, "YAKS_GROUPCACHE_PORT");
  store_ = make_metastore();
  co_await store_->open();
  // From here on the store has tasks of its own: it is closed on every way out.
  std::exception_ptr failure;
  try {
    co_await serve_from(std::move(serving), std::move(scraping), std::move(sharing));
  } catch (...) {
    failure = std::current_exception();
  }
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await store_->close();
  if (failure) std::rethrow_exception(failure);
  spdlog::info("stopped");
}

awaitable<void> process::with_stores(store_work work) {
  store_ = make_metastore();
  co_await store_->open();
  std::exception_ptr failure;
  try {
    co_await open_object_store();
    co_await work(runtime_, *store_, *objects_);
  } catch (...) {
    failure = std::current_exception();
  }
  co_await store_->close();
  if (failure) std::rethrow_exception(failure);
}

// Empty where agents cannot be several.
std::string process::peer_secret() const {
  if (!settings_.cache_peers.enabled || !store_->log().is_shared()) return {};
  return settings_.cache_peers.secret.empty() ? store_->peer_secret() : settings_.cache_peers.secret;
}

std::optional<peer_access> process::peers_at(std::unique_ptr<listener> sharing) {
  if (!sharing) return std::nullopt;
  auto secret = peer_secret();
  if (secret.empty()) {
    spdlog::warn("YAKS_GROUPCACHE_ENABLED has no effect with {}: no other agent can be there", store_->description());
    return std::nullopt;
  }
  spdlog::info("cached data is shared with other agents on {}:{}", settings_.listener.host, sharing->port());
  return peer_access{.net = network_, .at = std::move(sharing), .secret = std::move(secret)};
}

awaitable<void> process::serve_from(std::unique_ptr<listener> serving, std::unique_ptr<listener> scraping,
                                    std::unique_ptr<listener> sharing) {
  const auto& s = settings_;
  // Another agent may hold the id for as long as the lease: whoever asks us to stop meanwhile is not made to wait.
  co_await first_of(store_->hold_node_id(node_id(s.process.node_id), s.cache_peers.lease), stop_.wait());
  if (stop_.is_asked()) co_return;
  co_await open_object_store();
  spdlog::info("metadata: {}; records: {}", store_->description(), objects_description_);
  agent server(runtime_, std::move(serving), *store_, *objects_, s, metrics_, peers_at(std::move(sharing)));
  server.on_ready = [&] {
    auto took = std::chrono::duration_cast<std::chrono::milliseconds>(runtime_.now() - begun_).count();
    spdlog::info("ready after {} ms: serving Kafka clients on {}:{}, advertised as {}:{}", took, s.listener.host, server.port(),
                 s.listener.advertised_host, s.listener.advertised_port != 0 ? s.listener.advertised_port : server.port());
  };
  side_parts parts;
  if (scraping) {
    spdlog::info("metrics on http://{}:{}/metrics, health on /healthz and /readyz", s.listener.host, scraping->port());
    parts.health.emplace(runtime_, *scraping, [&](const http::server_request& request) { return answer(request, server); });
  }
  if (!s.otlp.endpoint.empty()) {
    spdlog::info("metrics are sent to {} every {} ms", s.otlp.endpoint, s.otlp.interval.count());
    parts.exporter.emplace(runtime_, network_, metrics_, otlp_settings());
  }
  if (console_at_) make_console(server, parts);
  task_group beside(runtime_.executor());
  co_await run_then_close(run_beside(server, beside, parts), beside);
}

void process::make_console(agent& server, side_parts& into) {
  const auto& s = settings_.console;
  spdlog::info("dashboard on http://{}:{}/{}", s.host, console_at_->port(), s.token.empty() ? "" : ", which asks for YAKS_CONSOLE_TOKEN");
  if (s.token.empty() && s.host != "localhost" && !s.host.starts_with("127.") && s.host != "::1")
    spdlog::warn("everybody who reaches {}:{} can look at the dashboard: YAKS_CONSOLE_TOKEN makes it ask for a token", s.host,
                 console_at_->port());
  into.cluster.emplace(runtime_, network_, server.numbers(), [&server] { return server.other_agents(); },
                       console::cluster_numbers_settings{.credentials = {{std::string(peers::secret_header), peer_secret()}}});
  into.dashboard.emplace(runtime_, *into.cluster, server.topic_survey(),
                         console::dashboard_settings{.cluster_id = store_->cluster_id(),
                                                     .node = settings_.process.node_id,
                                                     .host = s.host,
                                                     .token = s.token,
                                                     .storage_dollars_per_gb_month = settings_.prices.storage_per_gb_month});
  into.pages.emplace(runtime_, *console_at_, [&into](const http::server_request& request) { return into.dashboard->answer(request); });
}

awaitable<void> process::run_beside(agent& server, task_group& beside, side_parts& parts) {
  if (parts.health) beside.spawn(parts.health->run());
  if (parts.exporter) beside.spawn(parts.exporter->run());
  if (parts.dashboard) beside.spawn(parts.dashboard->run());
  if (parts.pages) beside.spawn(parts.pages->run());
  co_await first_of(server.run(stop_), beside.failed());
  if (parts.exporter) co_await parts.exporter->push();  // what was counted since the last message
}

telemetry::otlp_settings process::otlp_settings() {
  const auto& s = settings_;
  auto must = [](const std::string& text, const char* variable) {
    auto pairs = telemetry::parse_pairs(text);
    if (!pairs) throw std::runtime_error(fmt::format("{} must be name=value,name=value with percent-encoded values", variable));
    return std::move(*pairs);
  };
  // A name of this process: after a restart, counters begin anew under another one.
  auto high = runtime_.random(), low = runtime_.random();
  telemetry::attributes resource{{"service.name", s.otlp.service_name},
                                 {"service.version", version},
                                 {"service.namespace", store_->cluster_id()},
                                 {"service.instance.id", uuid::v4(high, low).text()},
                                 {"yaks.node_id", std::to_string(s.process.node_id)}};
  if (!s.process.zone.empty()) resource.emplace_back("cloud.availability_zone", s.process.zone);
  for (auto& one : must(s.otlp.resource_attributes, "OTEL_RESOURCE_ATTRIBUTES")) resource.push_back(std::move(one));
  return {.endpoint = s.otlp.endpoint,
          .headers = must(s.otlp.headers, "OTEL_EXPORTER_OTLP_HEADERS"),
          .resource = std::move(resource),
          .version = version,
          .interval = s.otlp.interval};
}

http::server_response process::answer(const http::server_request& request, const agent& server) const {
  if (request.path == "/metrics") return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics_.text()};
  if (request.path == "/healthz") return {.body = "ok\n"};
  if (request.path == "/readyz") {
    if (server.is_ready()) return {.body = "ready\n"};
    return {.status = 503, .body = "not ready: starting, stopping, or the metadata log has not been heard of\n"};
  }
  return {.status = 404, .body = "there are /metrics, /healthz and /readyz\n"};
}
}  // namespace

void run_with_stores(const config::settings& settings,
                     std::function<awaitable<void>(runtime&, metadata::metastore&, object_store&)> work) {
  process(settings).run_with_stores(std::move(work));
}

void run_process(const config::settings& settings) {
  // Frames of a megabyte come and go all the time: without this, each one is mapped, faulted in page by page, and unmapped
  // (0.5 CPU-seconds per GiB). What is free above the second limit still goes back to the system.
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 256 << 20);
  process(settings).run();
}
}  // namespace yaks
