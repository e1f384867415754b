// task_group: every spawned coroutine has an owner that cancels it, waits for it and passes on its failure.
#pragma once
#include <boost/asio/cancellation_signal.hpp>
#include <exception>
#include <list>

#include "runtime/event.hpp"
#include "runtime/runtime.hpp"

namespace yaks {
class task_group {
 public:
  explicit task_group(asio::any_io_executor executor) : executor_(std::move(executor)) {}
  ~task_group() { YAKS_CHECK(children_.empty(), "task_group destroyed with running tasks"); }
  // Starts `work` at the next turn of the executor, in the order of the calls. On the group's executor only. A closing
  // group throws operation_aborted: a child may spawn before it sees its own cancellation.
  // A child's failure (any exception but its cancellation) is kept: run_then_close rethrows the first one, and notifies
  // `failed()` at once.
  void spawn(awaitable<void> work);
  std::size_t size() const { return children_.size(); }
  bool closing() const { return closing_; }
  // Returns (by throwing) as soon as a child has failed; otherwise waits until cancelled.
  awaitable<void> failed();

 private:
  friend awaitable<void> run_then_close(awaitable<void> body, task_group& tasks);
  awaitable<void> close();
  asio::any_io_executor executor_;
  std::list<asio::cancellation_signal> children_;
  event idle_, failed_;
  std::exception_ptr failure_;
  bool closing_ = false;
};

// Runs `body`, then cancels and joins the group whatever body did, then rethrows body's failure or else a child's. The only
// way to close a group, also when the caller itself is cancelled. Spawn inside `body` only: a caller that is already
// cancelled throws at its co_await before this starts.
awaitable<void> run_then_close(awaitable<void> body, task_group& tasks);

bool is_cancellation(const std::exception_ptr& failure);
// What an exception says, for a log line.
std::string what(const std::exception_ptr& failure);
}  // namespace yaks
