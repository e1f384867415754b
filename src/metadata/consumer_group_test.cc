// Goal: groups of the consumer protocol follow KIP-848: nobody gets a partition before its owner has let go of it, members are
// fenced by their epochs, and groups go from one protocol to the other while they run. Method: heartbeats of members that the
// test plays; then random histories, after each of whose entries every partition has one owner at most, and at whose end all
// that is subscribed to is assigned.
#include "metadata/consumer_group.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "metadata/assignors.hpp"
#include "metadata/metadata_testing.hpp"
#include "metadata/snapshot.hpp"

namespace yaks::metadata {
namespace {
// What members of the classic protocol write and read of topic "t".
std::string subscription(std::vector<std::int32_t> owned = {}) {
  std::string out("\0\1\0\0\0\1\0\1t\xff\xff\xff\xff", 13);
  auto number = [&](std::int32_t n) {
    for (int shift = 24; shift >= 0; shift -= 8) out += char(n >> shift & 0xff);
  };
  number(owned.empty() ? 0 : 1);
  if (owned.empty()) return out;
  out += std::string("\0\1t", 3);
  number(std::int32_t(owned.size()));
  for (auto p : owned) number(p);
  return out;
}
std::string assignment_of(std::vector<std::int32_t> partitions) {
  auto out = subscription(partitions);
  return out.substr(0, 2) + out.substr(13) + std::string("\xff\xff\xff\xff");
}

struct consumer_rules : testing::Test {
  test_log log;
  incarnation home = test_incarnation(1);
  std::uint64_t requests = 0;

  void SetUp() override {
    auto registration = test_registration(1, log.state().position().sequence);
    registration.format_max = newest_log_format;
    log.append({home, 1}, {registration});
    topic(1, "t", 6);
  }
  void enable_assignment_epochs() {
    auto out = log.append(home, {enable_format{assignment_epochs_log_format}});
    ASSERT_EQ(std::get<simple_outcome>(out.outcomes[0]).error, apply_error::none);
  }
  void topic(std::uint64_t n, std::string name, std::int32_t partitions) { log.append(home, {create_topic{test_topic(n), std::move(name), partitions, {}}}); }
  template <class Command>
  typename outcome_of<Command>::type apply(Command c) {
    auto applied = log.append(home, {std::move(c)});
    EXPECT_EQ(log.state().digest(), log.state().recompute_digest());
    one_owner_each();
    return std::get<typename outcome_of<Command>::type>(applied.outcomes.front());
  }
  const metadata::group& group() const { return *log.state().groups().find("g"); }
  const consumer_group& consumers() const { return *group().consumer; }
  void one_owner_each() {
    const auto* g = log.state().groups().find("g");
    if (!g || !g->consumer) return;
    std::map<topic_partition, std::string> owners;
    for (const auto& [id, m] : g->consumer->members)
      for (const auto* set : {&m.assigned, &m.revoking})
        for (const auto& p : *set) ASSERT_TRUE(owners.emplace(p, id).second) << "partition " << p.partition.value() << " has two owners";
    ASSERT_EQ(owners, g->consumer->owners);
    for (const auto& [id, m] : g->consumer->members)
      for (const auto& [p, epoch] : m.since) {
        ASSERT_EQ(owners.at(p), id) << "it has it no more";
        ASSERT_LE(epoch, g->consumer->target_epoch);
      }
  }
  consumer_heartbeat join_of(std::string id, std::vector<std::string> topics = {"t"}) {
    return {.group = "g", .member = std::move(id), .epoch = 0, .rebalance_timeout_ms = 60'000, .topics = std::move(topics),
            .owned = std::vector<topic_partition>{}, .client_id = "c", .client_host = "/h", .session_timeout_ms = 45'000, .members_max = 100};
  }
  consumer_heartbeat beat_of(std::string id, std::int32_t epoch) {
    return {.group = "g", .member = std::move(id), .epoch = epoch, .client_id = "c", .client_host = "/h", .session_timeout_ms = 45'000, .members_max = 100};
  }
  // Of member k, which has the classic protocol and is cooperative.
  join_group classic(std::string member, const std::vector<std::int32_t>& owned = {}) {
    return {.group = "g", .member = std::move(member), .new_member = "k", .client_id = "c", .client_host = "/h",
            .session_timeout_ms = 10'000, .rebalance_timeout_ms = 60'000, .protocol_type = "consumer",
            .protocols = {{"cooperative-sticky", subscription(owned)}}, .request = ++requests, .members_max = 10};
  }
  // As the leader of its first generation.
  void give_all_to_k() {
    apply(sync_group{.group = "g", .member = "k", .instance = {}, .generation = 1, .protocol_type = {}, .protocol = {},
                     .assignments = {{"k", assignment_of({0, 1, 2, 3, 4, 5})}}, .request = ++requests});
  }
  // A member that behaves: it has what it was told, and says so.
  struct client {
    std::int32_t epoch = 0;
    std::vector<topic_partition> has;
  };
  std::map<std::string, client> clients;
  consumer_outcome beat(const std::string& id, std::vector<std::string> topics = {"t"}) {
    auto& me = clients[id];
    auto c = me.epoch == 0 ? join_of(id, std::move(topics)) : beat_of(id, me.epoch);
    c.owned = me.epoch == 0 ? std::vector<topic_partition>{} : me.has;
    auto out = apply(c);
    if (out.error == group_error::none) {
      me.epoch = out.epoch;
      if (out.has_assignment) me.has = out.assignment;
    } else {
      me = {};
    }
    return out;
  }
  std::size_t has(const std::string& id) { return clients[id].has.size(); }
};

TEST_F(consumer_rules, the_first_member_gets_everything_and_the_second_half_of_it) {
  auto out = beat("a");
  EXPECT_EQ(out.epoch, 1);
  EXPECT_EQ(has("a"), 6u);
  EXPECT_EQ(beat("b").assignment.size(), 0u);
  EXPECT_EQ(clients["b"].epoch, 2);
  EXPECT_EQ(consumers().phase(), "Reconciling");
  out = beat("a");  // is told to give up three
  EXPECT_EQ(out.epoch, 1);
  EXPECT_EQ(has("a"), 3u);
  EXPECT_EQ(beat("b").has_assignment, false) << "they are still a's";
  EXPECT_EQ(has("b"), 0u);
  EXPECT_EQ(beat("a").epoch, 2);  // has given them up
  beat("b");
  EXPECT_EQ(has("b"), 3u);
  EXPECT_EQ(consumers().phase(), "Stable");
}

TEST_F(consumer_rules, a_heartbeat_at_rest_needs_no_entry) {
  beat("a");
  auto c = beat_of("a", 1);
  EXPECT_TRUE(log.state().groups().at_rest(c, home, log.state()));
  EXPECT_FALSE(log.state().groups().at_rest(c, test_incarnation(2), log.state())) << "its home is elsewhere";
  c.epoch = 2;
  EXPECT_FALSE(log.state().groups().at_rest(c, home, log.state()));
  c = beat_of("a", 1);
  c.topics = {"t"};
  EXPECT_TRUE(log.state().groups().at_rest(c, home, log.state()));
  c.topics = {"u"};
  EXPECT_FALSE(log.state().groups().at_rest(c, home, log.state()));
  apply(create_partitions{test_topic(1), 8});
  EXPECT_FALSE(log.state().groups().at_rest(beat_of("a", 1), home, log.state())) << "there are more partitions";
  beat("a");
  EXPECT_EQ(has("a"), 8u);
  EXPECT_EQ(clients["a"].epoch, 2);
}

TEST_F(consumer_rules, epochs_fence) {
  EXPECT_EQ(apply(beat_of("a", 3)).error, group_error::group_id_not_found);
  beat("a");
  EXPECT_EQ(apply(beat_of("x", 1)).error, group_error::unknown_member_id);
  EXPECT_EQ(apply(beat_of("a", 7)).error, group_error::fenced_member_epoch);
  beat("b");
  beat("a");
  beat("a");
  // An answer that was lost: the epoch before, and nothing that it does not have.
  auto late = beat_of("a", 1);
  EXPECT_EQ(apply(late).error, group_error::fenced_member_epoch);
  late.owned = clients["a"].has;
  EXPECT_EQ(apply(late).epoch, 2);
  late.owned->push_back({test_topic(1), partition_index(5)});
  late.owned->push_back({test_topic(1), partition_index(0)});
  EXPECT_EQ(apply(late).error, group_error::fenced_member_epoch);
  EXPECT_EQ(apply(join_of("a")).epoch, 2) << "joins anew";
}

TEST_F(consumer_rules, whoever_does_not_let_go_in_time_is_out) {
  beat("a");
  beat("b");
  beat("a");
  ASSERT_NE(group().timer, 0u);
  auto stubborn = beat_of("a", 1);
  stubborn.owned = std::vector<topic_partition>{};
  for (int i = 0; i < 6; ++i) stubborn.owned->push_back({test_topic(1), partition_index(i)});
  apply(stubborn);
  EXPECT_GT(apply(fire_group_timer{"g", group().timer}).early_ms, 0);
  log.time += 60'000;
  apply(fire_group_timer{"g", group().timer});
  EXPECT_FALSE(consumers().members.contains("a"));
  beat("b");
  EXPECT_EQ(has("b"), 6u);
  EXPECT_EQ(group().timer, 0u);
}

TEST_F(consumer_rules, a_static_member_keeps_its_partitions_while_it_is_away) {
  auto join = join_of("s-1");
  join.instance = "s";
  apply(join);
  auto other = join_of("s-2");
  other.instance = "s";
  EXPECT_EQ(apply(other).error, group_error::unreleased_instance_id);
  auto leave = beat_of("s-1", -2);
  leave.instance = "s";
  EXPECT_EQ(apply(leave).epoch, -2);
  beat("b");
  EXPECT_EQ(apply(other).error, group_error::none);
  EXPECT_FALSE(consumers().members.contains("s-1"));
  auto old = beat_of("s-1", 1);
  old.instance = "s";
  EXPECT_EQ(apply(old).error, group_error::fenced_instance_id);
}

TEST_F(consumer_rules, members_leave_and_expire) {
  beat("a");
  beat("b");
  EXPECT_EQ(apply(beat_of("a", -1)).epoch, -1);
  beat("b");
  EXPECT_EQ(has("b"), 6u);
  apply(expire_member{"g", "b", log.state().groups().home_of("g", "b")->first.epoch});
  EXPECT_TRUE(group().is_empty());
  EXPECT_EQ(consumers().phase(), "Empty");
  EXPECT_TRUE(log.state().groups().homes().empty());
  EXPECT_EQ(apply(remove_group_data{.group = "g"}).error, group_error::none);
}

TEST_F(consumer_rules, patterns_mean_what_agents_found) {
  topic(2, "u", 2);
  auto c = join_of("a");
  c.topics = std::vector<std::string>{};
  c.regex = "t|u";
  c.regex_matches = {"t", "u"};
  EXPECT_EQ(apply(c).assignment.size(), 8u);
  EXPECT_EQ(*log.state().groups().regex_of("g", "a"), "t|u");
  topic(3, "v", 1);
  auto more = beat_of("a", 1);
  more.regex_matches = {"t", "u", "v"};
  EXPECT_FALSE(log.state().groups().at_rest(more, home, log.state()));
  EXPECT_EQ(apply(more).assignment.size(), 9u);
}

TEST_F(consumer_rules, commits_name_the_members_epoch) {
  auto commit = [&](std::string member, std::int32_t epoch) { return apply(commit_group_offsets{"g", {}, std::move(member), {}, epoch}).error; };
  beat("a");
  EXPECT_EQ(commit("a", 1), group_error::none);
  EXPECT_EQ(commit("a", 2), group_error::stale_member_epoch);
  EXPECT_EQ(commit("x", 1), group_error::unknown_member_id);
  EXPECT_EQ(commit("", -1), group_error::unknown_member_id);
  apply(beat_of("a", -1));
  EXPECT_EQ(commit("", -1), group_error::none);
}

// ---- from one protocol to the other

// KIP-1251: a heartbeat has brought the member into a new epoch, and what it commits was sent before it heard of that.
TEST_F(consumer_rules, what_a_member_still_has_may_be_committed_in_an_older_epoch) {
  auto commit = [&](std::string member, std::int32_t epoch, std::vector<topic_partition> where) {
    commit_group_offsets c{.group = "g", .offsets = {}, .member = std::move(member), .instance = {}, .generation = epoch};
    for (auto p : where) c.offsets.push_back({p.topic, p.partition, offset(5), -1, ""});
    return apply(c).error;
  };
  beat("a");
  beat("b");
  beat("a");
  beat("a");
  EXPECT_EQ(clients["a"].epoch, 2);
  auto kept = clients["a"].has;
  ASSERT_EQ(kept.size(), 3u);
  // Nothing is known of what was assigned before all agents understood it.
  EXPECT_EQ(commit("a", 1, kept), group_error::stale_member_epoch);
  enable_assignment_epochs();
  EXPECT_EQ(commit("a", 1, kept), group_error::stale_member_epoch);

  beat("b");  // gets what a has let go of, in epoch 2
  ASSERT_EQ(has("b"), 3u);
  auto of_b = clients["b"].has;
  apply(create_partitions{test_topic(1), 8});
  beat("a");
  beat("b");
  EXPECT_EQ(clients["b"].epoch, 3);
  ASSERT_EQ(has("b"), 4u);
  EXPECT_EQ(commit("b", 2, of_b), group_error::none);
  EXPECT_EQ(commit("b", 3, of_b), group_error::none);
  EXPECT_EQ(commit("b", 1, of_b), group_error::stale_member_epoch) << "it was a's then";
  EXPECT_EQ(commit("b", 4, of_b), group_error::stale_member_epoch);
  EXPECT_EQ(commit("b", -1, of_b), group_error::stale_member_epoch);
  auto fresh = clients["b"].has.back();
  EXPECT_GE(fresh.partition.value(), 6);
  EXPECT_EQ(commit("b", 2, {fresh}), group_error::stale_member_epoch) << "it was nobody's in epoch 2";
  EXPECT_EQ(commit("b", 2, {of_b[0], fresh}), group_error::stale_member_epoch) << "all or nothing";
  EXPECT_EQ(commit("b", 2, {kept[0]}), group_error::stale_member_epoch) << "it is a's";

  auto copy = snapshot_codec::decode(snapshot_codec::encode(log.state()).view());
  EXPECT_EQ(copy.groups().all().at("g").consumer->members.at("b").since, consumers().members.at("b").since);
  EXPECT_EQ(consumers().members.at("b").since.size(), 4u);

  // What it is to give up is its own until it has; then it is whoever's gets it.
  beat("c");
  beat("b");
  ASSERT_EQ(has("b"), 3u);
  ASSERT_EQ(consumers().members.at("b").revoking.size(), 1u);
  auto revoked = *consumers().members.at("b").revoking.begin();
  EXPECT_EQ(commit("b", 3, {revoked}), group_error::none);
  beat("b");
  EXPECT_EQ(clients["b"].epoch, 4);
  EXPECT_EQ(commit("b", 3, clients["b"].has), group_error::none);
  EXPECT_EQ(commit("b", 3, {revoked}), group_error::stale_member_epoch);
  beat("c");
  EXPECT_EQ(commit("b", 3, {revoked}), group_error::stale_member_epoch);

  // It starts anew under its id: what was sent before is not of this one.
  auto epoch = clients["c"].epoch;
  auto of_c = clients["c"].has;
  clients["c"].epoch = 0;
  beat("d");
  beat("c");
  EXPECT_GT(clients["c"].epoch, epoch);
  EXPECT_EQ(commit("c", epoch, of_c), group_error::stale_member_epoch);
}

TEST_F(consumer_rules, a_classic_group_becomes_one_of_consumers_and_back) {
  apply(classic(""));
  give_all_to_k();
  EXPECT_EQ(group().phase, group_phase::stable);
  // One of the new protocol comes.
  beat("a");
  ASSERT_TRUE(group().consumer);
  EXPECT_TRUE(consumers().members.at("k").is_classic());
  EXPECT_EQ(consumers().members.at("k").assigned.size(), 6u);
  EXPECT_EQ(has("a"), 0u);
  auto check = [&](std::int32_t generation) { return log.state().groups().check("g", "k", std::nullopt, generation); };
  EXPECT_EQ(check(1), group_error::rebalance_in_progress);
  EXPECT_EQ(check(9), group_error::illegal_generation);
  // It joins again, owning all: is assigned three, and still at its old epoch.
  auto joined = apply(classic("k", {0, 1, 2, 3, 4, 5}));
  EXPECT_FALSE(joined.waits);
  EXPECT_EQ(consumers().members.at("k").assigned.size(), 3u);
  beat("a");
  EXPECT_EQ(has("a"), 0u);
  std::vector<std::int32_t> kept;
  for (const auto& p : consumers().members.at("k").assigned) kept.push_back(p.partition.value());
  auto told = apply(sync_group{.group = "g", .member = "k", .instance = {}, .generation = joined.answer.generation, .protocol_type = {},
                               .protocol = "cooperative-sticky", .assignments = {}, .request = ++requests});
  EXPECT_EQ(told.answer.error, group_error::none) << "else it never learns what to let go of";
  EXPECT_EQ(told.answer.assignment, assignment_of(kept));
  EXPECT_EQ(check(joined.answer.generation), group_error::rebalance_in_progress);
  // And again, owning three: the others are free.
  joined = apply(classic("k", kept));
  EXPECT_EQ(joined.answer.generation, 2);
  auto synced = apply(sync_group{.group = "g", .member = "k", .instance = {}, .generation = 2, .protocol_type = {}, .protocol = "cooperative-sticky",
                                 .assignments = {}, .request = ++requests});
  EXPECT_EQ(synced.answer.error, group_error::none);
  EXPECT_EQ(synced.answer.assignment, assignment_of(kept));
  EXPECT_EQ(check(2), group_error::none);
  beat("a");
  EXPECT_EQ(has("a"), 3u);
  // The last one of the new protocol leaves.
  apply(beat_of("a", -1));
  EXPECT_FALSE(group().consumer);
  EXPECT_EQ(group().members.size(), 1u);
  EXPECT_EQ(group().phase, group_phase::preparing_rebalance);
  EXPECT_EQ(check(group().generation), group_error::rebalance_in_progress);
  EXPECT_TRUE(apply(classic("k", kept)).waits);
  EXPECT_EQ(group().phase, group_phase::completing_rebalance);
}

TEST_F(consumer_rules, a_classic_member_has_what_it_has_not_let_go_of_when_the_protocol_changes_back_and_forth) {
  apply(classic("", {}));
  give_all_to_k();
  beat("a");
  apply(classic("k", {0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(consumers().members.at("k").revoking.size(), 3u);
  apply(beat_of("a", -1));
  clients.erase("a");
  ASSERT_FALSE(group().consumer);
  beat("a");
  ASSERT_TRUE(group().consumer);
  EXPECT_EQ(consumers().members.at("k").assigned.size(), 6u) << "it reads all of them";
  EXPECT_EQ(has("a"), 0u);
}

TEST_F(consumer_rules, a_classic_member_has_what_it_owns_when_the_protocol_changes_after_a_rebalance_that_was_not_complete) {
  apply(classic("", {}));
  give_all_to_k();
  apply(classic("k", {0, 1, 2, 3, 4, 5}));
  ASSERT_EQ(group().phase, group_phase::completing_rebalance);
  apply(classic("k", {0, 1, 2, 3, 4}));  // before anybody has said who gets what
  ASSERT_EQ(group().phase, group_phase::completing_rebalance);
  beat("a");
  ASSERT_TRUE(group().consumer);
  EXPECT_EQ(consumers().members.at("k").assigned.size(), 5u) << "it reads them";
  EXPECT_EQ(has("a"), 1u);
}

TEST_F(consumer_rules, a_classic_member_that_was_put_out_does_not_come_back_with_what_it_owned) {
  beat("a");
  apply(classic("k", {}));
  apply(leave_group{.group = "g", .members = {{"k", std::nullopt}}});
  ASSERT_FALSE(consumers().members.contains("k"));
  EXPECT_EQ(apply(classic("k", {0, 1, 2})).answer.error, group_error::unknown_member_id);
  EXPECT_FALSE(consumers().members.contains("k"));
  EXPECT_EQ(apply(classic("k", {})).answer.error, group_error::none) << "an id that it was just given";
}

TEST_F(consumer_rules, a_static_member_that_comes_again_with_the_classic_protocol_takes_its_old_place) {
  beat("a");
  auto with_instance = join_of("b");
  with_instance.instance = "i";
  with_instance.topics.reset();
  with_instance.regex = "t.*";
  with_instance.regex_matches = {"t"};
  apply(with_instance);
  beat("a"), beat("a");
  auto c = beat_of("b", 2);
  c.instance = "i";
  c.owned = std::vector<topic_partition>{};
  EXPECT_EQ(apply(c).assignment.size(), 3u);
  c.owned = apply(c).assignment;
  // Three of b's are to go to another one, and it has not let go of them yet.
  beat("d");
  apply(c);
  EXPECT_FALSE(consumers().members.at("b").revoking.empty());

  std::string metadata("\0\0\0\0\0\1\0\1t\xff\xff\xff\xff", 13);
  auto again = [&](std::string new_id) {
    return join_group{.group = "g", .member = "", .new_member = std::move(new_id), .instance = "i", .client_id = "c", .client_host = "/h",
                      .session_timeout_ms = 10'000, .rebalance_timeout_ms = 10'000, .protocol_type = "consumer",
                      .protocols = {{"range", metadata}}, .request = ++requests, .members_max = 100};
  };
  auto joined = apply(again("b2"));
  EXPECT_EQ(joined.answer.error, group_error::none);
  EXPECT_EQ(joined.answer.member, "b2");
  EXPECT_FALSE(consumers().members.contains("b"));
  EXPECT_TRUE(consumers().members.at("b2").revoking.empty()) << "who starts has let go of everything";
  EXPECT_TRUE(consumers().regexes.empty());
  EXPECT_TRUE(log.state().groups().home_of("g", "b2"));
  EXPECT_EQ(log.state().groups().homes().at(home).count({"g", "b2"}), 1u) << "its session is judged";
  c.member = "b";
  EXPECT_EQ(apply(c).error, group_error::fenced_instance_id);
  EXPECT_EQ(apply(again("b3")).answer.member, "b3");
  EXPECT_EQ(consumers().members.size(), 3u);
}

TEST_F(consumer_rules, a_group_of_another_type_stays_what_it_is) {
  apply(join_group{.group = "g", .member = "", .new_member = "k", .client_id = "c", .client_host = "/h", .session_timeout_ms = 10'000,
                   .rebalance_timeout_ms = 60'000, .protocol_type = "connect", .protocols = {{"x", "y"}}, .request = 1, .members_max = 10});
  EXPECT_EQ(apply(join_of("a")).error, group_error::group_id_not_found);
  EXPECT_FALSE(group().consumer);
}

// ---- histories

TEST_F(consumer_rules, whatever_members_do_partitions_have_one_owner_and_find_one) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    log = {};
    clients.clear();
    SetUp();
    if (seed % 2) enable_assignment_epochs();
    topic(2, "u", 5);
    state copy;
    std::size_t copied = 0;
    int made = 0;
    auto some = [&]() -> std::string {
      if (clients.empty()) return "";
      auto at = clients.begin();
      std::advance(at, random() % clients.size());
      return at->first;
    };
    auto topics = [&] { return random() % 3 == 0 ? std::vector<std::string>{"t", "u"} : random() % 2 ? std::vector<std::string>{"t"} : std::vector<std::string>{"u"}; };
    for (int i = 0; i < 250; ++i) {
      log.time += std::int64_t(random() % 20'000);
      auto id = some();
      switch (random() % 10) {
        case 0:
          if (clients.size() < 6) beat("m" + std::to_string(++made), topics());
          break;
        case 1:
          if (!id.empty()) {
            apply(beat_of(id, -1));
            clients.erase(id);
          }
          break;
        case 2:
          if (!id.empty())
            if (auto known = log.state().groups().home_of("g", id)) apply(expire_member{"g", id, known->first.epoch});
          break;
        case 3:
          if (const auto* g = log.state().groups().find("g")) apply(fire_group_timer{"g", g->timer});
          break;
        case 4:
          if (!id.empty() && clients[id].epoch > 0) {
            auto c = beat_of(id, clients[id].epoch);
            c.topics = topics();
            c.owned = clients[id].has;
            auto out = apply(c);  // and the answer is lost
            if (out.error != group_error::none) clients[id] = {};
          }
          break;
        case 5:
          if (random() % 5 == 0) apply(create_partitions{test_topic(1), std::int32_t(7 + random() % 10)});
          break;
        default:
          if (!id.empty()) beat(id, topics());
      }
      for (; copied < log.entries().size(); ++copied) copy.apply(log.entries()[copied]);
      if (i % 10 == 0) copy = snapshot_codec::decode(snapshot_codec::encode(copy).view());
      ASSERT_EQ(copy.digest(), log.state().digest()) << "seed " << seed;
      if (HasFatalFailure()) return;
    }
    // Calm.
    for (int round = 0; round < 12; ++round)
      for (auto& [id, me] : std::map(clients)) beat(id);
    const auto* g = log.state().groups().find("g");
    if (!g || g->consumer->members.empty()) continue;
    std::vector<std::string> left;  // members that the test has forgotten, for their answers were errors
    for (const auto& [id, m] : g->consumer->members)
      if (!clients.contains(id)) left.push_back(id);
    for (const auto& id : left) apply(expire_member{"g", id, log.state().groups().home_of("g", id)->first.epoch});
    for (int round = 0; round < 12; ++round)
      for (auto& [id, me] : std::map(clients)) beat(id);
    std::size_t wanted = 0, owned = 0, least = 1000, most = 0;
    for (auto name : {"t", "u"})
      if (g->consumer->is_subscribed(name)) wanted += log.state().find_topic(name)->partitions.size();
    for (const auto& [id, m] : g->consumer->members) {
      owned += m.assigned.size();
      least = std::min(least, m.assigned.size());
      most = std::max(most, m.assigned.size());
      std::set<topic_partition> told(clients[id].has.begin(), clients[id].has.end());
      EXPECT_EQ(told, m.assigned) << "seed " << seed << " " << id;
    }
    EXPECT_EQ(owned, wanted) << "seed " << seed;
    EXPECT_EQ(g->consumer->phase(), "Stable") << "seed " << seed;
  }
}

// ---- assignors

TEST(assignors, are_complete_even_and_keep_what_they_can) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 200; ++round) {
    std::map<topic_id, std::int32_t> sizes;
    for (std::uint64_t t = 1; t <= 1 + random() % 4; ++t) sizes[test_topic(t)] = std::int32_t(random() % 9);
    bool same = random() % 2;
    std::vector<assignor_member> members;
    for (int i = 0; i < int(1 + random() % 6); ++i) {
      assignor_member m{.id = "m" + std::to_string(i), .instance = random() % 3 ? std::nullopt : std::optional("i" + std::to_string(i)), .topics = {}};
      for (const auto& [t, size] : sizes)
        if (same || random() % 2) m.topics.push_back(t);
      members.push_back(m);
    }
    for (bool uniform : {false, true}) {
      auto made = uniform ? assign_uniform(members, sizes) : assign_range(members, sizes);
      std::set<topic_partition> all;
      std::size_t least = 1000, most = 0, total = 0;
      for (const auto& m : members) {
        for (const auto& p : made.at(m.id)) {
          EXPECT_TRUE(all.insert(p).second);
          EXPECT_TRUE(std::ranges::find(m.topics, p.topic) != m.topics.end());
        }
        least = std::min(least, made.at(m.id).size());
        most = std::max(most, made.at(m.id).size());
      }
      for (const auto& [t, size] : sizes)
        if (std::ranges::any_of(members, [&](const auto& m) { return std::ranges::find(m.topics, t) != m.topics.end(); })) total += std::size_t(size);
      EXPECT_EQ(all.size(), total);
      if (uniform && same) EXPECT_LE(most - least, 1u);
      if (!uniform) continue;
      // One more member: nobody gets what another one keeps.
      auto more = members;
      for (auto& m : more) m.has = &made.at(m.id);
      more.push_back({.id = "new", .instance = {}, .topics = members[0].topics});
      auto then = assign_uniform(more, sizes);
      std::size_t moved = 0;
      for (const auto& m : members)
        for (const auto& p : then.at(m.id)) moved += !made.at(m.id).contains(p);
      if (same) EXPECT_EQ(moved, 0u);
    }
  }
}

TEST(assignors, range_gives_neighbours_to_members_in_order) {
  std::map<topic_id, std::int32_t> sizes{{test_topic(1), 5}, {test_topic(2), 5}};
  std::vector<assignor_member> members{{.id = "b", .instance = {}, .topics = {test_topic(1), test_topic(2)}}, {.id = "a", .instance = {}, .topics = {test_topic(1), test_topic(2)}}};
  auto made = assign_range(members, sizes);
  for (auto t : {test_topic(1), test_topic(2)}) {
    for (int p : {0, 1, 2}) EXPECT_TRUE(made.at("a").contains({t, partition_index(p)}));
    for (int p : {3, 4}) EXPECT_TRUE(made.at("b").contains({t, partition_index(p)}));
  }
}
}  // namespace
}  // namespace yaks::metadata
