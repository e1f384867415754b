// Goal: classic groups follow Kafka's rules, answer each waiting request once, and depend on nothing but the log. Method: the
// commands of members that the test plays, one by one; then random histories against invariants: one generation at a time,
// everybody in it was told the same, no request is answered twice, digests agree.
#include "metadata/groups.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "metadata/metadata_testing.hpp"

namespace yaks::metadata {
namespace {
struct group_rules : testing::Test {
  test_log log;
  incarnation home = test_incarnation(1), other_home = test_incarnation(2);
  std::map<std::uint64_t, join_answer> joined;
  std::map<std::uint64_t, sync_answer> synced;
  std::uint64_t requests = 0;
  std::uint32_t initial_delay_ms = 0, members_max = 100;

  void SetUp() override {
    log.register_writer(1);
    log.register_writer(2);
  }
  template <class Command>
  typename outcome_of<Command>::type apply(Command c, std::optional<incarnation> by = std::nullopt) {
    auto applied = log.append(by.value_or(home), {std::move(c)});
    EXPECT_EQ(log.state().digest(), log.state().recompute_digest());
    for (auto& a : applied.changed.membership.answers) {
      EXPECT_FALSE(joined.contains(a.request) || synced.contains(a.request)) << "answered twice";
      if (auto* j = std::get_if<join_answer>(&a.what)) joined[a.request] = *j;
      else synced[a.request] = std::get<sync_answer>(a.what);
    }
    return std::get<typename outcome_of<Command>::type>(applied.outcomes.front());
  }
  join_group join_of(std::string id, std::vector<group_protocol> protocols = {{"range", "r"}}) {
    return {.group = "g", .member = "", .new_member = std::move(id), .client_id = "client", .client_host = "/host",
            .session_timeout_ms = 10'000, .rebalance_timeout_ms = 60'000, .protocol_type = "consumer",
            .protocols = std::move(protocols), .request = ++requests, .initial_delay_ms = initial_delay_ms, .members_max = members_max};
  }
  join_group rejoin_of(std::string id, std::vector<group_protocol> protocols = {{"range", "r"}}) {
    auto c = join_of("", std::move(protocols));
    c.member = std::move(id);
    return c;
  }
  sync_group sync_of(std::string id, std::vector<group_assignment> assignments = {}) {
    return {.group = "g", .member = std::move(id), .instance = {}, .generation = group().generation,
            .protocol_type = {}, .protocol = {}, .assignments = std::move(assignments), .request = ++requests};
  }
  const metadata::group& group() const { return *log.state().groups().find("g"); }
  group_error commit(std::string member, std::int32_t generation, std::optional<std::string> instance = {}) {
    return apply(commit_group_offsets{"g", {}, std::move(member), std::move(instance), generation}).error;
  }
  group_error beat(std::string_view member, std::int32_t generation) const {
    return log.state().groups().check("g", member, std::nullopt, generation);
  }
  // a and b, stable in generation 2, led by a.
  void two_members() {
    EXPECT_TRUE(apply(join_of("a")).waits);
    EXPECT_EQ(joined.at(requests).generation, 1);
    EXPECT_TRUE(apply(join_of("b")).waits);
    EXPECT_TRUE(apply(rejoin_of("a")).waits);
    EXPECT_TRUE(apply(sync_of("b")).waits);
    EXPECT_TRUE(apply(sync_of("a", {{"a", "for a"}, {"b", "for b"}})).waits);
    EXPECT_EQ(group().phase, group_phase::stable);
    EXPECT_EQ(group().generation, 2);
  }
};

TEST_F(group_rules, two_members_form_a_generation) {
  two_members();
  // requests: 1 a, 2 b, 3 a again, 4 sync of b, 5 sync of a
  EXPECT_EQ(joined.at(2).generation, 2);
  EXPECT_EQ(joined.at(2).leader, "a");
  EXPECT_EQ(joined.at(2).protocol, "range");
  EXPECT_FALSE(joined.at(2).members);
  ASSERT_TRUE(joined.at(3).members);
  EXPECT_EQ(*joined.at(3).members, (std::vector<joined_member>{{"a", {}, "r"}, {"b", {}, "r"}}));
  EXPECT_EQ(synced.at(4).assignment, "for b");
  EXPECT_EQ(synced.at(5).assignment, "for a");
  // Who lost the answer is told again.
  auto again = apply(sync_of("b"));
  EXPECT_FALSE(again.waits);
  EXPECT_EQ(again.answer.assignment, "for b");
  auto same = apply(rejoin_of("b"));
  EXPECT_FALSE(same.waits);
  EXPECT_EQ(same.answer.generation, 2);
  EXPECT_EQ(group().phase, group_phase::stable);
}

TEST_F(group_rules, an_empty_group_waits_for_more_members) {
  initial_delay_ms = 3000;
  apply(join_of("a"));
  auto timer = group().timer;
  EXPECT_EQ(apply(fire_group_timer{"g", timer}).early_ms, 3000);
  log.time += 2999;
  EXPECT_EQ(apply(fire_group_timer{"g", timer}).early_ms, 1);
  apply(join_of("b"));  // the wait begins again
  log.time += 1;
  apply(fire_group_timer{"g", timer});
  EXPECT_TRUE(joined.empty());
  EXPECT_EQ(apply(fire_group_timer{"g", timer}).early_ms, 0) << "another timer by now: void";
  log.time += 3000;
  apply(fire_group_timer{"g", group().timer});
  EXPECT_EQ(joined.size(), 2u);
  EXPECT_EQ(group().phase, group_phase::completing_rebalance);
}

TEST_F(group_rules, an_id_is_given_first_and_kept_for_its_owner) {
  auto c = join_of("a");
  c.needs_member_id = true;
  auto given = apply(c);
  EXPECT_EQ(given.answer.error, group_error::member_id_required);
  EXPECT_EQ(given.answer.member, "a");
  apply(join_of("b"));  // of an old client, in the meantime
  EXPECT_TRUE(joined.empty()) << "the group waits for the one that was given an id";
  auto r = rejoin_of("a");
  r.needs_member_id = true;
  EXPECT_TRUE(apply(r).waits);
  EXPECT_EQ(joined.size(), 2u);
  EXPECT_EQ(apply(rejoin_of("unknown")).answer.error, group_error::unknown_member_id);
}

TEST_F(group_rules, an_id_that_is_not_used_expires) {
  auto c = join_of("a");
  c.needs_member_id = true;
  apply(c);
  apply(join_of("b"));
  EXPECT_TRUE(joined.empty());
  apply(expire_member{"g", "a", log.state().groups().home_of("g", "a")->first.epoch});
  EXPECT_EQ(joined.size(), 1u);
  EXPECT_EQ(apply(rejoin_of("a")).answer.error, group_error::unknown_member_id);
}

TEST_F(group_rules, late_members_are_left_behind_when_the_time_is_up) {
  two_members();
  auto before = joined.size();
  apply(join_of("c"));
  EXPECT_EQ(beat("a", 2), group_error::rebalance_in_progress);
  apply(rejoin_of("b"));
  EXPECT_EQ(joined.size(), before);
  log.time += 60'000;
  apply(fire_group_timer{"g", group().timer});
  EXPECT_EQ(group().generation, 3);
  EXPECT_EQ(group().leader, "b");  // a was, and did not come
  EXPECT_EQ(beat("a", 2), group_error::unknown_member_id);
  EXPECT_EQ(joined.at(requests).members->size(), 2u);
}

TEST_F(group_rules, who_does_not_sync_in_time_is_out) {
  two_members();
  apply(rejoin_of("a"));  // the leader wants a rebalance
  apply(rejoin_of("b", {{"range", "new"}}));
  EXPECT_EQ(group().phase, group_phase::completing_rebalance);
  EXPECT_EQ(beat("a", 3), group_error::none);
  apply(sync_of("a", {{"a", "x"}}));
  EXPECT_EQ(group().phase, group_phase::stable);
  log.time += 60'000;
  apply(fire_group_timer{"g", group().timer});
  EXPECT_EQ(group().phase, group_phase::preparing_rebalance);
  EXPECT_EQ(beat("b", 3), group_error::unknown_member_id);
  apply(rejoin_of("a"));
  EXPECT_EQ(group().generation, 4);
}

TEST_F(group_rules, a_rebalance_breaks_off_those_who_sync) {
  two_members();
  apply(rejoin_of("a"));
  apply(rejoin_of("b", {{"range", "new"}}));
  auto waits = sync_of("b");
  apply(waits);
  apply(join_of("c"));
  EXPECT_EQ(synced.at(waits.request).error, group_error::rebalance_in_progress);
  EXPECT_EQ(apply(sync_of("a")).answer.error, group_error::rebalance_in_progress);
}

TEST_F(group_rules, generations_fence) {
  two_members();
  auto old = sync_of("a");
  old.generation = 1;
  EXPECT_EQ(apply(old).answer.error, group_error::illegal_generation);
  EXPECT_EQ(beat("a", 1), group_error::illegal_generation);
  EXPECT_EQ(beat("a", 2), group_error::none);
  auto wrong = sync_of("a");
  wrong.protocol = "sticky";
  EXPECT_EQ(apply(wrong).answer.error, group_error::inconsistent_group_protocol);
  wrong.protocol = "range";
  wrong.protocol_type = "connect";
  EXPECT_EQ(apply(wrong).answer.error, group_error::inconsistent_group_protocol);
}

TEST_F(group_rules, commits_are_checked) {
  EXPECT_EQ(commit("", -1), group_error::none);  // no group yet: from outside
  EXPECT_EQ(commit("a", 1), group_error::group_id_not_found);
  two_members();
  EXPECT_EQ(commit("a", 2), group_error::none);
  EXPECT_EQ(commit("a", 1), group_error::illegal_generation);
  EXPECT_EQ(commit("x", 2), group_error::unknown_member_id);
  EXPECT_EQ(commit("", -1), group_error::unknown_member_id) << "the group has members";
  EXPECT_EQ(commit("a", 2, "i"), group_error::unknown_member_id);
  apply(join_of("c"));
  EXPECT_EQ(commit("a", 2), group_error::none) << "before it joins the next generation";
  apply(rejoin_of("a"));
  apply(rejoin_of("b"));
  EXPECT_EQ(group().phase, group_phase::completing_rebalance);
  EXPECT_EQ(commit("a", 3), group_error::rebalance_in_progress);
}

TEST_F(group_rules, protocols_are_chosen_by_votes_among_those_that_all_support) {
  apply(join_of("a", {{"sticky", "1"}, {"range", "2"}}));
  apply(join_of("b", {{"range", "3"}, {"sticky", "4"}, {"own", "5"}}));
  apply(join_of("c", {{"range", "6"}, {"sticky", "7"}}));
  apply(rejoin_of("a", {{"sticky", "1"}, {"range", "2"}}));
  apply(rejoin_of("b", {{"range", "3"}, {"sticky", "4"}, {"own", "5"}}));
  EXPECT_EQ(group().protocol, "range");
  EXPECT_EQ(apply(join_of("d", {{"own", ""}})).answer.error, group_error::inconsistent_group_protocol);
  auto other = join_of("d");
  other.protocol_type = "connect";
  EXPECT_EQ(apply(other).answer.error, group_error::inconsistent_group_protocol);
  EXPECT_EQ(apply(join_of("e", {})).answer.error, group_error::inconsistent_group_protocol);
}

TEST_F(group_rules, a_static_member_comes_back_without_a_rebalance) {
  auto a = join_of("a-1");
  a.instance = "a";
  apply(a);
  apply(sync_of("a-1", {{"a-1", "all"}}));
  auto again = join_of("a-2");
  again.instance = "a";
  again.can_skip_assignment = true;
  auto out = apply(again);
  EXPECT_FALSE(out.waits);
  EXPECT_EQ(out.answer.generation, 1);
  EXPECT_EQ(out.answer.member, "a-2");
  EXPECT_EQ(out.answer.leader, "a-2");
  EXPECT_TRUE(out.answer.skip_assignment);
  EXPECT_TRUE(out.answer.members);
  EXPECT_EQ(apply(sync_of("a-2")).answer.assignment, "all");
  auto fenced = rejoin_of("a-1");
  fenced.instance = "a";
  EXPECT_EQ(apply(fenced).answer.error, group_error::fenced_instance_id);
  EXPECT_EQ(commit("a-1", 1, "a"), group_error::fenced_instance_id);
  // An old client that led is not told that it does.
  auto old = join_of("a-3");
  old.instance = "a";
  out = apply(old);
  EXPECT_EQ(out.answer.leader, "a-2");
  EXPECT_FALSE(out.answer.members);
  // With other protocols, the group rebalances.
  auto changed = join_of("a-4", {{"sticky", ""}, {"range", ""}});
  changed.instance = "a";
  EXPECT_TRUE(apply(changed).waits);
  EXPECT_EQ(group().generation, 2);
}

TEST_F(group_rules, a_static_member_that_joins_twice_fences_the_first_one) {
  initial_delay_ms = 3000;
  auto first = join_of("a-1");
  first.instance = "a";
  apply(first);
  auto second = join_of("a-2");
  second.instance = "a";
  EXPECT_TRUE(apply(second).waits);
  EXPECT_EQ(joined.at(first.request).error, group_error::fenced_instance_id);
  EXPECT_EQ(group().members.size(), 1u);
}

TEST_F(group_rules, members_leave_by_id_and_by_instance) {
  two_members();
  auto s = join_of("s-1");
  s.instance = "s";
  apply(s);
  auto out = apply(leave_group{"g", {{"a", {}}, {"x", {}}, {"", "s"}, {"", "nobody"}, {"b", "s"}}});
  EXPECT_EQ(out.members, (std::vector<group_error>{group_error::none, group_error::unknown_member_id, group_error::none,
                                                   group_error::unknown_member_id, group_error::unknown_member_id}));
  EXPECT_EQ(joined.at(s.request).error, group_error::unknown_member_id);
  apply(leave_group{"g", {{"b", {}}}});
  EXPECT_EQ(group().phase, group_phase::empty);
  EXPECT_EQ(group().generation, 3);
  EXPECT_EQ(apply(leave_group{"nowhere", {{"b", {}}}}).error, group_error::unknown_member_id);
}

TEST_F(group_rules, an_expiry_is_void_where_the_member_has_moved) {
  two_members();
  auto epoch = log.state().groups().home_of("g", "b")->first.epoch;
  apply(move_home{"g", "b"}, other_home);
  EXPECT_EQ(log.state().groups().home_of("g", "b")->first.agent, other_home);
  EXPECT_TRUE(log.state().groups().homes().at(other_home).contains({"g", "b"}));
  apply(expire_member{"g", "b", epoch});
  EXPECT_EQ(group().members.size(), 2u);
  EXPECT_EQ(group().phase, group_phase::stable);
  apply(expire_member{"g", "b", log.state().groups().home_of("g", "b")->first.epoch}, other_home);
  EXPECT_EQ(group().members.size(), 1u);
  EXPECT_EQ(group().phase, group_phase::preparing_rebalance);
  EXPECT_FALSE(log.state().groups().homes().contains(other_home));
}

TEST_F(group_rules, a_full_group_takes_nobody) {
  members_max = 2;
  two_members();
  EXPECT_EQ(apply(join_of("c")).answer.error, group_error::group_max_size_reached);
  EXPECT_TRUE(apply(rejoin_of("a")).waits);
}

TEST_F(group_rules, groups_are_deleted_when_empty_and_offsets_when_unsubscribed) {
  apply(create_topic{test_topic(1), "read", 1, {}});
  apply(create_topic{test_topic(2), "unread", 1, {}});
  std::string reads("\0\1\0\0\0\1\0\4read\xff\xff\xff\xff", 16);
  apply(join_of("a", {{"range", reads}}));
  apply(sync_of("a"));
  apply(commit_group_offsets{"g", {{test_topic(1), partition_index(0), offset(5), 0, ""}, {test_topic(2), partition_index(0), offset(6), 0, ""}}, "a", {}, 1});
  EXPECT_EQ(apply(remove_group_data{.group = "g"}).error, group_error::non_empty_group);
  EXPECT_EQ(apply(remove_group_data{.group = "x"}).error, group_error::group_id_not_found);
  auto out = apply(remove_group_data{"g", group_removal::offsets, {{test_topic(1), partition_index(0)}, {test_topic(2), partition_index(0)}}});
  EXPECT_EQ(out.subscribed, (std::vector<bool>{true, false}));
  EXPECT_EQ(log.state().find_group_offsets("g")->size(), 1u);
  apply(leave_group{"g", {{"a", {}}}});
  EXPECT_EQ(apply(remove_group_data{.group = "g"}).error, group_error::none);
  EXPECT_EQ(log.state().groups().find("g"), nullptr);
  EXPECT_EQ(log.state().find_group_offsets("g"), nullptr);
}

TEST_F(group_rules, offsets_are_kept_for_their_retention_after_the_last_member) {
  apply(create_topic{test_topic(1), "t", 1, {}});
  commit_group_offsets some{"g", {{test_topic(1), partition_index(0), offset(5), 0, ""}}, "a", {}, 1};
  remove_group_data expired{.group = "g", .what = group_removal::expired, .retention_ms = 1000};
  std::string reads("\0\1\0\0\0\1\0\1t\xff\xff\xff\xff", 13);
  apply(join_of("a", {{"range", reads}}));
  apply(sync_of("a"));
  apply(some);
  log.time += 5000;
  apply(expired);
  EXPECT_TRUE(log.state().find_group_offsets("g")) << "it has a member that reads the topic";
  apply(leave_group{"g", {{"a", {}}}});
  log.time += 999;
  apply(expired);
  EXPECT_TRUE(log.state().find_group_offsets("g"));
  log.time += 1;
  apply(expired);
  EXPECT_FALSE(log.state().find_group_offsets("g"));
  EXPECT_FALSE(log.state().groups().find("g"));
  // From outside of a group: from the commit on; and as long as the commit says, where it does.
  some.member = "";
  some.generation = -1;
  some.retention_ms = 500;
  apply(some);
  log.time += 500;
  apply(expired);
  EXPECT_FALSE(log.state().find_group_offsets("g"));
}

TEST_F(group_rules, metadata_that_is_no_subscription_is_none) {
  for (std::string bytes : {std::string(), std::string("\0"), std::string("\0\1\0\0\0\2\0\1t", 9), std::string("\xff\xff\0\0\0\0", 6), std::string("\0\1\x7f\xff\xff\xff", 6)})
    EXPECT_FALSE(subscribed_topics(bytes)) << bytes.size();
  EXPECT_EQ(subscribed_topics(std::string_view("\0\1\0\0\0\1\0\1t", 9)), (std::vector<std::string_view>{"t"}));
}

// Members that behave well and badly, at random. What must hold whatever they do is checked after every entry.
TEST_F(group_rules, whatever_members_do_one_generation_holds_and_the_group_settles) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    log = {};
    joined.clear();
    synced.clear();
    SetUp();
    initial_delay_ms = random() % 2 ? 3000 : 0;
    members_max = 5;
    struct member {
      std::string id;
      std::uint64_t request = 0;
    };
    std::map<int, member> members;
    int made = 0;
    auto by = [&] { return random() % 2 ? home : other_home; };
    std::map<std::int32_t, std::string> leaders;
    auto look = [&] {
      for (const auto& [request, a] : joined) {
        if (a.error != group_error::none) continue;
        auto [known, is_new] = leaders.try_emplace(a.generation, a.leader + "/" + a.protocol);
        ASSERT_EQ(known->second, a.leader + "/" + a.protocol) << "seed " << seed << ": two generations " << a.generation;
      }
      const auto& all = log.state().groups();
      std::size_t homes = 0;
      for (const auto& [agent, there] : all.homes()) homes += there.size();
      std::size_t known = 0, timers = 0;
      for (const auto& [name, g] : all.all()) known += g.members.size() + g.pending.size(), timers += g.timer != 0;
      ASSERT_EQ(homes, known) << "seed " << seed;
      ASSERT_EQ(timers, all.timers().size()) << "seed " << seed;
    };
    for (int i = 0; i < 300; ++i) {
      log.time += std::int64_t(random() % 2000);
      switch (random() % 8) {
        case 0:
        case 1: {
          auto c = join_of("m" + std::to_string(++made));
          c.protocols = {{"range", std::to_string(random() % 2)}, {"sticky", "s"}};
          c.needs_member_id = random() % 2;
          if (random() % 5 == 0) c.instance = "i" + std::to_string(random() % 2);
          auto out = apply(c, by());
          if (out.waits) members[made] = {c.new_member, c.request};
          break;
        }
        case 2:
          if (auto* g = log.state().groups().find("g"); g && !g->members.empty()) {
            auto at = g->members.begin();
            std::advance(at, random() % g->members.size());
            auto c = rejoin_of(at->first, at->second.protocols);
            c.instance = at->second.instance;
            apply(c, by());
          }
          break;
        case 3:
          if (auto* g = log.state().groups().find("g"); g && !g->members.empty()) {
            auto at = g->members.begin();
            std::advance(at, random() % g->members.size());
            auto c = sync_of(at->first);
            c.instance = at->second.instance;
            if (at->first == g->leader)
              for (const auto& [id, m] : g->members) c.assignments.push_back({id, "for " + id + " in " + std::to_string(g->generation)});
            auto expected = "for " + at->first + " in " + std::to_string(g->generation);
            auto out = apply(c, by());
            if (!out.waits && out.answer.error == group_error::none && !out.answer.assignment.empty() && !c.instance)
              ASSERT_EQ(out.answer.assignment, expected) << "seed " << seed;
          }
          break;
        case 4:
          if (auto* g = log.state().groups().find("g"); g && !g->members.empty()) apply(leave_group{"g", {{g->members.begin()->first, {}}}}, by());
          break;
        case 5:
          if (auto* g = log.state().groups().find("g"); g && !g->members.empty()) {
            auto epoch = g->members.rbegin()->second.home.epoch;
            apply(random() % 2 ? move_home{"g", g->members.rbegin()->first} : move_home{"g", "nobody"}, by());
            apply(expire_member{"g", g->members.rbegin()->first, epoch}, by());
          }
          break;
        case 6:
          if (auto* g = log.state().groups().find("g")) apply(fire_group_timer{"g", g->timer}, by());
          break;
        case 7:
          if (auto* g = log.state().groups().find("g"); g && !g->pending.empty())
            apply(expire_member{"g", g->pending.begin()->first, g->pending.begin()->second.home.epoch}, by());
          break;
      }
      look();
      if (HasFatalFailure()) return;
    }
    // Calm: whoever is there behaves, and the group settles.
    for (int round = 0; round < 20; ++round) {
      auto* g = log.state().groups().find("g");
      if (!g || g->phase == group_phase::empty || (g->phase == group_phase::stable && g->timer == 0)) break;
      log.time += 3'600'000;
      while (g->phase == group_phase::preparing_rebalance && !g->pending.empty())
        apply(expire_member{"g", g->pending.begin()->first, g->pending.begin()->second.home.epoch});
      std::vector<std::string> ids;
      for (const auto& [id, m] : g->members) ids.push_back(id);
      for (const auto& id : ids) {
        if (g->phase != group_phase::preparing_rebalance || !g->members.contains(id)) continue;
        auto c = rejoin_of(id, g->members.at(id).protocols);
        c.instance = g->members.at(id).instance;
        apply(c);
      }
      apply(fire_group_timer{"g", g->timer});
      for (const auto& id : ids) {
        if (!g->members.contains(id)) continue;
        auto c = sync_of(id);
        c.instance = g->members.at(id).instance;
        apply(c);
      }
    }
    auto* g = log.state().groups().find("g");
    EXPECT_TRUE(!g || g->phase == group_phase::stable || g->phase == group_phase::empty) << "seed " << seed;
  }
}
}  // namespace
}  // namespace yaks::metadata
