// Long answers are made in pieces of about a millisecond; between two of them everybody else who can run does.
#pragma once
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "handlers/services.hpp"

namespace yaks::handlers {
class pieces {
 public:
  explicit pieces(services& s) : s_(s) {}
  // To be awaited between items, where nothing of the state is held; `items` are those since the last call, of which a piece
  // has partitions_per_piece.
  awaitable<void> next(std::size_t items) {
    made_ += items;
    if (made_ <= partitions_per_piece) co_return;
    made_ = 0;
    co_await asio::post(s_.rt.executor(), asio::use_awaitable);
  }

 private:
  services& s_;
  std::size_t made_ = 0;
};
}  // namespace yaks::handlers
