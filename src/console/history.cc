#include "console/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/json.hpp"

namespace yaks::console {
const std::array<std::string_view, counters_end> counter_names = {
    "records_in", "bytes_in",   "records_out",  "bytes_out", "appends", "puts",
    "gets",       "cache_hits", "cache_misses", "errors",    "dollars"};
const std::array<std::string_view, latencies_end> latency_names = {"produce", "end_to_end", "wait", "put", "append"};
const std::array<std::string_view, gauges_end> gauge_names = {"connections",      "requests",    "buffer_bytes",
                                                              "buffer_bytes_max", "cache_bytes", "cache_bytes_max"};

namespace {
constexpr std::int64_t step_ms = std::chrono::duration_cast<std::chrono::milliseconds>(history::step).count();
constexpr std::array<const char*, 4> topic_families = {"yaks_produce_bytes_total", "yaks_produce_records_total",
                                                       "yaks_fetch_bytes_total", "yaks_fetch_records_total"};

std::string_view label(const metrics::labels& in, std::string_view name) {
  for (const auto& [label, text] : in)
    if (label == name) return text;
  return {};
}

// The sum over the series whose label says so, or over all of them; nothing where the family is not there.
struct summed {
  double value = 0;
  bool found = false;
};
summed sum(const metrics::registry& from, const char* family, std::string_view name = {}, std::string_view text = {}) {
  summed all;
  from.visit_series(family, [&](const auto& one) {
    all.found = true;
    if (name.empty() || label(one.with, name) == text) all.value += one.value;
  });
  return all;
}
double sum_but(const metrics::registry& from, const char* family, std::string_view name, std::string_view text) {
  return sum(from, family).value - sum(from, family, name, text).value;
}

void add_distribution(std::array<double, buckets>& into, const metrics::registry& from, const char* family,
                      std::string_view name = {}, std::string_view text = {}) {
  from.visit_series(family, [&](const auto& one) {
    if (!one.distribution || (!name.empty() && label(one.with, name) != text)) return;
    const auto& counts = one.distribution->counts();
    for (std::size_t i = 0; i < std::min(buckets, counts.size()); ++i) into[i] += double(counts[i]);
  });
}

// A series that was removed (a deleted topic) makes a sum smaller: that is not a negative rate.
totals difference(const totals& later, const totals& earlier) {
  totals d;
  for (std::size_t i = 0; i < counters_end; ++i) d.counters[i] = std::max(later.counters[i] - earlier.counters[i], 0.0);
  for (std::size_t l = 0; l < latencies_end; ++l)
    for (std::size_t b = 0; b < buckets; ++b)
      d.latencies[l][b] = std::max(later.latencies[l][b] - earlier.latencies[l][b], 0.0);
  return d;
}

template <class Counts>
void append_buckets(std::string& out, const Counts& counts) {
  out += '[';
  bool first = true;
  for (std::size_t i = 0; i < buckets; ++i) {
    if (counts[i] == 0) continue;
    fmt::format_to(std::back_inserter(out), "{}{},", std::exchange(first, false) ? "" : ",", i);
    append_json(out, double(counts[i]), false);
  }
  out += ']';
}
}  // namespace

totals read_totals(const metrics::registry& from) {
  totals t;
  auto& c = t.counters;
  c[records_in] = sum(from, "yaks_produce_records_total").value;
  c[bytes_in] = sum(from, "yaks_produce_bytes_total").value;
  c[records_out] = sum(from, "yaks_fetch_records_total").value;
  c[bytes_out] = sum(from, "yaks_fetch_bytes_total").value;
  c[appends] = sum(from, "yaks_metastore_calls_total", "operation", "append").value;
  // A folder that stands for the object store has no requests: files written and read are the same thing there.
  auto s3_puts = sum(from, "yaks_s3_requests_total", "operation", "put");
  c[puts] = s3_puts.found ? s3_puts.value : sum(from, "yaks_buffer_flushes_total").value;
  c[gets] = s3_puts.found ? sum(from, "yaks_s3_requests_total", "operation", "get").value
                          : sum(from, "yaks_fetch_s3_downloads_total").value;
  // What another agent gave from its memory is no miss of the cluster: that is what had to be read from the object store.
  c[cache_hits] = sum(from, "yaks_cache_hits_total").value + sum(from, "yaks_groupcache_peer_loads_total").value;
  c[cache_misses] = sum(from, "yaks_groupcache_local_loads_total").value;
  c[errors] = sum(from, "yaks_buffer_flush_failures_total").value + sum(from, "yaks_fetch_s3_failures_total").value +
              sum(from, "yaks_fetch_corrupt_ranges_total").value + sum(from, "yaks_requests_refused_total").value +
              sum(from, "yaks_lease_failures_total").value +
              sum_but(from, "yaks_s3_requests_total", "outcome", "done") +
              sum_but(from, "yaks_metastore_calls_total", "outcome", "ok");
  c[dollars] = sum(from, "yaks_estimated_cost_dollars_total").value;
  add_distribution(t.latencies[produce], from, "yaks_request_duration_seconds", "api", "Produce");
  add_distribution(t.latencies[end_to_end], from, "yaks_end_to_end_duration_seconds");
  add_distribution(t.latencies[wait], from, "yaks_buffer_wait_duration_seconds");
  add_distribution(t.latencies[put], from, "yaks_buffer_s3_put_duration_seconds");
  add_distribution(t.latencies[append], from, "yaks_buffer_db_commit_duration_seconds");
  return t;
}

std::array<double, gauges_end> read_gauges(const metrics::registry& from) {
  return {sum(from, "yaks_connections").value,  sum(from, "yaks_requests_in_flight").value,
          sum(from, "yaks_buffer_bytes").value, sum(from, "yaks_buffer_bytes_max").value,
          sum(from, "yaks_cache_bytes").value,  sum(from, "yaks_cache_bytes_max").value};
}

history::history(const metrics::registry& from, time_point now, timestamp_ms wall)
    : from_(from), tick_(wall.value() / step_ms) {
  readings_.push_back({now, read_totals(from)});
  sample_topics(0);
  topics_.clear();
}

void history::sample(time_point now, timestamp_ms wall) {
  auto values = read_totals(from_);
  auto counted = difference(values, readings_.back().values);
  double seconds = std::chrono::duration<double>(now - readings_.back().at).count();
  std::int64_t tick = wall.value() / step_ms, passed = tick - tick_;
  if (passed < 0 || passed > std::int64_t(steps_max)) {  // the clock was set, or the machine slept: begin anew
    points_.clear();
    passed = 1;
  }
  tick_ = tick;
  // What was counted while this agent could not look belongs to all the steps that it missed.
  if (passed == 0 && !points_.empty()) {
    add(tick, counted, 1);
  } else {
    passed = std::max<std::int64_t>(passed, 1);
    for (std::int64_t t = tick - passed + 1; t <= tick; ++t) add(t, counted, 1.0 / double(passed));
  }
  readings_.push_back({now, values});
  while (readings_.size() > 3) readings_.pop_front();
  sample_topics(seconds);
}

void history::add(std::int64_t tick, const totals& counted, double share) {
  if (points_.empty() || points_.back().tick != tick) {
    points_.push_back({.tick = tick});
    if (points_.size() > steps_max) points_.pop_front();
  }
  auto& p = points_.back();
  for (std::size_t i = 0; i < counters_end; ++i) p.counters[i] += float(counted.counters[i] * share);
  for (std::size_t l = 0; l < latencies_kept; ++l)
    for (std::size_t b = 0; b < buckets; ++b) p.latencies[l][b] += float(counted.latencies[l][b] * share);
}

void history::sample_topics(double seconds) {
  std::unordered_map<std::string, std::array<double, 4>> values;
  for (std::size_t f = 0; f < topic_families.size(); ++f)
    from_.visit_series(topic_families[f],
                       [&](const auto& one) { values[std::string(label(one.with, "topic"))][f] = one.value; });
  topics_.clear();
  if (seconds > 0)
    for (const auto& [name, now] : values) {
      auto before = by_topic_.find(name);
      topic_rate rate{.name = name};
      bool busy = false;
      for (std::size_t f = 0; f < now.size(); ++f) {
        double grown = now[f] - (before == by_topic_.end() ? 0 : before->second[f]);
        rate.per_s[f] = std::max(grown, 0.0) / seconds;
        busy |= rate.per_s[f] > 0;
      }
      if (busy) topics_.push_back(std::move(rate));
    }
  std::ranges::sort(topics_, [](const auto& a, const auto& b) {
    double x = a.per_s[0] + a.per_s[2], y = b.per_s[0] + b.per_s[2];
    return x != y ? x > y : a.name < b.name;
  });
  if (topics_.size() > topics_max) topics_.resize(topics_max);
  by_topic_ = std::move(values);
}

history::lately history::recent(time_point now) const {
  // The newest reading that is a step old, so that a rate is never that of an instant.
  const reading* base = &readings_.front();
  for (const auto& r : readings_)
    if (now - r.at >= step - 100ms) base = &r;
  return {std::chrono::duration<double>(now - base->at).count(), difference(read_totals(from_), base->values)};
}

std::string history::json(unsigned step_s, timestamp_ms since) const {
  auto per = std::int64_t(step_s) * 1000 / step_ms;  // points in a step
  // A step is whole when its last point is there.
  std::vector<point> whole;
  point open;
  for (const auto& p : points_) {
    std::int64_t end = (p.tick + per - 1) / per * per;
    if (open.tick != end) open = {.tick = end};
    for (std::size_t i = 0; i < counters_end; ++i) open.counters[i] += p.counters[i];
    for (std::size_t l = 0; l < latencies_kept; ++l)
      for (std::size_t b = 0; b < buckets; ++b) open.latencies[l][b] += p.latencies[l][b];
    // The last tick still grows while samples come early.
    if (p.tick == end && end * step_ms > since.value()) whole.push_back(open);
  }
  std::string out = fmt::format("\"step_s\":{},\"points\":{},\"end_ms\":{}", step_s, whole.size(),
                                whole.empty() ? 0 : whole.back().tick * step_ms);
  for (std::size_t i = 0; i < counters_end; ++i) {
    fmt::format_to(std::back_inserter(out), ",\"{}\":[", counter_names[i]);
    for (std::size_t p = 0; p < whole.size(); ++p) {
      if (p) out += ',';
      append_json(out, double(whole[p].counters[i]), false);
    }
    out += ']';
  }
  for (std::size_t l = 0; l < latencies_kept; ++l) {
    fmt::format_to(std::back_inserter(out), ",\"{}\":[", latency_names[l]);
    for (std::size_t p = 0; p < whole.size(); ++p) {
      if (p) out += ',';
      append_buckets(out, whole[p].latencies[l]);
    }
    out += ']';
  }
  return out;
}

void append_totals(std::string& out, const totals& counted) {
  out += "\"counters\":{";
  for (std::size_t i = 0; i < counters_end; ++i) {
    fmt::format_to(std::back_inserter(out), "{}\"{}\":", i ? "," : "", counter_names[i]);
    append_json(out, counted.counters[i], false);
  }
  out += "},\"latency\":{";
  for (std::size_t l = 0; l < latencies_end; ++l) {
    fmt::format_to(std::back_inserter(out), "{}\"{}\":", l ? "," : "", latency_names[l]);
    append_buckets(out, counted.latencies[l]);
  }
  out += '}';
}
}  // namespace yaks::console
