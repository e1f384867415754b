// HTTP/1.1 (RFC 9110, RFC 9112): what client and server here have in common. Pure functions and values.
#pragma once
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "net/network.hpp"

namespace yaks::http {
struct header {
  std::string name, value;
};
using headers = std::vector<header>;
// The first value of that name, whatever its case; empty where there is none.
std::string_view find(const headers& in, std::string_view name);
// Whether a list of tokens ("keep-alive, close") has this one, whatever its case.
bool has_token(std::string_view list, std::string_view token);

struct request_head {
  std::string method, target;
  unsigned minor_version = 1;
  headers fields;
};
struct response_head {
  unsigned status = 0;
  std::string reason;
  unsigned minor_version = 1;
  headers fields;
};
// `text` is everything up to and with the empty line. Nothing where it is not well formed.
std::optional<request_head> parse_request_head(std::string_view text);
std::optional<response_head> parse_response_head(std::string_view text);
// Whether the connection stays open after a message with these headers.
bool keeps_alive(unsigned minor_version, const headers& fields);

// Where a message's body ends.
struct body_extent {
  enum class kind { fixed, chunked, until_close } how = kind::fixed;
  std::uint64_t bytes = 0;  // of a fixed one
};
// Nothing where the headers contradict themselves, which is how requests are smuggled past a proxy.
std::optional<body_extent> extent_of(const headers& fields, body_extent::kind unless_told);

// Bytes that are not HTTP, or more of them than we take.
class protocol_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
class head_too_large : public protocol_error {
 public:
  using protocol_error::protocol_error;
};

// Reads messages off a stream. Small reads go through a buffer; what is left of a body goes straight to where it
// belongs. Throws what the stream throws, and protocol_error. `from` must outlive it.
class reader {
 public:
  reader(byte_stream& from, std::size_t head_bytes_max) : from_(from), head_bytes_max_(head_bytes_max) {}
  // A message's head with its empty line. eof only before its first byte, protocol_error in the middle of it.
  awaitable<std::string> head();
  awaitable<void> exactly(mutable_byte_view to);
  awaitable<shared_bytes> body(body_extent extent, std::uint64_t bytes_max);
  bool has_more() const { return begin_ < buffer_.size(); }

 private:
  awaitable<void> fill();
  awaitable<std::string> line();
  awaitable<std::string> chunked(std::uint64_t bytes_max);
  awaitable<std::string> until_close(std::uint64_t bytes_max);
  byte_stream& from_;
  std::size_t head_bytes_max_;
  std::string buffer_;
  std::size_t begin_ = 0;  // of what has not been taken yet
};

// An absolute URL of http or https: where to connect, and the path with its query ("" where there is none).
struct url {
  endpoint at;
  std::string path;
};
std::optional<url> parse_url(std::string_view text);
// As in a Host header: without the scheme's own port, IPv6 in brackets.
std::string host_header(const endpoint& at);
}  // namespace yaks::http
