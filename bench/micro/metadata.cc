// A commit of many partitions: encoding it, decoding it, and applying it to the state machine, which every agent does
// with every entry of the log.
#include <benchmark/benchmark.h>

#include <string>

#include "metadata/entry_codec.hpp"
#include "metadata/state.hpp"

namespace {
using namespace yaks;
constexpr timestamp_ms start_of_time{1'700'000'000'000};

metadata::commit_object commit_of(topic_id topic, int partitions, std::int32_t sequence, std::uint64_t number) {
  metadata::commit_object commit{object_id(uuid::v7(start_of_time.value(), number, number)), 0, {{topic, {}}}};
  for (int p = 0; p < partitions; ++p) {
    commit.topics[0].partitions.push_back(
        {partition_index(p), {{10'000, 10, start_of_time, producer_id(p % 1000), 0, sequence}}});
    commit.object_bytes += 10'000;
  }
  return commit;
}

void encode_commit(benchmark::State& state) {
  auto commit = commit_of(topic_id(uuid::v4(1, 1)), int(state.range(0)), 0, 1);
  std::size_t bytes = 0;
  for (auto _ : state) {
    metadata::entry_writer writer;
    writer.add(commit);
    bytes = writer.bytes();
    benchmark::DoNotOptimize(writer.take());
  }
  state.counters["entry_bytes"] = double(bytes);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(encode_commit)->Arg(1)->Arg(100)->Arg(1000);

// Decoding and applying, with producer sequences that go on from entry to entry.
void apply_commit(benchmark::State& state) {
  auto partitions = int(state.range(0));
  metadata::state machine;
  auto me = incarnation(uuid::v4(2, 2));
  auto topic = topic_id(uuid::v4(1, 1));
  std::uint64_t number = 0;
  auto apply = [&](const metadata::command& c) {
    metadata::entry_writer writer;
    writer.add(c);
    metadata::log_entry entry{machine.position().sequence + 1, {me, ++number}, start_of_time, writer.take()};
    return machine.apply(entry);
  };
  metadata::register_agent registration;
  registration.upload_deadline_ms = 3'600'000;
  apply(registration);
  apply(metadata::create_topic{topic, "bench", partitions, {}});
  apply(metadata::allocate_producer_ids{1000});
  std::int32_t sequence = 0;
  for (auto _ : state) {
    state.PauseTiming();
    metadata::entry_writer writer;
    writer.add(commit_of(topic, partitions, sequence, number));
    sequence += 10;
    metadata::log_entry entry{machine.position().sequence + 1, {me, ++number}, start_of_time, writer.take()};
    state.ResumeTiming();
    auto applied = machine.apply(entry);
    if (std::get<metadata::commit_outcome>(applied.outcomes[0]).batches.back().error != metadata::apply_error::none)
      state.SkipWithError("not accepted");
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(apply_commit)->Arg(1)->Arg(100)->Arg(1000);
}  // namespace
