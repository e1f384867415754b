#include "upkeep/retention.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

namespace yaks::upkeep {
namespace {
// Records without timestamps are as old as the object that they came in.
timestamp_ms time_of(const metadata::range& r, object_id in) {
  return r.max_timestamp >= timestamp_ms(0) ? r.max_timestamp : timestamp_ms(in.value().v7_unix_ms());
}
}  // namespace

retention::retention(runtime& rt, metadata::metastore& store, metadata::replica& log, term& office,
                     std::function<retention_limits(const metadata::topic&)> limits, retention_settings settings,
                     metrics::registry& metrics)
    : rt_(rt),
      store_(store),
      log_(log),
      office_(office),
      limits_(std::move(limits)),
      settings_(settings),
      trims_(metrics.add_counter("yaks_retention_trims_total", "Times that the oldest records of a partition were let go of.")),
      trimmed_bytes_(metrics.add_counter("yaks_retention_bytes_total", "Bytes that were let go of by retention and DeleteRecords.")),
      failures_(metrics.add_counter("yaks_retention_failures_total", "Looks at the partitions that failed; they are repeated.")) {}

awaitable<void> retention::run() {
  for (unsigned failures = 0;;) {
    co_await rt_.sleep_for(failures == 0 ? settings_.interval : backoff(rt_, failures, 1s, settings_.interval));
    if (!office_.held()) {
      known_.clear();
      continue;
    }
    bool is_done = (co_await run_once()).has_value();
    failures = is_done || !office_.held() ? 0 : failures + 1;
    if (!is_done) failures_.add();
  }
}

// From what is known without a query. True where nothing is known.
bool retention::may_be_due(topic_partition where, const metadata::partition& p, retention_limits limits) const {
  if (p.held_from >= p.high_watermark) return false;
  if (p.log_start > p.held_from) return true;
  if (limits.bytes >= 0 && p.bytes > std::uint64_t(limits.bytes)) return true;
  if (limits.ms < 0) return false;
  auto is_old = [&](timestamp_ms t) { return log_.log_time() - t > limits.ms; };
  if (p.held_from >= p.state_begin()) return is_old(time_of(p.ranges.front(), log_.current().find_object(p.ranges.front().object).id));
  auto found = known_.find(where);
  return found == known_.end() || found->second.base != p.held_from || is_old(found->second.max_timestamp);
}

awaitable<std::optional<std::size_t>> retention::run_once() {
  // Where nothing is appended and nobody polls (embedded), the log's clock stands still until it is asked for.
  if (!co_await log_.barrier_since(rt_.now() - 1s)) co_return std::nullopt;
  std::string next_topic;
  std::size_t next_partition = 0, trimmed = 0;
  std::erase_if(known_, [&](const auto& k) { return !log_.current().find_topic(k.first.topic); });
  for (;;) {
    std::vector<wanted> due;
    const auto& topics = log_.current().topics_by_name();
    auto topic = topics.lower_bound(next_topic);
    if (topic != topics.end() && topic->first != next_topic) next_partition = 0;
    for (std::size_t n = 0; n < settings_.partitions_at_once && topic != topics.end(); ++topic, next_partition = 0) {
      const auto& t = *topic->second;
      auto limits = limits_(t);
      for (; next_partition < t.partitions.size() && n < settings_.partitions_at_once; ++n, ++next_partition) {
        topic_partition where{t.id, partition_index(std::int32_t(next_partition))};
        if (may_be_due(where, t.partitions[next_partition], limits)) due.push_back({where, limits});
      }
      if (next_partition < t.partitions.size()) break;
    }
    next_topic = topic == topics.end() ? "" : topic->first;
    for (std::size_t first = 0; first < due.size(); first += settings_.trims_at_once) {
      auto last = std::min(due.size(), first + settings_.trims_at_once);
      auto done = co_await trim({due.begin() + std::ptrdiff_t(first), due.begin() + std::ptrdiff_t(last)});
      if (!done) co_return std::nullopt;
      trimmed += *done;
    }
    if (next_topic.empty()) co_return trimmed;
    co_await rt_.sleep_for(1ms);  // others' turn
  }
}

awaitable<std::optional<std::size_t>> retention::trim(std::vector<wanted> due) {
  // What the index says must hold until the command is there.
  auto turn = office_.index_turns().next_turn();
  co_await turn.wait();
  auto term = office_.held();
  if (!term) co_return std::nullopt;
  auto decided = co_await decide(std::move(due));
  if (!decided) {
    spdlog::warn("cannot look up the oldest ranges of partitions ({}); trying again", name(decided.error()));
    co_return std::nullopt;
  }
  if (decided->empty()) co_return 0;
  metadata::trim_partitions command{.term = *term, .partitions = std::move(*decided)};
  std::uint64_t before = 0, after = 0;
  auto bytes = [&](const metadata::partition_trim& t) {
    const auto* p = log_.current().find_partition({t.topic, t.partition});
    return p ? p->bytes : 0;
  };
  auto trims = command.partitions;
  for (const auto& t : trims) before += bytes(t);
  auto done = co_await log_.submit(std::move(command));
  if (!done) co_return std::nullopt;
  std::size_t n = 0;
  for (const auto& t : trims) {
    after += bytes(t);
    const auto* p = log_.current().find_partition({t.topic, t.partition});
    n += p && p->held_from == t.to;
  }
  trims_.add(double(n));
  if (before > after) trimmed_bytes_.add(double(before - after));
  co_return n;
}

const metadata::partition* retention::stands(const decision& d) const {
  const auto* p = log_.current().find_partition(d.what.where);
  return p && p->held_from == d.trim.from ? p : nullptr;
}

bool retention::goes(const decision& d, const metadata::partition& p, const metadata::range& r, timestamp_ms time) const {
  if (r.end_offset() <= p.log_start) return true;
  // Old enough that what is left keeps to the limit without it: at least retention.bytes stay.
  const auto& limits = d.what.limits;
  if (limits.bytes >= 0 && d.bytes_left >= std::uint64_t(limits.bytes) + r.bytes) return true;
  return limits.ms >= 0 && log_.log_time() - time > limits.ms;
}

void retention::take(decision& d, const metadata::partition& p, const std::vector<metadata::range>& chunk,
                     const std::map<metadata::object_number, object_id>& untimed) {
  for (const auto& r : chunk) {
    if (r.end_offset() <= d.trim.to) continue;
    if (r.base_offset >= p.state_begin()) return;  // the state has it too, still
    auto time = r.max_timestamp >= timestamp_ms(0) ? r.max_timestamp : time_of(r, untimed.at(r.object));
    if (!goes(d, p, r, time)) {
      d.is_made = true;
      known_[d.what.where] = {r.base_offset, time};
      return;
    }
    d.trim.to = r.end_offset();
    d.trim.index_bytes += r.bytes;
    d.bytes_left -= std::min<std::uint64_t>(d.bytes_left, r.bytes);
  }
}

void retention::take_from_state(decision& d, const metadata::partition& p) const {
  d.trim.index_end = d.trim.to;
  if (d.is_made || d.trim.to < p.state_begin()) return;
  d.trim.index_end = p.state_begin();
  for (const auto& r : p.ranges) {
    if (!goes(d, p, r, time_of(r, log_.current().find_object(r.object).id))) return;
    d.trim.to = r.end_offset();
    d.bytes_left -= std::min<std::uint64_t>(d.bytes_left, r.bytes);
  }
}

awaitable<result<std::vector<metadata::partition_trim>, metadata::log_error>> retention::decide(std::vector<wanted> due) {
  std::vector<decision> all;
  for (const auto& w : due) {
    const auto* p = log_.current().find_partition(w.where);
    // One at a time: the index must have followed before more goes, or the two would meet in one chunk.
    if (!p || log_.current().trims().contains(w.where)) continue;
    all.push_back({w, {w.where.topic, w.where.partition, p->held_from, p->held_from, p->held_from, 0}, p->bytes});
  }
  for (std::size_t n = 0; n < settings_.chunks_at_once; ++n) {
    std::vector<std::size_t> open;
    std::vector<metadata::index_place> asked;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (const auto* p = stands(all[i]); p && !all[i].is_made && all[i].trim.to < p->state_begin()) {
        open.push_back(i);
        asked.push_back({all[i].what.where, all[i].trim.to});
      }
    if (open.empty()) break;
    auto found = co_await store_.index().find_oldest(std::move(asked));
    if (!found) co_return failure(found.error());
    for (std::size_t i = 0; i < open.size(); ++i) {
      auto& d = all[open[i]];
      const auto* p = stands(d);
      if (!p) continue;
      if (found->chunks[i].empty()) {
        spdlog::error("the index does not hold offset {} of a partition, which the state says it does", d.trim.to.value());
        d.trim.to = d.trim.from;
        d.is_made = true;
        continue;
      }
      take(d, *p, found->chunks[i], found->untimed);
    }
  }
  // No wait from here to the command: what the state holds is as it will be applied, or the command is void.
  std::vector<metadata::partition_trim> trims;
  for (auto& d : all) {
    const auto* p = stands(d);
    if (!p) continue;
    take_from_state(d, *p);
    if (d.trim.to != d.trim.from) trims.push_back(d.trim);
  }
  co_return trims;
}
}  // namespace yaks::upkeep
