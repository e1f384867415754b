// Virtual time from a seed: everything that happens in a world happens in one thread, in an order that the seed alone
// decides.
//
//   simulated_world     the clock, the timers, and who runs next
//   simulated_runtime   one process in it: an executor, a random stream and a sleep of its own
//
// Time stands still while any process can run, and then jumps to the next timer: an hour of waiting costs nothing, and
// the same seed gives the same run in every build. What a process has sent is a timer of the world, so that it happens
// although the sender was cancelled meanwhile.
#pragma once
#include <boost/asio/execution_context.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "runtime/event.hpp"
#include "runtime/runtime.hpp"

namespace yaks {
class simulated_runtime;

// splitmix64: the same numbers with every standard library.
class simulated_chance {
 public:
  explicit simulated_chance(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  // least <= result <= most
  duration between(duration least, duration most) {
    return least + duration(std::int64_t(below(std::uint64_t((most - least).count()) + 1)));
  }

 private:
  std::uint64_t state_;
};

class simulated_world {
 public:
  explicit simulated_world(std::uint64_t seed) : chance(seed) {}
  simulated_world(const simulated_world&) = delete;
  simulated_world& operator=(const simulated_world&) = delete;

  // For what the outside does: latencies, faults, who runs first. Processes have streams of their own.
  simulated_chance chance;
  time_point now() const { return now_; }
  // A plausible date, for what carries one: it moves with now().
  timestamp_ms wall_clock() const;

  // Ties: first set, first due.
  using timer = std::pair<time_point, std::uint64_t>;
  timer after(duration d, std::move_only_function<void()> what);
  void cancel(timer t) { timers_.erase(t); }

  // Runs one handler of one process or, where none can run, the next timer. False when nothing is left to happen.
  bool step();
  // Handlers and timers so far: two runs of one seed agree.
  std::uint64_t steps() const { return steps_; }

 private:
  friend class simulated_runtime;
  time_point now_{1h};  // not 0: what subtracts from now() stays in range
  std::map<timer, std::move_only_function<void()>> timers_;
  std::vector<simulated_runtime*> processes_, runnable_;
  std::uint64_t timers_set_ = 0, steps_ = 0, steps_in_this_instant_ = 0;
};

class simulated_runtime final : public runtime, public asio::execution_context {
 public:
  explicit simulated_runtime(simulated_world& world);
  ~simulated_runtime() override;

  time_point now() const override { return world_.now(); }
  timestamp_ms wall_clock() const override { return world_.wall_clock(); }
  awaitable<void> sleep_until(time_point due) override;
  std::uint64_t random() override { return chance_.next(); }
  asio::any_io_executor executor() override;
  // Takes some virtual time.
  awaitable<void> run_blocking(std::move_only_function<void()> work) override;
  simulated_world& world() { return world_; }

  // Runs `main` to its end, with the rest of the world, and rethrows its failure. Aborts where nothing can happen any
  // more and main has not ended, or where it has not ended after `patience` of virtual time: something is never woken.
  void run(awaitable<void> main, duration patience = 24h);
  // A stopped process: runs nothing until it goes on. What was sent to it arrives then.
  void pause(bool paused) { paused_ = paused; }

 private:
  friend class simulated_world;
  struct executor_type;
  void run_one();

  simulated_world& world_;
  simulated_chance chance_;
  std::deque<std::move_only_function<void()>> ready_;
  bool inside_ = false, paused_ = false;
};
}  // namespace yaks
