// Goal: what admin tools ask beside topics and their settings is answered as Kafka would, or as a system without replicas and
// users honestly can, in every version. Method: frames through the dispatcher of a whole agent in virtual time.
#include <gtest/gtest.h>

#include "handlers/test_broker.hpp"

namespace yaks::handlers {
namespace {
using namespace yaks::test;
using wire::error_code;

TEST(delete_records, moves_the_log_start_for_everybody_at_once_in_every_version) {
  broker_world w;
  w.play_versions(wire::api_key::delete_records, [&](std::int16_t v) -> awaitable<void> {
    auto name = fmt::format("t{}", v);
    co_await w.make_topic(name, 2);
    for (int i = 0; i < 4; ++i) co_await w.produce(name, 0, batch_bytes({"a", "b"}));
    wire::delete_records_request r{.timeout_ms = 10'000};
    r.topics.push_back({.name = name, .partitions = {{0, 3}, {0, 9}, {0, -2}, {5, 0}, {1, -1}}});
    r.topics.push_back({.name = "nowhere", .partitions = {{0, 0}}});
    auto a = co_await w.ask(v, r);
    auto& p = a.topics[0].partitions;
    EXPECT_EQ(p[0].error_code, error_code::none);
    EXPECT_EQ(p[0].low_watermark, 3);
    EXPECT_EQ(p[1].error_code, error_code::offset_out_of_range);
    EXPECT_EQ(p[1].low_watermark, -1);
    EXPECT_EQ(p[2].error_code, error_code::offset_out_of_range);
    EXPECT_EQ(p[3].error_code, error_code::unknown_topic_or_partition);
    EXPECT_EQ(p[4].low_watermark, 0);
    EXPECT_EQ(a.topics[1].partitions[0].error_code, error_code::unknown_topic_or_partition);
    EXPECT_EQ((co_await w.fetch(name, 2)).error_code, error_code::offset_out_of_range);
    auto got = co_await w.fetch(name, 3);
    EXPECT_EQ(got.log_start_offset, 3);
    EXPECT_EQ(records_of(got).front(), (seen_record{2, "a"}));  // whole batches: the client skips what is below
    wire::list_offsets_request earliest;
    earliest.topics.push_back({.name = name, .partitions = {{.partition_index = 0, .timestamp = -2}}});
    EXPECT_EQ((co_await w.ask(5, earliest)).topics[0].partitions[0].offset, 3);
    r.topics = {{.name = name, .partitions = {{0, 1}}}};  // never back
    EXPECT_EQ((co_await w.ask(v, r)).topics[0].partitions[0].low_watermark, 3);
    r.topics = {{.name = name, .partitions = {{0, -1}}}};
    EXPECT_EQ((co_await w.ask(v, r)).topics[0].partitions[0].low_watermark, 8);
    EXPECT_EQ((co_await w.produce(name, 0, batch_bytes({"c"}))).log_start_offset, 8);
  });
}

TEST(delete_records, of_a_topic_that_was_made_again_meanwhile_are_asked_for_again) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    bool is_away = true;
    w.log.hooks.before_append = [&](metadata::append_id) {
      return is_away ? std::optional(metadata::log_error::unavailable) : std::nullopt;
    };
    auto remove = [&]() -> awaitable<void> { (void)co_await w.replica.submit(metadata::delete_topic{at.topic}); };
    auto again = [&]() -> awaitable<void> { (void)co_await w.make_topic("t"); };
    auto come_back = [&]() -> awaitable<void> {
      co_await w.rt.sleep_for(500ms);
      is_away = false;
    };
    w.tasks.spawn(remove());
    w.tasks.spawn(again());
    w.tasks.spawn(come_back());
    co_await w.rt.sleep_for(10ms);  // both wait for the log, before this one
    wire::delete_records_request r{.timeout_ms = 2000};
    r.topics.push_back({.name = "t", .partitions = {{.partition_index = 0, .offset = 0}}});
    auto a = co_await w.ask(2, r);
    EXPECT_EQ(a.topics[0].partitions[0].error_code, error_code::not_leader_or_follower);
    a = co_await w.ask(2, r);
    EXPECT_EQ(a.topics[0].partitions[0].error_code, error_code::none);
    EXPECT_EQ(a.topics[0].partitions[0].low_watermark, 0);
  });
}

TEST(delete_records, not_of_compacted_topics_and_not_without_the_log) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    (void)co_await w.replica.submit(metadata::create_topic{
        .id = topic_id(uuid::v4(1, 1)), .name = "compacted", .partitions = 1, .configs = {{"cleanup.policy", "compact"}}});
    co_await w.make_topic("t");
    wire::delete_records_request r{.timeout_ms = 2000};
    r.topics = {{.name = "compacted", .partitions = {{0, -1}}}};
    EXPECT_EQ((co_await w.ask(2, r)).topics[0].partitions[0].error_code, error_code::policy_violation);
    w.log.hooks.before_append = [](metadata::append_id) { return std::optional(metadata::log_error::unavailable); };
    r.topics = {{.name = "t", .partitions = {{0, -1}}}};
    auto begun = w.rt.now();
    EXPECT_EQ((co_await w.ask(2, r)).topics[0].partitions[0].error_code, error_code::request_timed_out);
    EXPECT_LE(w.rt.now() - begun, 2s);
    w.log.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    r.topics = {{.name = "nowhere", .partitions = {{0, -1}}}};
    EXPECT_EQ((co_await w.ask(2, r)).topics[0].partitions[0].error_code, error_code::request_timed_out);
  });
}

TEST(offset_for_leader_epoch, the_only_epoch_ends_where_the_log_does) {
  broker_world w;
  w.play_versions(wire::api_key::offset_for_leader_epoch, [&](std::int16_t v) -> awaitable<void> {
    auto name = fmt::format("t{}", v);
    co_await w.make_topic(name);
    co_await w.produce(name, 0, batch_bytes({"a", "b"}));
    wire::offset_for_leader_epoch_request r;
    auto ask = [&](std::int32_t partition, std::int32_t current, std::int32_t wanted)
        -> awaitable<wire::offset_for_leader_epoch_response::topic_entry::partition_entry> {
      r.topics = {{.topic = name, .partitions = {{.partition = partition, .current_leader_epoch = current, .leader_epoch = wanted}}}};
      co_return (co_await w.ask(v, r)).topics[0].partitions[0];
    };
    auto p = co_await ask(0, 0, 0);
    EXPECT_EQ(p.error_code, error_code::none);
    EXPECT_EQ(p.leader_epoch, 0);
    EXPECT_EQ(p.end_offset, 2);
    EXPECT_EQ((co_await ask(0, -1, 0)).end_offset, 2);
    p = co_await ask(0, 0, 4);
    EXPECT_EQ(p.error_code, error_code::none);
    EXPECT_EQ(p.leader_epoch, -1);
    EXPECT_EQ(p.end_offset, -1);
    EXPECT_EQ((co_await ask(0, 4, 0)).error_code, error_code::unknown_leader_epoch);
    EXPECT_EQ((co_await ask(1, 0, 0)).error_code, error_code::unknown_topic_or_partition);
    if (v == 4) {
      w.log.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
      EXPECT_EQ((co_await ask(0, 0, 0)).error_code, error_code::kafka_storage_error);
    }
  });
}

TEST(describe_log_dirs, has_the_bytes_of_all_or_of_some_partitions_in_every_version) {
  broker_world w;
  w.play_versions(wire::api_key::describe_log_dirs, [&](std::int16_t v) -> awaitable<void> {
    if (v == 1) {
      co_await w.make_topic("a", 2);
      co_await w.make_topic("b");
      co_await w.produce("a", 1, batch_bytes({"value"}));
    }
    auto stored = w.replica.current().find_topic("a")->partitions[1].bytes;
    EXPECT_GT(stored, 0u);
    auto a = co_await w.ask(v, wire::describe_log_dirs_request{.topics = std::nullopt});
    EXPECT_EQ(a.results.size(), 1u);
    EXPECT_EQ(a.results[0].topics.size(), 2u);
    EXPECT_EQ(a.results[0].topics[0].partitions[0].partition_size, 0);
    EXPECT_EQ(a.results[0].topics[0].partitions[1].partition_size, std::int64_t(stored));
    wire::describe_log_dirs_request some;
    some.topics = {{"a", {1, 1, 9}}, {"nowhere", {0}}, {"a", {1}}};
    a = co_await w.ask(v, some);
    EXPECT_EQ(a.results[0].topics.size(), 1u);
    EXPECT_EQ(a.results[0].topics[0].partitions.size(), 1u);
  });
}

TEST(describe_producers, names_who_has_written) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    co_await w.produce("t", 0, batch_bytes({"a", "b"}, of_producer(9, 0)));
    co_await w.produce("t", 0, batch_bytes({"a"}, of_producer(5, 0, 3)));
    co_await w.produce("t", 0, batch_bytes({"a"}, of_producer(9, 2)));
    wire::describe_producers_request r;
    r.topics = {{"t", {0, 1, 0}}, {"nowhere", {0}}};
    auto a = co_await w.ask(0, r);
    EXPECT_EQ(a.topics[0].partitions.size(), 2u);
    auto& all = a.topics[0].partitions[0].active_producers;
    EXPECT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].producer_id, 5);
    EXPECT_EQ(all[0].producer_epoch, 3);
    EXPECT_EQ(all[1].producer_id, 9);
    EXPECT_EQ(all[1].last_sequence, 2);
    EXPECT_EQ(all[1].last_timestamp, w.replica.current().time().value());
    EXPECT_EQ(all[1].current_txn_start_offset, -1);
    EXPECT_EQ(a.topics[0].partitions[1].error_code, error_code::unknown_topic_or_partition);
    EXPECT_EQ(a.topics[1].partitions[0].error_code, error_code::unknown_topic_or_partition);
  });
}

TEST(replicas, there_are_none_to_move_or_to_elect) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    auto listed = co_await w.ask(0, wire::list_partition_reassignments_request{});
    EXPECT_EQ(listed.error_code, error_code::none);
    EXPECT_TRUE(listed.topics.empty());
    for (std::int16_t v : {0, 1}) {
      wire::alter_partition_reassignments_request r;
      r.topics = {{"t", {{0, std::vector<std::int32_t>{2, 3}}, {0, std::nullopt}, {1, std::vector<std::int32_t>{1}}}}};
      auto a = co_await w.ask(v, r);
      EXPECT_EQ(a.error_code, error_code::none);
      EXPECT_EQ(a.responses[0].partitions[0].error_code, error_code::invalid_replica_assignment);
      EXPECT_EQ(a.responses[0].partitions[1].error_code, error_code::no_reassignment_in_progress);
      EXPECT_EQ(a.responses[0].partitions[2].error_code, error_code::unknown_topic_or_partition);
    }
    for (std::int16_t v : {0, 1, 2}) {
      wire::elect_leaders_request r;
      r.topic_partitions.emplace();
      r.topic_partitions->push_back({"t", {0, 7}});
      auto a = co_await w.ask(v, r);
      EXPECT_EQ(a.replica_election_results[0].partition_result[0].error_code, error_code::election_not_needed);
      EXPECT_EQ(a.replica_election_results[0].partition_result[1].error_code, error_code::unknown_topic_or_partition);
      r.topic_partitions.reset();
      EXPECT_TRUE((co_await w.ask(v, r)).replica_election_results.empty());
      r.election_type = 7;
      if (v >= 1) EXPECT_EQ((co_await w.ask(v, r)).error_code, error_code::invalid_request);
    }
  });
}

TEST(describe_quorum, shows_the_log_of_whoever_is_asked_in_every_version) {
  broker_world w;
  w.play_versions(wire::api_key::describe_quorum, [&](std::int16_t v) -> awaitable<void> {
    wire::describe_quorum_request r;
    r.topics = {{"__cluster_metadata", {{0}, {1}}}, {"t", {{0}}}};
    auto a = co_await w.ask(v, r);
    auto& p = a.topics[0].partitions[0];
    EXPECT_EQ(p.error_code, error_code::none);
    EXPECT_EQ(p.leader_id, 1);
    EXPECT_EQ(p.high_watermark, w.replica.current().position().sequence.value() + 1);
    EXPECT_EQ(p.current_voters.size(), 1u);
    EXPECT_EQ(a.topics[0].partitions[1].error_code, error_code::unknown_topic_or_partition);
    EXPECT_EQ(a.topics[1].partitions[0].error_code, error_code::unknown_topic_or_partition);
    if (v >= 2) EXPECT_EQ(a.nodes[0].listeners[0].host, "broker.example");
  });
}

// As on a listener of Kafka's without SASL: clients that are set up for it take this for the end, and say so.
TEST(security, whoever_wants_to_authenticate_is_told_that_there_is_no_sasl) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    for (std::int16_t v : {0, 1}) {
      auto a = co_await w.ask(v, wire::sasl_handshake_request{.mechanism = "PLAIN"});
      EXPECT_EQ(a.error_code, error_code::illegal_sasl_state);
      EXPECT_TRUE(a.mechanisms.empty());
    }
    for (std::int16_t v : {0, 1, 2}) {
      auto a = co_await w.ask(v, wire::sasl_authenticate_request{.auth_bytes = {"some bytes"}});
      EXPECT_EQ(a.error_code, error_code::illegal_sasl_state);
      EXPECT_TRUE(a.error_message);
    }
  });
}

TEST(security, there_are_no_rules_quotas_or_users) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    for (std::int16_t v : {1, 2, 3})
      EXPECT_EQ((co_await w.ask(v, wire::describe_acls_request{})).error_code, error_code::security_disabled);
    for (std::int16_t v : {0, 1}) {
      auto quotas = co_await w.ask(v, wire::describe_client_quotas_request{});
      EXPECT_EQ(quotas.error_code, error_code::none);
      EXPECT_TRUE(quotas.entries && quotas.entries->empty());
    }
    EXPECT_TRUE((co_await w.ask(0, wire::describe_user_scram_credentials_request{})).results.empty());
    wire::describe_user_scram_credentials_request some;
    some.users = {{"a"}, {"b"}, {"b"}};
    auto a = co_await w.ask(0, some);
    EXPECT_EQ(a.results[0].error_code, error_code::resource_not_found);
    EXPECT_EQ(a.results[1].error_code, error_code::duplicate_resource);
  });
}

TEST(describe_topic_partitions, comes_page_by_page) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("b", 3);
    co_await w.make_topic("a", 2);
    wire::describe_topic_partitions_request r{.response_partition_limit = 2};
    std::vector<std::pair<std::string, std::int32_t>> seen;
    std::string at;
    for (int page = 0; page < 10; ++page) {
      auto a = co_await w.ask(0, r);
      std::size_t partitions = 0;
      for (const auto& t : a.topics)
        for (const auto& p : t.partitions) {
          seen.emplace_back(*t.name, p.partition_index);
          EXPECT_EQ(p.leader_id, 1);
          ++partitions;
        }
      EXPECT_LE(partitions, 2u);
      if (!a.next_cursor) break;
      at = a.next_cursor->topic_name;
      r.cursor = {at, a.next_cursor->partition_index};
    }
    EXPECT_EQ(seen, (std::vector<std::pair<std::string, std::int32_t>>{{"a", 0}, {"a", 1}, {"b", 0}, {"b", 1}, {"b", 2}}));
    wire::describe_topic_partitions_request some;
    some.topics = {{"nowhere"}, {"b"}, {"no/name"}, {"b"}};
    auto a = co_await w.ask(0, some);
    EXPECT_EQ(a.topics.size(), 3u);
    EXPECT_EQ(a.topics[0].name, "b");
    EXPECT_EQ(topic_id(a.topics[0].topic_id), w.replica.current().find_topic("b")->id);
    EXPECT_EQ(a.topics[1].error_code, error_code::invalid_topic_exception);
    EXPECT_EQ(a.topics[2].error_code, error_code::unknown_topic_or_partition);
  });
}
}  // namespace
}  // namespace yaks::handlers
