// Appends commits of many partitions to the metadata log in PostgreSQL, through the agent's own replica and store, or
// plain rows of the same size for comparison. Driven by the script `append` over standard input and output, so that it
// can read PostgreSQL's counters while nothing else happens:
//
//   ◀ ready                       connected, everything prepared
//   ▶ commit PARTITIONS TOPICS N  one topic set, then N appends, each with one idempotent batch per partition
//   ◀ prepared                    topics exist, a few appends have been made: the counters are read now
//   ▶ go                          ◀ {"appends": …}      the counters are read again
//   ▶ plain BYTES N               the same with N single-row inserts of BYTES bytes
//   ▶ end
//
// Nothing polls meanwhile: the replica's poll interval is set to an hour.
#include <fmt/format.h>
#include <libpq-fe.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "metadata/replica.hpp"
#include "metastores/postgres/postgres_metastore.hpp"
#include "metrics/registry.hpp"
#include "runtime/real_runtime.hpp"
#include "runtime/task_group.hpp"

namespace {
using namespace yaks;
using steady = std::chrono::steady_clock;

void answer(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

std::string ask() {
  std::string line;
  return std::getline(std::cin, line) ? line : "end";
}

double own_cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  auto of = [](timeval t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
  return of(used.ru_utime) + of(used.ru_stime);
}

struct timings {
  std::vector<double> us;
  double cpu_before = own_cpu_seconds();

  void add(steady::time_point start) {
    us.push_back(std::chrono::duration<double, std::micro>(steady::now() - start).count());
  }
  std::string json(std::size_t payload_bytes) {
    auto cpu_us = (own_cpu_seconds() - cpu_before) * 1e6 / double(us.size());
    std::sort(us.begin(), us.end());
    return fmt::format(
        R"({{"appends": {}, "payload_bytes": {}, "p50_us": {:.0f}, "p99_us": {:.0f}, "client_cpu_us": {:.1f}}})",
        us.size(), payload_bytes, us[us.size() / 2], us[us.size() * 99 / 100], cpu_us);
  }
};

class driver {
 public:
  driver(runtime& rt, metastores::postgres_settings settings)
      : rt_(rt),
        connect_to_(fmt::format("host={} port={} user={} password={} dbname={}", settings.host, settings.port,
                                settings.user, settings.password, settings.database)),
        store_(rt, metrics_, std::move(settings)),
        tasks_(rt.executor()) {}

  awaitable<void> run() {
    co_await store_.open();
    co_await store_.hold_node_id(node_id(0), 1s);
    metadata::replica_settings replica_settings;
    replica_settings.registration.upload_deadline_ms = 3'600'000;
    replica_settings.registration.version = "bench";
    replica_settings.registration.host = "localhost";
    replica_settings.poll_interval = std::chrono::hours(1);
    log_.emplace(rt_, store_.log(), std::move(replica_settings), metrics_, [](const metadata::changes&) {});
    co_await run_then_close(serve(), tasks_);
    log_.reset();
    co_await store_.close();
  }

 private:
  awaitable<void> serve() {
    tasks_.spawn(log_->run());
    co_await log_->wait_until_ready();
    answer("ready");
    // Reading standard input blocks the executor, which is what keeps everything quiet in between.
    for (auto line = ask(); line != "end"; line = ask()) {
      char what[16];
      unsigned long first = 0, second = 0, third = 0;
      auto fields = std::sscanf(line.c_str(), "%15s %lu %lu %lu", what, &first, &second, &third);
      if (fields == 4 && std::string(what) == "commit")
        co_await commit(first, second, third);
      else if (fields == 3 && std::string(what) == "plain")
        plain(first, second);
      else
        throw std::runtime_error("not understood: " + line);
    }
  }

  awaitable<void> commit(std::size_t partitions, std::size_t topics, std::size_t appends) {
    std::vector<metadata::topic_commit> where;
    for (std::size_t t = 0; t < topics; ++t) {
      auto id = topic_id(uuid::v4(rt_.random(), rt_.random()));
      auto count = std::int32_t(partitions / topics);
      auto made = co_await log_->submit(
          metadata::create_topic{id, fmt::format("bench-{}-{}-{}", partitions, topics, t), count, {}});
      if (!made || made->error != metadata::apply_error::none) throw std::runtime_error("could not create a topic");
      metadata::topic_commit in_topic{id, {}};
      for (std::int32_t p = 0; p < count; ++p) in_topic.partitions.push_back({partition_index(p), {}});
      where.push_back(std::move(in_topic));
    }
    auto ids = co_await log_->submit(metadata::allocate_producer_ids{1000});
    if (!ids) throw std::runtime_error("could not get producer ids");
    first_producer_ = ids->first;
    sequence_ = 0;
    for (int i = 0; i < 5; ++i) co_await commit_once(where);
    answer("prepared");
    if (ask() != "go") throw std::runtime_error("expected go");
    timings took;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < appends; ++i) {
      auto start = steady::now();
      bytes = co_await commit_once(where);
      took.add(start);
    }
    answer(took.json(bytes));
  }

  // One batch of 10 records and 10 KB per partition, each partition's from one of 1,000 producers.
  awaitable<std::size_t> commit_once(const std::vector<metadata::topic_commit>& where) {
    metadata::commit_object object{object_id(uuid::v7(log_->log_time().value(), rt_.random(), rt_.random())), 0, where};
    auto now = log_->log_time();
    std::int64_t n = 0;
    for (auto& t : object.topics)
      for (auto& p : t.partitions) {
        auto size = std::uint32_t(10'000 + rt_.random_below(400));
        p.batches.push_back(
            {size, 10, now + std::int64_t(rt_.random_below(50)), first_producer_ + n++ % 1000, 0, sequence_});
        object.object_bytes += size;
      }
    sequence_ += 10;
    metadata::entry_writer entry;
    entry.add(object);
    auto got = co_await log_->submit(std::move(object));
    if (!got) throw std::runtime_error("an append failed");
    for (auto& b : got->batches)
      if (b.error != metadata::apply_error::none) throw std::runtime_error("a batch was not accepted");
    co_return entry.bytes();
  }

  void plain(std::size_t bytes, std::size_t appends) {
    std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectdb(connect_to_.c_str()), &PQfinish);
    auto check = [&](PGresult* result, ExecStatusType expected) {
      auto status = PQresultStatus(result);
      PQclear(result);
      if (status != expected) throw std::runtime_error(PQerrorMessage(connection.get()));
    };
    auto* c = connection.get();
    check(PQexec(c, "set client_min_messages = warning"), PGRES_COMMAND_OK);
    check(PQexec(c, "create table if not exists bench_plain (seq bigserial primary key, payload bytea)"),
          PGRES_COMMAND_OK);
    check(PQexec(c, "alter table bench_plain alter payload set storage external"), PGRES_COMMAND_OK);
    check(PQprepare(c, "add", "insert into bench_plain (payload) values ($1)", 1, nullptr), PGRES_COMMAND_OK);
    std::string payload(bytes, '\0');
    for (auto& b : payload) b = char(rt_.random());
    auto once = [&] {
      const char* values[] = {payload.data()};
      int lengths[] = {int(bytes)}, formats[] = {1};
      check(PQexecPrepared(c, "add", 1, values, lengths, formats, 1), PGRES_COMMAND_OK);
    };
    for (int i = 0; i < 5; ++i) once();
    answer("prepared");
    if (ask() != "go") throw std::runtime_error("expected go");
    timings took;
    for (std::size_t i = 0; i < appends; ++i) {
      auto start = steady::now();
      once();
      took.add(start);
    }
    answer(took.json(bytes));
    ask();  // this connection's backend is still there until its time was read
  }

  runtime& rt_;
  std::string connect_to_;
  metrics::registry metrics_;
  metastores::postgres_metastore store_;
  std::optional<metadata::replica> log_;
  task_group tasks_;
  producer_id first_producer_;
  std::int32_t sequence_ = 0;
};
}  // namespace

int main(int argc, char** argv) {
  metastores::postgres_settings settings;
  settings.run_migrations = true;
  CLI::App app("Appends to the metadata log in PostgreSQL, driven over standard input (see bench/append).");
  app.add_option("--host", settings.host)->capture_default_str();
  app.add_option("--port", settings.port)->required();
  app.add_option("--user", settings.user)->required();
  app.add_option("--password", settings.password)->required();
  app.add_option("--database", settings.database)->required();
  CLI11_PARSE(app, argc, argv);
  try {
    real_runtime rt;
    driver d(rt, settings);
    rt.run(d.run());
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_append: {}\n", e.what());
    return 1;
  }
  return 0;
}
