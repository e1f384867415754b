// For tests of this folder: agents with all of the upkeep, on a memory log and a memory bucket in virtual time, and a
// checker that compares state, index and bucket, down to the bytes of each range.
#pragma once
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "metadata/append_time.hpp"
#include "metadata/log_format.hpp"
#include "metastores/memory/memory_metastore.hpp"
#include "objects/memory/memory_store.hpp"
#include "objects/object_key.hpp"
#include "records/batch.hpp"
#include "records/builder.hpp"
#include "records/crc32c.hpp"
#include "runtime/simulated_runtime.hpp"
#include "runtime/task_group.hpp"
#include "upkeep/check.hpp"
#include "upkeep/materializer.hpp"
#include "upkeep/merger.hpp"
#include "upkeep/reclaimer.hpp"
#include "upkeep/report.hpp"
#include "upkeep/retention.hpp"
#include "upkeep/sweeper.hpp"

namespace yaks::upkeep {
constexpr std::string_view body = "0123456789";

// A batch of three records and 100 bytes whose values are all this number.
inline std::string numbered_batch(std::uint64_t number) {
  records::batch_builder batch;
  auto value = fmt::format("{:06}", number % 1'000'000);
  for (int i = 0; i < 3; ++i) batch.add(timestamp_ms(0), std::nullopt, value);
  auto bytes = batch.build();
  YAKS_CHECK(bytes.size() == 100, "a batch of these tests has 100 bytes");
  return std::string(as_text(bytes));
}

struct shared_world {
  simulated_world world;
  simulated_runtime outside{world};
  metastores::memory_log log{[this] {
    return timestamp_ms(
        1'700'000'000'000 +
        std::chrono::duration_cast<std::chrono::milliseconds>(outside.now().time_since_epoch()).count());
  }};
  memory_store bucket;
  std::map<std::string, retention_limits> limits;  // by topic
  explicit shared_world(std::uint64_t seed) : world(seed) {}

  index_image image() const { return {log.index(), log.object_counts()}; }
  std::set<object_id> stored() {
    std::set<object_id> all;
    for (const auto& [key, bytes] : bucket.objects())
      if (auto id = uuid::parse(key.substr(key.rfind('/') + 1))) all.insert(object_id(*id));
    return all;
  }
  // What the log says, whatever agents know of it.
  const metadata::state& head() {
    for (auto i = std::size_t(head_.position().sequence.value()); i < log.entries().size(); ++i) {
      auto applied = head_.apply(log.entries()[i]);
      for (auto where : applied.changed.advanced)
        if (const auto* p = head_.find_partition(where); p && !p->ranges.empty()) {
          const auto& r = p->ranges.back();
          truth[where].try_emplace(
              r.base_offset, wanted_range{uploaded.at(head_.find_object(r.object).id).substr(r.position, r.bytes), r});
        }
    }
    return head_;
  }
  metadata::state head_;
  std::uint64_t numbers = 0;
  std::map<object_id, std::string> uploaded;  // what every object held, whatever has become of it
  struct wanted_range {
    std::string bytes;
    metadata::range range;  // as it was committed
  };
  std::map<topic_partition, std::map<offset, wanted_range>> truth;

  findings check() {
    auto found = check_objects(head(), image(), stored());
    // Wherever a range lies by now, it is the one that was committed, with the bytes that came with it.
    auto same = [&](topic_partition where, const metadata::range& r, object_id id) {
      auto wanted = truth[where].find(r.base_offset);
      const auto* object = bucket.find(object_key("", id));
      auto is_same = wanted != truth[where].end() && object && r.position + r.bytes <= object->size() &&
                     object->substr(r.position, r.bytes) == wanted->second.bytes;
      if (is_same) {
        auto moved = r;
        moved.object = wanted->second.range.object;
        moved.position = wanted->second.range.position;
        is_same = moved == wanted->second.range;
      }
      if (!is_same)
        found.violations.push_back(
            fmt::format("the range at {} is not the one that was committed", r.base_offset.value()));
    };
    std::map<metadata::object_number, object_id> names;
    for (const auto& [number, id, ranges] : log.object_counts()) names[number] = id;
    if (!log.mistakes.any())
      for (const auto& [where, chunks] : log.index())
        for (const auto& c : chunks)
          for (const auto& r : c) same(where, r, names[r.object]);
    for (const auto& [name, t] : head_.topics_by_name())
      for (std::size_t i = 0; i < t->partitions.size(); ++i)
        for (const auto& r : t->partitions[i].ranges)
          same({t->id, partition_index(std::int32_t(i))}, r, head_.find_object(r.object).id);
    return found;
  }
};

struct node {
  shared_world& in;
  simulated_runtime rt;
  metrics::registry metrics;
  metastores::memory_metastore session;
  metadata::register_agent self;
  metadata::replica log;
  membership::members members;
  term office;
  materializer work;
  retention keep;
  reclaimer free;
  sweeper sweep;
  merger join;
  task_group tasks;
  // `merges`: very small objects become small ones.
  node(shared_world& shared, int id, duration grace = 60s, bool merges = false)
      : in(shared),
        rt(shared.world),
        session(rt, shared.log, "node"),
        self{.node = node_id(id),
             .format_max = metadata::newest_log_format,
             .upload_deadline_ms = 600'000,
             .host = "h" + std::to_string(id),
             .port = 9092},
        log(rt, session.log(), {.registration = self}, metrics,
            [this](const metadata::changes& c) { work.applied(c); }),
        members(rt, session, log, {.self = self}, metrics),
        office(rt, session, log, members, metrics),
        work(rt, session, log, office, {.ranges_kept = 5, .ranges_per_chunk = 10, .small_chunk = 3}, metrics),
        keep(
            rt, session, log, office, [&shared](const metadata::topic& t) { return shared.limits[t.name]; },
            {.interval = 5s, .partitions_at_once = 3}, metrics),
        free(rt, session, log, shared.bucket, office, {.grace = grace, .chunks_max = 2}, metrics),
        sweep(rt, session, log, shared.bucket, office, {.interval = 256s}, metrics),
        join(
            rt, session, log, shared.bucket, office,
            [&shared](const metadata::topic& t) { return shared.limits[t.name]; },
            {.interval = 3s,
             .bytes_per_second = merges ? 100'000u : 0u,
             .write_ratio = 2,
             .limits = {.object_bytes = 2000, .runs_min = 4, .age_ms = 30'000, .live_ratio = 0.6},
             .whole_look = 60s,
             .chunks_at_once = 2,
             .get_bytes_max = 500,
             .get_gap_bytes_max = 100,
             .patience = 20s},
            metrics),
        tasks(rt.executor()) {}
  awaitable<void> start(bool with_upkeep = true) {
    co_await session.open();
    tasks.spawn(log.run());
    tasks.spawn(members.run());
    co_await log.wait_until_ready();
    if (!with_upkeep) co_return;
    tasks.spawn(office.run());
    tasks.spawn(work.run());
    tasks.spawn(keep.run());
    tasks.spawn(free.run());
    tasks.spawn(sweep.run());
    tasks.spawn(join.run());
  }
  awaitable<void> stop() {
    auto nothing = []() -> awaitable<void> { co_return; };
    co_await run_then_close(nothing(), tasks);
    co_await session.close();
  }
  awaitable<object_id> upload() {
    auto high = rt.random(), low = rt.random();
    object_id id(uuid::v7(log.log_time().value(), high, low));
    std::string batches;
    for (int i = 0; i < 8; ++i) batches += numbered_batch(++in.numbers);
    in.uploaded[id] = batches;
    std::vector<shared_bytes> segments{shared_bytes::copy_of(as_bytes(batches))};
    (void)co_await in.bucket.put(object_key("", id), std::move(segments), records::crc32c(as_bytes(batches)),
                                 rt.now() + 10s);
    co_return id;
  }
  // One object with a range of three records, 100 bytes, in each of the partitions.
  awaitable<void> commit(std::vector<topic_partition> where) {
    co_await commit_of(co_await upload(), std::move(where));
  }
  awaitable<void> commit_of(object_id id, std::vector<topic_partition> where) {
    metadata::commit_object c{id, 100 * where.size(), {}};
    for (auto at : where)
      c.topics.push_back(
          {at.topic, {{at.partition, {{.bytes = 100, .record_count = 3, .max_timestamp = log.log_time()}}}}});
    (void)co_await log.submit(std::move(c));
  }
  awaitable<topic_id> make_topic(std::string name, int partitions = 1) {
    auto high = rt.random(), low = rt.random();
    topic_id id(uuid::v4(high, low));
    (void)co_await log.submit(metadata::create_topic{id, std::move(name), partitions, {}});
    co_return id;
  }
  // Reads as a fetch does: finds a range by the state of now, takes its time, and then reads the object.
  awaitable<bool> read(topic_partition where, offset from, duration slowness) {
    metadata::replica::reader reading(log);
    const auto* p = log.current().find_partition(where);
    if (!p || from < p->log_start || from >= p->high_watermark) co_return true;
    object_id in_object;
    metadata::range range;
    if (from < p->state_begin()) {
      auto found = co_await session.index().find(where, from);
      if (!found) co_return true;
      if (found->empty()) co_return false;
      for (const auto& r : *found)
        if (r.range.base_offset <= from) in_object = r.object, range = r.range;
    } else {
      range = *p->find(from);
      in_object = log.current().find_object(range.object).id;
    }
    co_await rt.sleep_for(slowness);
    auto got = co_await in.bucket.get(object_key("", in_object), range.position, range.bytes, rt.now() + 10s);
    (void)in.head();
    auto wanted = in.truth[where].find(range.base_offset);
    co_return got&& wanted != in.truth[where].end() && as_text(got->view()) == wanted->second.bytes;
  }
};

inline topic_partition first_of_topic(topic_id t) {
  return {t, partition_index(0)};
}

inline void expect_clean(shared_world& w) {
  auto found = w.check();
  for (const auto& v : found.violations) ADD_FAILURE() << v;
}

}  // namespace yaks::upkeep
