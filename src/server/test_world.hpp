// For the tests of this folder: time that moves when told, streams in memory that count their calls, and a listener
// that can fail. Nothing here waits for real time: what cannot go on is reported as stuck.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/endian.hpp"
#include "net/network.hpp"
#include "runtime/event.hpp"
#include "server/request_handler.hpp"

namespace yaks::test {
class manual_runtime final : public runtime {
 public:
  time_point now() const override { return now_; }
  timestamp_ms wall_clock() const override { return timestamp_ms(0); }
  awaitable<void> sleep_until(time_point due) override {
    while (now_ < due) co_await ticked_.wait();
  }
  std::uint64_t random() override {
    return state_ = state_ * 6364136223846793005u + 1442695040888963407u, state_ >> 33;
  }
  asio::any_io_executor executor() override { return context_.get_executor(); }
  awaitable<void> run_blocking(std::move_only_function<void()> work) override {
    work();
    co_return;
  }
  // Lets everything run that can.
  awaitable<void> settle() {
    for (int i = 0; i < 200; ++i) co_await asio::post(context_, asio::use_awaitable);
  }
  awaitable<void> advance(duration by) {
    now_ += by;
    ticked_.notify_all();
    co_await settle();
  }
  void run(awaitable<void> main) {
    std::exception_ptr failure;
    bool done = false;
    asio::co_spawn(context_, std::move(main), [&](std::exception_ptr e) { failure = e, done = true; });
    while (!done)
      if (context_.poll() == 0) {
        std::fprintf(stderr, "stuck: the test waits for something that nobody does\n");
        std::abort();
      }
    context_.poll();
    if (failure) std::rethrow_exception(failure);
  }

 private:
  asio::io_context context_{1};
  time_point now_{1h};
  event ticked_;
  std::uint64_t state_ = 1;
};

// One direction of a connection.
struct pipe {
  std::string bytes;
  std::size_t capacity = 1 << 22;
  bool ended = false;      // the writer has closed
  bool abandoned = false;  // the reader has closed
  event changed;
};

class memory_stream final : public byte_stream {
 public:
  memory_stream(std::shared_ptr<pipe> in, std::shared_ptr<pipe> out) : in_(std::move(in)), out_(std::move(out)) {}
  ~memory_stream() override { memory_stream::close(); }
  awaitable<std::size_t> read_some(mutable_byte_view to) override {
    ++reads;
    auto in = in_;  // outlives us where we are destroyed meanwhile
    while (in->bytes.empty()) {
      if (closed_) throw boost::system::system_error(asio::error::operation_aborted);
      if (in->ended) throw boost::system::system_error(asio::error::eof);
      co_await in->changed.wait();
    }
    std::size_t n = std::min({to.size(), in->bytes.size(), bytes_per_read_max});
    std::memcpy(to.data(), in->bytes.data(), n);
    in->bytes.erase(0, n);
    in->changed.notify_all();
    co_return n;
  }
  awaitable<void> write_all(std::vector<shared_bytes> segments) override {
    ++writes;
    auto out = out_;
    for (const auto& segment : segments)
      for (byte_view rest = segment.view(); !rest.empty();) {
        if (closed_) throw boost::system::system_error(asio::error::operation_aborted);
        if (out->abandoned) throw boost::system::system_error(asio::error::broken_pipe);
        std::size_t n = std::min(rest.size(), out->capacity - std::min(out->capacity, out->bytes.size()));
        if (n == 0) {
          co_await out->changed.wait();
          continue;
        }
        out->bytes += as_text(rest.first(n));
        rest = rest.subspan(n);
        out->changed.notify_all();
      }
  }
  void close() override {
    if (closed_) return;
    closed_ = true;
    out_->ended = in_->abandoned = true;
    out_->changed.notify_all();
    in_->changed.notify_all();
  }
  void shutdown_write() override {
    out_->ended = true;
    out_->changed.notify_all();
  }
  std::string peer() const override { return "memory"; }

  int reads = 0, writes = 0;
  std::size_t bytes_per_read_max = SIZE_MAX;
  std::shared_ptr<pipe> in_, out_;

 private:
  bool closed_ = false;
};

// Two ends of one connection.
inline std::pair<std::unique_ptr<memory_stream>, std::unique_ptr<memory_stream>> connected() {
  auto a = std::make_shared<pipe>(), b = std::make_shared<pipe>();
  return {std::make_unique<memory_stream>(a, b), std::make_unique<memory_stream>(b, a)};
}

inline std::string framed(std::string_view body) {
  std::string out(4, '\0');
  store_big_endian(reinterpret_cast<std::byte*>(out.data()), std::int32_t(body.size()));
  return out.append(body);
}
inline response answering(std::string_view body) {
  std::vector<shared_bytes> segments{shared_bytes::copy_of(as_bytes(framed(body)))};
  return response::of(std::move(segments));
}

// The client's end.
class test_client {
 public:
  explicit test_client(std::unique_ptr<memory_stream> stream) : stream(std::move(stream)) {}
  awaitable<void> send(std::string bytes) {
    std::vector<shared_bytes> segments{shared_bytes::copy_of(as_bytes(bytes))};
    co_await stream->write_all(std::move(segments));
  }
  // The body of the next answer; "<end>" where the server has closed.
  awaitable<std::string> receive() {
    for (;;) {
      if (buffer_.size() >= 4) {
        auto bytes = std::size_t(load_big_endian<std::int32_t>(reinterpret_cast<const std::byte*>(buffer_.data())));
        if (buffer_.size() >= 4 + bytes) {
          auto body = buffer_.substr(4, bytes);
          buffer_.erase(0, 4 + bytes);
          co_return body;
        }
      }
      std::byte some[4096];
      std::size_t n = 0;
      try {
        n = co_await stream->read_some(some);
      } catch (const boost::system::system_error&) {
        co_return "<end>";
      }
      buffer_ += as_text(byte_view(some, n));
    }
  }
  std::unique_ptr<memory_stream> stream;

 private:
  std::string buffer_;
};

class test_listener final : public listener {
 public:
  awaitable<std::unique_ptr<byte_stream>> accept() override {
    for (;;) {
      if (closed_) throw boost::system::system_error(asio::error::operation_aborted);
      if (failures > 0) {
        --failures;
        throw boost::system::system_error(asio::error::no_descriptors);
      }
      if (!waiting_.empty()) {
        auto next = std::move(waiting_.front());
        waiting_.pop_front();
        co_return next;
      }
      co_await changed_.wait();
    }
  }
  std::uint16_t port() const override { return 9092; }
  void close() override {
    closed_ = true;
    changed_.notify_all();
  }
  test_client connect() {
    auto [server, client] = connected();
    last = server.get();
    waiting_.push_back(std::move(server));
    changed_.notify_all();
    return test_client(std::move(client));
  }
  int failures = 0;
  memory_stream* last = nullptr;  // the server's end of the last connection

 private:
  std::deque<std::unique_ptr<byte_stream>> waiting_;
  bool closed_ = false;
  event changed_;
};

class test_handler : public request_handler {
 public:
  awaitable<response> handle(request of) override {
    ++calls;
    auto& handler = on_request;  // the frame of the coroutine that it makes is kept by our caller
    return handler(std::move(of));
  }
  bool admits(const connection_context&, byte_view begun) const override {
    return admits_all && (held_back.empty() || !as_text(begun).starts_with(held_back));
  }
  awaitable<void> admission(connection_context&) override {
    while (!admits_all || !held_back.empty()) co_await admitted.wait();
  }
  std::function<awaitable<response>(request)> on_request = [](request of) { return echo(std::move(of)); };
  int calls = 0;
  bool admits_all = true;
  std::string held_back;  // frames that begin so, with their length
  event admitted;

  static awaitable<response> echo(request of) { co_return answering(as_text(of.frame.view())); }
};
}  // namespace yaks::test
