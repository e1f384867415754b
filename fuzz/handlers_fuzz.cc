// Any requests to a whole agent in virtual time, one after the other over one connection: each is answered with a
// message of its API and version, or its connection closes; the agent lives on, and its metadata are as its log says.
//
// The input is a list of frames: u16 length, little-endian, then the frame without its own length.
#include <spdlog/spdlog.h>

#include "handlers/test_broker.hpp"
#include "runtime/first_of.hpp"

namespace yaks {
namespace {
constexpr std::int32_t partitions_max = 8;  // in one topic: more make a run slow and find nothing new
constexpr std::size_t requests_max = 16;

// Requests of this size are their sender's right, but cost more time than they are worth here.
bool is_heavy(const wire::incoming_request& request) {
  if (request.key() == wire::api_key::create_topics) {
    auto r = wire::decode_body<wire::create_topics_request>(request.body, request.version());
    return r && std::ranges::any_of(r->topics, [](const auto& t) {
             return t.num_partitions > partitions_max || t.assignments.size() > 8;
           });
  }
  if (request.key() == wire::api_key::create_partitions) {
    auto r = wire::decode_body<wire::create_partitions_request>(request.body, request.version());
    return r && std::ranges::any_of(r->topics, [](const auto& t) { return t.count > partitions_max; });
  }
  return false;
}

void check_answer(const wire::incoming_request& request, const response& answer) {
  std::string bytes;
  for (const auto& s : answer.segments) bytes += as_text(s.view());
  auto view = as_bytes(bytes);
  YAKS_CHECK(view.size() >= 8 && std::size_t(load_big_endian<std::int32_t>(view.data())) + 4 == view.size(),
             "an answer is one frame");
  YAKS_CHECK(load_big_endian<std::int32_t>(view.data() + 4) == request.header.correlation_id,
             "it answers this request");
  auto version = request.version();
  const auto* api = wire::find_api(request.key());
  YAKS_CHECK(api, "what is not served is not answered");
  if (!api->served.has(version)) version = 0;  // ApiVersions only
  wire::for_each_api([&]<class Request, class Response>() {
    if (Request::api != request.key()) return;
    wire::reader in(view.subspan(8 + (wire::response_header_version(Request::api, version) == 1 ? 1 : 0)));
    Response message;
    YAKS_CHECK(wire::decode(in, version, message) == wire::fault::none && in.left().empty(),
               "an answer is of its API and version");
  });
}

awaitable<void> play(test::broker_world& broker, byte_view input) {
  co_await broker.make_topic("t", 2);
  for (std::size_t n = 0; n < requests_max && input.size() >= 2; ++n) {
    auto bytes = std::to_integer<std::size_t>(input[0]) | std::to_integer<std::size_t>(input[1]) << 8;
    input = input.subspan(2);
    auto frame = shared_bytes::copy_of(input.first(std::min(bytes, input.size())));
    input = input.subspan(frame.size());
    auto request = wire::parse_request_header(frame.view());
    if (request && is_heavy(*request)) continue;
    std::optional<response> answer;
    auto asks = [&]() -> awaitable<void> { answer = co_await broker.send(frame); };
    co_await first_of(asks(), broker.rt.sleep_for(10s));  // some wait as long as they say, for data or for others
    if (!answer) continue;
    if (answer->what == response::outcome::close) co_return;
    if (answer->what == response::outcome::answer) check_answer(*request, *answer);
  }
}

void run(byte_view input) {
  spdlog::set_level(spdlog::level::off);
  test::broker_world broker;
  broker.store.put_delay = broker.store.get_delay = 1ms;
  broker.play([&]() -> awaitable<void> { return play(broker, input); });
  const auto& state = broker.replica.current();
  YAKS_CHECK(state.digest() == state.recompute_digest(), "the digest follows every change");
}
}  // namespace
}  // namespace yaks

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  yaks::run(std::as_bytes(std::span(data, size)));
  return 0;
}
