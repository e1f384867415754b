// Goal: what is read from a snapshot is what was written, in everything that later entries may touch; damage is refused.
// Method: histories of all commands; after every few entries the state goes through a snapshot, and both go on in step.
#include "metadata/snapshot.hpp"

#include <gtest/gtest.h>

#include <random>

#include "metadata/metadata_testing.hpp"

namespace yaks::metadata {
namespace {
commit_object some_commit(std::mt19937_64& random, timestamp_ms time, const std::vector<topic_id>& topics) {
  commit_object c{.object = object_id(uuid::v7(time.value(), random(), random())), .object_bytes = 1000, .topics = {}};
  for (auto topic : topics) {
    topic_commit in{topic, {}};
    for (int p = 0; p < 2; ++p) {
      partition_commit part{partition_index(p), {}};
      for (auto n = random() % 4; n > 0; --n) {
        batch_commit b{.bytes = std::uint32_t(100 + random() % 1000), .record_count = std::uint32_t(1 + random() % 5),
                       .max_timestamp = timestamp_ms(std::int64_t(random() % 1'000'000))};
        if (random() % 2) {
          b.producer = producer_id(std::int64_t(random() % 4));
          b.producer_epoch = std::int16_t(random() % 2);
          b.base_sequence = std::int32_t(random() % 6);
        }
        part.batches.push_back(b);
      }
      if (!part.batches.empty()) in.partitions.push_back(std::move(part));
    }
    if (!in.partitions.empty()) c.topics.push_back(std::move(in));
  }
  return c;
}

TEST(snapshot, a_state_goes_on_from_it_as_if_nothing_had_been) {
  std::size_t merges_seen = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    test_log log;
    state copy;
    log.register_writer(1);
    std::size_t applied = 0;
    std::vector<topic_id> topics{test_topic(1), test_topic(2), test_topic(3)};  // ids are never used twice
    std::uint64_t topics_made = 3;
    auto catch_up = [&] {
      for (; applied < log.entries().size(); ++applied) copy.apply(log.entries()[applied]);
    };
    for (int i = 0; i < 120; ++i) {
      log.time += std::int64_t(random() % (i % 40 == 0 ? 100'000'000 : 10'000));
      switch (random() % 21) {
        case 12: log.append(test_incarnation(1), {alter_group_configs{"g", {{"x", random() % 3 == 0 ? std::nullopt : std::optional<std::string>("1")}}}}); break;
        case 13: log.append(test_incarnation(1), {move_log_start{topics[random() % 3], partition_index(0), offset(-1)}}); break;
        case 0: {
          auto which = random() % 3;
          log.append(test_incarnation(1), {create_topic{topics[which], "t" + std::to_string(which), 2, {{"retention.ms", "5"}}}});
          break;
        }
        case 1:
          if (auto which = random() % 12; which < 3) {
            log.append(test_incarnation(1), {delete_topic{topics[which]}});
            topics[which] = test_topic(++topics_made);
          }
          break;
        case 2: log.append(test_incarnation(1), {allocate_producer_ids{10}}); break;
        case 3: log.append(test_incarnation(1), {commit_group_offsets{"g", {{topics[random() % 3], partition_index(1), offset(3), 0, "m"}}}}); break;
        case 4: log.register_writer(2 + random() % 2); break;
        case 5: case 6: {  // ids are few, so that members meet
          auto id = "m" + std::to_string(random() % 4);
          bool is_known = random() % 2;
          log.append(test_incarnation(1),
                     {join_group{.group = "g" + std::to_string(random() % 2), .member = is_known ? id : "", .new_member = id,
                                 .instance = random() % 4 ? std::nullopt : std::optional<std::string>("i" + std::to_string(random() % 2)),
                                 .client_id = "c", .client_host = "/h", .session_timeout_ms = 10'000, .rebalance_timeout_ms = 20'000,
                                 .protocol_type = "consumer", .protocols = {{"range", std::to_string(random() % 3)}},
                                 .needs_member_id = random() % 2 == 0, .request = random() | 1, .initial_delay_ms = 3000,
                                 .members_max = 3}});
          break;
        }
        case 7: {
          const auto& groups = log.state().groups();
          auto name = "g" + std::to_string(random() % 2);
          const auto* g = groups.find(name);
          std::string member = "m" + std::to_string(random() % 4);
          switch (random() % 5) {
            case 0: log.append(test_incarnation(1), {leave_group{name, {{member, std::nullopt}}}}); break;
            case 1: log.append(test_incarnation(1), {move_home{name, member}}); break;
            case 2: if (g && !g->leader.empty()) log.append(test_incarnation(1), {sync_group{.group = name, .member = g->leader, .generation = g->generation, .assignments = {{member, "a"}}, .request = random() | 1}}); break;
            case 3: if (g) log.append(test_incarnation(1), {fire_group_timer{name, g->timer}}); break;
            default: log.append(test_incarnation(1), {remove_group_data{.group = name, .what = group_removal(random() % 3), .partitions = {}, .retention_ms = 1000}}); break;
          }
          break;
        }
        case 14: log.append(test_incarnation(1), {take_upkeep{log.state().upkeep().number - random() % 2}}); break;
        case 15: {  // the oldest range of a partition goes, sometimes by way of the index
          topic_partition at{topics[random() % 3], partition_index(0)};
          const auto* p = log.state().find_partition(at);
          if (!p || p->ranges.empty()) break;
          auto to = p->ranges.front().end_offset();
          if (random() % 2) log.append(test_incarnation(1), {advance_index{{{at.topic, at.partition, to, p->index_generation}}}});
          p = log.state().find_partition(at);
          log.append(test_incarnation(1), {trim_partitions{log.state().upkeep().number,
                                                           {{at.topic, at.partition, p->held_from, to, std::min(to, p->state_begin()), 100}}}});
          break;
        }
        case 16: {
          settle_upkeep settle{.term = log.state().upkeep().number, .trims = {}, .drops = {}, .objects = {}};
          for (const auto& [where, to] : log.state().trims())
            if (random() % 2) settle.trims.push_back({where, to});
          for (auto id : log.state().drops())
            if (random() % 2) settle.drops.push_back(id);
          for (const auto& [number, o] : log.state().released())
            if (random() % 2) settle.objects.push_back(number);
          for (const auto& [number, parts] : log.state().merges())
            if (random() % 2) settle.merges.push_back(number);
          log.append(test_incarnation(1), {settle});
          break;
        }
        case 19: {
          merge_object merge{log.state().upkeep().number, object_id(uuid::v7(log.time.value(), random(), random())), 0, {}};
          for (auto id : topics)
            for (std::int32_t n = 0; n < 2; ++n) {
              const auto* p = log.state().find_partition({id, partition_index(n)});
              if (!p || p->held_from >= p->state_begin()) continue;
              auto generation = p->index_generation - std::uint32_t(random() % 8 == 0);
              merge.parts.push_back({id, partition_index(n), generation, p->held_from, p->state_begin(), merge.object_bytes, 10});
              merge.object_bytes += 10;
            }
          log.append(test_incarnation(1), {merge});
          merges_seen += log.state().merges().size();
          break;
        }
        case 20: {
          topic_partition at{topics[random() % 3], partition_index(std::int32_t(random() % 2))};
          const auto* p = log.state().find_partition(at);
          if (p && !p->ranges.empty())
            log.append(test_incarnation(1), {advance_index{{{at.topic, at.partition, p->ranges.front().end_offset(), p->index_generation}}}});
          break;
        }
        case 17: log.append(test_incarnation(1), {sweep{log.time - std::int64_t(random() % 1'000'000)}}); break;
        case 18:  // one above what the writers say they know is refused
          log.append(test_incarnation(1), {enable_format{std::uint32_t(random() % 3)}});
          break;
        default: log.append(test_incarnation(1), {some_commit(random, log.time, topics)}); break;
      }
      catch_up();
      if (i % 7 == 0) {
        auto bytes = snapshot_codec::encode(copy);
        copy = snapshot_codec::decode(bytes.view());
      }
      ASSERT_EQ(copy.digest(), log.state().digest()) << "seed " << seed << " entry " << i;
      ASSERT_EQ(copy.position(), log.state().position());
      ASSERT_EQ(copy.time(), log.state().time());
      for (const auto& [name, t] : copy.topics_by_name()) ASSERT_EQ(t->settings, log.state().find_topic(name)->settings);
    }
    // Written again it is the same, but for the order of what has none.
    EXPECT_EQ(snapshot_codec::encode(copy).size(), snapshot_codec::encode(log.state()).size());
  }
  EXPECT_GT(merges_seen, 10u);
}

TEST(snapshot, every_damage_is_refused) {
  test_log log;
  log.register_writer(1);
  log.append(test_incarnation(1), {create_topic{test_topic(1), "t", 3, {}}});
  auto bytes = snapshot_codec::encode(log.state());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto damaged = shared_bytes::copy_of(bytes.view());
    damaged.writable()[i] ^= std::byte(0x10);
    EXPECT_THROW(snapshot_codec::decode(damaged.view()), log_format_error) << i;
  }
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_THROW(snapshot_codec::decode(bytes.view().first(size)), log_format_error) << size;
}

TEST(snapshot, a_million_partitions_are_small) {
  test_log log;
  log.register_writer(1);
  log.append(test_incarnation(1), {create_topic{test_topic(1), "t", 1'000'000, {}}});
  EXPECT_LE(snapshot_codec::encode(log.state()).size(), std::size_t(64) << 20);
}
}  // namespace
}  // namespace yaks::metadata
