// One HTTP/1.1 connection of a client: one request at a time, the connection is used again as long as both sides want
// to.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/http.hpp"

namespace yaks::http {
// The request line and headers, as one segment for write_all.
shared_bytes request_text(std::string_view method, std::string_view target, const headers& fields);

struct response {
  response_head head;
  shared_bytes body;
};

class client_connection {
 public:
  explicit client_connection(std::unique_ptr<byte_stream> stream)
      : stream_(std::move(stream)), reader_(*stream_, head_bytes_max) {}
  // Sends request_text and body, whose length the headers must tell, and receives the answer. A fixed body is read into
  // one chunk of its size. A server that answers before it has taken the whole body is heard out. Throws what the
  // stream throws, and protocol_error; after that, and where the caller was cancelled, the connection is of no more
  // use.
  awaitable<response> exchange(shared_bytes head, std::vector<shared_bytes> body, bool expects_body,
                               std::uint64_t body_bytes_max);
  // The two halves of an exchange, for an answer that is taken as it comes: its head, and then its body, in pieces
  // while its length is known, or what is left of it at once. What is not asked for stays with the network and the
  // server.
  awaitable<response_head> begin(shared_bytes head, std::vector<shared_bytes> body, bool expects_body);
  std::optional<std::uint64_t> body_left() const;
  awaitable<shared_bytes> next_of_body(std::uint64_t bytes);  // at most as many as are left
  awaitable<shared_bytes> rest_of_body(std::uint64_t bytes_max);
  // Of the last exchange: every byte was given to the network; until then the server cannot have acted on it.
  bool sent() const { return sent_; }
  // Of the last exchange: something came back.
  bool answered() const { return answered_; }
  // Another exchange may follow.
  bool reusable() const { return reusable_; }
  const byte_stream& stream() const { return *stream_; }

 private:
  static constexpr std::size_t head_bytes_max = 32 << 10;
  std::unique_ptr<byte_stream> stream_;
  reader reader_;
  body_extent extent_;  // of what is left of the answer's body
  bool sent_ = false, answered_ = false, reusable_ = true, may_follow_ = false;
};
}  // namespace yaks::http
