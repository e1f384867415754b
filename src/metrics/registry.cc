#include "metrics/registry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.hpp"

namespace yaks::metrics {
namespace {
using callback = std::function<double()>;
// unique_ptr: the references that add_* gives must survive the map's moves and a variant's reassignment.
using metric = std::variant<std::unique_ptr<counter>, std::unique_ptr<gauge>, std::unique_ptr<histogram>, callback>;

struct stored_family {
  std::string help;
  std::string_view type;
  // Ordered, so that two scrapes list the series alike. The key is sorted by label name.
  std::map<labels, metric> series;
};

// [a-zA-Z_:][a-zA-Z0-9_:]*; label names have no colon.
bool is_name(std::string_view name, bool label) {
  auto good = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (c == ':' && !label);
  };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::all_of(name.begin(), name.end(), good);
}

void append_escaped(std::string& out, std::string_view text, bool in_quotes) {
  for (char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '"' && in_quotes)
      out += "\\\"";
    else
      out += c;
  }
}

void append_number(std::string& out, double value) {
  if (std::isnan(value))
    out += "NaN";
  else if (std::isinf(value))
    out += value > 0 ? "+Inf" : "-Inf";
  // A counter of bytes passes 10^16 and must not lose its last digits to an exponent.
  else if (value == std::floor(value) && std::abs(value) < 1e18)
    fmt::format_to(std::back_inserter(out), "{}", std::int64_t(value));
  else
    fmt::format_to(std::back_inserter(out), "{}", value);
}

// name{a="x",b="y",le="0.5"} value
void append_line(std::string& out, std::string_view name, std::string_view suffix, const labels& with, double value,
                 const double* less_or_equal = nullptr) {
  out += name;
  out += suffix;
  if (!with.empty() || less_or_equal) {
    char separator = '{';
    for (const auto& [label, text] : with) {
      out += std::exchange(separator, ',');
      out += label;
      out += "=\"";
      append_escaped(out, text, true);
      out += '"';
    }
    if (less_or_equal) {
      out += std::exchange(separator, ',');
      out += "le=\"";
      append_number(out, *less_or_equal);
      out += '"';
    }
    out += '}';
  }
  out += ' ';
  append_number(out, value);
  out += '\n';
}

void append_histogram(std::string& out, std::string_view name, const labels& with, const histogram& of) {
  static constexpr double infinity = std::numeric_limits<double>::infinity();
  double below = 0;
  for (std::size_t i = 0; i < of.counts().size(); ++i) {
    below += double(of.counts()[i]);
    append_line(out, name, "_bucket", with, below, i < of.bounds().size() ? &of.bounds()[i] : &infinity);
  }
  append_line(out, name, "_sum", with, of.sum());
  append_line(out, name, "_count", with, below);
}
}  // namespace

void histogram::observe(double value, std::uint64_t times) {
  auto bucket = std::lower_bound(bounds_.begin(), bounds_.end(), value) - bounds_.begin();
  counts_[std::size_t(bucket)] += times;
  sum_ += value * double(times);
}

std::uint64_t histogram::count() const {
  std::uint64_t all = 0;
  for (auto n : counts_) all += n;
  return all;
}

std::vector<double> latency_seconds_buckets() {
  return {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30};
}

std::vector<double> bytes_buckets() {
  std::vector<double> bounds;
  for (double bound = 1024; bound <= 64.0 * 1024 * 1024; bound *= 4) bounds.push_back(bound);
  return bounds;
}

struct registry::state {
  std::map<std::string, stored_family> families;

  metric& find(std::string name, std::string help, std::string_view type, labels& with) {
    YAKS_CHECK(is_name(name, false), name);
    std::sort(with.begin(), with.end());
    for (const auto& [label, text] : with) YAKS_CHECK(is_name(label, true) && label != "le", label);
    auto [at, fresh] = families.try_emplace(std::move(name));
    stored_family& of = at->second;
    if (fresh)
      of.help = std::move(help), of.type = type;
    else
      YAKS_CHECK(of.type == type && of.help == help, at->first);
    return of.series[std::move(with)];
  }
  // The metric of that name and labels, made on first use.
  template <class T, class... Arguments>
  T& add(std::string name, std::string help, std::string_view type, labels& with, Arguments... arguments) {
    metric& at = find(std::move(name), std::move(help), type, with);
    // A fresh variant holds a null pointer of its first alternative.
    if (auto* first = std::get_if<0>(&at); first && !*first) at = std::make_unique<T>(std::move(arguments)...);
    auto* held = std::get_if<std::unique_ptr<T>>(&at);
    YAKS_CHECK(held && *held, "a gauge and a callback share a series");
    return **held;
  }
};

registry::registry() : state_(std::make_unique<state>()) {}
registry::~registry() = default;

counter& registry::add_counter(std::string name, std::string help, labels with) {
  return state_->add<counter>(std::move(name), std::move(help), "counter", with);
}

gauge& registry::add_gauge(std::string name, std::string help, labels with) {
  return state_->add<gauge>(std::move(name), std::move(help), "gauge", with);
}

histogram& registry::add_histogram(std::string name, std::string help, std::vector<double> bounds, labels with) {
  YAKS_CHECK(std::adjacent_find(bounds.begin(), bounds.end(), std::greater_equal<>()) == bounds.end(), name);
  return state_->add<histogram>(std::move(name), std::move(help), "histogram", with, std::move(bounds));
}

void registry::add_callback(std::string name, std::string help, std::function<double()> read, labels with) {
  metric& at = state_->find(std::move(name), std::move(help), "gauge", with);
  auto* first = std::get_if<0>(&at);
  YAKS_CHECK((first && !*first) || std::holds_alternative<callback>(at), "a gauge and a callback share a series");
  at = std::move(read);
}

void registry::remove(const std::string& name, const labels& with) {
  auto at = state_->families.find(name);
  if (at == state_->families.end()) return;
  labels sorted = with;
  std::sort(sorted.begin(), sorted.end());
  at->second.series.erase(sorted);
}

namespace {
registry::series view_of(const labels& with, const metric& one) {
  if (auto* c = std::get_if<std::unique_ptr<counter>>(&one)) return {with, (*c)->value()};
  if (auto* g = std::get_if<std::unique_ptr<gauge>>(&one)) return {with, (*g)->value()};
  if (auto* h = std::get_if<std::unique_ptr<histogram>>(&one)) return {with, 0, h->get()};
  return {with, std::get<callback>(one)()};
}
registry::type type_of(std::string_view word) {
  return word == "counter" ? registry::type::counter : word == "gauge" ? registry::type::gauge : registry::type::histogram;
}
}  // namespace

void registry::visit(const std::function<void(const family&)>& see) const {
  for (const auto& [name, of] : state_->families) {
    if (of.series.empty()) continue;
    see({name, of.help, type_of(of.type), [&of](const auto& see_series) {
           for (const auto& [with, one] : of.series) see_series(view_of(with, one));
         }});
  }
}

void registry::visit_series(const std::string& name, const std::function<void(const series&)>& see) const {
  auto at = state_->families.find(name);
  if (at == state_->families.end()) return;
  for (const auto& [with, one] : at->second.series) see(view_of(with, one));
}

std::string registry::text() const {
  std::string out;
  for (const auto& [name, of] : state_->families) {
    if (of.series.empty()) continue;
    out += "# HELP " + name + ' ';
    append_escaped(out, of.help, false);
    out += "\n# TYPE " + name + ' ';
    out += of.type;
    out += '\n';
    for (const auto& [with, one] : of.series) {
      if (auto* c = std::get_if<std::unique_ptr<counter>>(&one))
        append_line(out, name, "", with, (*c)->value());
      else if (auto* g = std::get_if<std::unique_ptr<gauge>>(&one))
        append_line(out, name, "", with, (*g)->value());
      else if (auto* h = std::get_if<std::unique_ptr<histogram>>(&one))
        append_histogram(out, name, with, **h);
      else
        append_line(out, name, "", with, std::get<callback>(one)());
    }
  }
  return out;
}
}  // namespace yaks::metrics
