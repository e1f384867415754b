// What a produced batch costs before it is stored: the checksum alone, and the whole validation, per byte and per
// record.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "records/builder.hpp"
#include "records/crc32c.hpp"
#include "records/validate.hpp"

namespace {
using namespace yaks;

std::vector<std::byte> batch_of(int count, std::size_t value_bytes) {
  records::batch_builder builder;
  std::string value(value_bytes, 'v');
  for (int i = 0; i < count; ++i) builder.add(timestamp_ms(1'700'000'000'000 + i), std::nullopt, value);
  return builder.build();
}

void crc(benchmark::State& state) {
  std::vector<std::byte> bytes(std::size_t(state.range(0)), std::byte{7});
  for (auto _ : state) benchmark::DoNotOptimize(records::crc32c(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(crc)->Arg(1024)->Arg(16 * 1024)->Arg(1024 * 1024);

// Records of 1 KiB and of 100 bytes: the walk costs per record, the checksum per byte.
void validate(benchmark::State& state) {
  auto batch = batch_of(int(state.range(0)), std::size_t(state.range(1)));
  records::produce_rules rules;
  rules.batch_bytes_max = 10 * 1024 * 1024;
  for (auto _ : state) {
    auto info = records::validate_produced(batch, rules);
    if (!info) state.SkipWithError("refused");
    benchmark::DoNotOptimize(info);
  }
  state.SetBytesProcessed(state.iterations() * std::int64_t(batch.size()));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(validate)->Args({1, 1024})->Args({16, 1024})->Args({900, 1024})->Args({9000, 100});
}  // namespace
