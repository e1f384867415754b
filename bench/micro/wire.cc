// Decoding a Produce and encoding a Fetch, per request, with the record bytes in them never touched.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "wire/frame.hpp"
#include "wire/messages/fetch.hpp"
#include "wire/messages/produce.hpp"

namespace {
using namespace yaks;

// A Produce version 9 with this many partitions of 16 KiB each.
std::string produce_frame(int partitions) {
  static const std::string records(16 * 1024, 'r');
  wire::produce_request request;
  request.acks = -1;
  request.timeout_ms = 30'000;
  auto& topic = request.topic_data.emplace_back();
  topic.name = "benchmarked-topic";
  for (int p = 0; p < partitions; ++p) topic.partition_data.push_back({p, wire::blob(as_bytes(records))});
  return wire::flatten(wire::encode_request_frame(7, "bench", 9, request));
}

void decode_produce(benchmark::State& state) {
  auto frame = produce_frame(int(state.range(0)));
  auto body = as_bytes(frame).subspan(4);
  for (auto _ : state) {
    auto incoming = wire::parse_request_header(body);
    auto request = wire::decode_body<wire::produce_request>(incoming->body, incoming->version());
    benchmark::DoNotOptimize(request->topic_data.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(decode_produce)->Arg(1)->Arg(12)->Arg(1000);

void encode_fetch(benchmark::State& state) {
  wire::fetch_response response;
  auto& topic = response.responses.emplace_back();
  topic.topic = "benchmarked-topic";
  for (int p = 0; p < state.range(0); ++p) {
    auto& partition = topic.partitions.emplace_back();
    partition.partition_index = p;
    partition.high_watermark = 1'000'000 + p;
  }
  for (auto _ : state) {
    auto frame = wire::encode_frame(7, 12, response);
    benchmark::DoNotOptimize(frame.segments.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(encode_fetch)->Arg(1)->Arg(12)->Arg(1000);
}  // namespace
