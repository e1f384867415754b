#include "telemetry/otlp.hpp"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <map>

#include "base/json.hpp"

namespace yaks::telemetry {
namespace {
std::optional<std::string> percent_decoded(std::string_view text) {
  auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) return std::nullopt;
    out += char(digit(text[i + 1]) * 16 + digit(text[i + 2]));
    i += 2;
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// In UCUM, as OpenTelemetry has it.
std::string_view unit_of(std::string_view name) {
  if (name.ends_with("_total")) name.remove_suffix(6);
  if (name.ends_with("_max")) name.remove_suffix(4);
  if (name.ends_with("_seconds")) return "s";
  if (name.ends_with("_bytes")) return "By";
  if (name.ends_with("_dollars")) return "{USD}";
  return "";
}

// Appends with commas in between.
class list {
 public:
  explicit list(std::string& out) : out_(out) {}
  std::string& next() {
    if (!std::exchange(first_, false)) out_ += ',';
    return out_;
  }

 private:
  std::string& out_;
  bool first_ = true;
};

template <class Pairs>
void append_attributes(std::string& out, const Pairs& pairs) {
  out += "\"attributes\":[";
  list all(out);
  for (const auto& [name, text] : pairs) {
    all.next() += "{\"key\":";
    append_json(out, name);
    out += ",\"value\":{\"stringValue\":";
    append_json(out, text);
    out += "}}";
  }
  out += ']';
}

// 64-bit integers are texts in protobuf's JSON.
void append_times(std::string& out, const timestamp_ms* started, timestamp_ms now) {
  if (started) fmt::format_to(std::back_inserter(out), ",\"startTimeUnixNano\":\"{}000000\"", started->value());
  fmt::format_to(std::back_inserter(out), ",\"timeUnixNano\":\"{}000000\"", now.value());
}

void append_distribution(std::string& out, const metrics::histogram& of) {
  fmt::format_to(std::back_inserter(out), ",\"count\":\"{}\",\"sum\":", of.count());
  append_json(out, of.sum());
  out += ",\"bucketCounts\":[";
  list counts(out);
  for (auto n : of.counts()) fmt::format_to(std::back_inserter(counts.next()), "\"{}\"", n);
  out += "],\"explicitBounds\":[";
  list bounds(out);
  for (double bound : of.bounds()) append_json(bounds.next(), bound);
  out += ']';
}
}  // namespace

std::optional<attributes> parse_pairs(std::string_view text) {
  attributes all;
  while (!text.empty()) {
    auto end = std::min(text.find(','), text.size());
    auto one = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (one.empty()) continue;
    auto equals = one.find('=');
    if (equals == one.npos) return std::nullopt;
    auto name = percent_decoded(trimmed(one.substr(0, equals))),
         value = percent_decoded(trimmed(one.substr(equals + 1)));
    if (!name || !value || name->empty()) return std::nullopt;
    all.emplace_back(std::move(*name), std::move(*value));
  }
  return all;
}

std::string otlp_json(const metrics::registry& metrics, const attributes& resource, std::string_view version,
                      timestamp_ms started, timestamp_ms now) {
  using type = metrics::registry::type;
  std::map<std::string, std::string> named;
  for (const auto& [name, text] : resource) named[name] = text;
  std::string out = "{\"resourceMetrics\":[{\"resource\":{";
  append_attributes(out, named);
  out += "},\"scopeMetrics\":[{\"scope\":{\"name\":\"yaks\",\"version\":";
  append_json(out, version);
  out += "},\"metrics\":[";
  list families(out);
  metrics.visit([&](const metrics::registry::family& family) {
    families.next() += "{\"name\":";
    append_json(out, family.name);
    out += ",\"description\":";
    append_json(out, family.help);
    out += ",\"unit\":";
    append_json(out, unit_of(family.name));
    out += family.of == type::counter ? ",\"sum\":{" : family.of == type::gauge ? ",\"gauge\":{" : ",\"histogram\":{";
    // 2: cumulative
    if (family.of != type::gauge) out += "\"aggregationTemporality\":2,";
    if (family.of == type::counter) out += "\"isMonotonic\":true,";
    out += "\"dataPoints\":[";
    list points(out);
    family.each([&](const metrics::registry::series& one) {
      if (!one.distribution && !std::isfinite(one.value)) return;
      points.next() += '{';
      append_attributes(out, one.with);
      append_times(out, family.of == type::gauge ? nullptr : &started, now);
      if (one.distribution) {
        append_distribution(out, *one.distribution);
      } else {
        out += ",\"asDouble\":";
        append_json(out, one.value);
      }
      out += '}';
    });
    out += "]}}";
  });
  out += "]}]}]}";
  return out;
}
}  // namespace yaks::telemetry
