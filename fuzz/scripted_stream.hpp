// A peer for fuzz targets: it sends the input in pieces, and keeps what it was sent. Nothing here takes time.
#pragma once
#include <algorithm>
#include <boost/asio/error.hpp>
#include <cstring>
#include <string>

#include "net/network.hpp"

namespace yaks::fuzz {
class scripted_stream final : public byte_stream {
 public:
  // The pieces have up to `piece_bytes_max` bytes; the same input is cut the same way every time.
  scripted_stream(byte_view bytes, std::size_t piece_bytes_max, std::string* written = nullptr)
      : left_(bytes), piece_bytes_max_(std::max<std::size_t>(piece_bytes_max, 1)), written_(written) {}
  awaitable<std::size_t> read_some(mutable_byte_view to) override {
    if (left_.empty() || closed_) throw boost::system::system_error(asio::error::eof);
    chance_ = chance_ * 6364136223846793005u + 1442695040888963407u;
    auto n = std::min({to.size(), left_.size(), 1 + std::size_t(chance_ >> 33) % piece_bytes_max_});
    std::memcpy(to.data(), left_.data(), n);
    left_ = left_.subspan(n);
    co_return n;
  }
  awaitable<void> write_all(std::vector<shared_bytes> segments) override {
    if (written_)
      for (const auto& s : segments) written_->append(as_text(s.view()));
    co_return;
  }
  void shutdown_write() override {}
  void close() override { closed_ = true; }
  std::string peer() const override { return "fuzzer"; }

 private:
  byte_view left_;
  std::size_t piece_bytes_max_;
  std::string* written_;
  std::uint64_t chance_ = 1;
  bool closed_ = false;
};
}  // namespace yaks::fuzz
