// Many agents on one metadata log in PostgreSQL: each is the agent's own replica and store, flushes at a steady rate
// with small commits, and applies what all the others append. Objects, clients and caches are left out: what is
// measured is the log.
//
// Prints "begin" and "end" around the measured time, so that the script `follow` can read PostgreSQL's counters, and
// then one JSON object: appends, reads, entries and bytes that the agents received, and how long after its own agent
// another one saw an entry.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "metadata/replica.hpp"
#include "metastores/postgres/postgres_metastore.hpp"
#include "metrics/registry.hpp"
#include "runtime/real_runtime.hpp"
#include "runtime/task_group.hpp"

namespace {
using namespace yaks;

struct options {
  metastores::postgres_settings postgres;
  std::int32_t agents = 100, partitions = 5;
  double rate_hz = 4, seconds = 10;
};

struct totals {
  bool is_measuring = false;
  std::uint64_t appends = 0, reads = 0, entries = 0, bytes = 0;
  std::unordered_map<std::int64_t, time_point> appended;  // by sequence: when its own agent had applied it
  std::vector<double> seen_ms;

  void saw(log_sequence which, time_point now) {
    auto found = appended.find(which.value());
    if (is_measuring && found != appended.end())
      seen_ms.push_back(std::chrono::duration<double, std::milli>(now - found->second).count());
  }
};

// Counts what a replica gets from its store.
class counting_log final : public metadata::log_store {
 public:
  counting_log(metadata::log_store& inner, totals& all) : inner_(inner), all_(all) {}
  awaitable<result<metadata::log_tail, metadata::log_error>> append(metadata::log_position applied,
                                                                    metadata::append_id id,
                                                                    shared_bytes payload) override {
    auto got = co_await inner_.append(applied, id, std::move(payload));
    if (all_.is_measuring) ++all_.appends;
    count(got, 1);
    co_return got;
  }
  awaitable<result<metadata::log_tail, metadata::log_error>> read_after(metadata::log_position applied) override {
    auto got = co_await inner_.read_after(applied);
    if (all_.is_measuring) ++all_.reads;
    count(got, 0);
    co_return got;
  }
  awaitable<void> wait_for_change() override { return inner_.wait_for_change(); }
  bool is_shared() const override { return inner_.is_shared(); }

 private:
  // Its own entry is not sent back to an agent.
  void count(const result<metadata::log_tail, metadata::log_error>& got, std::size_t own) {
    if (!got || !all_.is_measuring) return;
    for (std::size_t i = 0; i + own < got->entries.size(); ++i) {
      ++all_.entries;
      all_.bytes += got->entries[i].payload.size();
    }
  }
  metadata::log_store& inner_;
  totals& all_;
};

class agent {
 public:
  agent(runtime& rt, const options& chosen, std::int32_t number, totals& all)
      : rt_(rt),
        chosen_(chosen),
        number_(number),
        all_(all),
        store_(rt, metrics_, chosen.postgres),
        log_(store_.log(), all) {}

  awaitable<void> open() {
    co_await store_.open();
    co_await store_.hold_node_id(node_id(number_), 1s);
    settings_.registration.node = node_id(number_);
    settings_.registration.upload_deadline_ms = 3'600'000;
    settings_.registration.version = "bench";
    settings_.registration.host = "localhost";
    replica_ = std::make_unique<metadata::replica>(rt_, log_, settings_, metrics_, [this](const metadata::changes&) {
      all_.saw(replica_->current().position().sequence, rt_.now());
    });
  }
  awaitable<void> close() { co_await store_.close(); }
  metadata::replica& log() { return *replica_; }

  awaitable<void> keep_lease() {
    for (;;) {
      (void)co_await store_.renew_lease(
          {replica_->self(), settings_.registration, replica_->current().position().sequence}, 15s);
      co_await rt_.sleep_for(5s);
    }
  }

  awaitable<void> flush_steadily(topic_id topic) {
    if (chosen_.rate_hz <= 0) co_return;
    auto interval = std::chrono::duration_cast<duration>(std::chrono::duration<double>(1 / chosen_.rate_hz));
    auto due = rt_.now() + duration(std::int64_t(rt_.random_below(std::uint64_t(interval.count()))));
    for (;; due += interval) {
      co_await rt_.sleep_until(due);
      metadata::commit_object object{
          object_id(uuid::v7(replica_->log_time().value(), rt_.random(), rt_.random())), 0, {{topic, {}}}};
      for (std::int32_t p = 0; p < chosen_.partitions; ++p) {
        object.topics[0].partitions.push_back(
            {partition_index(p), {{.bytes = 1000, .record_count = 1, .max_timestamp = replica_->log_time()}}});
        object.object_bytes += 1000;
      }
      auto got = co_await replica_->submit(std::move(object));
      if (!got) throw std::runtime_error("an append failed");
      if (all_.is_measuring) all_.appended[replica_->current().position().sequence.value()] = rt_.now();
    }
  }

 private:
  runtime& rt_;
  const options& chosen_;
  std::int32_t number_;
  totals& all_;
  metrics::registry metrics_;
  metastores::postgres_metastore store_;
  counting_log log_;
  metadata::replica_settings settings_;
  std::unique_ptr<metadata::replica> replica_;
};

void tell(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

awaitable<void> measure(runtime& rt, const options& chosen, std::deque<agent>& agents, totals& all, task_group& tasks) {
  for (auto& a : agents) {
    tasks.spawn(a.log().run());
    co_await a.log().wait_until_ready();
    tasks.spawn(a.keep_lease());
  }
  auto topic = topic_id(uuid::v4(rt.random(), rt.random()));
  auto made = co_await agents.front().log().submit(metadata::create_topic{topic, "follow", chosen.partitions, {}});
  if (!made || made->error != metadata::apply_error::none) throw std::runtime_error("could not create a topic");
  for (auto& a : agents) tasks.spawn(a.flush_steadily(topic));
  co_await rt.sleep_for(6s);  // every lease is known to everybody
  auto length = std::chrono::duration_cast<duration>(std::chrono::duration<double>(chosen.seconds));
  tell("begin");
  all.is_measuring = true;
  co_await rt.sleep_for(length);
  all.is_measuring = false;
  tell("end");
  co_await rt.sleep_for(2s);  // sessions that end take their processor time with them: not before it was read
  auto& seen = all.seen_ms;
  std::ranges::sort(seen);
  auto at = [&](double part) { return seen.empty() ? 0.0 : seen[std::size_t(part * double(seen.size() - 1))]; };
  tell(fmt::format(
      R"({{"appends": {}, "reads": {}, "entries": {}, "bytes": {}, "seen_p50_ms": {:.2f}, "seen_p99_ms": {:.2f}}})",
      all.appends, all.reads, all.entries, all.bytes, at(0.5), at(0.99)));
}

awaitable<void> run(runtime& rt, const options& chosen) {
  totals all;
  std::deque<agent> agents;
  for (std::int32_t i = 0; i < chosen.agents; ++i) {
    agents.emplace_back(rt, chosen, i, all);
    co_await agents.back().open();
  }
  {
    task_group tasks(rt.executor());
    co_await run_then_close(measure(rt, chosen, agents, all, tasks), tasks);
  }
  for (auto& a : agents) co_await a.close();
}
}  // namespace

int main(int argc, char** argv) {
  options chosen;
  chosen.postgres.run_migrations = true;
  CLI::App app("Many agents that follow one metadata log in PostgreSQL (see bench/follow).");
  app.add_option("--host", chosen.postgres.host)->capture_default_str();
  app.add_option("--port", chosen.postgres.port)->required();
  app.add_option("--user", chosen.postgres.user)->required();
  app.add_option("--password", chosen.postgres.password)->required();
  app.add_option("--database", chosen.postgres.database)->required();
  app.add_option("--agents", chosen.agents)->capture_default_str();
  app.add_option("--rate", chosen.rate_hz, "flushes per second and agent")->capture_default_str();
  app.add_option("--partitions", chosen.partitions, "in each flush, one batch each")->capture_default_str();
  app.add_option("--seconds", chosen.seconds)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::warn);
  try {
    real_runtime rt;
    rt.run(run(rt, chosen));
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_follow: {}\n", e.what());
    return 1;
  }
  return 0;
}
