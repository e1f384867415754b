#include "fetch/waiters.hpp"

#include <algorithm>

namespace yaks::fetch {
waiters::registration::registration(waiters& at, std::vector<topic_partition> partitions)
    : at_(at), partitions_(std::move(partitions)) {
  for (const auto& p : partitions_) at_.by_partition_[p].push_back(this);
  ++at_.count_;
}

waiters::registration::~registration() {
  for (const auto& p : partitions_) {
    auto found = at_.by_partition_.find(p);
    if (found == at_.by_partition_.end()) continue;  // a request may name a partition twice
    std::erase(found->second, this);
    if (found->second.empty()) at_.by_partition_.erase(found);
  }
  --at_.count_;
}

awaitable<bool> waiters::registration::wait_until(runtime& rt, time_point due) {
  while (!woken_ && !at_.stopped_)
    if (!co_await changed_.wait_until(rt, due)) break;
  co_return std::exchange(woken_, false);
}

void waiters::wake(std::vector<registration*>& list) {
  for (auto* r : list) {
    r->woken_ = true;
    r->changed_.notify_all();
  }
}

void waiters::stop() {
  stopped_ = true;
  for (auto& [where, list] : by_partition_)
    for (auto* r : list) r->changed_.notify_all();
}

void waiters::wake(const metadata::changes& changes) {
  for (const auto& p : changes.advanced)
    if (auto found = by_partition_.find(p); found != by_partition_.end()) wake(found->second);
  if (changes.deleted.empty()) return;
  for (auto& [where, list] : by_partition_)  // rare; their order does not matter, each waiter decides for itself
    if (std::find(changes.deleted.begin(), changes.deleted.end(), where.topic) != changes.deleted.end()) wake(list);
}
}  // namespace yaks::fetch
