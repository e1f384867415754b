// A network inside the process, for tests and the simulator: pairs of streams with a bounded window, nothing but
// events, so that it is as deterministic as the runtime that it runs on. There is no delay and no loss.
//
// As on TCP: bytes that were written before a close arrive, then comes eof; writing to a closed peer is broken_pipe;
// the window makes a writer wait for its reader. Bytes are copied at the write, so that memory which changes hands
// afterwards shows here what it would show there.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "net/network.hpp"

namespace yaks {
class memory_network final : public network {
 public:
  explicit memory_network(std::size_t window_bytes = 64 << 10) : window_bytes_(window_bytes) {}
  // A listener at the very host, or else one at "0.0.0.0", "::" or "" with that port. TLS is not looked at.
  awaitable<std::unique_ptr<byte_stream>> connect(endpoint to) override;
  std::unique_ptr<listener> listen(endpoint at) override;

  struct listening;  // shared by a listener and this network, which only observes it

 private:
  std::shared_ptr<listening> find(const std::string& host, std::uint16_t port) const;
  std::size_t window_bytes_;
  std::map<std::pair<std::string, std::uint16_t>, std::weak_ptr<listening>> listeners_;
  std::uint16_t next_port_ = 49152;
};
}  // namespace yaks
