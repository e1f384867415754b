// Goal: ListOffsets answers the right offset for every special value, version and timestamp, exact to the record.
// Method: frames through the dispatcher; batches of every compression with timestamps that go up and down.
#include <gtest/gtest.h>

#include "handlers/test_broker.hpp"

namespace yaks::handlers {
namespace {
using namespace yaks::test;
using wire::error_code;
using answer_entry = wire::list_offsets_response::topic_entry::partition_entry;

awaitable<answer_entry> ask_offset(broker_world& w, std::int16_t version, std::int64_t timestamp,
                                   std::int32_t partition = 0, std::string topic = "t") {
  wire::list_offsets_request r;
  r.topics.push_back({.name = topic, .partitions = {{.partition_index = partition, .timestamp = timestamp}}});
  auto a = co_await w.ask(version, r);
  co_return a.topics.at(0).partitions.at(0);
}

TEST(list_offsets, specials_in_every_version) {
  broker_world w;
  w.play_versions(wire::api_key::list_offsets, [&](std::int16_t v) -> awaitable<void> {
    if (v == 1) {
      co_await w.make_topic("t", 2);
      co_await w.produce("t", 0, batch_bytes({"a", "b", "c"}));
    }
    EXPECT_EQ((co_await ask_offset(w, v, -1)).offset, 3);
    EXPECT_EQ((co_await ask_offset(w, v, -2)).offset, 0);
    EXPECT_EQ((co_await ask_offset(w, v, -1, 1)).offset, 0);
    if (v >= 4) EXPECT_EQ((co_await ask_offset(w, v, -1)).leader_epoch, 0);
    struct {
      std::int64_t timestamp;
      std::int16_t since;
      std::int64_t offset, empty_offset;
    } specials[] = {{-3, 7, 2, -1}, {-4, 8, 0, 0}, {-5, 9, -1, -1}, {-6, 11, -1, -1}, {-7, 100, 0, 0}};
    for (auto s : specials) {
      auto full = co_await ask_offset(w, v, s.timestamp), empty = co_await ask_offset(w, v, s.timestamp, 1);
      auto expected = v >= s.since ? error_code::none : error_code::unsupported_version;
      EXPECT_EQ(full.error_code, expected) << s.timestamp;
      EXPECT_EQ(full.offset, v >= s.since ? s.offset : -1) << s.timestamp;
      EXPECT_EQ(empty.offset, v >= s.since ? s.empty_offset : -1) << s.timestamp;
    }
    EXPECT_EQ((co_await ask_offset(w, v, -1, 2)).error_code, error_code::unknown_topic_or_partition);
    EXPECT_EQ((co_await ask_offset(w, v, -2, -1)).error_code, error_code::unknown_topic_or_partition);
    EXPECT_EQ((co_await ask_offset(w, v, -2, 0, "nowhere")).error_code, error_code::unknown_topic_or_partition);
  });
}

TEST(list_offsets, says_where_a_topic_begins_that_another_agent_has_cut_or_made_again) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    co_await w.produce("t", 0, batch_bytes({"a", "b", "c"}));
    w.log.hooks.lose_notification = [] { return true; };
    metastores::memory_metastore session(w.rt, w.log, "another agent");
    co_await session.open();
    metrics::registry numbers;
    metadata::replica other(w.rt, session.log(), {.registration = {.node = node_id(2), .upload_deadline_ms = 600'000}}, numbers,
                            [](const metadata::changes&) {});
    auto play_other = [&]() -> awaitable<void> {
      task_group tasks(w.rt.executor());
      auto steps = [&]() -> awaitable<void> {
        tasks.spawn(other.run());
        co_await other.wait_until_ready();
        (void)co_await other.submit(metadata::move_log_start{at.topic, at.partition, offset(2)});
        EXPECT_EQ((co_await ask_offset(w, 5, -2)).offset, 2);
        (void)co_await other.submit(metadata::delete_topic{at.topic});
        (void)co_await other.submit(metadata::create_topic{.id = topic_id(uuid::v4(5, 5)), .name = "t", .partitions = 1, .configs = {}});
        EXPECT_EQ((co_await ask_offset(w, 5, -2)).offset, 0);
      };
      co_await run_then_close(steps(), tasks);
    };
    co_await play_other();
    co_await session.close();
    w.log.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    EXPECT_EQ((co_await ask_offset(w, 5, -2)).error_code, error_code::kafka_storage_error);
  });
}

TEST(list_offsets, by_timestamp_inside_batches_of_every_compression) {
  for (auto type : {records::compression_type::none, records::compression_type::gzip, records::compression_type::snappy,
                    records::compression_type::lz4, records::compression_type::zstd}) {
    SCOPED_TRACE(records::name_of(type));
    broker_world w;
    w.play([&]() -> awaitable<void> {
      co_await w.make_topic("t");
      // Milliseconds, by offset; batches of four.
      std::vector<std::int64_t> times{0, 10, 5, 20, 20, 7, 30, 25, 24, 40, 40, 1};
      for (std::size_t b = 0; b < times.size(); b += 4) {
        records::batch_builder builder({.compression = type});
        for (std::size_t i = b; i < b + 4; ++i) builder.add(some_time(times[i]), "key", std::string(100, 'x'));
        EXPECT_EQ((co_await w.produce("t", 0, builder.build())).error_code, error_code::none);
      }
      for (std::int64_t target = -1; target <= 42; ++target) {
        auto first = std::ranges::find_if(times, [&](auto t) { return t >= target; });
        auto got = co_await ask_offset(w, 9, some_time(target).value());
        EXPECT_EQ(got.offset, first == times.end() ? -1 : first - times.begin()) << target;
        EXPECT_EQ(got.timestamp, first == times.end() ? -1 : some_time(*first).value()) << target;
      }
      auto largest = co_await ask_offset(w, 9, -3);
      EXPECT_EQ(largest.offset, 9);
      EXPECT_EQ(largest.timestamp, some_time(40).value());
    });
  }
}

TEST(list_offsets, a_damaged_batch_is_a_storage_error_of_its_partition) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t", 2);
    for (int p : {0, 1}) co_await w.produce("t", p, batch_bytes({"a", "b"}));
    w.store.damage_get = [](std::size_t, std::string& bytes) { bytes.back() ^= 1; };
    const auto* t = w.replica.current().find_topic("t");
    const auto& r = t->partitions[1].ranges[0];
    w.cache.erase({w.replica.current().find_object(r.object).id, r.position});
    EXPECT_EQ((co_await ask_offset(w, 9, some_time().value(), 1)).error_code, error_code::kafka_storage_error);
    EXPECT_EQ((co_await ask_offset(w, 9, some_time().value(), 0)).offset, 0);
    EXPECT_EQ(w.memory.held(), 0u);
  });
}

TEST(list_offsets, duplicates_epochs_and_a_log_that_is_away) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    wire::list_offsets_request r;
    r.topics.push_back(
        {.name = "t",
         .partitions = {{.partition_index = 0, .timestamp = -1}, {.partition_index = 0, .timestamp = -2}}});
    auto a = co_await w.ask(9, r);
    for (const auto& p : a.topics[0].partitions) EXPECT_EQ(p.error_code, error_code::invalid_request);
    r.topics[0].partitions = {{.partition_index = 0, .current_leader_epoch = 4, .timestamp = -1}};
    EXPECT_EQ((co_await w.ask(9, r)).topics[0].partitions[0].error_code, error_code::unknown_leader_epoch);
    w.log.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    EXPECT_EQ((co_await ask_offset(w, 9, -2)).error_code, error_code::kafka_storage_error);  // the name may be another topic's
    EXPECT_EQ((co_await ask_offset(w, 9, -1)).error_code, error_code::kafka_storage_error);
    EXPECT_EQ((co_await ask_offset(w, 9, -2, 1)).error_code, error_code::kafka_storage_error);  // perhaps it is new
  });
}
}  // namespace
}  // namespace yaks::handlers
