#include "runtime/first_of.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

namespace yaks {
awaitable<void> first_of(awaitable<void> a, awaitable<void> b) {
  auto executor = co_await asio::this_coro::executor;
  auto [order, from_a, from_b] =
      co_await asio::experimental::make_parallel_group(asio::co_spawn(executor, std::move(a), asio::deferred),
                                                       asio::co_spawn(executor, std::move(b), asio::deferred))
          .async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
  if (auto failure = order[0] == 0 ? from_a : from_b) std::rethrow_exception(failure);
}
}  // namespace yaks
