// Sends all metrics to an OpenTelemetry collector now and then. What cannot be sent is dropped: counters are
// cumulative, so the next message says it too. On the agent's executor only.
#pragma once
#include <string>

#include "metrics/registry.hpp"
#include "net/http.hpp"
#include "net/network.hpp"
#include "objects/throttled_log.hpp"
#include "runtime/runtime.hpp"
#include "telemetry/otlp.hpp"

namespace yaks::telemetry {
struct otlp_settings {
  std::string
      endpoint;        // OTEL_EXPORTER_OTLP_ENDPOINT: http://host:4318 or https://host/path, without a slash at the end
  attributes headers;  // OTEL_EXPORTER_OTLP_HEADERS
  attributes resource;  // service.name and the like
  std::string version;
  duration interval = 60s;  // OTEL_METRIC_EXPORT_INTERVAL
  duration timeout = 10s;   // of one message
};

class otlp_exporter {
 public:
  // `endpoint` is a URL, checked by whoever read it. References outlive the exporter.
  otlp_exporter(runtime& rt, network& net, metrics::registry& metrics, otlp_settings settings);
  // Sends at each interval until cancelled.
  awaitable<void> run();
  // Sends once, at most for `timeout`: at the end, so that the last minute is not lost.
  awaitable<void> push();

 private:
  awaitable<void> exchange(std::string& problem);

  runtime& rt_;
  network& net_;
  metrics::registry& metrics_;
  otlp_settings settings_;
  http::url to_;
  timestamp_ms started_;
  throttled_log log_;
  metrics::counter &sent_, &failed_;
};
}  // namespace yaks::telemetry
