// Goal: Produce stores what it may, refuses the rest with Kafka's codes, in every version, and tells the truth about
// outcomes. Method: frames through the dispatcher of a whole agent in virtual time; the log away, slow and unable to
// answer when told.
#include <gtest/gtest.h>

#include "handlers/test_broker.hpp"

namespace yaks::handlers {
namespace {
using namespace yaks::test;
using wire::error_code;

TEST(produce, stores_and_answers_the_offset_in_every_version) {
  broker_world w;
  std::int64_t next = 0;
  w.play_versions(wire::api_key::produce, [&](std::int16_t v) -> awaitable<void> {
    if (next == 0) co_await w.make_topic("t");
    for (std::int16_t acks : {std::int16_t(-1), std::int16_t(1)}) {
      auto answer = co_await w.produce("t", 0, batch_bytes({"a", "b", "c"}), v, acks);
      EXPECT_EQ(answer.error_code, error_code::none);
      EXPECT_EQ(answer.base_offset, next);
      EXPECT_EQ(answer.log_append_time_ms, -1);
      if (v >= 5) EXPECT_EQ(answer.log_start_offset, 0);
      next += 3;
    }
    auto got = co_await w.fetch("t", next - 3);
    EXPECT_EQ(records_of(got), (std::vector<seen_record>{{next - 3, "a"}, {next - 2, "b"}, {next - 1, "c"}}));
    EXPECT_EQ(got.high_watermark, next);  // acknowledged is visible
  });
}

TEST(produce, acks_0_is_stored_without_an_answer_and_an_error_closes) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    wire::produce_request r{.acks = 0, .timeout_ms = 1000};
    auto batch = batch_bytes({"a"});
    r.topic_data.push_back({.name = "t", .partition_data = {{0, wire::blob{batch}}}});
    auto out = co_await w.send(w.frame_of(9, r));
    EXPECT_EQ(out.what, response::outcome::none);
    r.topic_data[0].partition_data.push_back({7, wire::blob{batch}});
    out = co_await w.send(w.frame_of(9, r));
    EXPECT_EQ(out.what, response::outcome::close);
    co_await w.buffer.drain();
    EXPECT_EQ(stored_values(w.replica.current(), w.objects, at), (std::vector<std::string>{"a", "a"}));
  });
}

TEST(produce, refuses_with_kafkas_codes) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    co_await w.replica.submit(metadata::create_topic{.id = topic_id(uuid::v4(9, 9)),
                                                     .name = "compacted",
                                                     .partitions = 1,
                                                     .configs = {{"cleanup.policy", "compact"}}});
    co_await w.replica.submit(metadata::create_topic{
        .id = topic_id(uuid::v4(8, 8)), .name = "small", .partitions = 1, .configs = {{"max.message.bytes", "100"}}});
    auto code = [&](std::string topic, std::vector<std::byte> batch, std::int16_t version = 9, std::int16_t acks = -1,
                    std::int32_t partition = 0) -> awaitable<error_code> {
      auto a = co_await w.produce(topic, partition, std::move(batch), version, acks);
      EXPECT_TRUE(a.error_code == error_code::none || a.base_offset == -1);
      co_return a.error_code;
    };
    auto damaged = [](auto change) {
      auto b = batch_bytes({"a", "b"});
      change(mutable_byte_view(b));
      return b;
    };
    EXPECT_EQ(co_await code("nowhere", batch_bytes({"a"})), error_code::unknown_topic_or_partition);
    EXPECT_EQ(co_await code("t", batch_bytes({"a"}), 9, -1, 1), error_code::unknown_topic_or_partition);
    EXPECT_EQ(co_await code("t", batch_bytes({"a"}), 9, -1, -1), error_code::unknown_topic_or_partition);
    EXPECT_EQ(co_await code("t", batch_bytes({"a"}), 9, 2), error_code::invalid_required_acks);
    EXPECT_EQ(co_await code("t", batch_bytes({"a"}), 9, -2), error_code::invalid_required_acks);
    EXPECT_EQ(co_await code("t", {}), error_code::invalid_record);
    EXPECT_EQ(co_await code("t", damaged([](auto b) { b.back() ^= std::byte(1); })), error_code::corrupt_message);
    EXPECT_EQ(co_await code("t", damaged([](auto b) { b[16] = std::byte(1); })),
              error_code::invalid_record);  // magic 1
    EXPECT_EQ(co_await code("small", batch_bytes({std::string(200, 'x')})), error_code::message_too_large);
    auto two = batch_bytes({"a"}), second = batch_bytes({"b"});
    two.insert(two.end(), second.begin(), second.end());
    EXPECT_EQ(co_await code("t", two), error_code::invalid_record);
    records::batch_settings zstd{.compression = records::compression_type::zstd};
    EXPECT_EQ(co_await code("t", batch_bytes({"a"}, zstd), 6), error_code::unsupported_compression_type);
    EXPECT_EQ(co_await code("t", batch_bytes({"a"}, zstd), 7), error_code::none);
    EXPECT_EQ(co_await code("t", batch_bytes({"a"}, {.is_control = true})), error_code::invalid_record);
    EXPECT_EQ(co_await code("t", batch_bytes({"a"}, of_producer(5, -1))), error_code::invalid_record);
    auto transactional = of_producer(5, 0);
    transactional.is_transactional = true;
    EXPECT_EQ(co_await code("t", batch_bytes({"a"}, transactional)), error_code::unsupported_version);
    EXPECT_EQ(co_await code("t", batch_bytes({"a"}, {}, w.world.wall_clock() + 7'200'000)),
              error_code::invalid_timestamp);
    records::batch_builder keyless;
    keyless.add(some_time(), std::nullopt, "value");
    auto refused = co_await w.produce("compacted", 0, keyless.build(), 8);
    EXPECT_EQ(refused.error_code, error_code::invalid_record);
    EXPECT_EQ(refused.record_errors.size(), 1u);
    EXPECT_TRUE(refused.error_message);
    EXPECT_EQ(stored_values(w.replica.current(), w.objects, at).size(), 1u);  // the zstd one only
  });
}

TEST(produce, a_transactional_request_commits_nothing) {
  broker_world w;
  w.play_versions(wire::api_key::produce, [&](std::int16_t v) -> awaitable<void> {
    if (v == 3) co_await w.make_topic("t");
    auto batch = batch_bytes({"a"});
    wire::produce_request r{.transactional_id = "tx", .acks = -1, .timeout_ms = 1000};
    r.topic_data.push_back({.name = "t", .partition_data = {{0, wire::blob{batch}}}});
    auto answer = co_await w.ask(v, r);
    EXPECT_EQ(answer.responses[0].partition_responses[0].error_code, error_code::unsupported_version);
    co_await w.buffer.drain();
    EXPECT_EQ(w.store.puts, 0u);
  });
}

TEST(produce, one_bad_partition_does_not_spoil_the_others) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t", 3);
    auto good = batch_bytes({"a"}), bad = batch_bytes({"b"});
    bad.back() ^= std::byte(1);
    wire::produce_request r{.acks = -1, .timeout_ms = 1000};
    r.topic_data.push_back(
        {.name = "t", .partition_data = {{2, wire::blob{good}}, {1, wire::blob{bad}}, {0, wire::blob{good}}}});
    auto a = co_await w.ask(9, r);
    auto& p = a.responses[0].partition_responses;
    EXPECT_EQ(p.size(), 3u);
    EXPECT_EQ(p[0].index, 2);
    EXPECT_EQ(p[0].error_code, error_code::none);
    EXPECT_EQ(p[1].error_code, error_code::corrupt_message);
    EXPECT_EQ(p[2].error_code, error_code::none);
  });
}

TEST(produce, idempotent_producers) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    auto send = [&](std::int32_t sequence, std::int16_t epoch = 0) {
      return w.produce("t", 0, batch_bytes({"a", "b"}, of_producer(7, sequence, epoch)));
    };
    for (int i = 0; i < 7; ++i) EXPECT_EQ((co_await send(i * 2)).base_offset, i * 2);
    for (int i = 2; i < 7; ++i) {  // the window of five
      auto again = co_await send(i * 2);
      EXPECT_EQ(again.error_code, error_code::none);
      EXPECT_EQ(again.base_offset, i * 2);
    }
    EXPECT_EQ((co_await send(2)).error_code, error_code::out_of_order_sequence_number);  // older than the window
    EXPECT_EQ((co_await send(16)).error_code, error_code::out_of_order_sequence_number);
    EXPECT_EQ((co_await send(4, 1)).error_code, error_code::out_of_order_sequence_number);  // a new epoch begins at 0
    EXPECT_EQ((co_await send(0, 1)).base_offset, 14);
    EXPECT_EQ((co_await send(14, 0)).error_code, error_code::invalid_producer_epoch);
    EXPECT_EQ((co_await w.fetch("t", 0)).high_watermark, 16);
  });
}

TEST(produce, five_in_flight_on_one_connection_stay_in_order_though_the_first_waits) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    // The first names a topic that is not there and so waits for the log; the others could overtake it.
    task_group sending(w.rt.executor());
    auto one = [&](int i) -> awaitable<void> {
      auto batch = batch_bytes({std::to_string(i)}, of_producer(7, i));
      wire::produce_request r{.acks = -1, .timeout_ms = 10'000};
      if (i == 0) r.topic_data.push_back({.name = "nowhere", .partition_data = {{0, wire::blob{batch}}}});
      r.topic_data.push_back({.name = "t", .partition_data = {{0, wire::blob{batch}}}});
      auto a = co_await w.ask(9, r);
      EXPECT_EQ(a.responses.back().partition_responses[0].error_code, error_code::none) << i;
      EXPECT_EQ(a.responses.back().partition_responses[0].base_offset, i);
    };
    auto all = [&]() -> awaitable<void> {
      for (int i = 0; i < 5; ++i) sending.spawn(one(i));
      while (sending.size() > 0) co_await w.rt.sleep_for(1ms);
    };
    co_await run_then_close(all(), sending);
  });
}

TEST(produce, at_its_timeout_the_outcome_is_unknown) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    bool away = true;
    w.log.hooks.before_append = [&](metadata::append_id) {
      return away ? std::optional(metadata::log_error::unavailable) : std::nullopt;
    };
    auto begun = w.rt.now();
    auto a = co_await w.produce("t", 0, batch_bytes({"a"}, of_producer(7, 0)), 9, -1, 2000);
    EXPECT_EQ(a.error_code, error_code::request_timed_out);
    EXPECT_LE(w.rt.now() - begun, 2s);  // before the client gives up
    away = false;
    a = co_await w.produce("t", 0, batch_bytes({"a"}, of_producer(7, 0)));
    EXPECT_EQ(a.error_code, error_code::none);
    EXPECT_EQ(a.base_offset, 0);
    EXPECT_EQ(stored_values(w.replica.current(), w.objects, at).size(), 1u);
  });
}

TEST(produce, what_is_surely_not_stored_is_a_storage_error) {
  broker_world w;
  w.store.fail_put = [](std::size_t) { return object_error::unavailable; };
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    EXPECT_EQ((co_await w.produce("t", 0, batch_bytes({"a"}))).error_code, error_code::kafka_storage_error);
  });
}

TEST(produce, nothing_is_called_unknown_while_the_log_cannot_be_read) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    w.log.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    EXPECT_EQ((co_await w.produce("made-elsewhere", 0, batch_bytes({"a"}))).error_code,
              error_code::kafka_storage_error);
    EXPECT_EQ((co_await w.produce("t", 5, batch_bytes({"a"}))).error_code, error_code::kafka_storage_error);
    w.log.hooks.before_read = {};
    EXPECT_EQ((co_await w.produce("t", 5, batch_bytes({"a"}))).error_code, error_code::unknown_topic_or_partition);
  });
}

// What another agent does is in the log before this one's entry, and not known to it when it takes the batch.
TEST(produce, what_was_for_a_topic_that_is_deleted_meanwhile_is_refused_and_goes_to_the_next_one_of_its_name) {
  broker_world w;
  w.store.put_delay = 100ms;
  w.play([&]() -> awaitable<void> {
    for (bool is_made_again : {false, true})
      for (std::int16_t version : {std::int16_t(9), std::int16_t(13)}) {
        auto at = co_await w.make_topic("t");
        bool is_done = false;
        auto change = [&]() -> awaitable<void> {
          co_await w.rt.sleep_for(20ms);
          (void)co_await w.replica.submit(metadata::delete_topic{at.topic});
          if (is_made_again) (void)co_await w.make_topic("t");
          is_done = true;
        };
        w.tasks.spawn(change());
        auto a = co_await w.produce("t", 0, batch_bytes({"a"}), version);
        EXPECT_TRUE(is_done);
        EXPECT_EQ(a.error_code, version >= 13    ? error_code::unknown_topic_id
                                : is_made_again ? error_code::not_leader_or_follower
                                                : error_code::unknown_topic_or_partition);
        if (!is_made_again) continue;
        EXPECT_EQ((co_await w.produce("t", 0, batch_bytes({"a"}), version)).error_code, error_code::none);
        (void)co_await w.replica.submit(metadata::delete_topic{topic_id(w.id_of("t"))});
      }
  });
}

TEST(produce, a_full_buffer_holds_back_new_connections_that_begin_to_produce) {
  broker_world w(1, {.flush_interval = 1h, .buffer_bytes_max = 1'000, .saved_puts_max = 0});
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    wire::produce_request r{.acks = 0, .timeout_ms = 1000};
    auto batch = batch_bytes({std::string(2'000, 'x')});
    r.topic_data.push_back({.name = "t", .partition_data = {{0, wire::blob{batch}}}});
    std::string produce(4, '\0'), metadata(4, '\0');  // the lengths do not matter
    produce += as_text(w.frame_of(9, r).view());
    metadata += as_text(w.frame_of(9, wire::metadata_request{}).view());
    connection_context fresh;
    EXPECT_TRUE(w.dispatcher.admits(fresh, as_bytes(produce)));
    co_await w.send(w.frame_of(9, r));
    EXPECT_FALSE(w.dispatcher.admits(fresh, as_bytes(produce)));
    EXPECT_FALSE(w.dispatcher.admits(fresh, as_bytes(produce).first(6)));
    EXPECT_TRUE(w.dispatcher.admits(fresh, as_bytes(produce).first(5)));
    EXPECT_TRUE(w.dispatcher.admits(fresh, as_bytes(metadata)));
    EXPECT_FALSE(w.dispatcher.admits(w.connection, {}));
    co_await w.buffer.drain();
    EXPECT_TRUE(w.dispatcher.admits(fresh, as_bytes(produce)));
  });
}

TEST(produce, a_frame_that_is_mostly_refused_is_not_kept_alive) {
  broker_world w(1, {.flush_interval = 1h, .saved_puts_max = 0});
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    auto good = batch_bytes({"a"}), bad = batch_bytes({std::string(1'000'000, 'x')});
    bad.back() ^= std::byte(1);
    wire::produce_request r{.acks = 0, .timeout_ms = 1000};
    r.topic_data.push_back({.name = "t", .partition_data = {{0, wire::blob{bad}}, {0, wire::blob{good}}}});
    auto frame = w.frame_of(9, r);
    auto memory = std::make_shared<chunk>(frame.size());
    std::memcpy(memory->data(), frame.data(), frame.size());
    std::weak_ptr<chunk> alive = memory;
    shared_bytes own(memory, byte_view(memory->data(), memory->size()));
    memory.reset();
    co_await w.send(std::move(own));
    EXPECT_TRUE(alive.expired());
  });
}
}  // namespace
}  // namespace yaks::handlers
