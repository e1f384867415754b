#include "runtime/turnstile.hpp"

namespace yaks {
turnstile::turn turnstile::next_turn() {
  passed_.push_back(false);
  return {*this, first_ + passed_.size() - 1};
}

awaitable<void> turnstile::turn::wait() {
  YAKS_CHECK(of_, "waiting for a turn that has passed");
  while (of_->first_ != ticket_) co_await of_->moved_.wait();
}

void turnstile::turn::pass() {
  turnstile* of = std::exchange(of_, nullptr);
  if (!of) return;
  of->passed_[std::size_t(ticket_ - of->first_)] = true;
  if (ticket_ != of->first_) return;
  for (; !of->passed_.empty() && of->passed_.front(); ++of->first_) of->passed_.pop_front();
  of->moved_.notify_all();
}
}  // namespace yaks
