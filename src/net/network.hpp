// Byte streams and listeners: TCP, TLS over it, and (in simulations) pairs in memory.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "runtime/runtime.hpp"

namespace yaks {
// One ordered stream of bytes each way. One reader and one writer at a time. Destruction closes.
// Failures are exceptions: system_error with what the network said; eof at the end of the peer's bytes.
class byte_stream {
 public:
  virtual ~byte_stream() = default;
  // At least 1 byte, at most to.size(). `to` must outlive the call.
  virtual awaitable<std::size_t> read_some(mutable_byte_view to) = 0;
  // Sends every segment, in order, without copying them. The segments are held until they are sent.
  virtual awaitable<void> write_all(std::vector<shared_bytes> segments) = 0;
  // Our bytes end here: the peer reads what was written, and then eof. Reading goes on; writing does not. Not while a write
  // is pending; may be called more than once.
  virtual void shutdown_write() = 0;
  // Wakes a pending read and write with an error. May be called at any time and more than once.
  virtual void close() = 0;
  // Who is at the other end, for log lines: "127.0.0.1:51234".
  virtual std::string peer() const = 0;
};

struct endpoint {
  std::string host;  // a name or an address
  std::uint16_t port = 0;
  bool tls = false;  // connect: TLS with verification against the system's authorities, server name = host
};

class listener {
 public:
  virtual ~listener() = default;
  virtual awaitable<std::unique_ptr<byte_stream>> accept() = 0;
  virtual std::uint16_t port() const = 0;  // the real one where 0 was asked for
  virtual void close() = 0;                // wakes accept() with operation_aborted
};

class network {
 public:
  virtual ~network() = default;
  virtual awaitable<std::unique_ptr<byte_stream>> connect(endpoint to) = 0;
  // Throws system_error where the address is taken or not ours.
  virtual std::unique_ptr<listener> listen(endpoint at) = 0;
};
}  // namespace yaks
