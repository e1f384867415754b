#include "net/tcp_network.hpp"

#include <fmt/format.h>
#include <limits.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <vector>

#include "base/check.hpp"
#include "net/segment_cursor.hpp"
#include "net/tls_client.hpp"

namespace yaks {
namespace {
using asio::ip::tcp;
using boost::system::error_code;
using boost::system::system_error;

std::string text(const tcp::endpoint& at) {
  return at.address().is_v6() ? fmt::format("[{}]:{}", at.address().to_string(), at.port())
                              : fmt::format("{}:{}", at.address().to_string(), at.port());
}

// Keep-alives find peers that are gone without a word, so that idle connections do not stay for ever.
void set_options(tcp::socket& socket) {
  error_code ignored;  // the peer may have reset the connection already: the first read tells
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(tcp::socket::keep_alive(true), ignored);
  socket.native_non_blocking(true, ignored);
}

class tcp_stream final : public byte_stream {
 public:
  tcp_stream(tcp::socket socket, std::string peer) : socket_(std::move(socket)), peer_(std::move(peer)) {}

  awaitable<std::size_t> read_some(mutable_byte_view to) override {
    YAKS_CHECK(!to.empty(), "reads have room");
    return socket_.async_read_some(asio::buffer(to.data(), to.size()), asio::use_awaitable);
  }

  // sendmsg by hand: Asio passes 64 buffers to the system at a time, Linux takes 1,024, and a fetch answer has
  // thousands.
  awaitable<void> write_all(std::vector<shared_bytes> segments) override {
    segment_cursor rest(std::move(segments));
    while (!rest.done()) {
      if (!socket_.is_open()) throw system_error(asio::error::operation_aborted);
      if (ssize_t sent = send(rest); sent >= 0)
        rest.advance(std::size_t(sent));
      else if (errno == EAGAIN || errno == EWOULDBLOCK)
        co_await socket_.async_wait(tcp::socket::wait_write, asio::use_awaitable);
      else if (errno != EINTR)
        throw system_error(error_code(errno, boost::system::system_category()));
    }
  }

  void shutdown_write() override {
    error_code ignored;  // the peer may be gone: reading tells
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }
  void close() override {
    error_code ignored;
    socket_.close(ignored);
  }
  std::string peer() const override { return peer_; }

 private:
  ssize_t send(const segment_cursor& rest) {
    std::array<iovec, IOV_MAX> vectors;
    std::size_t count = 0;
    rest.each([&](byte_view part) {
      vectors[count++] = {const_cast<std::byte*>(part.data()), part.size()};
      return count < vectors.size();
    });
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    return ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
  }

  tcp::socket socket_;
  std::string peer_;
};

class tcp_listener final : public listener {
 public:
  tcp_listener(const asio::any_io_executor& executor, const tcp::endpoint& at, int backlog) : acceptor_(executor) {
    acceptor_.open(at.protocol());
    acceptor_.set_option(tcp::acceptor::reuse_address(true));
    if (at.address().is_v6()) acceptor_.set_option(asio::ip::v6_only(false));  // "::" takes IPv4 too
    acceptor_.bind(at);
    acceptor_.listen(backlog);
    port_ = acceptor_.local_endpoint().port();
  }
  awaitable<std::unique_ptr<byte_stream>> accept() override {
    for (;;) {
      error_code error;
      tcp::socket socket = co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (error == asio::error::connection_aborted) continue;  // gone before we took it
      if (error) throw system_error(error);
      set_options(socket);
      tcp::endpoint from = socket.remote_endpoint(error);
      co_return std::make_unique<tcp_stream>(std::move(socket), error ? std::string("unknown") : text(from));
    }
  }
  std::uint16_t port() const override { return port_; }
  void close() override {
    error_code ignored;
    acceptor_.close(ignored);
  }

 private:
  tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
};

bool is_localhost(std::string_view host) {
  return host == "localhost" || host.ends_with(".localhost");
}

// What needs no resolver; empty for other names.
std::vector<tcp::endpoint> known_addresses(const endpoint& of) {
  error_code error;
  asio::ip::address literal = asio::ip::make_address(of.host, error);
  if (!error) return {{literal, of.port}};
  if (is_localhost(of.host))
    return {{asio::ip::address_v4::loopback(), of.port}, {asio::ip::address_v6::loopback(), of.port}};
  return {};
}

// Blocks.
std::vector<tcp::endpoint> resolve(const endpoint& name) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  if (int code = ::getaddrinfo(name.host.c_str(), nullptr, &wanted, &found); code != 0) {
    error_code error =
        code == EAI_AGAIN ? error_code(asio::error::host_not_found_try_again) : asio::error::host_not_found;
    throw system_error(error, fmt::format("{} ({})", name.host, ::gai_strerror(code)));
  }
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
  std::vector<tcp::endpoint> addresses;
  for (addrinfo* one = found; one; one = one->ai_next) {
    tcp::endpoint address;
    if (one->ai_addrlen > address.capacity()) continue;
    std::memcpy(address.data(), one->ai_addr, one->ai_addrlen);
    address.resize(one->ai_addrlen);
    address.port(name.port);
    addresses.push_back(address);
  }
  if (addresses.empty()) throw system_error(asio::error::host_not_found, name.host);
  return addresses;
}
}  // namespace

tcp_network::tcp_network(runtime& rt, tcp_network_settings settings) : rt_(rt), settings_(std::move(settings)) {}
tcp_network::~tcp_network() = default;

awaitable<std::unique_ptr<byte_stream>> tcp_network::connect(endpoint to) {
  auto addresses = known_addresses(to);
  if (addresses.empty()) co_await rt_.run_blocking([&] { addresses = resolve(to); });
  error_code error;
  for (const tcp::endpoint& address : addresses) {
    tcp::socket socket(rt_.executor());
    co_await socket.async_connect(address, asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted) break;
    if (error) continue;
    set_options(socket);
    if (!to.tls) co_return std::make_unique<tcp_stream>(std::move(socket), text(address));
    if (!tls_) tls_ = std::make_unique<tls_client>(settings_.tls_authorities_file);
    co_return co_await tls_->handshake(std::move(socket), to.host, text(address));
  }
  throw system_error(error, fmt::format("{}:{}", to.host, to.port));
}

std::unique_ptr<listener> tcp_network::listen(endpoint at) {
  YAKS_CHECK(!at.tls, "listening is plain TCP");
  auto addresses = known_addresses(at);
  if (addresses.empty()) addresses = resolve(at);  // at start, where nothing else waits
  return std::make_unique<tcp_listener>(rt_.executor(), addresses.front(), settings_.listen_backlog);
}
}  // namespace yaks
