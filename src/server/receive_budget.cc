#include "server/receive_budget.hpp"

#include <algorithm>

namespace yaks {
void receive_budget::account::charge(std::size_t bytes) {
  if (evicted_) return;  // given back already
  bool was_full = budget_.is_full();
  if (charged_ == 0 && bytes > 0) {
    since_ = budget_.rt_.now();
    budget_.unfinished_.splice(budget_.unfinished_.end(), place_);
  } else if (charged_ > 0 && bytes == 0) {
    place_.splice(place_.end(), budget_.unfinished_, node_);
  }
  budget_.used_ += bytes;
  budget_.used_ -= charged_;
  charged_ = bytes;
  if (was_full && !budget_.is_full()) budget_.room_.notify_all();
}

awaitable<void> receive_budget::account::wait_for_room() {
  while (budget_.is_full() && !evicted_) {
    auto now = budget_.rt_.now();
    if (account* victim = budget_.slowest(now)) {
      victim->charge(0);
      victim->evicted_ = true;
      victim->evict_();
      continue;
    }
    // All of them are young: some will be complete soon, or the oldest one is old enough then.
    YAKS_CHECK(!budget_.unfinished_.empty(), "a full budget without unfinished frames");
    co_await budget_.room_.wait_until(budget_.rt_, budget_.unfinished_.front()->since_ + budget_.grace_);
  }
}

receive_budget::account* receive_budget::slowest(time_point now) const {
  account* worst = nullptr;
  double worst_rate = 0;
  for (account* one : unfinished_) {
    auto age = now - one->since_;
    if (age < grace_) break;  // they stand in the order in which they began
    double rate = double(one->charged_) / double(std::max<duration::rep>(age.count(), 1));
    if (!worst || rate < worst_rate) worst = one, worst_rate = rate;
  }
  return worst;
}
}  // namespace yaks
