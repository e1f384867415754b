#include "fetch/byte_budget.hpp"

namespace yaks::fetch {
awaitable<byte_budget::lease> byte_budget::reserve(std::size_t bytes) {
  place mine;
  struct queued {  // leaves the queue also when cancelled
    byte_budget& budget;
    const place* mine;
    ~queued() {
      std::erase(budget.queue_, mine);
      budget.changed_.notify_all();
    }
  };
  if (!queue_.empty() || !fits(bytes)) {
    queue_.push_back(&mine);
    queued guard{*this, &mine};
    while (queue_.front() != &mine || !fits(bytes)) co_await changed_.wait();
  }
  held_ += bytes;
  co_return lease(nullptr, [this, bytes](void*) {
    held_ -= bytes;
    changed_.notify_all();
  });
}
}  // namespace yaks::fetch
