// Any bytes as what an S3 server answers: heads, bodies of every extent, listings, errors. Every call ends before its deadline
// is long over, and what it hands over is what was asked for.
//
//   byte 0  which call
//   byte 1  how large the pieces are at most
//   the rest is sent over each connection
#include <spdlog/spdlog.h>

#include "base/check.hpp"
#include "objects/s3/s3_store.hpp"
#include "objects/s3/xml.hpp"
#include "runtime/simulated_runtime.hpp"
#include "scripted_stream.hpp"

namespace yaks {
namespace {
struct answering_network final : network {
  byte_view answer;
  std::size_t piece;
  std::size_t connections = 0;
  answering_network(byte_view bytes, std::size_t piece_bytes_max) : answer(bytes), piece(piece_bytes_max) {}
  awaitable<std::unique_ptr<byte_stream>> connect(endpoint) override {
    ++connections;
    co_return std::make_unique<fuzz::scripted_stream>(answer, piece);
  }
  std::unique_ptr<listener> listen(endpoint) override { YAKS_CHECK(false, "an S3 client does not listen"); }
};

awaitable<void> call(simulated_runtime& rt, network& net, metrics::registry& metrics, unsigned which) {
  s3_store store(rt, net, metrics,
                 {.endpoint = "http://s3", .who = {"key", "secret", ""}, .bucket = "b", .create_bucket = which % 2 == 0,
                  .attempt_timeout = 1s, .retry_first = 1s, .retry_most = 1s, .open_patience = 2s});
  auto due = rt.now() + 2s;
  std::vector<shared_bytes> body{shared_bytes::copy_of(as_bytes("body"))};
  std::vector<std::string> keys{"data/a", "data/b"};
  switch (which % 5) {
    case 0:
      try {
        co_await store.open();
      } catch (const object_store_error& error) {
        YAKS_CHECK(error.what()[0] != '\0', "a refusal has a sentence");
      }
      break;
    case 1:
      (void)co_await store.put("data/a", std::move(body), 1, due);
      break;
    case 2: {
      auto got = co_await store.get("data/a", which & 32 ? 0 : 10, 7, due);
      YAKS_CHECK(!got || got->size() == 7, "a range is whole");
      break;
    }
    case 3: {
      auto got = co_await store.list("data/", due);
      if (got)
        for (const auto& o : *got) YAKS_CHECK(!o.key.ends_with('/'), "a folder is no object");
      break;
    }
    default:
      (void)co_await store.remove(std::move(keys), due);
  }
  YAKS_CHECK(rt.now() < due + 5s, "a call ends in time");
}

// What is written as text must be read as the same text.
void check_entities(byte_view bytes) {
  auto text = as_text(bytes);
  YAKS_CHECK(s3::decode_entities(s3::encode_entities(text)) == text, "a key survives XML");
  (void)s3::decode_entities(text);
}
}  // namespace
}  // namespace yaks

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  spdlog::set_level(spdlog::level::off);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace yaks;
  if (size < 2) return 0;
  byte_view bytes = std::as_bytes(std::span(data + 2, size - 2));
  check_entities(bytes);
  simulated_world world(1);
  simulated_runtime rt(world);
  metrics::registry metrics;
  answering_network net(bytes, std::size_t(1) << (data[1] % 14));
  rt.run(call(rt, net, metrics, data[0]));
  return 0;
}
