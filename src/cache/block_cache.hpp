// Ranges of objects in memory, up to a budget, least recently used out first. What this agent has just written is in it
// before the producer has its answer, so that a tailing consumer causes no request to the object store.
//
// A range is loaded once however many ask for it at the same time (single flight). On the agent's executor only.
#pragma once
#include <functional>
#include <list>
#include <memory>
#include <unordered_map>

#include "base/result.hpp"
#include "cache/cached_range.hpp"
#include "metrics/registry.hpp"
#include "objects/object_store.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"

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
class block_cache {
 public:
  using entry = std::shared_ptr<const cached_range>;

  block_cache(std::size_t bytes_max, metrics::registry& metrics);
  // Null when it is not there. Counts a hit or a miss and moves the range to the front.
  entry find(range_key key);
  // The same without counting or moving: for a plan that may come to nothing.
  entry peek(range_key key) const;
  void insert(range_key key, entry range);
  void erase(range_key key);
  std::size_t bytes() const { return bytes_; }

 private:
  struct slot {
    range_key key;
    entry range;
  };
  std::size_t bytes_max_, bytes_ = 0;
  std::list<slot> recent_;  // most recently used first
  std::unordered_map<range_key, std::list<slot>::iterator> slots_;
  metrics::counter &hits_, &misses_, &evictions_;
};
}  // namespace yaks
