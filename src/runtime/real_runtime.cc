#include "runtime/real_runtime.hpp"

#include <time.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

#include "runtime/event.hpp"

namespace yaks {
namespace {
std::chrono::nanoseconds thread_cpu() {
  timespec t;
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}
}  // namespace

real_runtime::real_runtime(std::size_t blocking_threads) : blocking_(blocking_threads) {
  std::random_device device;
  std::seed_seq seed{device(), device(), device(), device()};
  random_.seed(seed);
}
real_runtime::~real_runtime() { blocking_.join(); }

timestamp_ms real_runtime::wall_clock() const {
  return timestamp_ms(std::chrono::duration_cast<std::chrono::milliseconds>(
                          std::chrono::system_clock::now().time_since_epoch()).count());
}

awaitable<void> real_runtime::sleep_until(time_point due) {
  asio::steady_timer timer(context_, due);
  co_await timer.async_wait(asio::use_awaitable);
}

asio::any_io_executor real_runtime::executor() { return context_.get_executor(); }

awaitable<void> real_runtime::run_blocking(std::move_only_function<void()> work) {
  std::exception_ptr failure;
  bool done = false;
  event finished;
  auto guard = asio::prefer(context_.get_executor(), asio::execution::outstanding_work.tracked);
  asio::post(blocking_, [this, &work, &failure, &done, &finished] {
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
    asio::post(context_, [&done, &finished] { done = true, finished.notify_all(); });
  });
  // The work refers to this frame: it is waited for also when this coroutine is cancelled meanwhile.
  co_await asio::this_coro::throw_if_cancelled(false);
  while (!done) try {
      co_await finished.wait();
    } catch (const boost::system::system_error&) {
    }
  co_await asio::this_coro::throw_if_cancelled(true);
  if (failure) std::rethrow_exception(failure);
}

void real_runtime::run(awaitable<void> main) {
  std::exception_ptr failure;
  asio::co_spawn(context_, std::move(main), [&failure](std::exception_ptr e) { failure = e; });
  context_.restart();  // it stops when it runs out of work, also after an earlier run()
  if (!turns_) {
    context_.run();
  } else {
    auto monotonic = [this] { return now().time_since_epoch(); };
    turns_->begin(monotonic(), thread_cpu());
    while (context_.run_one() > 0)
      if (turns_->ended(monotonic())) turns_->account(thread_cpu());
  }
  if (failure) std::rethrow_exception(failure);
}
}  // namespace yaks
