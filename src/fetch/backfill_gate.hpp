// What reads of old data may take from everybody else: so many GETs at a time, and so many bytes per second
// (YAKS_BACKFILL_BYTES_PER_S). Reads that somebody waits for go before those that are made ahead. Reads of the tail do
// not come here.
#pragma once
#include <cstdint>
#include <functional>
#include <list>
#include <memory>

#include "runtime/event.hpp"
#include "runtime/runtime.hpp"

namespace yaks::fetch {
struct backfill_settings {
  std::uint64_t bytes_per_s = 0;  // 0: as fast as it goes
  std::size_t gets_max = 6;
  std::size_t gets_ahead_max = 4;  // of these, such that nobody waits for
};

class backfill_gate {
 public:
  backfill_gate(runtime& rt, backfill_settings settings) : rt_(rt), settings_(settings) {}
  // Held for the time of a GET; must not outlive the gate.
  class pass {
   public:
    pass() = default;
    pass(backfill_gate& of, bool is_ahead) : of_(&of), is_ahead_(is_ahead) {}
    pass(pass&& other) noexcept : of_(std::exchange(other.of_, nullptr)), is_ahead_(other.is_ahead_) {}
    pass& operator=(pass&& other) noexcept {
      std::swap(of_, other.of_);
      std::swap(is_ahead_, other.is_ahead_);
      return *this;
    }
    ~pass() {
      if (of_) of_->leave(is_ahead_);
    }

   private:
    backfill_gate* of_ = nullptr;
    bool is_ahead_ = false;
  };
  // First come, first served, among those whom `is_awaited` says of that somebody waits, then among the others. What it
  // answers may change: say so with reconsider().
  awaitable<pass> enter(std::uint64_t bytes, std::function<bool()> is_awaited);
  void reconsider() { changed_.notify_all(); }
  // Whoever can get the bytes elsewhere should: those who come now wait for long.
  bool is_congested() const { return queue_.size() >= settings_.gets_max || open_at_ > rt_.now() + 1s; }
  std::size_t under_way() const { return under_way_; }
  std::size_t waiting() const { return queue_.size(); }

 private:
  struct place {
    const std::function<bool()>* is_awaited;
  };
  bool is_next(const place& mine) const;
  void leave(bool is_ahead);
  runtime& rt_;
  backfill_settings settings_;
  std::list<place> queue_;
  std::size_t under_way_ = 0, ahead_ = 0;
  time_point open_at_{};  // by the rate
  event changed_;
};
}  // namespace yaks::fetch
