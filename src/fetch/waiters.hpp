// Long polls: fetches that wait for a partition to grow, woken by the application of the log and by nothing else.
#pragma once
#include <unordered_map>
#include <vector>

#include "metadata/state.hpp"
#include "model/ids.hpp"
#include "runtime/event.hpp"

namespace yaks::fetch {
class waiters {
 public:
  // One waiting fetch. Registered from construction to destruction.
  class registration {
   public:
    registration(waiters& at, std::vector<topic_partition> partitions);
    ~registration();
    registration(const registration&) = delete;
    registration& operator=(const registration&) = delete;
    // True when a partition changed since the last call; false at `due`, and when all waiting is over.
    awaitable<bool> wait_until(runtime& rt, time_point due);

   private:
    friend class waiters;
    waiters& at_;
    std::vector<topic_partition> partitions_;
    event changed_;
    bool woken_ = false;
  };
  // Wakes whoever waits for a partition that grew or is gone.
  void wake(const metadata::changes& changes);
  // Ends all waiting, now and from now on: the agent stops, and fetches answer with what there is.
  void stop();
  std::size_t size() const { return count_; }

 private:
  void wake(std::vector<registration*>& list);
  std::unordered_map<topic_partition, std::vector<registration*>> by_partition_;
  std::size_t count_ = 0;
  bool stopped_ = false;
};
}  // namespace yaks::fetch
