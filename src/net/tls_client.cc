#include "net/tls_client.hpp"

#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/check.hpp"
#include "net/segment_cursor.hpp"

namespace yaks {
namespace {
using asio::ip::tcp;
using boost::system::error_code;
using boost::system::system_error;

class tls_stream final : public byte_stream {
 public:
  tls_stream(tcp::socket socket, asio::ssl::context& context, std::string peer)
      : stream_(std::move(socket), context), peer_(std::move(peer)) {}

  awaitable<void> handshake(const std::string& host) {
    error_code not_an_address;
    asio::ip::make_address(host, not_an_address);
    // Server name indication is for names only (RFC 6066, 3).
    if (not_an_address && !SSL_set_tlsext_host_name(stream_.native_handle(), host.c_str()))
      throw system_error(error_code(int(::ERR_get_error()), asio::error::get_ssl_category()));
    stream_.set_verify_mode(asio::ssl::verify_peer);
    stream_.set_verify_callback(asio::ssl::host_name_verification(host));
    co_await stream_.async_handshake(asio::ssl::stream_base::client, asio::use_awaitable);
  }

  awaitable<std::size_t> read_some(mutable_byte_view to) override {
    YAKS_CHECK(!to.empty(), "reads have room");
    return stream_.async_read_some(asio::buffer(to.data(), to.size()), asio::use_awaitable);
  }

  // The stream encrypts one buffer at a time, at most a record (16 KiB) of it: small neighbours are copied together, so
  // that a header does not become a record and a packet of its own.
  awaitable<void> write_all(std::vector<shared_bytes> segments) override {
    constexpr std::size_t record_bytes = 16 << 10;
    segment_cursor rest(std::move(segments));
    std::unique_ptr<std::byte[]> together;
    while (!rest.done()) {
      byte_view first;
      rest.each([&](byte_view part) { return first = part, false; });
      if (first.size() < record_bytes) {
        if (!together) together.reset(new std::byte[record_bytes]);
        std::size_t used = 0;
        rest.each([&](byte_view part) {
          std::size_t now = std::min(part.size(), record_bytes - used);
          std::memcpy(together.get() + used, part.data(), now);
          used += now;
          return used < record_bytes;
        });
        first = {together.get(), used};
      }
      co_await asio::async_write(stream_, asio::buffer(first.data(), first.size()), asio::use_awaitable);
      rest.advance(first.size());
    }
  }

  void shutdown_write() override {
    error_code ignored;
    stream_.next_layer().shutdown(tcp::socket::shutdown_send, ignored);
  }
  // Without the closing handshake: whoever closes does not wait for a peer, and lengths are known from the protocol
  // above.
  void close() override {
    error_code ignored;
    stream_.next_layer().close(ignored);
  }
  std::string peer() const override { return peer_; }

 private:
  asio::ssl::stream<tcp::socket> stream_;
  std::string peer_;
};
}  // namespace

tls_client::tls_client(const std::string& authorities_file) : context_(asio::ssl::context::tls_client) {
  context_.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                       asio::ssl::context::no_tlsv1_1);
  context_.set_default_verify_paths();
  if (!authorities_file.empty()) context_.load_verify_file(authorities_file);
}

awaitable<std::unique_ptr<byte_stream>> tls_client::handshake(tcp::socket socket, std::string host, std::string peer) {
  auto stream = std::make_unique<tls_stream>(std::move(socket), context_, std::move(peer));
  co_await stream->handshake(host);
  co_return std::move(stream);
}
}  // namespace yaks
