// Lets tasks that run concurrently pass one point in the order in which they took their turns: the batches of a
// connection's produce requests join the write buffer in the order in which the client sent them, whatever each request
// had to wait for.
//
//   auto turn = connection.produce_turns.next_turn();   before the first co_await of the task
//   …
//   co_await turn.wait();                               all earlier turns have passed
//   …                                                   the ordered part
//   turn.pass();                                        or the end of its life, also by an exception
//
// On one executor. The turnstile outlives its turns.
#pragma once
#include <cstdint>
#include <deque>
#include <utility>

#include "runtime/event.hpp"
#include "runtime/runtime.hpp"

namespace yaks {
class turnstile {
 public:
  class turn {
   public:
    turn(turn&& other) noexcept : of_(std::exchange(other.of_, nullptr)), ticket_(other.ticket_) {}
    turn& operator=(turn&&) = delete;
    ~turn() { pass(); }
    awaitable<void> wait();
    void pass();

   private:
    friend class turnstile;
    turn(turnstile& of, std::uint64_t ticket) : of_(&of), ticket_(ticket) {}
    turnstile* of_;  // null once passed
    std::uint64_t ticket_;
  };
  turn next_turn();

 private:
  std::deque<bool> passed_;  // of the tickets from first_ on; the first one has not passed
  std::uint64_t first_ = 0;
  event moved_;
};
}  // namespace yaks
