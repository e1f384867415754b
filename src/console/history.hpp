// The last hour of an agent in numbers: what was counted in each 5 s, read from its metrics. Bounded: 720 steps of
// about 200 bytes, and one entry per topic that is in the metrics anyway. On the agent's executor only.
#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "metrics/registry.hpp"
#include "model/ids.hpp"
#include "runtime/runtime.hpp"

namespace yaks::console {
enum counter_name : std::size_t {
  records_in,
  bytes_in,
  records_out,
  bytes_out,
  appends,
  puts,
  gets,
  cache_hits,
  cache_misses,
  errors,
  dollars,
  counters_end
};
enum latency_name : std::size_t { produce, end_to_end, wait, put, append, latencies_end };
enum gauge_name : std::size_t {
  connections,
  requests,
  buffer_bytes,
  buffer_bytes_max,
  cache_bytes,
  cache_bytes_max,
  gauges_end
};
// As JSON has them.
extern const std::array<std::string_view, counters_end> counter_names;
extern const std::array<std::string_view, latencies_end> latency_names;
extern const std::array<std::string_view, gauges_end> gauge_names;
// Of histories, the others are shown for the moment only.
inline constexpr std::size_t latencies_kept = 2;
inline constexpr std::size_t buckets = 16;  // of metrics::latency_seconds_buckets(), with +Inf

// Since the start of the agent.
struct totals {
  std::array<double, counters_end> counters{};
  std::array<std::array<double, buckets>, latencies_end> latencies{};
};
totals read_totals(const metrics::registry& from);
std::array<double, gauges_end> read_gauges(const metrics::registry& from);

struct topic_rate {
  std::string name;
  std::array<double, 4> per_s{};  // bytes in, records in, bytes out, records out
};

class history {
 public:
  static constexpr duration step = 5s;
  static constexpr std::size_t steps_max = 720;
  static constexpr std::size_t topics_max = 200;

  // What `now` is compared with is what `from` says at this moment.
  history(const metrics::registry& from, time_point now, timestamp_ms wall);
  // Takes what was counted since the last call as that of the steps in between. To be called about every 5 s.
  void sample(time_point now, timestamp_ms wall);

  struct point {
    std::int64_t tick = 0;  // it ends at the wall clock's tick * 5 s
    std::array<float, counters_end> counters{};
    std::array<std::array<float, buckets>, latencies_kept> latencies{};
  };
  const std::deque<point>& points() const { return points_; }
  // What was counted lately: in the last 5 to 10 s while samples come, in `seconds`.
  struct lately {
    double seconds = 0;
    totals counted;
  };
  lately recent(time_point now) const;
  // Of the last step, the busiest first.
  const std::vector<topic_rate>& topics() const { return topics_; }

  // Members of a JSON object: "step_s":…,"points":n,"end_ms":…,"records_in":[…],… of whole steps of `step_s` that end
  // after `since`.
  std::string json(unsigned step_s, timestamp_ms since) const;

 private:
  void add(std::int64_t tick, const totals& counted, double share);
  void sample_topics(double seconds);

  const metrics::registry& from_;
  std::deque<point> points_;
  // The last three readings, the oldest first: `recent` needs one that is at least a step old.
  struct reading {
    time_point at;
    totals values;
  };
  std::deque<reading> readings_;
  std::int64_t tick_;
  std::unordered_map<std::string, std::array<double, 4>> by_topic_;
  std::vector<topic_rate> topics_;
};

// {"counters":{…},"latency":{"produce":[bucket,count,…],…}} without the braces: of what was counted.
void append_totals(std::string& out, const totals& counted);
}  // namespace yaks::console
