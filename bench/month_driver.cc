// A month of an installation in minutes: the log, the state machine and all of the upkeep as an agent runs them, on the embedded
// store, in virtual time. No clients and no network; objects have names and sizes, and no bytes.
//
// One object is committed per interval, with one batch in each of `touched` partitions, which come round in turn. Prints one JSON
// object per day: what the state, the index and the bucket hold.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "membership/members.hpp"
#include "metadata/replica.hpp"
#include "metadata/snapshot.hpp"
#include "metastores/sqlite/sqlite_metastore.hpp"
#include "metrics/registry.hpp"
#include "objects/object_key.hpp"
#include "runtime/simulated_runtime.hpp"
#include "runtime/task_group.hpp"
#include "upkeep/materializer.hpp"
#include "upkeep/reclaimer.hpp"
#include "upkeep/retention.hpp"
#include "upkeep/snapshots.hpp"
#include "upkeep/sweeper.hpp"

namespace {
using namespace yaks;

struct load {
  std::int32_t partitions = 10'000, touched = 100;
  std::uint32_t batch_bytes = 50'000, batch_records = 50;
  std::int64_t interval_ms = 1000;
  std::int64_t days = 30, retention_days = 7, retention_interval_s = 10;
};

// Names and sizes of objects; only what is put here (snapshots) has bytes.
class catalogue final : public object_store {
 public:
  void add(std::string key, std::uint64_t bytes) {
    auto [place, is_new] = sizes_.insert_or_assign(std::move(key), bytes);
    if (is_new) bytes_ += place->second;
  }
  std::size_t size() const { return sizes_.size(); }
  std::uint64_t bytes() const { return bytes_; }

  awaitable<result<void, object_error>> put(std::string key, std::vector<shared_bytes> body, std::uint32_t, time_point) override {
    auto& all = bodies_[key];
    for (const auto& piece : body) all.append(as_text(piece.view()));
    add(std::move(key), all.size());
    co_return result<void, object_error>();
  }
  awaitable<result<shared_bytes, object_error>> get(std::string key, std::uint64_t position, std::uint64_t bytes, time_point) override {
    auto found = bodies_.find(key);
    if (found == bodies_.end() || position + bytes > found->second.size()) co_return failure(object_error::not_found);
    co_return shared_bytes::copy_of(as_bytes(std::string_view(found->second).substr(position, bytes)));
  }
  awaitable<result<std::vector<object_info>, object_error>> list(std::string prefix, time_point) override {
    std::vector<object_info> found;
    for (auto at = sizes_.lower_bound(prefix); at != sizes_.end() && at->first.starts_with(prefix); ++at)
      found.push_back({at->first, at->second});
    co_return found;
  }
  awaitable<result<void, object_error>> remove(std::vector<std::string> keys, time_point) override {
    for (const auto& key : keys) {
      bodies_.erase(key);
      if (auto at = sizes_.find(key); at != sizes_.end()) {
        bytes_ -= at->second;
        sizes_.erase(at);
      }
    }
    co_return result<void, object_error>();
  }

 private:
  std::map<std::string, std::uint64_t> sizes_;
  std::map<std::string, std::string> bodies_;
  std::uint64_t bytes_ = 0;
};

double processor_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return double(t.tv_sec) + double(t.tv_nsec) / 1e9;
}

class installation {
 public:
  installation(simulated_world& world, const load& l, const std::string& directory)
      : load_(l),
        directory_(directory),
        rt_(world),
        store_(rt_, metrics_, {.directory = directory}),
        self_{.node = node_id(0), .upload_deadline_ms = 600'000, .host = "localhost", .port = 9092},
        log_(rt_, store_.log(), {.registration = self_}, metrics_, [this](const metadata::changes& c) { materializer_.applied(c); }),
        members_(rt_, store_, log_, {.self = self_}, metrics_),
        snapshots_(rt_, store_, bucket_, log_, members_, {.log_kept = 60s}, metrics_),
        office_(rt_, store_, log_, members_, metrics_),
        materializer_(rt_, store_, log_, office_, {}, metrics_),
        retention_(rt_, store_, log_, office_,
                   [ms = l.retention_days * 86'400'000](const metadata::topic&) { return upkeep::retention_limits{.ms = ms}; },
                   {.interval = std::chrono::seconds(l.retention_interval_s)}, metrics_),
        reclaimer_(rt_, store_, log_, bucket_, office_, {}, metrics_),
        sweeper_(rt_, store_, log_, bucket_, office_, {}, metrics_),
        tasks_(rt_.executor()) {}

  void run() {
    auto patience = std::chrono::hours(24 * (load_.days + 1));
    rt_.run(live(), patience);
  }

 private:
  awaitable<void> live() {
    co_await store_.open();
    co_await store_.hold_node_id(node_id(0), 5s);
    auto work = write_for_days();
    co_await run_then_close(std::move(work), tasks_);
    co_await store_.close();
  }

  awaitable<void> write_for_days() {
    tasks_.spawn(log_.run());
    tasks_.spawn(members_.run());
    co_await log_.wait_until_ready();
    tasks_.spawn(snapshots_.run());
    tasks_.spawn(office_.run());
    tasks_.spawn(materializer_.run());
    tasks_.spawn(retention_.run());
    tasks_.spawn(reclaimer_.run());
    tasks_.spawn(sweeper_.run());
    (void)co_await log_.submit(metadata::create_topic{topic_, "measured", load_.partitions, {}});
    auto began = rt_.now();
    std::int32_t next = 0;
    for (std::int64_t day = 1; day <= load_.days; ++day) {
      for (; rt_.now() < began + std::chrono::hours(24 * day); co_await rt_.sleep_until(began + std::chrono::milliseconds(load_.interval_ms * ++flushes_)))
        co_await flush(next);
      report(day);
    }
  }

  awaitable<void> flush(std::int32_t& next) {
    auto high = rt_.random(), low = rt_.random();
    object_id id(uuid::v7(log_.log_time_now().value(), high, low));
    metadata::commit_object c{id, std::uint64_t(load_.touched) * load_.batch_bytes, {{topic_, {}}}};
    bucket_.add(object_key("", id), c.object_bytes);
    for (std::int32_t i = 0; i < load_.touched; ++i) {
      c.topics[0].partitions.push_back({partition_index(next), {{.bytes = load_.batch_bytes, .record_count = load_.batch_records, .max_timestamp = log_.log_time_now()}}});
      next = (next + 1) % load_.partitions;
    }
    std::ranges::sort(c.topics[0].partitions, {}, &metadata::partition_commit::partition);
    (void)co_await log_.submit(std::move(c));
  }

  void report(std::int64_t day) {
    const auto& state = log_.current();
    std::uint64_t in_state = 0, all_bytes = 0, all_records = 0;
    for (const auto& p : state.find_topic(topic_)->partitions) {
      in_state += p.ranges.size();
      all_bytes += p.bytes;
      all_records += std::uint64_t((p.high_watermark - p.log_start));
    }
    fmt::print(
        R"({{"day": {}, "cpu_s": {:.1f}, "ranges": {}, "ranges_in_state": {}, "objects_in_state": {}, "snapshot_mib": {:.2f}, "database_mib": {:.1f}, "log_bytes": {}, "bucket_objects": {}, "bucket_bytes": {}, "owed": {}}})"
        "\n",
        day, processor_seconds(), all_records / load_.batch_records, in_state, state.object_count(),
        double(metadata::snapshot_codec::encode(state).size()) / 1048576,
        double(std::filesystem::file_size(directory_ + "/metadata.db")) / 1048576, all_bytes, bucket_.size(), bucket_.bytes(),
        state.trims().size() + state.drops().size() + state.released().size());
    std::fflush(stdout);
  }

  load load_;
  std::string directory_;
  std::int64_t flushes_ = 0;
  topic_id topic_ = topic_id(uuid::v4(7, 7));
  simulated_runtime rt_;
  metrics::registry metrics_;
  catalogue bucket_;
  metastores::sqlite_metastore store_;
  metadata::register_agent self_;
  metadata::replica log_;
  membership::members members_;
  upkeep::snapshotter snapshots_;
  upkeep::term office_;
  upkeep::materializer materializer_;
  upkeep::retention retention_;
  upkeep::reclaimer reclaimer_;
  upkeep::sweeper sweeper_;
  task_group tasks_;
};
}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A month of metadata and upkeep in virtual time.");
  load l;
  std::string directory;
  app.add_option("--directory", directory, "for the metadata; memory is faster")->required();
  app.add_option("--days", l.days, "that pass")->capture_default_str();
  app.add_option("--retention-days", l.retention_days, "that records are kept")->capture_default_str();
  app.add_option("--retention-interval-s", l.retention_interval_s, "between looks at what is too old")->capture_default_str();
  app.add_option("--partitions", l.partitions, "in all")->capture_default_str();
  app.add_option("--touched", l.touched, "partitions in each object")->capture_default_str();
  app.add_option("--interval-ms", l.interval_ms, "between objects")->capture_default_str();
  app.add_option("--batch-bytes", l.batch_bytes, "of each partition in an object")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::err);
  simulated_world world{1};
  installation(world, l, directory).run();
}
