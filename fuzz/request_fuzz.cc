// Any bytes as a request frame (without its length): the header, then the message of whatever API and version it names,
// in every version that has a description. What decodes must encode, and decode to the same again. Faults are fine;
// crashes, reads past the frame and differences are not.
#include "wire/frame.hpp"
#include "wire/messages.hpp"

namespace yaks::wire {
namespace {

template <message T>
void round_trip(byte_view body, std::int16_t version) {
  reader in(body);
  T first;
  if (decode(in, version, first) != fault::none) return;
  std::string bytes(measure(first, version).total(), '\0');
  writer out(std::as_writable_bytes(std::span(bytes)));
  encode(out, version, first);
  YAKS_CHECK(out.full(), "encoded into fewer bytes than measured");
  reader in_again(as_bytes(bytes));
  T second;
  YAKS_CHECK(decode(in_again, version, second) == fault::none, "what was encoded does not decode");
  YAKS_CHECK(in_again.left().empty() && first == second, "what was encoded decodes to something else");
}

void run(byte_view frame) {
  auto request = parse_request_header(frame);
  if (!request) return;
  // The connection loop reads no message of a version that is not served, but the descriptions have more of them.
  reader in(frame);
  request_header header;
  if (decode(in, request_header_version(request->key(), request->version()), header) != fault::none) return;
  YAKS_CHECK(header == request->header, "two readings of one header");
  for_each_api([&]<class Request, class Response>() {
    if (Request::api == request->key()) round_trip<Request>(in.left(), request->version());
  });
}
}  // namespace
}  // namespace yaks::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  // libFuzzer's copy ends where the input ends, so the address sanitizer sees any read past it.
  yaks::wire::run(std::as_bytes(std::span(data, bytes)));
  return 0;
}
