// Ranges of objects in memory, up to a budget that counts what their slices pin. What this agent has just written is in
// it before the producer has its answer, so that a tailing consumer causes no request to the object store.
//
// Scans do not wash it out. Ranges are kept in three parts, each least recently used out first:
//
//   tail       what was just written, here or elsewhere. At most 7/8 of the budget; takes room from the other two.
//   probation  what a backfill has loaded: read once, as a rule, and never again
//   reused     what left probation because it was wanted again later; at most half of what the tail leaves
//
// What a backfill loads takes room from other such ranges only, never from the tail. A consumer reads one range with
// several fetches, one after the other: only a hit that comes after the cache has taken in another eighth of its budget
// counts as wanted again.
//
// On the agent's executor only.
#pragma once
#include <array>
#include <list>
#include <memory>
#include <optional>
#include <unordered_map>

#include "cache/cached_range.hpp"
#include "metrics/registry.hpp"

namespace yaks {
// A range's place names it for ever: objects are immutable.
struct range_key {
  object_id object;
  std::uint32_t position = 0;
  constexpr auto operator<=>(const range_key&) const = default;
};
}  // namespace yaks

template <>
struct std::hash<yaks::range_key> {
  std::size_t operator()(const yaks::range_key& k) const noexcept {
    return std::hash<yaks::object_id>{}(k.object) * 31 + k.position;
  }
};

namespace yaks {
enum class range_use { tail, backfill };

class block_cache {
 public:
  using entry = std::shared_ptr<const cached_range>;

  block_cache(std::size_t bytes_max, metrics::registry& metrics);
  // Null when it is not there. Counts a hit or a miss and makes the range the most recently used one.
  entry find(range_key key);
  // The same without counting or moving: for a plan that may come to nothing.
  entry peek(range_key key) const;
  // A range that alone is beyond what its part may hold is not kept.
  void insert(range_key key, entry range, range_use use = range_use::tail);
  void erase(range_key key);
  std::size_t bytes() const;
  std::size_t bytes_max() const { return bytes_max_; }

 private:
  enum part_name : std::uint8_t { tail, probation, reused };
  struct slot {
    range_key key;
    entry range;
    part_name where;
    std::optional<std::uint64_t> first_hit;  // on the clock of taken_in_
  };
  // A chunk is counted once in each part, however many of the part's ranges show slices of it.
  struct part {
    std::list<slot> recent;  // most recently used first
    std::size_t bytes = 0;
    std::unordered_map<const void*, std::size_t> pins;
    void charge(const cached_range& range);
    void release(const cached_range& range);
  };
  // In shards: a table that grows is filled anew in one go, and one of all ranges would hold up everybody for 10 ms at 100,000.
  using shard = std::unordered_map<range_key, std::list<slot>::iterator>;
  shard& shard_of(range_key key) { return shards_[std::hash<range_key>{}(key) % shards_.size()]; }
  const shard& shard_of(range_key key) const { return shards_[std::hash<range_key>{}(key) % shards_.size()]; }
  void make_room();
  void evict_last(part& from);
  void move(std::list<slot>::iterator which, part_name to);

  std::size_t bytes_max_, tail_max_;
  std::array<part, 3> parts_;
  std::array<shard, 256> shards_;
  std::uint64_t taken_in_ = 0;  // bytes that were ever inserted
  metrics::counter &hits_, &misses_, &evictions_, &gets_, &cache_hits_;
};
}  // namespace yaks
