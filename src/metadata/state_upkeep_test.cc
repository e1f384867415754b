// Goal: what the state lets go of is never forgotten before the index has followed, and a trim frees exactly what it names.
// Method: cases one by one, each entry's digest compared with the one from scratch.
#include <gtest/gtest.h>

#include "metadata/append_time.hpp"
#include "metadata/metadata_testing.hpp"

namespace yaks::metadata {
namespace {
class upkeep_state : public testing::Test {
 protected:
  upkeep_state() {
    log_.register_writer(1);
    log_.register_writer(2);
    apply(create_topic{topic, "t", 2, {}});
    apply(take_upkeep{0});
  }
  template <class Command>
  typename outcome_of<Command>::type apply(Command c, std::uint64_t writer = 1) {
    auto applied = log_.append(test_incarnation(writer), {std::move(c)});
    EXPECT_FALSE(applied.is_void);
    EXPECT_EQ(log_.state().digest(), log_.state().recompute_digest());
    changed_ = std::move(applied.changed);
    return std::get<typename outcome_of<Command>::type>(applied.outcomes.at(0));
  }
  // An object with a range of three records, 100 bytes, in each of the partitions.
  object_number commit(std::vector<std::int32_t> partitions) {
    commit_object c{object_id(uuid::v7(log_.time.value(), objects_ += 1, 7)), 100 * partitions.size(), {{topic, {}}}};
    for (auto p : partitions) c.topics[0].partitions.push_back({partition_index(p), {{.bytes = 100, .record_count = 3}}});
    EXPECT_EQ(apply(std::move(c)).batches.front().error, apply_error::none);
    return log_.state().find_partition(at(partitions.front()))->ranges.back().object;
  }
  topic_partition at(std::int32_t p) const { return {topic, partition_index(p)}; }
  const partition& in(std::int32_t p) const { return *log_.state().find_partition(at(p)); }
  void index_up_to(std::int32_t p, std::int64_t end) {
    apply(advance_index{{{topic, partition_index(p), offset(end), in(p).index_generation}}});
  }
  // `index_bytes` of what goes lie in the index.
  void trim(std::int32_t p, std::int64_t from, std::int64_t to, std::int64_t index_end, std::uint64_t index_bytes, std::uint64_t term = 1) {
    apply(trim_partitions{term, {{topic, partition_index(p), offset(from), offset(to), offset(index_end), index_bytes}}});
  }
  const topic_id topic = test_topic(1);
  test_log log_;
  changes changed_;
  std::uint64_t objects_ = 0;
};

TEST_F(upkeep_state, of_two_that_take_the_term_one_gets_it) {
  EXPECT_EQ(log_.state().upkeep().holder, test_incarnation(1));
  EXPECT_EQ(apply(take_upkeep{0}, 2).error, apply_error::wrong_term);
  EXPECT_EQ(log_.state().upkeep().holder, test_incarnation(1));
  EXPECT_EQ(apply(take_upkeep{1}, 2).error, apply_error::none);
  EXPECT_EQ(log_.state().upkeep().number, 2u);
  EXPECT_EQ(log_.state().upkeep().holder, test_incarnation(2));
  EXPECT_EQ(apply(settle_upkeep{.term = 1, .trims = {}, .drops = {}, .objects = {}, .merges = {}}).error, apply_error::wrong_term);
}

TEST_F(upkeep_state, an_object_without_ranges_is_remembered_until_the_index_knows) {
  auto shared = commit({0, 1}), alone = commit({0});
  index_up_to(0, 6);
  EXPECT_EQ(log_.state().released().size(), 1u);
  EXPECT_TRUE(log_.state().released().contains(alone));
  EXPECT_EQ(log_.state().find_object(shared).ranges, 1u);
  apply(settle_upkeep{.term = 1, .trims = {}, .drops = {}, .objects = {shared, alone}, .merges = {}});  // one of them is not released
  EXPECT_TRUE(log_.state().released().empty());
  EXPECT_EQ(log_.state().find_object(shared).ranges, 1u);
  index_up_to(1, 3);
  EXPECT_TRUE(log_.state().released().contains(shared));
}

TEST_F(upkeep_state, a_trim_frees_what_it_names_wherever_it_is) {
  for (int i = 0; i < 4; ++i) commit({0});
  index_up_to(0, 6);
  EXPECT_EQ(in(0).bytes, 400u);
  trim(0, 0, 3, 3, 100);  // from the index
  EXPECT_EQ(in(0).log_start, offset(3));
  EXPECT_EQ(in(0).held_from, offset(3));
  EXPECT_EQ(in(0).bytes, 300u);
  EXPECT_EQ(changed_.advanced, std::vector<topic_partition>{at(0)});
  EXPECT_EQ(log_.state().trims().at(at(0)), offset(3));
  trim(0, 3, 9, 6, 100);  // from both
  EXPECT_EQ(in(0).log_start, offset(9));
  EXPECT_EQ(in(0).bytes, 100u);
  EXPECT_EQ(in(0).ranges.size(), 1u);
  apply(settle_upkeep{.term = 1, .trims = {{at(0), offset(3)}}, .drops = {}, .objects = {}, .merges = {}});  // late: it has moved on
  EXPECT_EQ(log_.state().trims().at(at(0)), offset(9));
  apply(settle_upkeep{.term = 1, .trims = {{at(0), offset(9)}}, .drops = {}, .objects = {}, .merges = {}});
  EXPECT_TRUE(log_.state().trims().empty());
  trim(0, 9, 12, 9, 0);  // from the state, to the end
  EXPECT_EQ(in(0).log_start, offset(12));
  EXPECT_EQ(in(0).high_watermark, offset(12));
  EXPECT_EQ(in(0).bytes, 0u);
  EXPECT_EQ(log_.state().object_count(), 0u);
  EXPECT_EQ(log_.state().released().size(), 4u);
}

TEST_F(upkeep_state, a_trim_of_another_state_does_nothing) {
  for (int i = 0; i < 4; ++i) commit({0});
  index_up_to(0, 6);
  auto before = log_.state().find_partition(at(0))->bytes;
  trim(0, 3, 6, 6, 100);     // not where it begins
  trim(0, 0, 6, 3, 100);     // the index had less when it was made
  trim(0, 0, 12, 9, 300);    // or more
  trim(0, 0, 7, 6, 200);     // inside a range
  trim(0, 0, 15, 6, 200);    // beyond the end
  trim(0, 0, 0, 0, 0);       // nothing
  trim(0, 0, 3, 3, 100, 2);  // of a term that is not
  trim(5, 0, 3, 3, 100);     // of no partition
  EXPECT_EQ(in(0).bytes, before);
  EXPECT_EQ(in(0).held_from, offset(0));
  EXPECT_TRUE(log_.state().trims().empty());
}

TEST_F(upkeep_state, a_deleted_topic_leaves_a_debt_and_nothing_else) {
  commit({0, 1});
  commit({0});
  index_up_to(0, 3);
  trim(0, 0, 3, 3, 100);
  apply(delete_topic{topic});
  EXPECT_EQ(log_.state().object_count(), 0u);
  EXPECT_EQ(log_.state().released().size(), 2u);
  EXPECT_TRUE(log_.state().trims().empty());
  EXPECT_EQ(log_.state().drops(), std::set<topic_id>{topic});
  apply(settle_upkeep{.term = 1, .trims = {}, .drops = {topic}, .objects = {}, .merges = {}});
  EXPECT_TRUE(log_.state().drops().empty());
}

TEST_F(upkeep_state, what_is_older_than_a_sweep_is_committed_no_more) {
  auto commit_of = [&](std::int64_t age) {
    commit_object c{object_id(uuid::v7(log_.time.value() - age, objects_ += 1, 7)), 100,
                    {{topic, {{partition_index(0), {{.bytes = 100, .record_count = 3}}}}}}};
    return apply(std::move(c)).batches.front().error;
  };
  EXPECT_EQ(commit_of(5000), apply_error::none);
  apply(sweep{log_.time - 1000});
  EXPECT_EQ(commit_of(1001), apply_error::commit_too_late);
  EXPECT_EQ(commit_of(1000), apply_error::none);
  apply(sweep{log_.time - 2000});  // never back
  EXPECT_EQ(commit_of(1001), apply_error::commit_too_late);
}
// ---- merges

class merge_state : public upkeep_state {
 protected:
  // Of the ranges of the partition from `from` to `to`, 100 bytes each.
  merged_part part(std::int32_t p, std::int64_t from, std::int64_t to, std::uint64_t position) {
    return {topic, partition_index(p), in(p).index_generation, offset(from), offset(to), position, std::uint64_t(to - from) / 3 * 100};
  }
  merge_object merge(std::vector<merged_part> parts) {
    merge_object c{1, object_id(uuid::v7(log_.time.value(), objects_ += 1, 7)), 0, std::move(parts)};
    for (const auto& p : c.parts) c.object_bytes += p.bytes;
    return c;
  }
  apply_error error_of(merge_object c, std::uint64_t writer = 1) {
    auto debts = log_.state().merges();
    auto objects = log_.state().object_count();
    auto error = apply(std::move(c), writer).error;
    if (error != apply_error::none) {  // nothing of it has happened
      EXPECT_EQ(log_.state().merges(), debts);
      EXPECT_EQ(log_.state().object_count(), objects);
    }
    return error;
  }
  void settle(std::vector<std::uint64_t> merges) {
    apply(settle_upkeep{.term = 1, .trims = {}, .drops = {}, .objects = {}, .merges = std::move(merges)});
  }
};

TEST_F(merge_state, a_merge_is_owed_and_holds_its_object_until_the_index_has_followed) {
  for (int i = 0; i < 5; ++i) commit({0, 1});
  index_up_to(0, 12);
  index_up_to(1, 15);
  auto next = in(0).ranges.back().object + 1;
  auto c = merge({part(0, 3, 9, 0), part(1, 0, 15, 200)});
  EXPECT_EQ(error_of(c), apply_error::none);
  ASSERT_TRUE(log_.state().merges().contains(next));
  EXPECT_EQ(log_.state().merges().at(next), c.parts);
  EXPECT_EQ(log_.state().find_object(next).id, c.object);
  EXPECT_EQ(log_.state().find_object(next).ranges, 1u);
  EXPECT_EQ(in(0).index_generation, 0u);
  settle({next + 1});  // another one
  EXPECT_EQ(log_.state().merges().size(), 1u);
  settle({next});
  EXPECT_TRUE(log_.state().merges().empty());
  EXPECT_EQ(in(0).index_generation, 1u);
  EXPECT_EQ(in(1).index_generation, 1u);
  EXPECT_TRUE(log_.state().released().contains(next));  // the index counts its ranges now
  settle({next});  // again is fine
  EXPECT_EQ(in(0).index_generation, 1u);
  EXPECT_EQ(commit({0}), next + 1);
}

TEST_F(merge_state, a_merge_of_ranges_that_have_changed_is_void) {
  for (int i = 0; i < 6; ++i) commit({0, 1});
  index_up_to(0, 15);
  index_up_to(1, 15);
  trim(0, 0, 3, 3, 100);
  using enum apply_error;
  auto good = merge({part(0, 3, 9, 0), part(1, 0, 15, 200)});
  auto with = [&](auto change) {
    auto c = good;
    change(c);
    return error_of(std::move(c));
  };
  EXPECT_EQ(with([](auto& c) { c.term = 2; }), wrong_term);
  EXPECT_EQ(with([&](auto& c) { c.object = object_id(uuid::v7(log_.time.value() - 600'001, 1, 1)); }), commit_too_late);
  EXPECT_EQ(with([](auto& c) { c.parts[0].generation = 1; }), ranges_changed);
  EXPECT_EQ(with([](auto& c) { c.parts[0].from = offset(0); }), ranges_changed);   // trimmed
  EXPECT_EQ(with([](auto& c) { c.parts[1].to = offset(18); }), ranges_changed);    // the state's
  EXPECT_EQ(with([](auto& c) { c.parts[1].to = c.parts[1].from; }), ranges_changed);
  EXPECT_EQ(with([](auto& c) { c.parts[1].partition = partition_index(2); }), ranges_changed);
  EXPECT_EQ(with([](auto& c) { c.parts[1].partition = partition_index(-1); }), ranges_changed);
  EXPECT_EQ(with([](auto& c) { c.parts[1].partition = partition_index(0); }), ranges_changed);  // twice
  EXPECT_EQ(with([](auto& c) { c.parts[1].topic = test_topic(9); }), ranges_changed);
  EXPECT_EQ(with([](auto& c) { c.parts[1].position = 100; }), ranges_changed);     // not one after the other
  EXPECT_EQ(with([](auto& c) { c.object_bytes = 600; }), ranges_changed);          // beyond the object's end
  EXPECT_EQ(with([](auto& c) { c.parts.clear(); }), ranges_changed);
  EXPECT_EQ(error_of(good), none);
  EXPECT_EQ(error_of(merge({part(1, 0, 15, 0)})), ranges_changed);  // one is pending there
  settle({log_.state().merges().begin()->first});
  EXPECT_EQ(error_of(good), ranges_changed);  // made by the index of before
  apply(sweep{log_.time + 1});
  EXPECT_EQ(error_of(merge({part(1, 0, 15, 0)})), commit_too_late);
}

TEST_F(merge_state, a_merge_outlives_a_trim_and_a_deletion_that_come_after_it) {
  for (int i = 0; i < 6; ++i) commit({0, 1});
  index_up_to(0, 15);
  index_up_to(1, 15);
  EXPECT_EQ(error_of(merge({part(0, 0, 9, 0)})), apply_error::none);
  trim(0, 0, 6, 6, 200);
  EXPECT_EQ(log_.state().merges().size(), 1u);
  EXPECT_EQ(log_.state().trims().size(), 1u);
  EXPECT_EQ(error_of(merge({part(1, 0, 9, 0)})), apply_error::none);
  apply(delete_topic{topic});
  EXPECT_EQ(log_.state().merges().size(), 2u);
  EXPECT_EQ(log_.state().object_count(), 2u);
  std::vector<std::uint64_t> all;
  for (const auto& [number, parts] : log_.state().merges()) all.push_back(number);
  settle(all);
  EXPECT_EQ(log_.state().object_count(), 0u);
  EXPECT_TRUE(log_.state().merges().empty());
}

TEST_F(merge_state, progress_that_was_made_in_the_index_of_before_a_merge_is_void) {
  for (int i = 0; i < 6; ++i) commit({0});
  index_up_to(0, 9);
  EXPECT_EQ(error_of(merge({part(0, 0, 9, 0)})), apply_error::none);
  settle({log_.state().merges().begin()->first});
  apply(advance_index{{{topic, partition_index(0), offset(12), 0}}});
  EXPECT_EQ(in(0).state_begin(), offset(9));
  index_up_to(0, 12);
  EXPECT_EQ(in(0).state_begin(), offset(12));
}

TEST_F(upkeep_state, ranges_of_a_topic_that_keeps_append_times_have_the_time_of_their_entry) {
  commit({0});
  EXPECT_FALSE(append_time_of(in(0).ranges.back()).has_value());
  apply(alter_topic_configs{topic, {{"message.timestamp.type", "LogAppendTime"}}});
  log_.time += 1000;
  commit({0});
  EXPECT_EQ(append_time_of(in(0).ranges.back()), log_.time);
  EXPECT_EQ(in(0).ranges.back().max_timestamp, log_.time);
  EXPECT_EQ(batches_of(in(0).ranges.back()), 1u);
  apply(alter_topic_configs{topic, {{"message.timestamp.type", std::nullopt}}});
  commit({0});
  EXPECT_FALSE(append_time_of(in(0).ranges.back()).has_value());
  EXPECT_TRUE(append_time_of(in(0).ranges[1]).has_value());  // as it was stored
}
}  // namespace
}  // namespace yaks::metadata
