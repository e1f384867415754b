// Any bytes as what somebody sends to the port of metrics and health. Whatever it is, the server answers with HTTP or not at
// all, hands nothing odd to its handler, and lets go of the connection.
//
//   byte 0  how large the pieces are at most
#include "base/check.hpp"
#include "net/http_server.hpp"
#include "runtime/first_of.hpp"
#include "runtime/simulated_runtime.hpp"
#include "scripted_stream.hpp"

namespace yaks {
namespace {
// One client, and no more.
struct one_client final : listener {
  std::unique_ptr<byte_stream> client;
  event never;
  awaitable<std::unique_ptr<byte_stream>> accept() override {
    while (!client) co_await never.wait();
    co_return std::move(client);
  }
  std::uint16_t port() const override { return 80; }
  void close() override {}
};

awaitable<void> serve(simulated_runtime& rt, byte_view bytes, std::size_t piece) {
  std::string written;
  one_client at;
  at.client = std::make_unique<fuzz::scripted_stream>(bytes, piece, &written);
  http::server server(rt, at, [](const http::server_request& request) {
    YAKS_CHECK(request.method == "GET" || request.method == "HEAD", "other methods are not served");
    for (const auto* text : {&request.path, &request.query})
      for (char c : *text) YAKS_CHECK(c > 0x20 && c < 0x7f, "a target has no blanks and control characters");
    YAKS_CHECK(request.path.find('?') == std::string::npos, "a path ends at the question mark");
    return http::server_response{.body = "ok\n"};
  });
  co_await first_of(server.run(), rt.sleep_for(60s));
  YAKS_CHECK(written.empty() || written.starts_with("HTTP/1.1 "), "what answers speaks HTTP");
}
}  // namespace
}  // namespace yaks

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace yaks;
  if (size < 1) return 0;
  simulated_world world(1);
  simulated_runtime rt(world);
  rt.run(serve(rt, std::as_bytes(std::span(data + 1, size - 1)), std::size_t(1) << (data[0] % 14)));
  return 0;
}
