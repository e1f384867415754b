#include "console/own_numbers.hpp"

#include <fmt/format.h>

#include <charconv>
#include <iterator>

#include "base/json.hpp"

namespace yaks::console {
namespace {
double seconds(duration d) {
  return std::chrono::duration<double>(d).count();
}
constexpr std::int64_t step_ms = std::chrono::duration_cast<std::chrono::milliseconds>(history::step).count();
}  // namespace

std::string query_of(const numbers_request& request) {
  return fmt::format("step={}&since={}&topics={}", request.step_s, request.since_ms, int(request.with_topics));
}

std::optional<numbers_request> parse_query(std::string_view query) {
  numbers_request request;
  while (!query.empty()) {
    auto one = query.substr(0, std::min(query.find('&'), query.size()));
    query.remove_prefix(std::min(one.size() + 1, query.size()));
    auto equals = std::min(one.find('='), one.size());
    auto name = one.substr(0, equals), text = one.substr(std::min(equals + 1, one.size()));
    if (name != "step" && name != "since" && name != "topics") continue;
    std::int64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < 0) return std::nullopt;
    if (name == "step") {
      if (number < 5 || number > 60 || number % 5 != 0) return std::nullopt;
      request.step_s = unsigned(number);
    } else if (name == "since") {
      request.since_ms = number;
    } else {
      request.with_topics = number != 0;
    }
  }
  return request;
}

own_numbers::own_numbers(runtime& rt, const metrics::registry& metrics, const metadata::replica& log,
                         const membership::members& members, own_numbers_settings settings)
    : rt_(rt), metrics_(metrics), log_(log), members_(members), settings_(std::move(settings)), started_(rt.now()) {}

bool own_numbers::is_wanted() const {
  return settings_.always || (asked_ && rt_.now() - *asked_ < settings_.forget);
}

awaitable<void> own_numbers::run() {
  for (;;) {
    while (!is_wanted()) co_await wanted_.wait();
    if (!history_) history_.emplace(metrics_, rt_.now(), rt_.wall_clock());
    // Just behind the steps of the wall clock, so that those of all agents are the same.
    auto into = rt_.wall_clock().value() % step_ms;
    co_await rt_.sleep_for(std::chrono::milliseconds(step_ms - into + 20));
    history_->sample(rt_.now(), rt_.wall_clock());
    if (!is_wanted()) history_.reset();
  }
}

std::string own_numbers::numbers(const numbers_request& request) {
  auto now = rt_.now();
  asked_ = now;
  if (!history_) wanted_.notify_all();
  std::string out = "{\"incarnation\":";
  append_json(out, log_.self().value().text());
  fmt::format_to(std::back_inserter(out), ",\"node\":{},\"host\":", settings_.node);
  append_json(out, settings_.host);
  fmt::format_to(std::back_inserter(out), ",\"port\":{},\"zone\":", settings_.port);
  append_json(out, settings_.zone);
  out += ",\"version\":";
  append_json(out, settings_.version);
  fmt::format_to(std::back_inserter(out), ",\"uptime_s\":{:.1f},\"fresh\":{}", seconds(now - started_),
                 log_.is_fresh());
  auto renewed = members_.renewed_at();
  fmt::format_to(std::back_inserter(out), ",\"lease\":{{\"ttl_s\":{},\"age_s\":", seconds(members_.lease_ttl()));
  append_json(out, renewed ? seconds(now - *renewed) : HUGE_VAL, false);
  fmt::format_to(std::back_inserter(out),
                 "}},\"log\":{{\"sequence\":{},\"heard_s\":", log_.current().position().sequence.value());
  append_json(out, seconds(now - log_.heard_at()), false);
  out += "},\"gauges\":{";
  auto gauges = read_gauges(metrics_);
  for (std::size_t i = 0; i < gauges_end; ++i) {
    fmt::format_to(std::back_inserter(out), "{}\"{}\":", i ? "," : "", gauge_names[i]);
    append_json(out, gauges[i], false);
  }
  out += "},\"now\":";
  auto lately = history_ ? history_->recent(now) : history::lately{};
  if (lately.seconds < 1) {
    out += "null";  // too short for a rate
  } else {
    fmt::format_to(std::back_inserter(out), "{{\"seconds\":{:.3f},", lately.seconds);
    append_totals(out, lately.counted);
    out += '}';
  }
  if (history_) out += ",\"history\":{" + history_->json(request.step_s, timestamp_ms(request.since_ms)) + "}";
  if (request.with_topics && history_) {
    out += ",\"topics\":[";
    bool first = true;
    for (const auto& t : history_->topics()) {
      if (!std::exchange(first, false)) out += ',';
      out += '[';
      append_json(out, t.name);
      for (double rate : t.per_s) append_json(out += ',', rate, false);
      out += ']';
    }
    out += ']';
  }
  out += '}';
  return out;
}
}  // namespace yaks::console
