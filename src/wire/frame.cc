#include "wire/frame.hpp"

#include "base/endian.hpp"
#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_MESSAGE(request_header);
YAKS_WIRE_MESSAGE(response_header);

result<incoming_request, fault> parse_request_header(byte_view frame) {
  reader in(frame);
  incoming_request request;
  // The first version of the header is a prefix of the second.
  if (auto why = decode(in, 1, request.header); why != fault::none) return failure(why);
  const auto* known = find_api(request.key());
  bool has_tags = request_header_version(request.key(), request.version()) == 2;
  if (known != nullptr && request.version() <= known->served.last && has_tags) {
    in = reader(frame);
    if (auto why = decode(in, 2, request.header); why != fault::none) return failure(why);
  }
  request.body = in.left();
  return request;
}

namespace detail {
frame_builder::frame_builder(measured header, measured body)
    : bytes_(header.total() + body.total()),
      memory_(chunk::make(sizeof(std::int32_t) + header.inline_bytes + body.inline_bytes)),
      out_({memory_->data(), memory_->size()}, &splices_) {
  YAKS_CHECK(bytes_ <= std::size_t(std::numeric_limits<std::int32_t>::max()),
             "a frame is larger than its length can say");
  store_big_endian(out_.claim(sizeof(std::int32_t)), std::int32_t(bytes_));
}

outgoing_frame frame_builder::finish() {
  YAKS_CHECK(out_.full(), "a message was encoded into more memory than it needed");
  outgoing_frame frame;
  frame.bytes = sizeof(std::int32_t) + bytes_;
  std::size_t segments = 1;
  for (const auto& splice : splices_) segments += 1 + splice.records->parts.size();
  frame.segments.reserve(segments);
  std::size_t sent = 0;
  auto send_until = [&](std::size_t end) {
    if (end > sent) frame.segments.emplace_back(memory_, byte_view(memory_->data() + sent, end - sent));
    sent = end;
  };
  for (const auto& splice : splices_) {
    if (splice.records->empty()) continue;
    send_until(splice.at);
    for (const auto& part : splice.records->parts)
      if (!part.empty()) frame.segments.push_back(part);
  }
  send_until(memory_->size());
  return frame;
}
}  // namespace detail

std::string flatten(const outgoing_frame& frame) {
  std::string bytes;
  bytes.reserve(frame.bytes);
  for (const auto& segment : frame.segments) bytes += as_text(segment.view());
  return bytes;
}
}  // namespace yaks::wire
