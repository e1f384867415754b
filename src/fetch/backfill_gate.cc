#include "fetch/backfill_gate.hpp"

#include <algorithm>

namespace yaks::fetch {
bool backfill_gate::is_next(const place& mine) const {
  for (const auto& p : queue_)
    if ((*p.is_awaited)()) return &p == &mine;
  return &queue_.front() == &mine && ahead_ < settings_.gets_ahead_max;
}

awaitable<backfill_gate::pass> backfill_gate::enter(std::uint64_t bytes, std::function<bool()> is_awaited) {
  struct entry {  // also when cancelled
    backfill_gate& of;
    std::list<place>::iterator at;
    entry(backfill_gate& g, const std::function<bool()>& f) : of(g), at(g.queue_.insert(g.queue_.end(), {&f})) {}
    ~entry() {
      of.queue_.erase(at);
      of.changed_.notify_all();
    }
  } mine(*this, is_awaited);
  for (;;) {
    if (under_way_ < settings_.gets_max && is_next(*mine.at)) {
      if (rt_.now() >= open_at_) break;
      co_await changed_.wait_until(rt_, open_at_);
    } else {
      co_await changed_.wait();
    }
  }
  if (settings_.bytes_per_s > 0) {
    auto takes = duration(std::int64_t(double(bytes) * 1e9 / double(settings_.bytes_per_s)));
    open_at_ = std::max(open_at_, rt_.now()) + takes;
  }
  bool is_ahead = !is_awaited();
  ++under_way_;
  ahead_ += is_ahead;
  co_return pass(*this, is_ahead);
}

void backfill_gate::leave(bool is_ahead) {
  --under_way_;
  ahead_ -= is_ahead;
  changed_.notify_all();
}
}  // namespace yaks::fetch
