// Goal: AlterConfigs, IncrementalAlterConfigs, ListConfigResources and DescribeConfigs of groups and brokers say and do
// what Kafka's do, in every version, and what is set takes effect. Method: frames through the dispatcher of a whole
// agent in virtual time.
#include <gtest/gtest.h>

#include "handlers/test_broker.hpp"
#include "model/topic_config.hpp"

namespace yaks::handlers {
namespace {
using namespace yaks::test;
using wire::error_code;
using incremental = wire::incremental_alter_configs_request;
constexpr std::int8_t a_topic = 2, a_broker = 4, client_metrics = 16, a_group = 32;
constexpr std::int8_t set = 0, remove = 1, append = 2, subtract = 3;

incremental changing(std::int8_t type, std::string_view name, std::vector<incremental::resource::config> configs) {
  incremental r;
  r.resources.push_back({type, name, std::move(configs)});
  return r;
}

awaitable<std::string> value_of(broker_world& w, std::int8_t type, std::string name, std::string config) {
  wire::describe_configs_request r;
  r.resources = {{type, name, std::vector<std::string_view>{config}}};
  auto a = co_await w.ask(4, r);
  co_return a.results.size() == 1 && a.results[0].configs.size() == 1 ? a.results[0].configs[0].value.value_or("null")
                                                                      : "missing";
}

TEST(incremental_alter_configs, sets_removes_appends_and_subtracts_in_every_version) {
  broker_world w;
  w.play_versions(wire::api_key::incremental_alter_configs, [&](std::int16_t v) -> awaitable<void> {
    auto name = fmt::format("t{}", v);
    co_await w.make_topic(name);
    auto alter = [&](std::string_view config, std::int8_t what,
                     std::optional<std::string_view> value) -> awaitable<error_code> {
      auto a = co_await w.ask(v, changing(a_topic, name, {{config, what, value}}));
      EXPECT_EQ(a.responses.size(), 1u);
      EXPECT_EQ(a.responses[0].resource_name, name);
      EXPECT_EQ(a.responses[0].resource_type, a_topic);
      EXPECT_EQ(a.responses[0].error_message.has_value(), a.responses[0].error_code != error_code::none);
      co_return a.responses[0].error_code;
    };
    EXPECT_EQ(co_await alter("retention.ms", set, "5"), error_code::none);
    EXPECT_EQ(co_await value_of(w, a_topic, name, "retention.ms"), "5");
    EXPECT_EQ(w.replica.current().find_topic(name)->settings.retention_ms, 5);
    EXPECT_EQ(co_await alter("retention.ms", remove, std::nullopt), error_code::none);
    EXPECT_EQ(co_await value_of(w, a_topic, name, "retention.ms"), "604800000");
    EXPECT_EQ(co_await alter("segment.ms", set, " 7000 "), error_code::none);
    EXPECT_EQ(co_await value_of(w, a_topic, name, "segment.ms"), "7000");
    EXPECT_EQ(co_await alter("cleanup.policy", append, "compact"), error_code::none);  // to the default
    EXPECT_EQ(co_await value_of(w, a_topic, name, "cleanup.policy"), "delete,compact");
    EXPECT_EQ(co_await alter("cleanup.policy", subtract, "delete"), error_code::none);
    EXPECT_EQ(co_await value_of(w, a_topic, name, "cleanup.policy"), "compact");
    EXPECT_EQ(co_await alter("retention.ms", append, "5"), error_code::invalid_config);
    EXPECT_EQ(co_await alter("retention.ms", set, std::nullopt), error_code::invalid_request);
    EXPECT_EQ(co_await alter("retention.ms", set, "soon"), error_code::invalid_config);
    EXPECT_EQ(co_await alter("retention.ms", 9, "5"), error_code::invalid_request);
    EXPECT_EQ(co_await alter("no.such.setting", set, "1"), error_code::invalid_config);
    EXPECT_EQ(co_await alter("cleanup.policy", append, "shrink"), error_code::invalid_config);
  });
}

TEST(incremental_alter_configs, validates_only_when_asked_to_and_judges_each_resource) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    auto r = changing(a_topic, "t", {{"retention.ms", set, "5"}});
    r.validate_only = true;
    EXPECT_EQ((co_await w.ask(1, r)).responses[0].error_code, error_code::none);
    EXPECT_EQ(co_await value_of(w, a_topic, "t", "retention.ms"), "604800000");
    r.validate_only = false;
    r.resources.push_back({a_topic, "nowhere", {{"retention.ms", set, "5"}}});
    r.resources.push_back({a_topic, "no/name", {{"retention.ms", set, "5"}}});
    r.resources.push_back({a_broker, "1", {{"message.max.bytes", set, "5"}}});
    r.resources.push_back({a_broker, "", {}});
    r.resources.push_back({a_broker, "2", {}});
    r.resources.push_back({client_metrics, "m", {}});
    r.resources.push_back({a_group, "", {}});
    r.resources.push_back({a_topic, "twice", {}});
    r.resources.push_back({a_topic, "twice", {}});
    using e = error_code;
    std::vector<error_code> expected{e::none,
                                     e::unknown_topic_or_partition,
                                     e::invalid_topic_exception,
                                     e::invalid_request,
                                     e::none,
                                     e::invalid_request,
                                     e::invalid_request,
                                     e::invalid_request,
                                     e::invalid_request,
                                     e::invalid_request};
    auto a = co_await w.ask(1, r);
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(a.responses[i].error_code, expected[i]) << i;
    EXPECT_EQ(co_await value_of(w, a_topic, "t", "retention.ms"), "5");
    auto twice = changing(a_topic, "t", {{"retention.ms", set, "6"}, {"retention.ms", remove, std::nullopt}});
    EXPECT_EQ((co_await w.ask(1, twice)).responses[0].error_code, error_code::invalid_request);
    auto contradiction =
        changing(a_topic, "t", {{"min.compaction.lag.ms", set, "9"}, {"max.compaction.lag.ms", set, "8"}});
    EXPECT_EQ((co_await w.ask(1, contradiction)).responses[0].error_code, error_code::invalid_config);
  });
}

TEST(alter_configs, replaces_everything_in_every_version) {
  broker_world w;
  w.play_versions(wire::api_key::alter_configs, [&](std::int16_t v) -> awaitable<void> {
    auto name = fmt::format("t{}", v);
    co_await w.make_topic(name);
    wire::alter_configs_request r;
    r.resources.push_back({a_topic, name, {{"retention.ms", "5"}, {"segment.ms", "6"}}});
    EXPECT_EQ((co_await w.ask(v, r)).responses[0].error_code, error_code::none);
    r.resources[0].configs = {{"segment.ms", "7"}};
    EXPECT_EQ((co_await w.ask(v, r)).responses[0].error_code, error_code::none);
    EXPECT_EQ(w.replica.current().find_topic(name)->configs, (config_values{{"segment.ms", "7"}}));
    r.resources[0].configs = {{"segment.ms", std::nullopt}};
    EXPECT_EQ((co_await w.ask(v, r)).responses[0].error_code, error_code::invalid_request);
    r.resources[0].configs = {};
    EXPECT_EQ((co_await w.ask(v, r)).responses[0].error_code, error_code::none);
    EXPECT_TRUE(w.replica.current().find_topic(name)->configs.empty());
  });
}

// What is set is judged by the settings that the new one has.
TEST(alter_configs, of_a_topic_that_was_made_again_meanwhile_are_those_of_the_new_one) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    auto old = co_await w.make_topic("t");
    w.make_again_before_next_append("t", 1, {{"cleanup.policy", "compact"}, {"segment.ms", "7000"}}, 3);
    auto i = co_await w.ask(1, changing(a_topic, "t", {{"retention.ms", set, "5"}, {"cleanup.policy", append, "delete"}}));
    EXPECT_EQ(i.responses[0].error_code, error_code::none);
    EXPECT_FALSE(i.responses[0].error_message);
    EXPECT_NE(w.replica.current().find_topic("t")->id, old.topic);
    EXPECT_EQ(co_await value_of(w, a_topic, "t", "retention.ms"), "5");
    EXPECT_EQ(co_await value_of(w, a_topic, "t", "cleanup.policy"), "compact,delete");
    EXPECT_EQ(co_await value_of(w, a_topic, "t", "segment.ms"), "7000");

    w.make_again_before_next_append("t", 1, {{"segment.ms", "8000"}});
    wire::alter_configs_request r;
    r.resources.push_back({a_topic, "t", {{"retention.ms", "6"}}});
    auto a = co_await w.ask(2, r);
    EXPECT_EQ(a.responses[0].error_code, error_code::none);
    EXPECT_EQ(co_await value_of(w, a_topic, "t", "retention.ms"), "6");
    EXPECT_EQ(co_await value_of(w, a_topic, "t", "segment.ms"), "604800000");

    // The new one has it already: nothing is left to do.
    w.make_again_before_next_append("t", 1, {{"retention.ms", "9"}});
    i = co_await w.ask(1, changing(a_topic, "t", {{"retention.ms", set, "9"}}));
    EXPECT_EQ(i.responses[0].error_code, error_code::none);
    EXPECT_EQ(co_await value_of(w, a_topic, "t", "retention.ms"), "9");
  });
}

TEST(alter_configs, groups_have_settings_before_they_exist) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    EXPECT_EQ(co_await value_of(w, a_group, "g", "consumer.session.timeout.ms"), "45000");
    auto r = changing(a_group, "g", {{"consumer.session.timeout.ms", set, "50000"}});
    EXPECT_EQ((co_await w.ask(1, r)).responses[0].error_code, error_code::none);
    EXPECT_EQ(co_await value_of(w, a_group, "g", "consumer.session.timeout.ms"), "50000");
    EXPECT_EQ(group_settings::of(w.replica.current().find_group_configs("g")).consumer_session_timeout_ms, 50'000);
    wire::describe_configs_request d{.include_synonyms = true};
    d.resources = {{a_group, "g", std::nullopt}, {a_group, "", std::nullopt}};
    auto a = co_await w.ask(4, d);
    EXPECT_EQ(a.results[0].configs.size(), group_configs().size());
    EXPECT_EQ(a.results[0].configs[1].config_source, 8);
    EXPECT_EQ(a.results[0].configs[1].synonyms.size(), 2u);
    EXPECT_EQ(a.results[1].error_code, error_code::invalid_request);
    r = changing(a_group, "g", {{"consumer.session.timeout.ms", set, "1"}});
    EXPECT_EQ((co_await w.ask(1, r)).responses[0].error_code, error_code::invalid_config);
    r = changing(a_group, "g", {{"consumer.session.timeout.ms", remove, std::nullopt}});
    EXPECT_EQ((co_await w.ask(1, r)).responses[0].error_code, error_code::none);
    EXPECT_EQ(w.replica.current().find_group_configs("g"), nullptr);
  });
}

TEST(alter_configs, nothing_is_said_or_changed_while_the_log_is_away) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    auto r = changing(a_topic, "t", {{"retention.ms", set, "5"}});
    w.log.hooks.before_append = [](metadata::append_id) { return std::optional(metadata::log_error::unavailable); };
    EXPECT_EQ((co_await w.ask(1, r)).responses[0].error_code, error_code::request_timed_out);
    w.log.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    r = changing(a_topic, "nowhere", {});
    EXPECT_EQ((co_await w.ask(1, r)).responses[0].error_code, error_code::request_timed_out);
    EXPECT_EQ((co_await w.ask(1, wire::list_config_resources_request{})).error_code, error_code::request_timed_out);
  });
}

TEST(describe_configs, of_a_broker_has_kafkas_names_read_only) {
  broker_world w;
  w.services.broker.flush_interval_ms = 123;
  w.play([&]() -> awaitable<void> {
    wire::describe_configs_request r{.include_documentation = true};
    r.resources = {{a_broker, "1", std::nullopt}, {a_broker, "", std::nullopt}};
    auto a = co_await w.ask(4, r);
    std::map<std::string, std::string> all;
    for (const auto& c : a.results[0].configs) {
      EXPECT_TRUE(c.read_only) << c.name;
      EXPECT_TRUE(c.documentation && !c.documentation->empty()) << c.name;
      EXPECT_TRUE(all.emplace(c.name, c.value.value_or("")).second) << c.name;
    }
    EXPECT_EQ(all["message.max.bytes"], "1048588");
    EXPECT_EQ(all["log.retention.ms"], "604800000");
    EXPECT_EQ(all["yaks.flush.interval.ms"], "123");
    EXPECT_EQ(all["group.consumer.session.timeout.ms"], "45000");
    EXPECT_TRUE(a.results[1].configs.empty());
    co_await w.make_topic("t");
    EXPECT_EQ(co_await value_of(w, a_topic, "t", "yaks.flush.interval.ms"), "123");
  });
}

TEST(list_config_resources, names_what_has_settings_in_every_version) {
  broker_world w;
  w.play_versions(wire::api_key::list_config_resources, [&](std::int16_t v) -> awaitable<void> {
    if (v == 0) {
      co_await w.make_topic("t");
      (void)co_await w.replica.submit(metadata::alter_group_configs{"g", {{"consumer.session.timeout.ms", "50000"}}});
      EXPECT_TRUE(
          (co_await w.ask(v, wire::list_config_resources_request{})).config_resources.empty());  // of client metrics
      co_return;
    }
    using resource = wire::list_config_resources_response::resource;
    auto a = co_await w.ask(v, wire::list_config_resources_request{});
    EXPECT_EQ(a.config_resources, (std::vector<resource>{{"t", a_topic}, {"1", a_broker}, {"g", a_group}}));
    wire::list_config_resources_request r;
    r.resource_types = {a_group};
    EXPECT_EQ((co_await w.ask(v, r)).config_resources, (std::vector<resource>{{"g", a_group}}));
    r.resource_types = {a_group, 77};
    EXPECT_EQ((co_await w.ask(v, r)).error_code, error_code::unsupported_version);
  });
}

TEST(topic_configs, take_effect_on_what_is_produced_next) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    auto now = w.world.wall_clock();
    auto alter = [&](std::string_view config, std::string_view value) -> awaitable<void> {
      auto a = co_await w.ask(1, changing(a_topic, "t", {{config, set, value}}));
      EXPECT_EQ(a.responses[0].error_code, error_code::none) << a.responses[0].error_message.value_or("");
    };
    auto code = [&](std::vector<std::byte> batch) -> awaitable<error_code> {
      co_return (co_await w.produce("t", 0, batch)).error_code;
    };
    co_await alter("message.timestamp.before.max.ms", "1000");
    EXPECT_EQ(co_await code(batch_bytes({"a"}, {}, now - 60'000)), error_code::invalid_timestamp);
    EXPECT_EQ(co_await code(batch_bytes({"a"}, {}, now + 60'000)), error_code::none);
    co_await alter("message.timestamp.after.max.ms", "1000");
    EXPECT_EQ(co_await code(batch_bytes({"a"}, {}, now + 60'000)), error_code::invalid_timestamp);
    co_await alter("message.timestamp.type", "LogAppendTime");  // then nobody looks at the producer's
    auto stored = co_await w.produce("t", 0, batch_bytes({"a"}, {}, now + 60'000));
    EXPECT_EQ(stored.error_code, error_code::none);
    EXPECT_EQ(stored.log_append_time_ms, w.replica.current().time().value());
    co_await alter("max.message.bytes", "80");
    EXPECT_EQ(co_await code(batch_bytes({std::string(100, 'x')}, {}, now)), error_code::message_too_large);
    co_await alter("cleanup.policy", "compact");
    records::batch_builder keyless;
    keyless.add(now, std::nullopt, "v");
    EXPECT_EQ(co_await code(keyless.build()), error_code::invalid_record);
  });
}
TEST(topic_configs, compression_type_is_how_batches_are_stored) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    std::int64_t next = 0;
    for (auto [name, type] : {std::pair{"zstd", records::compression_type::zstd}, {"gzip", records::compression_type::gzip},
                              {"lz4", records::compression_type::lz4}, {"snappy", records::compression_type::snappy},
                              {"uncompressed", records::compression_type::none}}) {
      SCOPED_TRACE(name);
      auto a = co_await w.ask(1, changing(a_topic, "t", {{"compression.type", set, name}}));
      EXPECT_EQ(a.responses[0].error_code, error_code::none);
      for (auto sent : {records::compression_type::none, records::compression_type::lz4, type}) {
        auto stored = co_await w.produce("t", 0, batch_bytes({std::string(500, 'a'), "b"}, {.compression = sent}));
        EXPECT_EQ(stored.error_code, error_code::none);
        auto got = co_await w.fetch("t", next);
        EXPECT_EQ(records_of(got), (std::vector<seen_record>{{next, std::string(500, 'a')}, {next + 1, "b"}}));
        std::string bytes;
        for (const auto& part : got.records->parts) bytes += as_text(part.view());
        EXPECT_EQ(records::batch_view::parse(as_bytes(bytes))->compression(), type);
        next += 2;
      }
    }
    co_await w.buffer.drain();
    EXPECT_EQ(stored_values(w.replica.current(), w.objects, at).size(), std::size_t(next));
  });
}

TEST(topic_configs, compaction_finds_missing_keys_in_compressed_batches) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    (void)co_await w.replica.submit(metadata::create_topic{
        .id = topic_id(uuid::v4(1, 1)), .name = "t", .partitions = 1, .configs = {{"cleanup.policy", "compact"}}});
    for (auto type : {records::compression_type::none, records::compression_type::gzip, records::compression_type::zstd}) {
      records::batch_builder keyless({.compression = type});
      keyless.add(some_time(), "key", "v").add(some_time(), std::nullopt, "v");
      auto refused = co_await w.produce("t", 0, keyless.build());
      EXPECT_EQ(refused.error_code, error_code::invalid_record);
      EXPECT_EQ(refused.record_errors.size(), 1u);
      if (!refused.record_errors.empty()) EXPECT_EQ(refused.record_errors[0].batch_index, 1);
      EXPECT_EQ((co_await w.produce("t", 0, batch_bytes({"a"}, {.compression = type}))).error_code, error_code::none);
    }
  });
}
}  // namespace
}  // namespace yaks::handlers
