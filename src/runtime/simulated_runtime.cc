#include "runtime/simulated_runtime.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/this_coro.hpp>
#include <cstdlib>
#include <exception>
#include <memory>

#include "base/check.hpp"

namespace yaks {
std::uint64_t simulated_chance::next() {
  std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

timestamp_ms simulated_world::wall_clock() const {
  constexpr std::int64_t first_ms = 1'700'000'000'000;
  return timestamp_ms(first_ms +
                      std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch()).count());
}

simulated_world::timer simulated_world::after(duration d, std::move_only_function<void()> what) {
  return timers_.emplace(timer{now_ + std::max(d, duration(0)), ++timers_set_}, std::move(what)).first->first;
}

bool simulated_world::step() {
  runnable_.clear();
  for (auto* p : processes_)
    if (!p->paused_ && !p->ready_.empty()) runnable_.push_back(p);
  if (!runnable_.empty()) {
    YAKS_CHECK(++steps_in_this_instant_ < 20'000'000, "virtual time stands still: some coroutine spins");
    ++steps_;
    // Processes interleave in any order.
    auto& next = *runnable_[runnable_.size() == 1 ? 0 : std::size_t(chance.below(runnable_.size()))];
    next.run_one();
    if (on_handler) on_handler(next);
    return true;
  }
  if (timers_.empty()) return false;
  auto next = timers_.extract(timers_.begin());
  now_ = std::max(now_, next.key().first);
  steps_in_this_instant_ = 0;
  ++steps_;
  next.mapped()();
  return true;
}

// Not an io_context: its queue cannot be seen or held back, and its first timer would bring real time.
struct simulated_runtime::executor_type {
  simulated_runtime* process;
  bool always_queues = false;
  asio::execution_context& query(asio::execution::context_t) const noexcept { return *process; }
  executor_type require(asio::execution::blocking_t::never_t) const noexcept { return {process, true}; }
  executor_type require(asio::execution::blocking_t::possibly_t) const noexcept { return {process, false}; }
  template <class F>
  void execute(F&& f) const {
    // What is dispatched from inside runs at once. co_spawn and `||` forward a cancellation by dispatching a pointer to
    // a signal: queued, the signal would be gone when it is emitted.
    if (!always_queues && process->inside_)
      std::forward<F>(f)();
    else
      process->ready_.emplace_back(std::forward<F>(f));
  }
  bool operator==(const executor_type&) const noexcept = default;
};

simulated_runtime::simulated_runtime(simulated_world& world) : world_(world), chance_(world.chance.next()), number_(++world.processes_made_) {
  world_.processes_.push_back(this);
}

simulated_runtime::~simulated_runtime() {
  std::erase(world_.processes_, this);
  ready_.clear();
  shutdown();
  destroy();
}

asio::any_io_executor simulated_runtime::executor() {
  return executor_type{this};
}

void simulated_runtime::run_one() {
  auto handler = std::move(ready_.front());
  ready_.pop_front();
  ++handlers_;
  inside_ = true;
  handler();
  handler = nullptr;  // inside, too: frames may go with it
  inside_ = false;
}

void simulated_runtime::check_alive() const {
  if (dying_) throw boost::system::system_error(asio::error::operation_aborted);
}

void simulated_runtime::maybe_fault(std::string_view where) {
  check_alive();
  if (!world_.on_fault_point || !world_.on_fault_point(*this, where)) return;
  dying_ = true;  // the fence is up: what the rest of this handler does is not seen
  check_alive();
}

void simulated_runtime::kill(std::move_only_function<void()> cancel) {
  YAKS_CHECK(!inside_, "a process is killed from outside");
  dying_ = true;
  paused_ = false;
  // Behind what is ready: a coroutine that was just spawned has begun by then. Cancelled before its first step it would throw
  // out of the executor, and its completion handler would never run (Boost 1.81).
  ready_.emplace_back(std::move(cancel));
  finished_.notify_all();
  for (auto before = handlers_; !ready_.empty(); run_one())
    YAKS_CHECK(handlers_ - before < 10'000'000, "a process that is killed does not end: some coroutine ignores its cancellation");
}

awaitable<void> simulated_runtime::sleep_until(time_point due) {
  check_alive();
  event is_due;
  bool done = false;
  struct alarm {  // never outlives the event that it notifies
    simulated_world& world;
    simulated_world::timer which;
    ~alarm() { world.cancel(which); }
  } guard{world_, world_.after(due - now(), [&] {
            done = true;
            is_due.notify_all();
          })};
  while (!done) co_await is_due.wait();
}

awaitable<void> simulated_runtime::run_blocking(std::move_only_function<void()> work) {
  check_alive();
  std::exception_ptr failure;
  bool done = false;
  struct start {  // a process that dies meanwhile never comes to the work
    simulated_world& world;
    simulated_world::timer which;
    ~start() { world.cancel(which); }
  } guard{world_, world_.after(world_.chance.between(10us, 500us), [&] {
            try {
              work();
            } catch (...) {
              failure = std::current_exception();
            }
            done = true;
            finished_.notify_all();
          })};
  co_await asio::this_coro::throw_if_cancelled(false);  // the work refers to this frame
  while (!done && !dying_) try {
      co_await finished_.wait();
    } catch (const boost::system::system_error&) {
    }
  co_await asio::this_coro::throw_if_cancelled(true);
  if (!done) check_alive();
  if (failure) std::rethrow_exception(failure);
}

void simulated_runtime::run(awaitable<void> main, duration patience) {
  struct ending {
    std::exception_ptr failure;
    bool done = false;
  };
  auto end = std::make_shared<ending>();  // shared with the completion handler
  asio::co_spawn(executor(), std::move(main), [end](std::exception_ptr e) { end->failure = e, end->done = true; });
  auto limit = now() + patience;
  while (!end->done) {
    YAKS_CHECK(world_.step(), "stuck: nothing can happen any more, and somebody still waits");
    YAKS_CHECK(now() <= limit, "out of patience: virtual time went by and the work was never done");
  }
  while (!ready_.empty()) run_one();  // what was posted last: destructors of frames that have ended
  if (end->failure) std::rethrow_exception(end->failure);
}
}  // namespace yaks
