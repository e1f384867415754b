// How much memory reads may hold at the same time (YAKS_FETCH_MEMORY_BYTES). First come, first served; one that asks for more
// than there ever is gets it when nobody else holds anything, so that everybody gets on.
#pragma once
#include <cstddef>
#include <deque>
#include <memory>

#include "runtime/event.hpp"
#include "runtime/runtime.hpp"

namespace yaks::fetch {
class byte_budget {
 public:
  explicit byte_budget(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  // Gives the bytes back when the last owner lets go of it; a response keeps it until it is sent.
  using lease = std::shared_ptr<void>;
  awaitable<lease> reserve(std::size_t bytes);
  std::size_t held() const { return held_; }
  std::size_t waiting() const { return queue_.size(); }
  std::size_t bytes_max() const { return bytes_max_; }

 private:
  struct place {};  // in the queue
  bool fits(std::size_t bytes) const { return held_ == 0 || held_ + bytes <= bytes_max_; }
  std::size_t bytes_max_, held_ = 0;
  std::deque<const place*> queue_;
  event changed_;
};
}  // namespace yaks::fetch
