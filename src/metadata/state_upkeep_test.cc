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
  EXPECT_EQ(apply(settle_upkeep{.term = 1, .trims = {}, .drops = {}, .objects = {}}).error, apply_error::wrong_term);
}

TEST_F(upkeep_state, an_object_without_ranges_is_remembered_until_the_index_knows) {
  auto shared = commit({0, 1}), alone = commit({0});
  index_up_to(0, 6);
  EXPECT_EQ(log_.state().released().size(), 1u);
  EXPECT_TRUE(log_.state().released().contains(alone));
  EXPECT_EQ(log_.state().find_object(shared).ranges, 1u);
  apply(settle_upkeep{.term = 1, .trims = {}, .drops = {}, .objects = {shared, alone}});  // one of them is not released
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
  apply(settle_upkeep{.term = 1, .trims = {{at(0), offset(3)}}, .drops = {}, .objects = {}});  // late: it has moved on
  EXPECT_EQ(log_.state().trims().at(at(0)), offset(9));
  apply(settle_upkeep{.term = 1, .trims = {{at(0), offset(9)}}, .drops = {}, .objects = {}});
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
  apply(settle_upkeep{.term = 1, .trims = {}, .drops = {topic}, .objects = {}});
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
