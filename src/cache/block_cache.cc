#include "cache/block_cache.hpp"

namespace yaks {
block_cache::block_cache(std::size_t bytes_max, metrics::registry& metrics)
    : bytes_max_(bytes_max),
      hits_(metrics.add_counter("yaks_cache_hits_total", "Ranges that were found in the block cache.")),
      misses_(metrics.add_counter("yaks_cache_misses_total", "Ranges that were not in the block cache.")),
      evictions_(metrics.add_counter("yaks_cache_evictions_total", "Ranges that left the block cache for newer ones.")) {
  metrics.add_callback("yaks_cache_bytes", "Memory that the block cache holds, in bytes.", [this] { return double(bytes_); });
  metrics.add_callback("yaks_cache_bytes_max", "Budget of the block cache (YAKS_GROUPCACHE_CACHE_SIZE_MB), in bytes.",
                       [this] { return double(bytes_max_); });
}

block_cache::entry block_cache::find(range_key key) {
  auto found = slots_.find(key);
  if (found == slots_.end()) {
    misses_.add();
    return nullptr;
  }
  hits_.add();
  recent_.splice(recent_.begin(), recent_, found->second);
  return found->second->range;
}

block_cache::entry block_cache::peek(range_key key) const {
  auto found = slots_.find(key);
  return found == slots_.end() ? nullptr : found->second->range;
}

void block_cache::insert(range_key key, entry range) {
  erase(key);
  if (range->charge() > bytes_max_) return;
  bytes_ += range->charge();
  recent_.push_front({key, std::move(range)});
  slots_.emplace(key, recent_.begin());
  while (bytes_ > bytes_max_) {
    evictions_.add();
    erase(recent_.back().key);
  }
}

void block_cache::erase(range_key key) {
  auto found = slots_.find(key);
  if (found == slots_.end()) return;
  auto at = found->second;
  bytes_ -= at->range->charge();
  slots_.erase(found);
  recent_.erase(at);
}
}  // namespace yaks
