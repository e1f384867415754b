// What a state of many partitions costs an agent: memory per partition, the snapshot's bytes, and the time to write and
// read one. The state is filled by commands, as a replica's is:
//
//   created    nothing else has happened to the partitions
//   written    each has one range, in objects of 1,000 partitions
//   indexed    the same ranges have gone into the index: the state at rest
//   producers  each partition has heard of one idempotent producer within a day
//
// Prints one JSON object per line. Memory is what malloc has given out (mallinfo2), names included.
#include <fmt/format.h>
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <vector>

#include "metadata/entry_codec.hpp"
#include "metadata/snapshot.hpp"
#include "metadata/state.hpp"

namespace {
using namespace yaks;
using steady = std::chrono::steady_clock;
constexpr timestamp_ms start_of_time{1'700'000'000'000};
constexpr std::int32_t partitions_per_commit = 1000;

double given_out() {
  auto info = mallinfo2();
  return double(info.uordblks) + double(info.hblkhd);
}

double seconds_since(steady::time_point start) {
  return std::chrono::duration<double>(steady::now() - start).count();
}

class filled {
 public:
  filled(std::int32_t topics, std::int32_t partitions) : topics_(topics), each_(partitions / topics) {}

  void apply(const metadata::command& c) {
    metadata::entry_writer writer;
    writer.add(c);
    auto applied = state_.apply({state_.position().sequence + 1, {me_, ++number_}, start_of_time, writer.take()});
    if (applied.is_void) throw std::runtime_error("an entry is void");
  }

  void create() {
    metadata::register_agent registration;
    registration.upload_deadline_ms = 3'600'000;
    apply(registration);
    for (std::int32_t t = 0; t < topics_; ++t)
      apply(metadata::create_topic{topic(t), fmt::format("topic-{}", t), each_, {}});
  }

  void write(producer_id producer) {
    for (std::int32_t t = 0; t < topics_; ++t)
      for (std::int32_t first = 0; first < each_; first += partitions_per_commit) {
        metadata::commit_object commit{
            object_id(uuid::v7(start_of_time.value(), number_, number_)), 0, {{topic(t), {}}}};
        for (std::int32_t p = first; p < std::min(each_, first + partitions_per_commit); ++p) {
          metadata::batch_commit batch{.bytes = 10'000, .record_count = 10, .max_timestamp = start_of_time};
          if (producer != no_producer) {
            batch.producer = producer;
            batch.producer_epoch = 0;
            batch.base_sequence = 0;
          }
          commit.topics[0].partitions.push_back({partition_index(p), {batch}});
          commit.object_bytes += 10'000;
        }
        apply(commit);
      }
  }

  void index() {
    for (std::int32_t t = 0; t < topics_; ++t) {
      metadata::advance_index command;
      for (std::int32_t p = 0; p < each_; ++p) {
        topic_partition where{topic(t), partition_index(p)};
        const auto& now = *state_.find_partition(where);
        command.partitions.push_back({where.topic, where.partition, now.high_watermark, now.index_generation});
      }
      apply(command);
    }
  }

  void report(const char* stage, double before) {
    auto memory = given_out() - before;
    auto begun = steady::now();
    auto bytes = metadata::snapshot_codec::encode(state_);
    auto encode_s = seconds_since(begun);
    begun = steady::now();
    auto read = metadata::snapshot_codec::decode(bytes.view());
    auto decode_s = seconds_since(begun);
    if (read.digest() != state_.digest()) throw std::runtime_error("the snapshot has another digest");
    auto count = double(topics_) * each_;
    fmt::print(
        R"({{"stage": "{}", "partitions": {:.0f}, "bytes_per_partition": {:.1f}, "snapshot_bytes": {}, "encode_s": {:.2f}, "decode_s": {:.2f}}})"
        "\n",
        stage, count, memory / count, bytes.size(), encode_s, decode_s);
    std::fflush(stdout);
  }

 private:
  static topic_id topic(std::int32_t t) { return topic_id(uuid::v4(7, std::uint64_t(t) + 1)); }

  std::int32_t topics_, each_;
  metadata::state state_;
  incarnation me_ = incarnation(uuid::v4(2, 2));
  std::uint64_t number_ = 0;
};
}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Memory and snapshots of a state of many partitions.");
  std::int32_t partitions = 1'000'000, topics = 10;
  app.add_option("--partitions", partitions, "in all")->capture_default_str();
  app.add_option("--topics", topics, "that they are in")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  auto before = given_out();
  filled state(topics, partitions);
  state.create();
  state.report("created", before);
  state.write(no_producer);
  state.report("written", before);
  state.index();
  state.report("indexed", before);
  state.write(producer_id(5));
  state.index();
  state.report("producers", before);
}
