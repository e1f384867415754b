#include "runtime/event.hpp"

#include <boost/asio/append.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace yaks {
event::~event() { YAKS_CHECK(waiters_.empty(), "event destroyed under a waiter"); }

awaitable<void> event::wait() {
  return asio::async_initiate<const asio::use_awaitable_t<>, void(boost::system::error_code)>(
      [this](auto handler) {
        auto slot = asio::get_associated_cancellation_slot(handler);
        auto self = waiters_.insert(
            waiters_.end(), waiter{slot, [h = std::move(handler)](boost::system::error_code code) mutable {
                                     asio::post(asio::append(std::move(h), code));  // on the handler's own executor
                                   }});
        if (slot.is_connected()) slot.assign([this, self](auto) { wake(self, asio::error::operation_aborted); });
      },
      asio::use_awaitable);
}

awaitable<bool> event::wait_until(runtime& rt, time_point due) {
  using namespace asio::experimental::awaitable_operators;
  if (rt.now() >= due) co_return false;
  try {
    auto first = co_await (wait() || rt.sleep_until(due));
    co_return first.index() == 0;
  } catch (const asio::multiple_exceptions&) {
    // Cancelled: both were, and the operator says so in a type of its own that nobody takes for a cancellation.
    throw boost::system::system_error(asio::error::operation_aborted);
  }
}

void event::notify_all() {
  while (!waiters_.empty()) {
    if (auto& slot = waiters_.front().slot; slot.is_connected()) slot.clear();
    wake(waiters_.begin(), {});
  }
}

void event::wake(std::list<waiter>::iterator which, boost::system::error_code code) {
  auto resume = std::move(which->resume);
  waiters_.erase(which);
  resume(code);
}
}  // namespace yaks
