// For tests: one agent's write path in virtual time, over a log and objects in memory that can be made slow or broken.
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>

#include "cache/block_cache.hpp"
#include "ingest/write_buffer.hpp"
#include "metadata/replica.hpp"
#include "metastores/memory/memory_metastore.hpp"
#include "metrics/registry.hpp"
#include "objects/memory/memory_store.hpp"
#include "objects/object_key.hpp"
#include "records/builder.hpp"
#include "records/compression.hpp"
#include "records/validate.hpp"
#include "runtime/simulated_runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::test {
// Objects that take time, fail and lie when told, and count.
class controlled_store final : public object_store {
 public:
  explicit controlled_store(runtime& rt, memory_store& inner) : rt_(rt), inner_(inner) {}
  std::size_t puts = 0, gets = 0, puts_under_way = 0, puts_under_way_max = 0, gets_under_way = 0;
  duration put_delay = 10ms, get_delay = 10ms;
  std::function<std::optional<object_error>(std::size_t n)> fail_put;  // n: 1 for the first one
  std::function<duration(std::size_t n)> put_delay_of;
  std::function<std::optional<object_error>(std::size_t n)> fail_get;
  std::function<void(std::size_t n, std::string& bytes)> damage_get;

  awaitable<result<void, object_error>> put(std::string key, std::vector<shared_bytes> body, std::uint32_t crc32c,
                                            time_point deadline) override {
    auto n = ++puts;
    counted here(puts_under_way);
    puts_under_way_max = std::max(puts_under_way_max, puts_under_way);
    auto due = rt_.now() + (put_delay_of ? put_delay_of(n) : put_delay);
    co_await rt_.sleep_until(std::min(due, deadline));
    if (deadline < due) co_return failure(object_error::unknown);
    if (fail_put)
      if (auto error = fail_put(n)) co_return failure(*error);
    co_return co_await inner_.put(std::move(key), std::move(body), crc32c, deadline);
  }
  awaitable<result<shared_bytes, object_error>> get(std::string key, std::uint64_t position, std::uint64_t bytes,
                                                    time_point deadline) override {
    auto n = ++gets;
    counted here(gets_under_way);
    co_await rt_.sleep_for(get_delay);
    if (fail_get)
      if (auto error = fail_get(n)) co_return failure(*error);
    auto got = co_await inner_.get(std::move(key), position, bytes, deadline);
    if (!got || !damage_get) co_return got;
    std::string text(as_text(got->view()));
    damage_get(n, text);
    co_return shared_bytes::copy_of(as_bytes(text));
  }
  std::size_t streams = 0, streams_open = 0;
  std::function<std::optional<object_error>(std::size_t n)> fail_piece;  // n: 1 for the first of all streams
  awaitable<result<std::unique_ptr<object_stream>, object_error>> stream(std::string key, std::uint64_t position,
                                                                         std::uint64_t bytes,
                                                                         time_point deadline) override {
    ++streams;
    co_await rt_.sleep_for(get_delay);
    auto made = co_await inner_.stream(std::move(key), position, bytes, deadline);
    co_return std::make_unique<watched_stream>(*this, std::move(*made));
  }
  awaitable<result<std::vector<object_info>, object_error>> list(std::string prefix, time_point deadline) override {
    return inner_.list(std::move(prefix), deadline);
  }
  awaitable<result<void, object_error>> remove(std::vector<std::string> keys, time_point deadline) override {
    return inner_.remove(std::move(keys), deadline);
  }

 private:
  struct counted {  // also when cancelled
    std::size_t& n;
    explicit counted(std::size_t& of) : n(of) { ++n; }
    ~counted() { --n; }
  };
  struct watched_stream final : object_stream {
    controlled_store& of;
    std::unique_ptr<object_stream> inner;
    counted open{of.streams_open};
    watched_stream(controlled_store& store, std::unique_ptr<object_stream> s) : of(store), inner(std::move(s)) {}
    awaitable<result<shared_bytes, object_error>> next(std::uint64_t bytes, time_point deadline) override {
      co_await of.rt_.sleep_for(1ms);
      ++of.pieces_;
      if (of.fail_piece)
        if (auto error = of.fail_piece(of.pieces_)) co_return failure(*error);
      co_return co_await inner->next(bytes, deadline);
    }
  };
  std::size_t pieces_ = 0;
  runtime& rt_;
  memory_store& inner_;
};

inline timestamp_ms some_time(std::int64_t ms = 0) {
  return timestamp_ms(1'700'000'000'000 + ms);
}

// A whole batch with these values, as a client sends it.
inline std::vector<std::byte> batch_bytes(std::vector<std::string> values, records::batch_settings settings = {},
                                          timestamp_ms first = some_time()) {
  records::batch_builder builder(settings);
  for (std::size_t i = 0; i < values.size(); ++i) builder.add(first + std::int64_t(i), "key", values[i]);
  return builder.build();
}

inline records::batch_settings of_producer(std::int64_t id, std::int32_t sequence, std::int16_t epoch = 0) {
  records::batch_settings settings;
  settings.producer = producer_id(id);
  settings.producer_epoch = epoch;
  settings.base_sequence = sequence;
  return settings;
}

inline ingest::produced_batch produced(topic_partition where, std::vector<std::string> values,
                                       records::batch_settings settings = {}) {
  auto bytes = shared_bytes::copy_of(batch_bytes(std::move(values), settings));
  auto info = records::validate_produced(bytes.view(), {});
  YAKS_CHECK(info, "the test's batch is valid");
  return {.where = where,
          .bytes = bytes,
          .info = {.bytes = info->bytes,
                   .record_count = info->record_count,
                   .max_timestamp = info->max_timestamp,
                   .producer = info->producer,
                   .producer_epoch = info->producer_epoch,
                   .base_sequence = info->base_sequence},
          .crc32c = info->crc32c};
}

// What the log says of a partition, read back from the stored objects: the records' values, by offset.
inline std::vector<std::string> stored_values(const metadata::state& state, memory_store& objects,
                                              topic_partition where, std::string_view prefix = "") {
  std::vector<std::string> values;
  const auto* p = state.find_partition(where);
  if (!p) return values;
  for (const auto& r : p->ranges) {
    const std::string* object = objects.find(object_key(prefix, state.find_object(r.object).id));
    YAKS_CHECK(object && r.base_offset.value() == std::int64_t(values.size()),
               "ranges are consecutive, their objects there");
    records::batch_reader reader(as_bytes(*object).subspan(r.position, r.bytes));
    while (auto batch = reader.next()) {
      auto body = records::plain_body::open(*batch, 1 << 26);
      YAKS_CHECK(batch->crc_matches() && body, "stored batches are whole");
      records::record_reader inside(body->bytes());
      for (records::record_view record; inside.next(record);) values.emplace_back(as_text(*record.value));
    }
    YAKS_CHECK(!reader.fault() && r.end_offset().value() == std::int64_t(values.size()),
               "a range has the records that it says");
  }
  return values;
}

// A log with one agent at it. Run what a test does with play().
class ingest_world {
 public:
  explicit ingest_world(std::uint64_t seed = 1, ingest::write_buffer_settings settings = {})
      : world(seed),
        rt(world),
        log([this] { return world.wall_clock(); }),
        store(rt, objects),
        session(rt, log),
        replica(rt, session.log(), {.registration = {.node = node_id(1), .upload_deadline_ms = 600'000}}, metrics,
                [this](const metadata::changes& c) { applied(c); }),
        cache(64u << 20, metrics),
        buffer(rt, store, replica, cache, settings, metrics),
        tasks(rt.executor()) {}

  void play(std::function<awaitable<void>()> scene, duration patience = 24h) {
    rt.run(run_then_close(started(std::move(scene)), tasks), patience);
  }
  awaitable<topic_partition> make_topic(std::string name, std::int32_t partitions = 1) {
    topic_id id(uuid::v4(rt.random(), rt.random()));
    auto made =
        co_await replica.submit(metadata::create_topic{.id = id, .name = std::move(name), .partitions = partitions});
    YAKS_CHECK(made && made->error == metadata::apply_error::none, "the test's topic was made");
    co_return topic_partition{id, partition_index(0)};
  }

  simulated_world world;
  simulated_runtime rt;
  metrics::registry metrics;
  metastores::memory_log log;
  memory_store objects;
  controlled_store store;
  metastores::memory_metastore session;
  std::function<void(const metadata::changes&)> applied = [](const metadata::changes&) {};
  metadata::replica replica;
  block_cache cache;
  ingest::write_buffer buffer;
  task_group tasks;

 private:
  awaitable<void> started(std::function<awaitable<void>()> scene) {
    co_await session.open();
    tasks.spawn(replica.run());
    co_await replica.wait_until_ready();
    tasks.spawn(buffer.run());
    co_await scene();
  }
};
}  // namespace yaks::test
