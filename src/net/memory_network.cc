#include "net/memory_network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "base/check.hpp"
#include "runtime/event.hpp"

namespace yaks {
namespace {
using boost::system::system_error;

// One direction: a ring of bytes. Shared by its two ends.
struct pipe {
  explicit pipe(std::size_t window_bytes) : ring(window_bytes) {}
  std::vector<std::byte> ring;
  std::size_t begin = 0, used = 0;
  bool reader_closed = false, writer_closed = false;
  event changed;

  std::size_t put(byte_view from) {
    std::size_t count = std::min(from.size(), ring.size() - used);
    for (std::size_t done = 0; done < count;) {
      std::size_t at = (begin + used) % ring.size(), now = std::min(count - done, ring.size() - at);
      std::memcpy(ring.data() + at, from.data() + done, now);
      done += now, used += now;
    }
    return count;
  }
  std::size_t take(mutable_byte_view to) {
    std::size_t count = std::min(to.size(), used);
    for (std::size_t done = 0; done < count;) {
      std::size_t now = std::min(count - done, ring.size() - begin);
      std::memcpy(to.data() + done, ring.data() + begin, now);
      done += now, used -= now, begin = (begin + now) % ring.size();
    }
    return count;
  }
};

class memory_stream final : public byte_stream {
 public:
  memory_stream(std::shared_ptr<pipe> in, std::shared_ptr<pipe> out, std::string peer)
      : in_(std::move(in)), out_(std::move(out)), peer_(std::move(peer)) {}
  ~memory_stream() override { close(); }

  awaitable<std::size_t> read_some(mutable_byte_view to) override {
    YAKS_CHECK(!to.empty(), "reads have room");
    auto in = in_;  // outlives this stream while the coroutine is parked in it
    for (;;) {
      if (in->reader_closed) throw system_error(asio::error::operation_aborted);
      if (in->used > 0) {
        std::size_t count = in->take(to);
        in->changed.notify_all();
        co_return count;
      }
      if (in->writer_closed) throw system_error(asio::error::eof);
      co_await in->changed.wait();
    }
  }

  awaitable<void> write_all(std::vector<shared_bytes> segments) override {
    auto out = out_;
    for (const shared_bytes& segment : segments) {
      byte_view rest = segment.view();
      while (!rest.empty()) {
        if (out->writer_closed) throw system_error(asio::error::operation_aborted);
        if (out->reader_closed) throw system_error(asio::error::broken_pipe);
        if (std::size_t count = out->put(rest); count > 0) {
          rest = rest.subspan(count);
          out->changed.notify_all();
        } else {
          co_await out->changed.wait();
        }
      }
    }
  }

  void shutdown_write() override {
    out_->writer_closed = true;
    out_->changed.notify_all();
  }
  void close() override {
    in_->reader_closed = true, out_->writer_closed = true;
    in_->changed.notify_all(), out_->changed.notify_all();
  }
  std::string peer() const override { return peer_; }

 private:
  std::shared_ptr<pipe> in_, out_;
  std::string peer_;
};
}  // namespace

struct memory_network::listening {
  std::string host;
  std::uint16_t port = 0;
  bool closed = false;
  std::deque<std::unique_ptr<byte_stream>> waiting;  // connected, not yet accepted
  event changed;
};

namespace {
constexpr std::size_t backlog = 1024;

class memory_listener final : public listener {
 public:
  explicit memory_listener(std::shared_ptr<memory_network::listening> state) : state_(std::move(state)) {}
  ~memory_listener() override { close(); }
  awaitable<std::unique_ptr<byte_stream>> accept() override {
    auto state = state_;
    while (!state->closed && state->waiting.empty()) co_await state->changed.wait();
    if (state->closed) throw system_error(asio::error::operation_aborted);
    auto stream = std::move(state->waiting.front());
    state->waiting.pop_front();
    co_return stream;
  }
  std::uint16_t port() const override { return state_->port; }
  void close() override {
    state_->closed = true;
    state_->waiting.clear();
    state_->changed.notify_all();
  }

 private:
  std::shared_ptr<memory_network::listening> state_;
};
}  // namespace

std::shared_ptr<memory_network::listening> memory_network::find(const std::string& host, std::uint16_t port) const {
  auto found = listeners_.find({host, port});
  auto state = found == listeners_.end() ? nullptr : found->second.lock();
  return state && !state->closed ? state : nullptr;
}

awaitable<std::unique_ptr<byte_stream>> memory_network::connect(endpoint to) {
  std::shared_ptr<listening> at;
  for (const std::string& host : {to.host, std::string("0.0.0.0"), std::string("::"), std::string()})
    if (at = find(host, to.port); at) break;
  if (!at || at->waiting.size() == backlog)
    throw system_error(asio::error::connection_refused, fmt::format("{}:{}", to.host, to.port));
  auto up = std::make_shared<pipe>(window_bytes_), down = std::make_shared<pipe>(window_bytes_);
  std::uint16_t from = next_port_++;
  at->waiting.push_back(std::make_unique<memory_stream>(up, down, fmt::format("memory:{}", from)));
  at->changed.notify_all();
  co_return std::make_unique<memory_stream>(down, up, fmt::format("{}:{}", to.host, to.port));
}

std::unique_ptr<listener> memory_network::listen(endpoint at) {
  if (at.port == 0) {
    do at.port = next_port_++;
    while (at.port == 0 || find(at.host, at.port));
  }
  if (find(at.host, at.port)) throw system_error(asio::error::address_in_use, fmt::format("{}:{}", at.host, at.port));
  auto state = std::make_shared<listening>();
  state->host = at.host, state->port = at.port;
  listeners_[{at.host, at.port}] = state;
  return std::make_unique<memory_listener>(std::move(state));
}
}  // namespace yaks
