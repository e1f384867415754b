#include "fetch/index_reader.hpp"

#include <spdlog/spdlog.h>

namespace yaks::fetch {
namespace {
index_reader::ranges located(const std::vector<metadata::indexed_range>& found) {
  index_reader::ranges ranges;
  ranges.reserve(found.size());
  for (const auto& r : found) ranges.push_back({r.object, r.range});
  return ranges;
}
}  // namespace

index_reader::index_reader(metadata::range_index& index, const metadata::replica& log, std::size_t ranges_max,
                           metrics::registry& metrics)
    : index_(index),
      log_(log),
      ranges_max_(ranges_max),
      lookups_(metrics.add_counter("yaks_index_lookups_total", "Chunks of ranges that were asked of the metastore.")),
      hits_(metrics.add_counter("yaks_index_hits_total", "Chunks of ranges that were still known.")),
      failures_(metrics.add_counter("yaks_index_failures_total", "Chunks of ranges that could not be had.")) {
  metrics.add_callback("yaks_index_ranges", "Ranges of the index that this agent keeps in memory.",
                       [this] { return double(held_); });
}

std::shared_ptr<const index_reader::ranges> index_reader::known(topic_partition where, std::uint32_t generation,
                                                                offset at) {
  auto after = chunks_.upper_bound({where, generation, at});
  if (after == chunks_.begin()) return nullptr;
  auto found = std::prev(after);
  const auto& [partition, of_generation, base] = found->first;
  if (partition != where || of_generation != generation || at >= found->second->what->back().range.end_offset())
    return nullptr;
  recent_.splice(recent_.begin(), recent_, found->second);
  return found->second->what;
}

void index_reader::remember(key at, std::shared_ptr<const ranges> what) {
  if (chunks_.contains(at)) return;  // two asked at the same time
  held_ += what->size();
  recent_.push_front({at, std::move(what)});
  chunks_.emplace(at, recent_.begin());
  while (held_ > ranges_max_ && recent_.size() > 1) {
    held_ -= recent_.back().what->size();
    chunks_.erase(recent_.back().at);
    recent_.pop_back();
  }
}

awaitable<result<std::shared_ptr<const index_reader::ranges>, index_reader::problem>> index_reader::chunk_at(
    topic_partition where, offset at) {
  const auto* p = log_.current().find_partition(where);
  auto generation = p ? p->index_generation : 0;
  if (auto have = known(where, generation, at)) {
    hits_.add();
    co_return have;
  }
  lookups_.add();
  auto found = co_await index_.find(where, at);
  if (!found) {
    failures_.add();
    spdlog::warn("cannot look up offset {} in the index: {}", at.value(), name(found.error()));
    co_return failure(found.error() == metadata::log_error::refused ? problem::damaged : problem::away);
  }
  if (found->empty()) co_return std::shared_ptr<const ranges>();
  auto chunk = std::make_shared<const ranges>(located(*found));
  remember({where, generation, chunk->front().range.base_offset}, chunk);
  co_return chunk;
}

awaitable<result<offset, index_reader::problem>> index_reader::each(topic_partition where, offset from,
                                                                    std::function<bool(const located_range&)> take) {
  for (auto asked = from;;) {
    const auto* p = log_.current().find_partition(where);
    if (!p || from >= p->state_begin()) break;
    auto chunk = co_await chunk_at(where, from);
    if (!chunk && from == asked) co_return failure(chunk.error());
    if (!chunk || !*chunk || (*chunk)->back().range.end_offset() <= from) break;
    for (const auto& r : **chunk) {
      if (r.range.end_offset() <= from) continue;
      from = r.range.end_offset();
      if (!take(r)) co_return from;
    }
  }
  co_return from;
}

awaitable<result<index_reader::ranges, index_reader::problem>> index_reader::first_at_or_after(topic_partition where,
                                                                                               offset from,
                                                                                               timestamp_ms target) {
  lookups_.add();
  auto found = co_await index_.find_time(where, from, target);
  if (!found) {
    failures_.add();
    co_return failure(found.error() == metadata::log_error::refused ? problem::damaged : problem::away);
  }
  co_return located(*found);
}

awaitable<result<index_reader::ranges, index_reader::problem>> index_reader::with_largest_timestamp(
    topic_partition where, offset from) {
  lookups_.add();
  auto found = co_await index_.find_largest_time(where, from);
  if (!found) {
    failures_.add();
    co_return failure(found.error() == metadata::log_error::refused ? problem::damaged : problem::away);
  }
  co_return located(*found);
}
}  // namespace yaks::fetch
