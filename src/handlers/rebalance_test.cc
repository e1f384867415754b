// Goal: members of groups are answered as Kafka's coordinator does it, in every version, whenever what they wait for happens;
// sessions end by this agent's clock, and not while a request waits. Method: frames through the dispatcher of a whole agent in
// virtual time. The rules themselves are tested in metadata/.
#include <gtest/gtest.h>

#include "handlers/test_broker.hpp"

namespace yaks::handlers {
namespace {
using namespace yaks::test;
using wire::error_code;

struct rebalance : testing::Test {
  broker_world w;

  static wire::join_group_request join_of(std::string_view member, std::string_view group = "g") {
    return {.group_id = group, .session_timeout_ms = 10'000, .rebalance_timeout_ms = 30'000, .member_id = member,
            .protocol_type = "consumer", .protocols = {{.name = "range", .metadata = {"what " "it reads"}}}};
  }
  // Joins as clients do: with the id that they are given, where they are.
  awaitable<wire::join_group_response> join(std::int16_t v, std::string_view group = "g") {
    auto a = co_await w.ask(v, join_of("", group));
    if (a.error_code != error_code::member_id_required) co_return a;
    EXPECT_GE(v, 4);
    auto id = a.member_id;
    co_return co_await w.ask(v, join_of(id, group));
  }
  awaitable<wire::sync_group_response> sync(std::int16_t v, const wire::join_group_response& joined, std::string_view group = "g") {
    wire::sync_group_request r{.group_id = group, .generation_id = joined.generation_id, .member_id = joined.member_id};
    if (v >= 5) r.protocol_type = "consumer", r.protocol_name = "range";
    for (const auto& m : joined.members) r.assignments.push_back({.member_id = m.member_id, .assignment = {m.member_id}});
    co_return co_await w.ask(v, r);
  }
  awaitable<error_code> beat(const wire::join_group_response& joined, std::int16_t v = 4, std::string_view group = "g") {
    wire::heartbeat_request r{.group_id = group, .generation_id = joined.generation_id, .member_id = joined.member_id};
    co_return (co_await w.ask(v, r)).error_code;
  }
  awaitable<void> beats(const wire::join_group_response& joined, duration d) {
    for (auto until = w.rt.now() + d; w.rt.now() < until; co_await w.rt.sleep_for(3s)) (void)co_await beat(joined);
  }
};

TEST_F(rebalance, one_member_in_every_version) {
  w.play([&]() -> awaitable<void> {
    for (std::int16_t v = 0; v <= 9; ++v) {
      auto group = fmt::format("g{}", v);
      auto begun = w.rt.now();
      auto joined = co_await join(v, group);
      EXPECT_GE(w.rt.now() - begun, 3s) << "an empty group waits for more members";
      EXPECT_LT(w.rt.now() - begun, 4s);
      EXPECT_EQ(joined.error_code, error_code::none) << v;
      EXPECT_EQ(joined.generation_id, 1);
      EXPECT_EQ(joined.protocol_name, "range");
      EXPECT_EQ(joined.leader, joined.member_id);
      EXPECT_TRUE(joined.member_id.starts_with("test-client-")) << joined.member_id;
      EXPECT_EQ(joined.members.size(), 1u);
      if (joined.members.size() == 1) EXPECT_EQ(joined.members[0].metadata.value, "what it reads");
      if (v >= 7) EXPECT_EQ(joined.protocol_type, "consumer");
      auto synced = co_await sync(std::min<std::int16_t>(v, 5), joined, group);
      EXPECT_EQ(synced.error_code, error_code::none);
      EXPECT_EQ(synced.assignment.value, joined.member_id);
      for (std::int16_t h = 0; h <= 4; ++h) EXPECT_EQ(co_await beat(joined, h, group), error_code::none);
      auto described = co_await w.ask(std::min<std::int16_t>(v, 6), wire::describe_groups_request{.groups = {group, "nobody's"}});
      EXPECT_EQ(described.groups[0].group_state, "Stable");
      EXPECT_EQ(described.groups[0].protocol_data, "range");
      EXPECT_EQ(described.groups[0].members.at(0).client_id, "test-client");
      EXPECT_EQ(described.groups[0].members.at(0).member_assignment.value, joined.member_id);
      EXPECT_EQ(described.groups[1].group_state, "Dead");
      EXPECT_EQ(described.groups[1].error_code, v >= 6 ? error_code::group_id_not_found : error_code::none);
      wire::leave_group_request leave{.group_id = group};
      auto l = std::min<std::int16_t>(v, 5);
      if (l < 3) leave.member_id = joined.member_id;
      else leave.members = {{.member_id = joined.member_id}, {.member_id = "nobody"}};
      auto left = co_await w.ask(l, leave);
      EXPECT_EQ(left.error_code, error_code::none);
      if (l >= 3) EXPECT_EQ(left.members.at(0).error_code, error_code::none);
      if (l >= 3) EXPECT_EQ(left.members.at(1).error_code, error_code::unknown_member_id);
      EXPECT_EQ(co_await beat(joined, 4, group), error_code::unknown_member_id);
    }
  });
}

TEST_F(rebalance, requests_that_cannot_be_right) {
  w.play([&]() -> awaitable<void> {
    auto r = join_of("");
    r.session_timeout_ms = 5'999;
    EXPECT_EQ((co_await w.ask(5, r)).error_code, error_code::invalid_session_timeout);
    r.session_timeout_ms = 1'800'001;
    EXPECT_EQ((co_await w.ask(5, r)).error_code, error_code::invalid_session_timeout);
    EXPECT_EQ((co_await w.ask(5, join_of("", ""))).error_code, error_code::invalid_group_id);
    EXPECT_EQ((co_await w.ask(5, join_of("never heard of"))).error_code, error_code::unknown_member_id);
    std::string large(2 << 20, 'x');
    r = join_of("");
    r.protocols[0].metadata = {large};
    EXPECT_EQ((co_await w.ask(5, r)).error_code, error_code::message_too_large);
    EXPECT_EQ((co_await w.ask(4, wire::heartbeat_request{.group_id = "g"})).error_code, error_code::unknown_member_id);
    EXPECT_EQ((co_await w.ask(4, wire::sync_group_request{.group_id = "g"})).error_code, error_code::unknown_member_id);
    EXPECT_EQ((co_await w.ask(5, wire::sync_group_request{.group_id = "g"})).error_code, error_code::inconsistent_group_protocol);
    EXPECT_EQ((co_await w.ask(4, wire::leave_group_request{.group_id = "g", .members = {{.member_id = "x"}}})).error_code, error_code::unknown_member_id);
  });
}

TEST_F(rebalance, two_members_wait_for_each_other_and_a_silent_one_is_taken_out) {
  w.play([&]() -> awaitable<void> {
    wire::join_group_response a, b;
    task_group tasks(w.rt.executor());
    auto join_into = [&](wire::join_group_response& into) -> awaitable<void> { into = co_await join(9); };
    auto both = [&]() -> awaitable<void> {
      tasks.spawn(join_into(a));
      tasks.spawn(join_into(b));
      while (a.generation_id < 1 || b.generation_id < 1) co_await w.rt.sleep_for(10ms);
    };
    co_await run_then_close(both(), tasks);
    EXPECT_EQ(a.generation_id, 1);
    EXPECT_EQ(b.generation_id, 1);
    EXPECT_EQ(a.leader, b.leader);
    EXPECT_EQ(a.members.size() + b.members.size(), 2u) << "the leader alone is told";
    auto& leader = a.members.empty() ? b : a;
    auto& follower = a.members.empty() ? a : b;
    wire::sync_group_response synced;
    task_group more(w.rt.executor());
    auto sync_into = [&]() -> awaitable<void> { synced = co_await sync(5, follower); };
    auto scene = [&]() -> awaitable<void> {
      more.spawn(sync_into());
      co_await w.rt.sleep_for(1s);
      EXPECT_EQ((co_await sync(5, leader)).assignment.value, leader.member_id);
      co_await w.rt.sleep_for(100ms);
    };
    co_await run_then_close(scene(), more);
    EXPECT_EQ(synced.assignment.value, follower.member_id);
    // The follower falls silent.
    auto entries = w.replica.current().position().sequence;
    co_await beats(leader, 9s);
    EXPECT_EQ(w.replica.current().position().sequence, entries) << "heartbeats cost no entries";
    EXPECT_EQ(co_await beat(leader), error_code::none);
    co_await beats(leader, 3s);
    EXPECT_EQ(co_await beat(leader), error_code::rebalance_in_progress);
    EXPECT_EQ(co_await beat(follower), error_code::unknown_member_id);
    auto again = co_await w.ask(9, join_of(leader.member_id));
    EXPECT_EQ(again.generation_id, 2);
    EXPECT_EQ(again.members.size(), 1u);
  });
}

TEST_F(rebalance, who_waits_is_alive_and_who_goes_away_is_not) {
  w.play([&]() -> awaitable<void> {
    auto a = co_await join(5);
    (void)co_await sync(3, a);
    std::optional<wire::join_group_response> b;
    task_group tasks(w.rt.executor());
    auto other = [&]() -> awaitable<void> { b = co_await join(5); };
    auto scene = [&]() -> awaitable<void> {
      tasks.spawn(other());
      co_await beats(a, 15s);  // longer than b's session; a does not join again yet
      EXPECT_FALSE(b);
      EXPECT_EQ(w.replica.current().groups().find("g")->members.size(), 2u);
      EXPECT_EQ(w.groups.waiting(), 1u);
    };
    co_await run_then_close(scene(), tasks);  // b's connection ends
    EXPECT_EQ(w.groups.waiting(), 0u);
    co_await beats(a, 12s);
    EXPECT_EQ(w.replica.current().groups().find("g")->members.size(), 1u);
    EXPECT_EQ((co_await w.ask(5, join_of(a.member_id))).generation_id, 2);
  });
}

TEST_F(rebalance, an_agent_that_stops_sends_its_members_away) {
  w.play([&]() -> awaitable<void> {
    std::optional<wire::join_group_response> a;
    task_group tasks(w.rt.executor());
    auto joins = [&]() -> awaitable<void> { a = co_await join(5); };
    auto scene = [&]() -> awaitable<void> {
      tasks.spawn(joins());
      co_await w.rt.sleep_for(1s);
      w.groups.stop();
      co_await w.rt.sleep_for(1ms);
    };
    co_await run_then_close(scene(), tasks);
    EXPECT_TRUE(a && a->error_code == error_code::coordinator_not_available);
  });
}

TEST_F(rebalance, groups_are_listed_and_deleted_and_offsets_guarded) {
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    auto a = co_await join(9);
    auto commit = [&](std::int16_t v, std::int32_t generation, std::string_view member) -> awaitable<error_code> {
      wire::offset_commit_request r{.group_id = "g", .generation_id_or_member_epoch = generation, .member_id = member};
      r.topics.push_back({.name = "t", .partitions = {{.partition_index = 0, .committed_offset = 5}}});
      co_return (co_await w.ask(v, r)).topics.at(0).partitions.at(0).error_code;
    };
    EXPECT_EQ(co_await commit(8, 1, a.member_id), error_code::rebalance_in_progress);
    (void)co_await sync(5, a);
    for (std::int16_t v = 2; v <= 9; ++v) EXPECT_EQ(co_await commit(v, 1, a.member_id), error_code::none);
    EXPECT_EQ(co_await commit(8, 2, a.member_id), error_code::illegal_generation);
    EXPECT_EQ(co_await commit(8, 1, "x"), error_code::unknown_member_id);
    EXPECT_EQ(co_await commit(8, -1, ""), error_code::unknown_member_id);
    for (std::int16_t v = 0; v <= 5; ++v) {
      auto all = co_await w.ask(v, wire::list_groups_request{});
      EXPECT_EQ(all.groups.size(), 1u);
      EXPECT_EQ(all.groups.at(0).protocol_type, "consumer");
      if (v >= 4) EXPECT_EQ(all.groups.at(0).group_state, "Stable");
      if (v >= 4) EXPECT_EQ((co_await w.ask(v, wire::list_groups_request{.states_filter = {"empty"}})).groups.size(), 0u);
      if (v >= 4) EXPECT_EQ((co_await w.ask(v, wire::list_groups_request{.states_filter = {"STABLE", "empty"}})).groups.size(), 1u);
      if (v >= 5) EXPECT_EQ((co_await w.ask(v, wire::list_groups_request{.types_filter = {"consumer"}})).groups.size(), 0u);
      if (v >= 5) EXPECT_EQ(all.groups.at(0).group_type, "classic");
    }
    for (std::int16_t v = 0; v <= 2; ++v) {
      auto deleted = co_await w.ask(v, wire::delete_groups_request{.groups_names = {"g", "x"}});
      EXPECT_EQ(deleted.results.at(0).error_code, error_code::non_empty_group);
      EXPECT_EQ(deleted.results.at(1).error_code, error_code::group_id_not_found);
    }
    wire::offset_delete_request remove{.group_id = "g"};
    remove.topics.push_back({.name = "t", .partitions = {{.partition_index = 0}}});
    EXPECT_EQ((co_await w.ask(0, remove)).topics.at(0).partitions.at(0).error_code, error_code::group_subscribed_to_topic)
        << "its subscription cannot be read: it may be subscribed";
    (void)co_await w.ask(4, wire::leave_group_request{.group_id = "g", .members = {{.member_id = a.member_id}}});
    EXPECT_EQ((co_await w.ask(0, remove)).topics.at(0).partitions.at(0).error_code, error_code::none);
    EXPECT_EQ(w.replica.current().find_group_offsets("g"), nullptr);
    EXPECT_EQ((co_await w.ask(2, wire::delete_groups_request{.groups_names = {"g"}})).results.at(0).error_code, error_code::none);
    EXPECT_EQ((co_await w.ask(0, remove)).error_code, error_code::group_id_not_found);
  });
}

TEST_F(rebalance, the_consumer_protocol_in_every_version) {
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t", 4);
    for (std::int16_t v = 0; v <= 1; ++v) {
      auto group = fmt::format("c{}", v);
      wire::consumer_group_heartbeat_request r{.group_id = group, .member_id = v == 0 ? "" : "own-id", .member_epoch = 0, .rebalance_timeout_ms = 60'000};
      r.topic_partitions.emplace();
      if (v == 0) r.subscribed_topic_names = {{"t"}};
      else r.subscribed_topic_regex = "t|unknown.*";
      auto a = co_await w.ask(v, r);
      EXPECT_EQ(a.error_code, error_code::none) << a.error_message.value_or("");
      EXPECT_EQ(a.member_epoch, 1);
      EXPECT_EQ(a.heartbeat_interval_ms, 5000);
      EXPECT_TRUE(a.assignment && a.assignment->topic_partitions.size() == 1 && a.assignment->topic_partitions[0].partitions.size() == 4u);
      auto id = a.member_id.value_or("");
      EXPECT_FALSE(id.empty());
      auto entries = w.replica.current().position().sequence;
      wire::consumer_group_heartbeat_request still{.group_id = group, .member_id = id, .member_epoch = 1};
      for (int i = 0; i < 20; ++i) {
        co_await w.rt.sleep_for(5s);
        auto b = co_await w.ask(v, still);
        EXPECT_EQ(b.error_code, error_code::none);
        EXPECT_FALSE(b.assignment);
      }
      EXPECT_EQ(w.replica.current().position().sequence, entries) << "at rest it costs no entries";
      auto described = co_await w.ask(v, wire::consumer_group_describe_request{.group_ids = {group, "nobody's"}});
      EXPECT_EQ(described.groups.at(0).group_state, "Stable");
      EXPECT_EQ(described.groups.at(0).members.at(0).assignment.topic_partitions.at(0).topic_name, "t");
      EXPECT_EQ(described.groups.at(1).error_code, error_code::group_id_not_found);
      // A member that has fallen silent.
      co_await w.rt.sleep_for(46s);
      EXPECT_EQ((co_await w.ask(v, still)).error_code, error_code::unknown_member_id);
    }
    wire::consumer_group_heartbeat_request bad{.group_id = "c", .member_id = "m", .member_epoch = 0, .rebalance_timeout_ms = 1};
    bad.topic_partitions.emplace();
    EXPECT_EQ((co_await w.ask(1, bad)).error_code, error_code::invalid_request);
    bad.subscribed_topic_regex = "(";
    EXPECT_EQ((co_await w.ask(1, bad)).error_code, error_code::invalid_regular_expression);
    bad.subscribed_topic_regex = "t";
    bad.server_assignor = "own";
    EXPECT_EQ((co_await w.ask(1, bad)).error_code, error_code::unsupported_assignor);
    bad.server_assignor = "range";
    bad.member_epoch = -2;
    EXPECT_EQ((co_await w.ask(1, bad)).error_code, error_code::invalid_request);
    bad.member_epoch = 5;
    EXPECT_EQ((co_await w.ask(1, bad)).error_code, error_code::group_id_not_found);
  });
}
}  // namespace
}  // namespace yaks::handlers
