#include "console/dashboard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/json.hpp"
#include "console/assets.hpp"
#include "metrics/registry.hpp"

namespace yaks::console {
namespace {
constexpr std::size_t topics_most = 500;

// Nothing from elsewhere, nothing inline, nobody's frame.
http::headers protection(bool is_document) {
  return {
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
       "form-action 'none'; frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Cache-Control", is_document ? "no-store" : "no-cache"}};
}

http::server_response document(std::string json) {
  return {.content_type = "application/json", .body = std::move(json), .fields = protection(true)};
}
http::server_response refusal_of(unsigned status, std::string text) {
  return {.status = status, .body = std::move(text), .fields = protection(true)};
}

// Takes as long for a wrong one as for the right one.
bool same_secret(std::string_view given, std::string_view right) {
  unsigned different = given.size() != right.size();
  for (std::size_t i = 0; i < given.size(); ++i)
    different |= static_cast<unsigned char>(given[i] ^ right[i % right.size()]);
  return different == 0;
}

// Of a Host header: without its port.
std::string_view name_in(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, std::min(host.find(']'), host.size() - 1) + 1);
  return host.substr(0, std::min(host.find(':'), host.size()));
}
bool is_address(std::string_view name) {
  return name.starts_with('[') || (!name.empty() && name.find_first_not_of("0123456789.") == name.npos);
}

// "a%20b+c" in the query of a URL; what is no code stays.
std::string decoded(std::string_view text) {
  auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      out += char(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}
}  // namespace

dashboard::dashboard(runtime& rt, cluster_numbers& cluster, topic_survey& topics, dashboard_settings settings)
    : rt_(rt), cluster_(cluster), topics_(topics), settings_(std::move(settings)) {}

awaitable<void> dashboard::run() {
  for (;;) {
    while (!survey_wanted_) co_await wanted_.wait();
    survey_wanted_ = false;
    co_await topics_.take();
    co_await rt_.sleep_for(5s);
  }
}

bool dashboard::is_allowed(const http::server_request& request, http::server_response& refusal) const {
  if (settings_.token.empty()) {
    auto name = name_in(http::find(request.fields, "Host"));
    if (is_address(name) || name == "localhost" || name == settings_.host) return true;
    refusal = refusal_of(403, "this name is not known here: use an address or localhost, or set YAKS_CONSOLE_TOKEN\n");
    return false;
  }
  constexpr std::string_view scheme = "Bearer ";
  auto given = http::find(request.fields, "Authorization");
  if (given.starts_with(scheme) && same_secret(given.substr(scheme.size()), settings_.token)) return true;
  refusal = refusal_of(401, "the token of YAKS_CONSOLE_TOKEN is wanted: Authorization: Bearer TOKEN\n");
  refusal.fields.push_back({"WWW-Authenticate", "Bearer"});
  return false;
}

http::server_response dashboard::answer(const http::server_request& request) {
  if (request.path.starts_with("/api/")) {
    http::server_response refusal;
    if (!is_allowed(request, refusal)) return refusal;
    survey_wanted_ = true;
    wanted_.notify_all();
    if (request.path == "/api/cluster") {
      auto asked = parse_query(request.query);
      if (!asked)
        return refusal_of(400, "step is 5, 10, … 60 seconds; since is in milliseconds since 1970; topics is 0 or 1\n");
      http::server_response slow;
      slow.later = [this, asked = *asked] { return cluster(asked); };
      return slow;
    }
    if (request.path == "/api/topics") {
      std::string filter;
      for (auto rest = std::string_view(request.query); !rest.empty();) {
        auto one = rest.substr(0, std::min(rest.find('&'), rest.size()));
        rest.remove_prefix(std::min(one.size() + 1, rest.size()));
        if (one.starts_with("filter=")) filter = decoded(one.substr(7));
      }
      return document(topics_.is_taken() ? topics_.json(filter, topics_most) : "null");
    }
    return refusal_of(404, "there are /api/cluster and /api/topics\n");
  }
  std::string_view path = request.path == "/" ? "/index.html" : std::string_view(request.path);
  for (const auto& file : assets())
    if (file.path == path)
      return {
          .content_type = std::string(file.content_type), .body = std::string(file.bytes), .fields = protection(false)};
  return refusal_of(404, "there is no such page\n");
}

awaitable<http::server_response> dashboard::cluster(numbers_request request) {
  auto agents = co_await cluster_.json(request);
  std::string out =
      fmt::format("{{\"time_ms\":{},\"node\":{},\"cluster_id\":", rt_.wall_clock().value(), settings_.node);
  append_json(out, settings_.cluster_id);
  append_json(out += ",\"prices\":{\"storage_per_gb_month\":", settings_.storage_dollars_per_gb_month);
  out += "},\"bounds\":[";
  bool first = true;
  for (double bound : metrics::latency_seconds_buckets()) {
    if (!std::exchange(first, false)) out += ',';
    append_json(out, bound);
  }
  out += "],\"stored\":" + topics_.totals_json() + ",";
  out += agents;
  out += '}';
  co_return document(std::move(out));
}
}  // namespace yaks::console
