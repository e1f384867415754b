// Fills the index of byte ranges in PostgreSQL through the agent's own store, as the materializer does, and reads it as
// fetches do.
//
// Each topic has 100 partitions and a million ranges; each object holds one range of every partition of a topic, and a
// chunk is a hundred ranges of one partition. Prints "begin WHAT" and "end WHAT" around what the script `index`
// measures, and one JSON object at the end.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "metastores/postgres/postgres_metastore.hpp"
#include "metrics/registry.hpp"
#include "runtime/real_runtime.hpp"

namespace {
using namespace yaks;
using steady = std::chrono::steady_clock;
constexpr std::int32_t partitions = 100;
constexpr std::uint64_t ranges_per_chunk = 100, ranges_per_topic = 1'000'000;
constexpr std::uint64_t chunks_per_partition = ranges_per_topic / partitions / ranges_per_chunk;
constexpr std::uint32_t records_per_range = 10;
constexpr std::int64_t start_ms = 1'700'000'000'000;

void tell(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

double ms_since(steady::time_point start) {
  return std::chrono::duration<double, std::milli>(steady::now() - start).count();
}

topic_id topic(std::uint64_t number) {
  return topic_id(uuid::v4(11, number + 1));
}

// One chunk of each partition, and the hundred objects that they lie in.
metadata::index_write one_write(runtime& rt, std::uint64_t topic_number, std::uint64_t chunk) {
  metadata::index_write write;
  auto first_object = topic_number * (ranges_per_topic / partitions) + chunk * ranges_per_chunk + 1;
  std::vector<std::uint32_t> ends(ranges_per_chunk, 0);  // of what each object holds so far
  for (std::int32_t p = 0; p < partitions; ++p) {
    metadata::index_chunk made{{topic(topic_number), partition_index(p)}, {}};
    for (std::uint64_t i = 0; i < ranges_per_chunk; ++i) {
      auto number = chunk * ranges_per_chunk + i;
      auto bytes = std::uint32_t(10'000 + rt.random_below(400));
      made.ranges.push_back(
          {.base_offset = offset(std::int64_t(number * records_per_range)),
           .object = first_object + i,
           .position = ends[i],
           .bytes = bytes,
           .record_count = records_per_range,
           .batch_count = 1,
           .max_timestamp = timestamp_ms(start_ms + std::int64_t(number) * 250 + std::int64_t(rt.random_below(50)))});
      ends[i] += bytes;
    }
    write.chunks.push_back(std::move(made));
  }
  for (std::uint64_t i = 0; i < ranges_per_chunk; ++i)
    write.objects.push_back({first_object + i, object_id(uuid::v7(start_ms, rt.random(), rt.random())), ends[i]});
  return write;
}

awaitable<void> run(runtime& rt, metastores::postgres_settings settings, std::uint64_t topics, std::uint64_t lookups) {
  metrics::registry metrics;
  metastores::postgres_metastore store(rt, metrics, std::move(settings));
  co_await store.open();
  std::string problem;
  std::vector<double> found_ms;
  double deleted_ms = 0, expired_alone_ms = 0, expired_together_ms = 0;  // the latter of one partition
  auto work = [&]() -> awaitable<void> {
    tell("begin load");
    for (std::uint64_t chunk = 0; chunk < chunks_per_partition; ++chunk)
      for (std::uint64_t t = 0; t < topics; ++t) {
        auto added = co_await store.index().add(1, one_write(rt, t, chunk));
        if (!added) throw std::runtime_error("a write into the index failed");
      }
    tell("end load");
    co_await rt.sleep_for(2s);  // the script counts meanwhile
    tell("begin lookup");
    co_await rt.sleep_for(1s);  // the script reads its counters
    for (std::uint64_t i = 0; i < lookups; ++i) {
      auto at = offset(std::int64_t(rt.random_below(ranges_per_topic / partitions * records_per_range)));
      topic_partition where{topic(rt.random_below(topics)), partition_index(std::int32_t(rt.random_below(partitions)))};
      auto begun = steady::now();
      auto found = co_await store.index().find(where, at);
      found_ms.push_back(ms_since(begun));
      if (!found || found->empty() || at < found->front().range.base_offset || at >= found->back().range.end_offset())
        throw std::runtime_error("a range was not found");
    }
    tell("end lookup");
    // Ten ranges of each partition expire, many times over: each partition by itself, and all together, in turn.
    std::vector<metadata::index_place> all;
    for (std::int32_t p = 0; p < partitions; ++p) all.push_back({{topic(topics - 1), partition_index(p)}, offset(0)});
    auto expire = [&](std::vector<metadata::index_place>& places) -> awaitable<void> {
      auto found = co_await store.index().find_oldest(places);
      if (!found) throw std::runtime_error("the oldest ranges were not found");
      for (auto& p : places) p.at = p.at + 10 * records_per_range;
      if (!co_await store.index().trim(1, places)) throw std::runtime_error("a trim failed");
    };
    std::vector<double> alone_ms, together_ms;
    for (int round = 0; round < 10; ++round) {
      auto begun = steady::now();
      for (auto& p : all) {
        std::vector<metadata::index_place> one{p};
        co_await expire(one);
        p = one.front();
      }
      alone_ms.push_back(ms_since(begun) / partitions);
      begun = steady::now();
      co_await expire(all);
      together_ms.push_back(ms_since(begun) / partitions);
    }
    std::ranges::sort(alone_ms);
    std::ranges::sort(together_ms);
    expired_alone_ms = alone_ms[alone_ms.size() / 2];
    expired_together_ms = together_ms[together_ms.size() / 2];
    tell("begin delete");
    co_await rt.sleep_for(1s);
    auto begun = steady::now();
    for (bool is_done = false; !is_done;) {  // as the agent does it, but for the pauses
      auto dropped = co_await store.index().drop(1, topic(0), 200);
      if (!dropped) throw std::runtime_error("a deletion failed");
      is_done = *dropped;
    }
    deleted_ms = ms_since(begun);
    tell("end delete");
    co_await rt.sleep_for(1s);
  };
  try {
    co_await work();
  } catch (const std::exception& e) {
    problem = e.what();
  }
  co_await store.close();
  if (!problem.empty()) throw std::runtime_error(problem);
  std::ranges::sort(found_ms);
  auto at = [&](double part) { return found_ms[std::size_t(part * double(found_ms.size() - 1))]; };
  tell(fmt::format(R"({{"ranges": {}, "lookup_p50_ms": {:.3f}, "lookup_p99_ms": {:.3f}, "deleted_ms": {:.1f}, "expired_alone_ms": {:.3f}, "expired_together_ms": {:.3f}}})",
                   topics * ranges_per_topic, at(0.5), at(0.99), deleted_ms, expired_alone_ms, expired_together_ms));
}
}  // namespace

int main(int argc, char** argv) {
  metastores::postgres_settings settings;
  settings.run_migrations = true;
  std::uint64_t millions = 10, lookups = 2000;
  CLI::App app("Fills and reads the index of byte ranges in PostgreSQL (see bench/index).");
  app.add_option("--host", settings.host)->capture_default_str();
  app.add_option("--port", settings.port)->required();
  app.add_option("--user", settings.user)->required();
  app.add_option("--password", settings.password)->required();
  app.add_option("--database", settings.database)->required();
  app.add_option("--millions", millions, "of ranges")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--lookups", lookups)->check(CLI::PositiveNumber)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::warn);
  try {
    real_runtime rt;
    rt.run(run(rt, settings, millions, lookups));
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_index: {}\n", e.what());
    return 1;
  }
  return 0;
}
