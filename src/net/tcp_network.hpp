// The real network: TCP over the runtime's io_context, and TLS over that for connect() (listening is plain TCP).
//
// Addresses are tried in the resolver's order. Names are resolved on the pool for blocking work, since getaddrinfo may
// take seconds; literal addresses and localhost (RFC 6761, its subdomains too) need no resolver. Like all blocking
// work, a resolution that has begun is waited for, also when the caller is cancelled.
//
// A listener's accept() throws what the system says, too many open files included: wait before you ask again.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "net/network.hpp"
#include "runtime/runtime.hpp"

namespace yaks {
class tls_client;

struct tcp_network_settings {
  std::string tls_authorities_file;  // PEM, trusted besides the system's authorities; "" for none
  int listen_backlog = 4096;
};

class tcp_network final : public network {
 public:
  // `rt` must be a real_runtime: its executor is an io_context's.
  explicit tcp_network(runtime& rt, tcp_network_settings settings = {});
  ~tcp_network() override;
  awaitable<std::unique_ptr<byte_stream>> connect(endpoint to) override;
  std::unique_ptr<listener> listen(endpoint at) override;

 private:
  runtime& rt_;
  tcp_network_settings settings_;
  std::unique_ptr<tls_client> tls_;  // made at the first use: reading the system's authorities takes milliseconds
};
}  // namespace yaks
