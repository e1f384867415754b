#include "upkeep/retention.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

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
  metadata::trim_partitions command{.term = *term, .partitions = {}};
  for (const auto& w : due) {
    auto decided = co_await decide(w);
    if (!decided) {
      spdlog::warn("cannot look up the oldest ranges of a partition ({}); trying again", name(decided.error()));
      co_return std::nullopt;
    }
    if (*decided) command.partitions.push_back(**decided);
  }
  if (command.partitions.empty()) co_return 0;
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

awaitable<result<std::optional<metadata::partition_trim>, metadata::log_error>> retention::decide(wanted what) {
  using answer = std::optional<metadata::partition_trim>;
  const auto* p = log_.current().find_partition(what.where);
  // One at a time: the index must have followed before more goes, or the two would meet in one chunk.
  if (!p || log_.current().trims().contains(what.where)) co_return answer();
  // What the partition would have left, and whether this range, the oldest one, is kept.
  auto left = p->bytes;
  auto goes = [&](const metadata::range& r, object_id in) {
    if (r.end_offset() <= p->log_start) return true;
    // Old enough that what is left keeps to the limit without it: at least retention.bytes stay.
    if (what.limits.bytes >= 0 && left >= std::uint64_t(what.limits.bytes) + r.bytes) return true;
    return what.limits.ms >= 0 && log_.log_time() - time_of(r, in) > what.limits.ms;
  };
  metadata::partition_trim trim{what.where.topic, what.where.partition, p->held_from, p->held_from, p->held_from, 0};
  bool ended = false;
  for (std::size_t n = 0; n < settings_.chunks_at_once && !ended; ++n) {
    p = log_.current().find_partition(what.where);
    if (!p || p->held_from != trim.from) co_return answer();
    if (trim.to >= p->state_begin()) break;
    auto chunk = co_await store_.index().find(what.where, trim.to);
    if (!chunk) co_return failure(chunk.error());
    p = log_.current().find_partition(what.where);
    if (!p || p->held_from != trim.from) co_return answer();
    if (chunk->empty()) {
      spdlog::error("the index does not hold offset {} of a partition, which the state says it does", trim.to.value());
      co_return answer();
    }
    for (const auto& r : *chunk) {
      if (r.range.end_offset() <= trim.to) continue;
      if (r.range.base_offset >= p->state_begin()) break;  // the state has it too, still
      if (!goes(r.range, r.object)) {
        ended = true;
        known_[what.where] = {r.range.base_offset, time_of(r.range, r.object)};
        break;
      }
      trim.to = r.range.end_offset();
      trim.index_bytes += r.range.bytes;
      left -= std::min<std::uint64_t>(left, r.range.bytes);
    }
  }
  trim.index_end = trim.to;
  // No wait from here to the command: what the state holds is as it will be applied, or the command is void.
  if (!ended && trim.to >= p->state_begin()) {
    trim.index_end = p->state_begin();
    for (const auto& r : p->ranges) {
      if (!goes(r, log_.current().find_object(r.object).id)) break;
      trim.to = r.end_offset();
      left -= std::min<std::uint64_t>(left, r.bytes);
    }
  }
  if (trim.to == trim.from) co_return answer();
  co_return answer(trim);
}
}  // namespace yaks::upkeep
