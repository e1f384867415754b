// Frames: what goes over a connection. Each is a length and then a header and a message, which the codec of the message
// reads and writes.
//
//   int32 bytes that follow │ header │ message
//
//   request header    int16 api key │ int16 api version │ int32 correlation id │ int16-length client id (null: -1)
//                     │ tagged fields, from header version 2 on
//   response header   int32 correlation id │ tagged fields, from header version 1 on
#pragma once
#include "base/result.hpp"
#include "wire/message.hpp"

namespace yaks::wire {

struct request_header {
  static constexpr bool is_described = true;
  static constexpr versions valid{1, 2}, flexible = since(2);

  std::int16_t request_api_key = 0;
  std::int16_t request_api_version = 0;
  std::int32_t correlation_id = 0;
  std::optional<std::string_view> client_id;  // borrowed from the frame

  static constexpr void describe(auto& m, auto& field) {
    field("RequestApiKey", m.request_api_key);
    field("RequestApiVersion", m.request_api_version);
    field("CorrelationId", m.correlation_id);
    field("ClientId", m.client_id, {.never_compact = true});
  }
  bool operator==(const request_header&) const = default;
};

struct response_header {
  static constexpr bool is_described = true;
  static constexpr versions valid{0, 1}, flexible = since(1);

  std::int32_t correlation_id = 0;

  static constexpr void describe(auto& m, auto& field) { field("CorrelationId", m.correlation_id); }
  bool operator==(const response_header&) const = default;
};

// A request whose message is not read yet. Everything points into the frame.
struct incoming_request {
  request_header header;
  byte_view body;

  api_key key() const { return api_key{header.request_api_key}; }
  std::int16_t version() const { return header.request_api_version; }
};

// `frame` is what follows the length. Whether the API and version are served is for the caller to look up
// (wire/api.hpp): of an unknown API or of a version above the served ones only the fields common to all headers are
// read, so that an ApiVersions request of a newer client can be answered; its body means nothing then.
[[nodiscard]] result<incoming_request, fault> parse_request_header(byte_view frame);

// Reads the message of a request or response.
template <message T>
[[nodiscard]] result<T, fault> decode_body(byte_view body, std::int16_t version) {
  reader in(body);
  result<T, fault> read;
  if (auto why = decode(in, version, *read); why != fault::none) return failure(why);
  return read;
}

// What to send, in order: encoded bytes and, untouched between them, the record slices of the message.
struct outgoing_frame {
  std::vector<shared_bytes> segments;
  std::size_t bytes = 0;  // of all segments, the length field included
};

namespace detail {
// Puts the parts of a frame into one chunk and the record slices between them.
class frame_builder {
 public:
  frame_builder(measured header, measured body);
  writer& out() { return out_; }
  outgoing_frame finish();

 private:
  std::size_t bytes_;
  std::shared_ptr<chunk> memory_;
  std::vector<splice> splices_;
  writer out_;
};
}  // namespace detail

// The response to the request with this correlation id. `message` may go away afterwards: record slices are shared.
template <message T>
[[nodiscard]] outgoing_frame encode_frame(std::int32_t correlation_id, std::int16_t version, const T& message) {
  response_header header{.correlation_id = correlation_id};
  auto header_version = response_header_version(T::api, version);
  detail::frame_builder frame(measure(header, header_version), measure(message, version));
  encode(frame.out(), header_version, header);
  encode(frame.out(), version, message);
  return frame.finish();
}

// A request, as a client sends it: for tests and tools.
template <message T>
[[nodiscard]] outgoing_frame encode_request_frame(std::int32_t correlation_id,
                                                  std::optional<std::string_view> client_id, std::int16_t version,
                                                  const T& message) {
  request_header header{std::int16_t(T::api), version, correlation_id, client_id};
  auto header_version = request_header_version(T::api, version);
  detail::frame_builder frame(measure(header, header_version), measure(message, version));
  encode(frame.out(), header_version, header);
  encode(frame.out(), version, message);
  return frame.finish();
}

// A frame in one piece: for tests and tools, since it copies record bytes.
std::string flatten(const outgoing_frame& frame);

}  // namespace yaks::wire
