// The real world: one io_context run by one thread, the steady clock, a seeded random stream, and a small pool for what
// blocks.
#pragma once
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <random>

#include "runtime/runtime.hpp"
#include "runtime/turn_meter.hpp"

namespace yaks {
class real_runtime final : public runtime {
 public:
  explicit real_runtime(std::size_t blocking_threads = 2);
  ~real_runtime() override;
  time_point now() const override { return std::chrono::steady_clock::now(); }
  timestamp_ms wall_clock() const override;
  awaitable<void> sleep_until(time_point due) override;
  std::uint64_t random() override { return random_(); }
  asio::any_io_executor executor() override;
  awaitable<void> run_blocking(std::move_only_function<void()> work) override;
  asio::io_context& context() { return context_; }
  // Runs `main` to its end on the calling thread, and rethrows its failure. May be called again afterwards.
  void run(awaitable<void> main);
  // Measures the turns of the next run(). It outlives that.
  void measure_turns(turn_meter& with) { turns_ = &with; }

 private:
  asio::io_context context_{1};
  asio::thread_pool blocking_;
  std::mt19937_64 random_;
  turn_meter* turns_ = nullptr;
};
}  // namespace yaks
