#include "runtime/task_group.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <string>
#include <utility>

namespace yaks {
void task_group::spawn(awaitable<void> work) {
  if (closing_) throw boost::system::system_error(asio::error::operation_aborted);
  auto child = children_.emplace(children_.end());
  asio::co_spawn(executor_, std::move(work), asio::bind_cancellation_slot(child->slot(), [this, child](std::exception_ptr e) {
    if (e && !(closing_ && is_cancellation(e)) && !failure_) {
      failure_ = e;
      failed_.notify_all();
    }
    children_.erase(child);
    if (children_.empty()) idle_.notify_all();
  }));
}

awaitable<void> task_group::failed() {
  while (!failure_) co_await failed_.wait();
  std::rethrow_exception(failure_);
}

awaitable<void> task_group::close() {
  closing_ = true;
  for (auto child = children_.begin(); child != children_.end();) (child++)->emit(asio::cancellation_type::terminal);
  while (!children_.empty()) try {
      co_await idle_.wait();
    } catch (const boost::system::system_error&) {  // cancelled itself: joins all the same
    }
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

awaitable<void> run_then_close(awaitable<void> body, task_group& tasks) {
  std::exception_ptr failure;
  try {
    co_await std::move(body);
  } catch (...) {  // no co_await in a catch block
    failure = std::current_exception();
  }
  co_await asio::this_coro::throw_if_cancelled(false);  // else a cancelled coroutine throws below and joins nothing
  try {
    co_await tasks.close();
  } catch (...) {
    if (!failure || is_cancellation(failure)) failure = std::current_exception();
  }
  co_await asio::this_coro::throw_if_cancelled(true);
  if (failure) std::rethrow_exception(failure);
}

bool is_cancellation(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const boost::system::system_error& error) {
    return error.code() == asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

std::string what(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "unknown failure";
  }
}
}  // namespace yaks
