// Goal: Metadata, CreateTopics, CreatePartitions, DeleteTopics and DescribeConfigs say and do what Kafka's do, in every
// version. Method: frames through the dispatcher of a whole agent in virtual time.
#include <gtest/gtest.h>

#include <set>

#include "handlers/test_broker.hpp"
#include "model/topic_config.hpp"

namespace yaks::handlers {
namespace {
using namespace yaks::test;
using wire::error_code;

auto named(std::string_view name) {
  return wire::metadata_request::topic_entry{.name = name};
}

TEST(metadata, all_none_and_some_topics_in_every_version) {
  broker_world w;
  w.play_versions(wire::api_key::metadata, [&](std::int16_t v) -> awaitable<void> {
    if (v == 0) {
      co_await w.make_topic("a", 3);
      co_await w.make_topic("b");
    }
    wire::metadata_request all{.topics = std::nullopt};
    if (v == 0) all.topics.emplace();  // has no null: empty is all
    auto answer = co_await w.ask(v, all);
    EXPECT_EQ(answer.topics.size(), 2u);
    EXPECT_EQ(answer.brokers.size(), 1u);
    EXPECT_EQ(answer.brokers[0].host, "broker.example");
    EXPECT_EQ(answer.brokers[0].port, 9092);
    EXPECT_EQ(answer.topics[0].name, "a");
    EXPECT_EQ(answer.topics[0].partitions.size(), 3u);
    EXPECT_EQ(answer.topics[0].partitions[2].partition_index, 2);
    EXPECT_EQ(answer.topics[0].partitions[2].leader_id, 1);
    if (v >= 7) EXPECT_EQ(answer.topics[0].partitions[2].leader_epoch, 0);
    if (v >= 2) EXPECT_EQ(answer.cluster_id, "the-cluster");
    if (v >= 8) EXPECT_EQ(answer.topics[0].topic_authorized_operations, std::numeric_limits<std::int32_t>::min());
    if (v >= 10) EXPECT_EQ(topic_id(answer.topics[0].topic_id), w.replica.current().find_topic("a")->id);
    if (v >= 1) {
      wire::metadata_request none;
      none.topics.emplace();
      EXPECT_TRUE((co_await w.ask(v, none)).topics.empty());
    }
    wire::metadata_request some{.allow_auto_topic_creation = false};
    some.topics = {named("b"), named("nowhere"), named("no/name")};
    if (v < 4) some.topics = {named("b"), named("no/name")};  // where auto-creation cannot be declined
    answer = co_await w.ask(v, some);
    EXPECT_EQ(answer.topics.size(), some.topics->size());
    EXPECT_EQ(answer.topics[0].error_code, error_code::none);
    EXPECT_EQ(answer.topics.back().error_code, error_code::invalid_topic_exception);
    if (v >= 4) EXPECT_EQ(answer.topics[1].error_code, error_code::unknown_topic_or_partition);
    EXPECT_EQ(w.replica.current().topics_by_name().size(), 2u);
    if (v >= 8) {
      some.include_topic_authorized_operations = true;
      answer = co_await w.ask(v, some);
      EXPECT_GT(answer.topics[0].topic_authorized_operations, 0);
    }
    if (v >= 12) {
      auto id = w.replica.current().find_topic("a")->id;
      wire::metadata_request by_id;
      by_id.topics = {{.topic_id = id.value()}, {.topic_id = uuid::v4(5, 5)}};
      answer = co_await w.ask(v, by_id);
      EXPECT_EQ(answer.topics[0].name, "a");
      EXPECT_EQ(answer.topics[1].error_code, error_code::unknown_topic_id);
    }
  });
}

TEST(metadata, creates_topics_when_asked_and_allowed) {
  broker_world w;
  w.services.broker.default_partitions = 4;
  w.play([&]() -> awaitable<void> {
    wire::metadata_request r;
    r.topics = {named("new"), named("new"), named("..")};
    auto a = co_await w.ask(9, r);
    EXPECT_EQ(a.topics[0].error_code, error_code::none);
    EXPECT_EQ(a.topics[0].partitions.size(), 4u);
    EXPECT_EQ(a.topics.back().error_code, error_code::invalid_topic_exception);
    EXPECT_EQ(w.replica.current().topics_by_name().size(), 1u);
    w.services.broker.auto_create_topics = false;
    r.topics = {named("other")};
    EXPECT_EQ((co_await w.ask(9, r)).topics[0].error_code, error_code::unknown_topic_or_partition);
    w.services.broker.auto_create_topics = true;
    w.log.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    EXPECT_EQ((co_await w.ask(9, r)).topics[0].error_code, error_code::leader_not_available);
  });
}

// On one thread a long answer could hold up all others. It is made in pieces: what comes later and is short overtakes it, also
// among the answers that are longest.
TEST(metadata, a_huge_answer_holds_up_nobody) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("huge", 60'000);
    co_await w.make_topic("small");
    co_await w.produce("small", 0, batch_bytes({"a"}));
    std::vector<std::string> order;
    task_group asking(w.rt.executor());
    connection_context other;
    auto ask = [&](std::string name, auto request, std::int16_t version) -> awaitable<void> {
      auto& connection = name == "huge" ? w.connection : other;
      auto out = co_await w.dispatcher.handle(
          {.frame = w.frame_of(version, request), .connection = connection, .arrived_at = w.rt.now()});
      EXPECT_EQ(out.what, response::outcome::answer);
      order.push_back(name);
    };
    auto body = [&]() -> awaitable<void> {
      for (int i = 0; i < 3; ++i) asking.spawn(ask("huge", wire::metadata_request{.topics = std::nullopt}, 12));
      wire::metadata_request some;
      some.topics = {named("small")};
      asking.spawn(ask("small", some, 12));
      asking.spawn(ask("fetch", w.fetch_of("small", 0), 12));
      asking.spawn(ask("versions", wire::api_versions_request{.client_software_name = "a", .client_software_version = "1"}, 3));
      while (asking.size() > 0) co_await w.rt.sleep_for(1ms);
    };
    co_await run_then_close(body(), asking);
    EXPECT_EQ(order.size(), 6u);
    std::vector<std::string> last(order.end() - 3, order.end());
    EXPECT_EQ(last, (std::vector<std::string>{"huge", "huge", "huge"}));
  });
}

// The list of topics is made in pieces, too: each is in it once, also where some come and go in between.
TEST(metadata, more_topics_than_a_piece_has) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    constexpr std::size_t many = 2 * partitions_per_piece + 100;
    std::vector<metadata::create_topic> all;
    for (std::size_t i = 0; i < many; ++i) {
      auto high = w.rt.random(), low = w.rt.random();
      all.push_back({.id = topic_id(uuid::v4(high, low)), .name = "t" + std::to_string(100'000 + i), .partitions = 1});
    }
    (void)co_await w.replica.submit_all(all);
    wire::metadata_response answer;
    task_group asking(w.rt.executor());
    auto ask = [&]() -> awaitable<void> { answer = co_await w.ask(12, wire::metadata_request{.topics = std::nullopt}); };
    auto body = [&]() -> awaitable<void> {
      asking.spawn(ask());
      // The last of the first piece, where the second one goes on.
      (void)co_await w.replica.submit(metadata::delete_topic{all[partitions_per_piece - 1].id});
      while (asking.size() > 0) co_await w.rt.sleep_for(1ms);
    };
    co_await run_then_close(body(), asking);
    std::set<std::string> names;
    for (const auto& t : answer.topics) names.insert(std::string(*t.name));
    EXPECT_EQ(names.size(), answer.topics.size());
    EXPECT_GE(names.size(), many - 1);
    EXPECT_TRUE(names.contains(all.front().name) && names.contains(all.back().name));
  });
}

// The state goes on while a long answer is made.
TEST(metadata, a_topic_that_goes_away_meanwhile_is_answered_as_it_was) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("huge", 60'000);
    wire::metadata_response answer;
    task_group asking(w.rt.executor());
    auto ask = [&]() -> awaitable<void> { answer = co_await w.ask(12, wire::metadata_request{.topics = std::nullopt}); };
    auto body = [&]() -> awaitable<void> {
      asking.spawn(ask());
      (void)co_await w.replica.submit(metadata::delete_topic{at.topic});
      while (asking.size() > 0) co_await w.rt.sleep_for(1ms);
    };
    co_await run_then_close(body(), asking);
    EXPECT_TRUE(answer.topics.empty() || answer.topics[0].partitions.size() == 60'000u);
  });
}

// Else a small request that repeats itself would have an answer of gigabytes.
TEST(topics, what_is_asked_for_twice_is_answered_once) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    auto id = (co_await w.make_topic("t", 100)).topic;
    wire::metadata_request r;
    r.topics.emplace(1000, named("t"));
    for (int i = 0; i < 1000; ++i) r.topics->push_back({.topic_id = id.value()});
    r.topics->push_back(named("nowhere/"));
    auto a = co_await w.ask(12, r);
    if (a.topics.size() != 3) {  // by its name, by its id, and the other one
      ADD_FAILURE() << a.topics.size();
      co_return;
    }
    EXPECT_EQ(a.topics[0].name, "t");
    EXPECT_EQ(a.topics[1].name, "t");
    EXPECT_EQ(a.topics[2].error_code, error_code::invalid_topic_exception);
    wire::describe_configs_request c;
    c.resources.assign(1000, {2, "t", std::nullopt});
    EXPECT_EQ((co_await w.ask(4, c)).results.size(), 1u);
  });
}

TEST(create_topics, every_version_creates_validates_and_echoes) {
  broker_world w;
  w.services.broker.default_partitions = 2;
  w.play_versions(wire::api_key::create_topics, [&](std::int16_t v) -> awaitable<void> {
    auto name = fmt::format("topic-{}", v);
    wire::create_topics_request r{.validate_only = true};
    r.topics.push_back(
        {.name = name, .num_partitions = -1, .replication_factor = 3, .configs = {{"cleanup.policy", "compact"}}});
    EXPECT_EQ((co_await w.ask(v, r)).topics[0].error_code, error_code::none);
    EXPECT_FALSE(w.replica.current().find_topic(name));
    r.validate_only = false;
    auto a = co_await w.ask(v, r);
    EXPECT_EQ(a.topics[0].error_code, error_code::none);
    const auto* t = w.replica.current().find_topic(name);
    EXPECT_TRUE(t && t->partitions.size() == 2u && t->configs.at("cleanup.policy") == "compact");
    if (v >= 5) {
      EXPECT_EQ(a.topics[0].num_partitions, 2);
      EXPECT_EQ(a.topics[0].configs->size(), topic_configs().size());
    }
    if (v >= 7 && t) EXPECT_EQ(topic_id(a.topics[0].topic_id), t->id);
    EXPECT_EQ((co_await w.ask(v, r)).topics[0].error_code, error_code::topic_already_exists);
    r.validate_only = true;
    EXPECT_EQ((co_await w.ask(v, r)).topics[0].error_code, error_code::topic_already_exists);
  });
}

TEST(create_topics, refuses_with_kafkas_codes_topic_by_topic) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    wire::create_topics_request r;
    auto add = [&](std::string_view name, std::int32_t partitions, std::int16_t replicas) -> auto& {
      return r.topics.emplace_back(wire::create_topics_request::topic_entry{
          .name = name, .num_partitions = partitions, .replication_factor = replicas});
    };
    add("good", 1, 1);
    add("bad/name", 1, 1);
    add("no-partitions", 0, 1);
    add("no-replicas", 1, 0);
    add("twice", 1, 1);
    add("twice", 1, 1);
    add("config", 1, 1).configs = {{"no.such.config", "1"}};
    add("value", 1, 1).configs = {{"retention.ms", "soon"}};
    add("null", 1, 1).configs = {{"retention.ms", std::nullopt}};
    add("assigned", -1, -1).assignments = {{0, {1, 2}}, {1, {2, 1}}};
    add("both", 2, 1).assignments = {{0, {1}}};
    add("hole", -1, -1).assignments = {{0, {1}}, {2, {1}}};
    add("repeated", -1, -1).assignments = {{0, {1, 1}}};
    add("enormous", 2'000'000, 1);
    using e = error_code;
    std::vector<error_code> expected{e::none,
                                     e::invalid_topic_exception,
                                     e::invalid_partitions,
                                     e::invalid_replication_factor,
                                     e::invalid_request,
                                     e::invalid_request,
                                     e::invalid_config,
                                     e::invalid_config,
                                     e::invalid_config,
                                     e::none,
                                     e::invalid_request,
                                     e::invalid_replica_assignment,
                                     e::invalid_replica_assignment,
                                     e::invalid_partitions};
    auto a = co_await w.ask(7, r);
    EXPECT_EQ(a.topics.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(a.topics[i].error_code, expected[i]) << a.topics[i].name;
      EXPECT_EQ(a.topics[i].error_message.has_value(), expected[i] != e::none) << a.topics[i].name;
    }
    EXPECT_EQ(w.replica.current().topics_by_name().size(), 2u);
    EXPECT_EQ(w.replica.current().find_topic("assigned")->partitions.size(), 2u);
  });
}

TEST(delete_topics, by_name_and_by_id_in_every_version) {
  broker_world w;
  w.play_versions(wire::api_key::delete_topics, [&](std::int16_t v) -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    wire::delete_topics_request r;
    if (v < 6) {
      r.topic_names = {"t", "nowhere"};
      auto a = co_await w.ask(v, r);
      EXPECT_EQ(a.responses[0].error_code, error_code::none);
      EXPECT_EQ(a.responses[1].error_code, error_code::unknown_topic_or_partition);
    } else {
      r.topics = {{.topic_id = at.topic.value()},
                  {.topic_id = uuid::v4(3, 3)},
                  {.name = "nowhere"},
                  {.name = "t", .topic_id = at.topic.value()}};
      auto a = co_await w.ask(v, r);
      EXPECT_EQ(a.responses[0].error_code, error_code::none);
      EXPECT_EQ(a.responses[0].name, "t");
      EXPECT_EQ(a.responses[1].error_code, error_code::unknown_topic_id);
      EXPECT_EQ(a.responses[2].error_code, error_code::unknown_topic_or_partition);
      EXPECT_EQ(a.responses[3].error_code, error_code::invalid_request);
    }
    EXPECT_FALSE(w.replica.current().find_topic("t"));
  });
}

TEST(create_partitions, grows_and_refuses_in_every_version) {
  broker_world w;
  w.play_versions(wire::api_key::create_partitions, [&](std::int16_t v) -> awaitable<void> {
    auto name = fmt::format("t{}", v);
    co_await w.make_topic(name, 2);
    auto grow = [&](std::string_view topic, std::int32_t count, bool only = false) -> awaitable<error_code> {
      wire::create_partitions_request r{.validate_only = only};
      r.topics.push_back({.name = topic, .count = count});
      auto a = co_await w.ask(v, r);
      co_return a.results[0].error_code;
    };
    EXPECT_EQ(co_await grow(name, 2), error_code::invalid_partitions);
    EXPECT_EQ(co_await grow(name, 1), error_code::invalid_partitions);
    EXPECT_EQ(co_await grow("nowhere", 3), error_code::unknown_topic_or_partition);
    EXPECT_EQ(co_await grow(name, 5, true), error_code::none);
    EXPECT_EQ(w.replica.current().find_topic(name)->partitions.size(), 2u);
    EXPECT_EQ(co_await grow(name, 5), error_code::none);
    EXPECT_EQ(w.replica.current().find_topic(name)->partitions.size(), 5u);
    EXPECT_EQ((co_await w.produce(name, 4, batch_bytes({"a"}))).base_offset, 0);
  });
}

TEST(create_partitions, of_a_topic_that_was_made_again_meanwhile_are_those_of_the_new_one) {
  broker_world w;
  w.play_versions(wire::api_key::create_partitions, [&](std::int16_t v) -> awaitable<void> {
    auto name = fmt::format("t{}", v);
    auto old = co_await w.make_topic(name, 2);
    co_await w.make_topic(name + "other", 1);
    auto grow = [&](std::int32_t count) -> awaitable<wire::create_partitions_response> {
      wire::create_partitions_request r{.timeout_ms = 5000};
      auto other = name + "other";
      r.topics.push_back({.name = name, .count = count});
      r.topics.push_back({.name = other, .count = count});
      co_return co_await w.ask(v, r);
    };
    w.make_again_before_next_append(name, 1, {}, 3);
    auto a = co_await grow(3);
    EXPECT_EQ(a.results[0].error_code, error_code::none);
    EXPECT_EQ(a.results[1].error_code, error_code::none);
    EXPECT_NE(w.replica.current().find_topic(name)->id, old.topic);
    EXPECT_EQ(w.replica.current().find_topic(name)->partitions.size(), 3u);
    EXPECT_EQ(w.replica.current().find_topic(name + "other")->partitions.size(), 3u);
    w.make_again_before_next_append(name, 7);  // which are more than are asked for
    a = co_await grow(4);
    EXPECT_EQ(a.results[0].error_code, error_code::invalid_partitions);
    EXPECT_TRUE(a.results[0].error_message);
    EXPECT_EQ(a.results[1].error_code, error_code::none);
  });
}

TEST(delete_topics, that_was_made_again_meanwhile_deletes_the_new_one) {
  broker_world w;
  w.play_versions(wire::api_key::delete_topics, [&](std::int16_t v) -> awaitable<void> {
    auto old = co_await w.make_topic("t");
    w.make_again_before_next_append("t", 1, {}, 3);
    wire::delete_topics_request r{.timeout_ms = 2000};
    if (v >= 6)
      r.topics = {{.name = "t"}};
    else
      r.topic_names = {"t"};
    auto a = co_await w.ask(v, r);
    EXPECT_EQ(a.responses[0].error_code, error_code::none);
    EXPECT_FALSE(w.replica.current().find_topic("t"));
    if (v < 6) co_return;
    EXPECT_NE(a.responses[0].topic_id, old.topic.value());
    // By its id, none but the old one is meant.
    old = co_await w.make_topic("t");
    w.make_again_before_next_append("t");
    r.topics = {{.topic_id = old.topic.value()}};
    a = co_await w.ask(v, r);
    EXPECT_EQ(a.responses[0].error_code, error_code::unknown_topic_id);
    EXPECT_TRUE(w.replica.current().find_topic("t"));
  });
}

TEST(describe_configs, lists_all_with_defaults_in_every_version) {
  broker_world w;
  w.play_versions(wire::api_key::describe_configs, [&](std::int16_t v) -> awaitable<void> {
    if (v == 1)
      (void)co_await w.replica.submit(metadata::create_topic{
          .id = topic_id(uuid::v4(1, 1)), .name = "t", .partitions = 1, .configs = {{"cleanup.policy", "compact"}}});
    wire::describe_configs_request r{.include_synonyms = true};
    r.resources = {{2, "t", std::nullopt},
                   {2, "nowhere", std::nullopt},
                   {4, "1", std::nullopt},
                   {4, "99", std::nullopt},
                   {2, "t", std::vector<std::string_view>{"retention.ms"}},
                   {77, "x", std::nullopt},
                   {2, "no name", std::nullopt}};
    auto a = co_await w.ask(v, r);
    EXPECT_EQ(a.results[0].configs.size(), topic_configs().size());
    for (const auto& c : a.results[0].configs)
      if (c.name == "cleanup.policy") {
        EXPECT_EQ(c.value, "compact");
        EXPECT_EQ(c.config_source, 1);
        EXPECT_EQ(c.synonyms.size(), 2u);
      }
    EXPECT_EQ(a.results[1].error_code, error_code::unknown_topic_or_partition);
    EXPECT_EQ(a.results[2].error_code, error_code::none);
    EXPECT_FALSE(a.results[2].configs.empty());
    EXPECT_EQ(a.results[3].error_code, error_code::invalid_request);
    EXPECT_EQ(a.results[4].configs.size(), 1u);
    EXPECT_EQ(a.results[5].error_code, error_code::invalid_request);
    EXPECT_EQ(a.results[6].error_code, error_code::invalid_topic_exception);
    // kafka-topics lists all of a topic's settings that are not defaults: what nobody has changed is one.
    for (const auto& c : a.results[0].configs)
      if (c.name != "cleanup.policy") EXPECT_EQ(c.config_source, 5) << c.name;
  });
}

TEST(topics, changes_end_with_their_timeout_while_the_log_is_away) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    w.log.hooks.before_append = [](metadata::append_id) { return std::optional(metadata::log_error::unavailable); };
    auto begun = w.rt.now();
    wire::create_topics_request c{.timeout_ms = 2000};
    c.topics.push_back({.name = "new", .num_partitions = 1, .replication_factor = 1});
    auto created = co_await w.ask(7, c);
    EXPECT_EQ(created.topics[0].error_code, error_code::request_timed_out);
    EXPECT_EQ(created.topics[0].topic_id, uuid{});
    wire::create_partitions_request p{.timeout_ms = 2000};
    p.topics.push_back({.name = "t", .count = 3});
    EXPECT_EQ((co_await w.ask(3, p)).results[0].error_code, error_code::request_timed_out);
    wire::delete_topics_request d{.timeout_ms = 2000};
    d.topic_names = {"t"};
    EXPECT_EQ((co_await w.ask(5, d)).responses[0].error_code, error_code::request_timed_out);
    EXPECT_LE(w.rt.now() - begun, 6s);
    wire::metadata_request m;
    m.topics = {named("other")};
    EXPECT_EQ((co_await w.ask(9, m)).topics[0].error_code, error_code::leader_not_available);
    wire::offset_commit_request o{.group_id = "g"};
    o.topics.push_back({.name = "t", .partitions = {{.partition_index = 0, .committed_offset = 1}}});
    EXPECT_EQ((co_await w.ask(8, o)).topics[0].partitions[0].error_code, error_code::coordinator_not_available);
    EXPECT_LE(w.rt.now() - begun, 30s);
  });
}

TEST(topics, nothing_is_denied_while_the_log_cannot_be_read) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    w.log.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    wire::delete_topics_request d;
    d.topic_names = {"nowhere"};
    EXPECT_EQ((co_await w.ask(5, d)).responses[0].error_code, error_code::request_timed_out);
    wire::create_partitions_request p;
    p.topics.push_back({.name = "nowhere", .count = 3});
    EXPECT_EQ((co_await w.ask(3, p)).results[0].error_code, error_code::request_timed_out);
    wire::describe_configs_request c;
    c.resources = {{2, "nowhere", std::nullopt}};
    EXPECT_EQ((co_await w.ask(4, c)).results[0].error_code, error_code::request_timed_out);
    wire::create_topics_request t{.validate_only = true};
    t.topics.push_back({.name = "new", .num_partitions = 1, .replication_factor = 1});
    EXPECT_EQ((co_await w.ask(7, t)).topics[0].error_code, error_code::request_timed_out);
  });
}

TEST(metadata, a_topic_is_named_by_its_id_also_where_its_name_is_empty) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t", 2);
    for (std::optional<std::string_view> name : {std::optional<std::string_view>(), std::optional<std::string_view>("")}) {
      wire::metadata_request r;
      r.topics.emplace().push_back({.topic_id = at.topic.value(), .name = name});
      r.topics->push_back({.topic_id = uuid::v4(4, 4), .name = name});
      auto a = co_await w.ask(13, r);
      EXPECT_EQ(a.topics.at(0).name, "t");
      EXPECT_EQ(a.topics.at(0).partitions.size(), 2u);
      EXPECT_EQ(a.topics.at(1).error_code, error_code::unknown_topic_id);
    }
  });
}
}  // namespace
}  // namespace yaks::handlers
