// Time, chance and the executor, as production code sees them. Nothing above this folder names a clock, a timer, a random
// device or a thread: the same code then runs in real time on sockets, and in virtual time from a seed.
//
// One agent is one executor and one thread. Nothing here is thread-safe, and no coroutine hops executors.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <chrono>
#include <cstdint>
#include <functional>

#include "model/ids.hpp"

namespace yaks {
namespace asio = boost::asio;
using asio::awaitable;
using duration = std::chrono::nanoseconds;
// Monotonic. A value like any other: in a simulation it starts at 0 and moves when nothing can run.
using time_point = std::chrono::time_point<std::chrono::steady_clock, duration>;
using namespace std::chrono_literals;

// Every awaitable throws boost::system::system_error(operation_aborted) when its coroutine is cancelled.
class runtime {
 public:
  virtual ~runtime() = default;
  virtual time_point now() const = 0;
  // Wall clock, for log lines, request signatures, the embedded store, and whether a client's timestamp is plausible: never
  // for a decision about what is stored.
  virtual timestamp_ms wall_clock() const = 0;
  virtual awaitable<void> sleep_until(time_point due) = 0;
  awaitable<void> sleep_for(duration d) { return sleep_until(now() + d); }
  // One stream per agent: what one agent draws does not shift another's draws.
  virtual std::uint64_t random() = 0;
  // 0 <= result < bound
  std::uint64_t random_below(std::uint64_t bound) { return random() % bound; }
  virtual asio::any_io_executor executor() = 0;
  // Runs `work` where blocking is allowed (a small pool of threads) and comes back to the executor. `work` touches nothing
  // that the executor's thread may touch meanwhile; its exception arrives here. Not cancellable: what has begun is waited
  // for, so that `work` may refer to the caller's frame.
  virtual awaitable<void> run_blocking(std::move_only_function<void()> work) = 0;
};

// Exponential back-off with full jitter: between 0 and min(first * 2^attempt, most).
duration backoff(runtime& rt, unsigned attempt, duration first, duration most);
}  // namespace yaks
