// A bound on the memory of requests that are not received completely yet, over all connections. A frame is charged by
// the bytes that have arrived, not by those that its length announces.
//
// When the budget is used up, readers of unfinished frames stop (which their clients feel as back-pressure), and the
// slowest frame is given up: the one that arrived at the lowest average rate, among those that had `grace` to arrive.
// Thus producers in a crowd get on one after the other, and a drip does not hold memory for ever. On one executor.
#pragma once
#include <cstddef>
#include <functional>
#include <list>

#include "runtime/event.hpp"
#include "runtime/runtime.hpp"

namespace yaks {
class receive_budget {
 public:
  receive_budget(runtime& rt, std::size_t bytes_max, duration grace) : rt_(rt), bytes_max_(bytes_max), grace_(grace) {}

  // What one connection has received of an unfinished frame.
  class account {
   public:
    // `evict` closes the connection; called at most once, and not from within a call of this account's but
    // wait_for_room.
    account(receive_budget& budget, std::move_only_function<void()> evict) : budget_(budget), evict_(std::move(evict)) {
      node_ = place_.insert(place_.end(), this);
    }
    account(const account&) = delete;
    account& operator=(const account&) = delete;
    ~account() { charge(0); }
    // The unfinished frame holds so many bytes now; 0: there is none.
    void charge(std::size_t bytes);
    // Waits until there is room for more. Does nothing while there is.
    awaitable<void> wait_for_room();
    // The frame was given up: its connection is closing.
    bool is_evicted() const { return evicted_; }

   private:
    friend class receive_budget;
    receive_budget& budget_;
    std::move_only_function<void()> evict_;
    std::list<account*> place_;           // its one node moves into the budget's list and back: no allocation per frame
    std::list<account*>::iterator node_;  // stays valid when the node moves
    std::size_t charged_ = 0;
    time_point since_;
    bool evicted_ = false;
  };

  std::size_t used() const { return used_; }
  std::size_t bytes_max() const { return bytes_max_; }
  bool is_full() const { return used_ >= bytes_max_; }

 private:
  account* slowest(time_point now) const;
  runtime& rt_;
  std::size_t bytes_max_, used_ = 0;
  duration grace_;
  std::list<account*> unfinished_;  // in the order in which they began
  event room_;
};
}  // namespace yaks
