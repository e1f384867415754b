// Goal: topic settings are accepted and refused as Kafka does, and the table is sound.
// Method: each kind of value at its edges; every default must be a value that its own setting accepts.
#include "model/topic_config.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "model/topic_name.hpp"

namespace yaks {
namespace {
TEST(topic_config, the_table_is_sorted_and_its_defaults_are_valid) {
  auto all = topic_configs();
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.name < b.name; }));
  for (const auto& c : all) {
    EXPECT_EQ(find_topic_config(c.name), &c);
    EXPECT_EQ(reject_topic_config(c.name, c.default_value), std::nullopt) << c.name;
  }
}

TEST(topic_config, refuses_what_kafka_refuses) {
  EXPECT_TRUE(reject_topic_config("no.such.setting", "1"));
  EXPECT_TRUE(reject_topic_config("retention.ms", "soon"));
  EXPECT_TRUE(reject_topic_config("retention.ms", "-2"));
  EXPECT_TRUE(reject_topic_config("retention.ms", "9223372036854775808"));
  EXPECT_TRUE(reject_topic_config("segment.bytes", "13"));
  EXPECT_TRUE(reject_topic_config("cleanup.policy", ""));
  EXPECT_TRUE(reject_topic_config("cleanup.policy", "delete,shrink"));
  EXPECT_TRUE(reject_topic_config("preallocate", "yes"));
  EXPECT_TRUE(reject_topic_config("min.cleanable.dirty.ratio", "1.5"));
  EXPECT_TRUE(reject_topic_config("message.timestamp.type", "Never"));
}

TEST(topic_config, accepts_what_tools_set) {
  EXPECT_FALSE(reject_topic_config("cleanup.policy", "compact"));
  EXPECT_FALSE(reject_topic_config("cleanup.policy", "compact, delete"));
  EXPECT_FALSE(reject_topic_config("retention.ms", "-1"));
  EXPECT_FALSE(reject_topic_config("min.insync.replicas", "2"));
  EXPECT_FALSE(reject_topic_config("compression.type", "zstd"));
}

TEST(topic_config, what_was_set_wins_over_the_default) {
  topic_config_values set{{"max.message.bytes", "10"}};
  EXPECT_EQ(effective_number(set, "max.message.bytes"), 10);
  EXPECT_EQ(effective_number({}, "max.message.bytes"), 1048588);
  EXPECT_EQ(effective(set, "cleanup.policy"), "delete");
}

TEST(topic_name, follows_kafkas_rule) {
  EXPECT_TRUE(is_valid_topic_name("a.B_c-9"));
  EXPECT_TRUE(is_valid_topic_name(std::string(249, 'x')));
  for (auto bad : {"", ".", "..", "a b", "a/b", "ä"}) EXPECT_FALSE(is_valid_topic_name(bad)) << bad;
  EXPECT_FALSE(is_valid_topic_name(std::string(250, 'x')));
}
}  // namespace
}  // namespace yaks
