// Goal: settings of topics and groups are defined, accepted and refused as Kafka does, and mean what their text says.
// Method: the tables against what Apache Kafka's own classes say (testdata/), each kind of value at its edges.
#include "model/topic_config.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

#include "model/config_tables.hpp"
#include "model/topic_name.hpp"

namespace yaks {
namespace {
std::vector<std::string> lines_of_kafka() {
  std::ifstream file(YAKS_SOURCE_DIR "/src/model/testdata/kafka-4.3.1.txt");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::string_view kafka_name(config_type type) {
  switch (type) {
    case config_type::boolean:
      return "BOOLEAN";
    case config_type::string:
      return "STRING";
    case config_type::integer:
      return "INT";
    case config_type::short_integer:
      return "SHORT";
    case config_type::long_integer:
      return "LONG";
    case config_type::real:
      return "DOUBLE";
    case config_type::list:
      return "LIST";
  }
  return "";
}

TEST(topic_config, the_tables_are_sorted_and_their_defaults_are_valid) {
  for (auto all : {topic_configs(), group_configs()})
    EXPECT_TRUE(std::ranges::is_sorted(all, {}, &resource_config::name));
  for (const auto& c : topic_configs()) {
    EXPECT_EQ(find_topic_config(c.name), &c);
    bool is_of_the_agent = c.name == "max.message.bytes" || c.name == "yaks.flush.interval.ms";
    EXPECT_EQ(is_of_the_agent, reject_topic_config(c.name, c.default_value).has_value()) << c.name;
    EXPECT_FALSE(c.documentation.empty());
  }
  for (const auto& c : group_configs()) {
    EXPECT_EQ(find_group_config(c.name), &c);
    EXPECT_EQ(reject_group_config(c.name, c.default_value), std::nullopt) << c.name;
  }
}

TEST(topic_config, names_types_defaults_and_synonyms_are_kafkas) {
  std::size_t topics = 0;
  for (const auto& line : lines_of_kafka()) {
    std::istringstream in(line);
    std::string kind, name, type, synonym, value;
    in >> kind >> name >> type >> synonym >> value;
    if (kind != "topic" && kind != "group") continue;
    if (name == "consumer.assignment.interval.ms") continue;  // members are assigned at once
    topics += kind == "topic";
    const auto* ours = kind == "topic" ? find_topic_config(name) : find_group_config(name);
    ASSERT_TRUE(ours) << name;
    EXPECT_EQ(kafka_name(ours->type), type) << name;
    EXPECT_EQ(ours->broker_name, synonym == "null" ? "" : synonym) << name;
    if (name != "max.message.bytes") EXPECT_EQ(ours->default_value, value) << name;
  }
  EXPECT_EQ(topics + 1, topic_configs().size());  // and one that is ours
}

TEST(topic_config, accepts_and_refuses_what_kafka_does) {
  std::size_t verdicts = 0;
  for (const auto& line : lines_of_kafka()) {
    bool accepts = line.starts_with("accepts ");
    if (!accepts && !line.starts_with("refuses ")) continue;
    auto rest = std::string_view(line).substr(8);
    auto name = rest.substr(0, rest.find(' '));
    auto values = rest.substr(name.size() + 1);
    while (!values.empty()) {
      values.remove_prefix(1);
      auto value = values.substr(0, values.find('|'));
      values.remove_prefix(value.size());
      // There is nothing remote to be switched on or off.
      bool is_refused_here = name.starts_with("remote.") && (value == "true" || value == "TRUE");
      EXPECT_EQ(reject_topic_config(name, value).has_value(), !accepts || is_refused_here)
          << name << " '" << value << "'";
      ++verdicts;
    }
  }
  EXPECT_GT(verdicts, 1000u);
}

// Shown as Apache Kafka 4.3.1 shows what was set so: a client that parses " 5000 " as a number fails.
TEST(topic_config, values_are_kept_as_kafka_shows_them) {
  auto normal = [](std::string_view name, std::string_view value) {
    EXPECT_FALSE(reject_topic_config(name, value)) << value;
    return normal_config_value(*find_topic_config(name), value);
  };
  EXPECT_EQ(normal("retention.ms", " 5000 "), "5000");
  EXPECT_EQ(normal("retention.ms", "+5"), "5");
  EXPECT_EQ(normal("retention.ms", "-1"), "-1");
  EXPECT_EQ(normal("min.cleanable.dirty.ratio", " 0.25"), "0.25");
  EXPECT_EQ(normal("preallocate", "TRUE"), "true");
  EXPECT_EQ(normal("message.timestamp.type", " LogAppendTime "), "LogAppendTime");
  EXPECT_EQ(normal("cleanup.policy", " compact , delete"), "compact,delete");
  EXPECT_EQ(normal("cleanup.policy", ""), "");
  EXPECT_EQ(normal("leader.replication.throttled.replicas", "*"), "*");
}

TEST(topic_config, unknown_names_and_contradictions_are_refused) {
  EXPECT_TRUE(reject_topic_config("no.such.setting", "1"));
  EXPECT_TRUE(reject_group_config("no.such.setting", "1"));
  EXPECT_TRUE(reject_topic_config("yaks.flush.interval.ms", "0"));
  EXPECT_FALSE(reject_topic_config("yaks.flush.interval.ms", "5000"));
  EXPECT_TRUE(reject_topic_configs({{"min.compaction.lag.ms", "2"}, {"max.compaction.lag.ms", "1"}}));
  EXPECT_FALSE(reject_topic_configs({{"min.compaction.lag.ms", "2"}}));
  EXPECT_TRUE(reject_group_config("consumer.session.timeout.ms", "44999"));
  EXPECT_FALSE(reject_group_config("consumer.session.timeout.ms", "60000"));
  EXPECT_FALSE(reject_group_configs({}));
}

TEST(topic_settings, are_the_defaults_until_something_is_set) {
  EXPECT_EQ(topic_settings(), topic_settings::of({}));
  EXPECT_EQ(group_settings::of(nullptr).consumer_session_timeout_ms, 45'000);
  EXPECT_EQ(group_settings::of(nullptr).consumer_heartbeat_interval_ms, 5'000);
  auto s = topic_settings::of({{"max.message.bytes", " 10 "},
                               {"yaks.flush.interval.ms", "1000"},
                               {"compression.type", "lz4"},
                               {"compression.lz4.level", "3"},
                               {"cleanup.policy", "compact, delete"},
                               {"message.timestamp.type", "LogAppendTime"},
                               {"message.timestamp.before.max.ms", "1"},
                               {"message.timestamp.after.max.ms", "2"},
                               {"retention.ms", "3"},
                               {"retention.bytes", "-4"}});
  EXPECT_EQ(s.message_bytes_max, 10u);
  EXPECT_EQ(s.flush_interval_ms, 1000);
  EXPECT_EQ(s.compression, 3);
  EXPECT_EQ(s.lz4_level, 3);
  EXPECT_TRUE(s.compacts && s.deletes && s.is_log_append_time);
  EXPECT_EQ(s.timestamp_before_max_ms, 1);
  EXPECT_EQ(s.timestamp_after_max_ms, 2);
  EXPECT_EQ(s.retention_ms, 3);
  EXPECT_EQ(s.retention_bytes, -1);
  auto neither = topic_settings::of({{"cleanup.policy", ""}, {"compression.type", "uncompressed"}});
  EXPECT_FALSE(neither.compacts || neither.deletes);
  EXPECT_EQ(neither.compression, 0);
}

// The log may hold what a newer version accepts.
TEST(topic_settings, values_that_are_none_count_as_the_default) {
  EXPECT_EQ(topic_settings::of({{"retention.ms", "soon"}, {"compression.type", "magic"}, {"new.setting", "1"}}),
            topic_settings());
}

// `yaks topic-settings` prints it.
TEST(topic_config, the_page_about_them_is_up_to_date) {
  std::ifstream file(YAKS_SOURCE_DIR "/docs/topic-settings.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_NE(text.str().find(configs_as_markdown()), std::string::npos) << configs_as_markdown();
}

TEST(topic_name, follows_kafkas_rule) {
  EXPECT_TRUE(is_valid_topic_name("a.B_c-9"));
  EXPECT_TRUE(is_valid_topic_name(std::string(249, 'x')));
  for (auto bad : {"", ".", "..", "a b", "a/b", "ä"}) EXPECT_FALSE(is_valid_topic_name(bad)) << bad;
  EXPECT_FALSE(is_valid_topic_name(std::string(250, 'x')));
}
}  // namespace
}  // namespace yaks
