#include "telemetry/otlp_exporter.hpp"

#include <fmt/format.h>

#include <boost/asio/error.hpp>

#include "base/check.hpp"
#include "net/http_client.hpp"
#include "runtime/first_of.hpp"

namespace yaks::telemetry {
namespace {
constexpr const char* help = "Messages to the OpenTelemetry collector, by outcome.";
}

otlp_exporter::otlp_exporter(runtime& rt, network& net, metrics::registry& metrics, otlp_settings settings)
    : rt_(rt),
      net_(net),
      metrics_(metrics),
      settings_(std::move(settings)),
      started_(rt.wall_clock()),
      log_(rt),
      sent_(metrics.add_counter("yaks_otlp_messages_total", help, {{"outcome", "sent"}})),
      failed_(metrics.add_counter("yaks_otlp_messages_total", help, {{"outcome", "failed"}})) {
  auto parsed = http::parse_url(settings_.endpoint);
  YAKS_CHECK(parsed, settings_.endpoint);
  to_ = std::move(*parsed);
  while (to_.path.ends_with('/')) to_.path.pop_back();
}

awaitable<void> otlp_exporter::run() {
  for (;;) {
    co_await rt_.sleep_for(settings_.interval);
    co_await push();
  }
}

awaitable<void> otlp_exporter::push() {
  std::string problem = fmt::format("no answer within {} s", std::chrono::duration<double>(settings_.timeout).count());
  co_await first_of(exchange(problem), rt_.sleep_for(settings_.timeout));
  (problem.empty() ? sent_ : failed_).add();
  if (!problem.empty()) log_.warn(fmt::format("metrics were not sent to {}: {}", settings_.endpoint, problem));
}

// A connection for each message: they are a minute apart, and a kept one would be closed by then.
awaitable<void> otlp_exporter::exchange(std::string& problem) {
  try {
    auto body = shared_bytes::copy_of(
        as_bytes(otlp_json(metrics_, settings_.resource, settings_.version, started_, rt_.wall_clock())));
    http::client_connection connection(co_await net_.connect(to_.at));
    http::headers fields{{"Host", http::host_header(to_.at)},
                         {"Content-Type", "application/json"},
                         {"User-Agent", "yaks/" + settings_.version},
                         {"Content-Length", std::to_string(body.size())},
                         {"Connection", "close"}};
    for (const auto& [name, value] : settings_.headers) fields.push_back({name, value});
    std::vector<shared_bytes> parts{std::move(body)};
    auto answer = co_await connection.exchange(http::request_text("POST", to_.path + "/v1/metrics", fields),
                                               std::move(parts), true, 64 << 10);
    if (answer.head.status >= 200 && answer.head.status < 300)
      problem.clear();
    else
      problem = fmt::format("status {} {}", answer.head.status, answer.head.reason);
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    problem = error.code().message();
  } catch (const http::protocol_error& error) {
    problem = error.what();
  }
}
}  // namespace yaks::telemetry
