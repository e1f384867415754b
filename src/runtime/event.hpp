// event: the one place where a coroutine parks. Queues, flush waits, task groups and simulated timers are loops over it.
//
// Two rules keep it sound; each one, when broken, is a use after free:
//  - a waiter is resumed by post, never inline: what it does may destroy the event, or the signal that is emitting;
//  - a waiter's cancellation slot is cleared when it leaves the list, not when its handler runs: a cancellation may come
//    between the two.
#pragma once
#include <boost/asio/cancellation_signal.hpp>
#include <functional>
#include <list>

#include "base/check.hpp"
#include "runtime/runtime.hpp"

namespace yaks {
class event {
 public:
  event() = default;
  event(const event&) = delete;
  event& operator=(const event&) = delete;
  ~event();
  // No wake-up is remembered: write `while (!condition) co_await e.wait();`. Throws operation_aborted when cancelled.
  awaitable<void> wait();
  // As wait(), but returns at `due` at the latest: true when notified, false when the time came first.
  awaitable<bool> wait_until(runtime& rt, time_point due);
  void notify_all();
  bool has_waiters() const { return !waiters_.empty(); }

 private:
  struct waiter {
    asio::cancellation_slot slot;
    std::move_only_function<void(boost::system::error_code)> resume;
  };
  void wake(std::list<waiter>::iterator which, boost::system::error_code code);
  std::list<waiter> waiters_;
};
}  // namespace yaks
