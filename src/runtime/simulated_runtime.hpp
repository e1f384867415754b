// Virtual time from a seed: everything that happens in a world happens in one thread, in an order that the seed alone
// decides.
//
//   simulated_world     the clock, the timers, and who runs next
//   simulated_runtime   one process in it: an executor, a random stream and a sleep of its own; it can be paused, and killed
//                       between any two of its handlers
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
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/event.hpp"
#include "runtime/fault_points.hpp"
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
  // What has not happened yet never will: before what it refers to ends.
  void end() { std::exchange(timers_, {}); }

  // Runs one handler of one process or, where none can run, the next timer. False when nothing is left to happen.
  bool step();
  // Handlers and timers so far: two runs of one seed agree.
  std::uint64_t steps() const { return steps_; }
  // Called after each handler, from outside of its process: a place to kill it. May be empty.
  std::function<void(simulated_runtime&)> on_handler;
  // Asked at each maybe_fault: true ends that process there. It is for on_handler to kill it then. May be empty.
  std::function<bool(simulated_runtime&, std::string_view)> on_fault_point;
  // May be empty.
  std::function<void(std::string_view)> on_branch;

 private:
  friend class simulated_runtime;
  time_point now_{1h};  // not 0: what subtracts from now() stays in range
  std::map<timer, std::move_only_function<void()>> timers_;
  std::vector<simulated_runtime*> processes_, runnable_;
  std::uint64_t timers_set_ = 0, steps_ = 0, steps_in_this_instant_ = 0, processes_made_ = 0;
};

class simulated_runtime final : public runtime, public fault_points, public asio::execution_context {
 public:
  explicit simulated_runtime(simulated_world& world);
  ~simulated_runtime() override;

  time_point now() const override { return world_.now(); }
  timestamp_ms wall_clock() const override { return world_.wall_clock() + wall_clock_error_ms_; }
  awaitable<void> sleep_until(time_point due) override;
  std::uint64_t random() override { return chance_.next(); }
  asio::any_io_executor executor() override;
  // Takes some virtual time.
  awaitable<void> run_blocking(std::move_only_function<void()> work) override;
  void maybe_fault(std::string_view where) override;
  void reached(std::string_view branch) override {
    if (world_.on_branch) world_.on_branch(branch);
  }
  simulated_world& world() { return world_; }

  // Runs `main` to its end, with the rest of the world, and rethrows its failure. Aborts where nothing can happen any
  // more and main has not ended, or where it has not ended after `patience` of virtual time: something is never woken.
  void run(awaitable<void> main, duration patience = 24h);
  // A stopped process: runs nothing until it goes on. What was sent to it arrives then.
  void pause(bool paused) { paused_ = paused; }
  bool is_paused() const { return paused_; }
  // How far its wall clock is off.
  void set_wall_clock_error(std::int64_t ms) { wall_clock_error_ms_ = ms; }

  // Sudden death, in no virtual time. A coroutine cannot simply be dropped, for its children's frames refer to it: instead it
  // is cancelled and unwinds, behind a fence that keeps what it still does from being seen. From now on is_dying(): sleeping
  // and blocking work throw operation_aborted, and what stands for the outside (networks, stores) must do the same at its
  // every use. `cancel` runs inside the process, behind what is ready already; then all is run that is ready. Aborts where that
  // does not end. Not from inside. What the process has handed to the world before goes on.
  void kill(std::move_only_function<void()> cancel);
  bool is_dying() const { return dying_; }
  // Throws operation_aborted where the process is dying.
  void check_alive() const;
  // 1 for the first process of the world, and so on: a name for traces, which addresses cannot be.
  std::uint64_t number() const { return number_; }
  // Handlers so far.
  std::uint64_t handlers() const { return handlers_; }

 private:
  friend class simulated_world;
  struct executor_type;
  void run_one();

  simulated_world& world_;
  simulated_chance chance_;
  std::deque<std::move_only_function<void()>> ready_;
  event finished_;  // some blocking work, or the process
  std::int64_t wall_clock_error_ms_ = 0;
  std::uint64_t number_, handlers_ = 0;
  bool inside_ = false, paused_ = false, dying_ = false;
};
}  // namespace yaks
