#include "cache/block_cache.hpp"

#include <algorithm>

#include "base/mutation.hpp"

namespace yaks {
block_cache::block_cache(std::size_t bytes_max, metrics::registry& metrics)
    : bytes_max_(bytes_max),
      tail_max_(bytes_max - bytes_max / 8),
      hits_(metrics.add_counter("yaks_cache_hits_total", "Ranges that were found in the block cache.")),
      misses_(metrics.add_counter("yaks_cache_misses_total", "Ranges that were not in the block cache.")),
      evictions_(metrics.add_counter("yaks_cache_evictions_total", "Ranges that left the block cache for newer ones.")),
      gets_(metrics.add_counter("yaks_groupcache_cache_gets_total",
                                "Ranges that were looked up in the block cache, for fetches and for peers.")),
      cache_hits_(metrics.add_counter("yaks_groupcache_cache_hits_total", "Those of them that were there.")) {
  metrics.add_callback("yaks_cache_bytes", "Memory that the block cache holds, in bytes.",
                       [this] { return double(bytes()); });
  metrics.add_callback("yaks_cache_bytes_max", "Budget of the block cache (YAKS_GROUPCACHE_CACHE_SIZE_MB), in bytes.",
                       [this] { return double(bytes_max_); });
  metrics.add_callback("yaks_cache_tail_bytes",
                       "Memory that the block cache holds for what was just written, in bytes.",
                       [this] { return double(parts_[tail].bytes); });
}

void block_cache::part::charge(const cached_range& range) {
  bytes += range.index_bytes();
  for (const auto& s : range.segments())
    if (++pins[s.pinned()] == 1) bytes += s.pinned_bytes();
}

void block_cache::part::release(const cached_range& range) {
  bytes -= range.index_bytes();
  for (const auto& s : range.segments()) {
    auto pin = pins.find(s.pinned());
    if (--pin->second > 0) continue;
    bytes -= s.pinned_bytes();
    pins.erase(pin);
  }
}

std::size_t block_cache::bytes() const {
  return parts_[tail].bytes + parts_[probation].bytes + parts_[reused].bytes;
}

block_cache::entry block_cache::find(range_key key) {
  gets_.add();
  auto& slots = shard_of(key);
  auto found = slots.find(key);
  if (found == slots.end()) {
    misses_.add();
    if (mutated("cache serves another range") && !parts_[tail].recent.empty()) return parts_[tail].recent.front().range;
    return nullptr;
  }
  hits_.add();
  cache_hits_.add();
  auto at = found->second;
  auto& in = parts_[at->where].recent;
  in.splice(in.begin(), in, at);
  if (at->where != probation) return at->range;
  auto range = at->range;  // its slot may go
  if (!at->first_hit) {
    at->first_hit = taken_in_;
  } else if (taken_in_ - *at->first_hit >= bytes_max_ / 8) {
    move(at, reused);
    while (parts_[reused].bytes > (bytes_max_ - parts_[tail].bytes) / 2) {
      auto last = std::prev(parts_[reused].recent.end());
      last->first_hit.reset();
      move(last, probation);
    }
  }
  make_room();  // a chunk that both of them pin is counted in both
  return range;
}

block_cache::entry block_cache::peek(range_key key) const {
  const auto& slots = shard_of(key);
  auto found = slots.find(key);
  return found == slots.end() ? nullptr : found->second->range;
}

void block_cache::insert(range_key key, entry range, range_use use) {
  erase(key);
  auto charge = range->charge();
  taken_in_ += charge;
  auto where = use == range_use::tail ? tail : probation;
  if (charge > (where == tail ? tail_max_ : bytes_max_ - std::min(bytes_max_, parts_[tail].bytes))) return;
  auto& into = parts_[where];
  into.charge(*range);
  into.recent.push_front({.key = key, .range = std::move(range), .where = where, .first_hit = {}});
  shard_of(key).emplace(key, into.recent.begin());
  make_room();
}

void block_cache::make_room() {
  while (parts_[tail].bytes > tail_max_) evict_last(parts_[tail]);
  while (bytes() > bytes_max_) {
    if (!parts_[probation].recent.empty())
      evict_last(parts_[probation]);
    else if (!parts_[reused].recent.empty())
      evict_last(parts_[reused]);
    else
      break;
  }
}

void block_cache::evict_last(part& from) {
  evictions_.add();
  erase(from.recent.back().key);
}

void block_cache::move(std::list<slot>::iterator which, part_name to) {
  auto& old = parts_[which->where];
  auto& into = parts_[to];
  old.release(*which->range);
  into.charge(*which->range);
  which->where = to;
  into.recent.splice(into.recent.begin(), old.recent, which);
}

void block_cache::erase(range_key key) {
  auto& slots = shard_of(key);
  auto found = slots.find(key);
  if (found == slots.end()) return;
  auto at = found->second;
  auto& in = parts_[at->where];
  slots.erase(found);
  in.release(*at->range);
  in.recent.erase(at);
}
}  // namespace yaks
