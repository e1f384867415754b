// Metrics as OpenTelemetry's OTLP/HTTP in JSON (opentelemetry-proto 1.x: ExportMetricsServiceRequest). Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metrics/registry.hpp"
#include "model/ids.hpp"

namespace yaks::telemetry {
using attributes = std::vector<std::pair<std::string, std::string>>;

// "a=1,b=x%20y": OTEL_RESOURCE_ATTRIBUTES and OTEL_EXPORTER_OTLP_HEADERS (W3C Baggage's form). Nothing where it is not
// that.
std::optional<attributes> parse_pairs(std::string_view text);

// All metrics, under the names that they have for Prometheus, as one request. Counters and histograms are cumulative
// since `started`. A number that JSON has no form for is left out. Later attributes of the same name win.
std::string otlp_json(const metrics::registry& metrics, const attributes& resource, std::string_view version,
                      timestamp_ms started, timestamp_ms now);
}  // namespace yaks::telemetry
