// The client's side of TLS 1.2 and 1.3 over a connected socket, by OpenSSL. Used by tcp_network only.
#pragma once
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

#include "net/network.hpp"

namespace yaks {
class tls_client {
 public:
  // Trusts the system's authorities and those of `authorities_file`, unless that is "". Throws system_error where it
  // cannot be read.
  explicit tls_client(const std::string& authorities_file);
  // Shakes hands and verifies that the peer's certificate is `host`'s. Throws system_error otherwise.
  awaitable<std::unique_ptr<byte_stream>> handshake(asio::ip::tcp::socket socket, std::string host, std::string peer);

 private:
  asio::ssl::context context_;
};
}  // namespace yaks
