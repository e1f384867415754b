// Goal: the command line has the documented defaults, and a wrong value is refused in a sentence that names it.
// Method: parse command lines.
#include "oracle/settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace yaks::oracle {
namespace {
using namespace std::chrono_literals;

parsed_command_line parse(const std::vector<std::string>& arguments) {
  return parse_command_line("yaks oracle", arguments);
}

TEST(settings, defaults) {
  auto parsed = parse({});
  ASSERT_TRUE(parsed.run) << parsed.output;
  const settings& run = *parsed.run;
  EXPECT_EQ(run.brokers, "localhost:9092");
  EXPECT_EQ(run.topics, 1u);
  EXPECT_EQ(run.partitions, 3u);
  EXPECT_EQ(run.producers, 10u);
  EXPECT_EQ(run.records, 100u);
  EXPECT_EQ(run.consume_timeout, 60s);
  EXPECT_EQ(run.produce_timeout, 120s);
  EXPECT_TRUE(run.idempotent);
  EXPECT_TRUE(run.create_topics);
  EXPECT_FALSE(run.verify_only);
  EXPECT_EQ(run.data_dir, "");
}

TEST(settings, everything_can_be_said) {
  auto parsed = parse({"--brokers",
                       "a:1,b:2",
                       "--topics",
                       "2",
                       "--partitions=4",
                       "--producers",
                       "50",
                       "--records",
                       "200",
                       "--consume-timeout",
                       "120s",
                       "--produce-timeout",
                       "2m",
                       "--data-dir",
                       "/x",
                       "--no-idempotence",
                       "--seed",
                       "18446744073709551615",
                       "--value-bytes",
                       "1024",
                       "--topic-prefix",
                       "p",
                       "--rate",
                       "2.5",
                       "-X",
                       "linger.ms=50",
                       "-X",
                       "compression.codec=lz4",
                       "--json",
                       "--require-all",
                       "--no-create-topics"});
  ASSERT_TRUE(parsed.run) << parsed.output;
  const settings& run = *parsed.run;
  EXPECT_EQ(run.brokers, "a:1,b:2");
  EXPECT_EQ(run.topics * run.partitions * run.producers * run.records, 2u * 4 * 50 * 200);
  EXPECT_EQ(run.consume_timeout, 120s);
  EXPECT_EQ(run.produce_timeout, 120s);
  EXPECT_FALSE(run.idempotent);
  EXPECT_FALSE(run.create_topics);
  EXPECT_EQ(run.seed, 18446744073709551615u);
  EXPECT_EQ(run.rate, 2.5);
  EXPECT_THAT(run.properties,
              testing::ElementsAre(testing::Pair("linger.ms", "50"), testing::Pair("compression.codec", "lz4")));
  EXPECT_TRUE(run.json && run.require_all);
}

TEST(settings, an_earlier_run_can_be_named_in_two_ways) {
  for (const char* name : {"--verify-only", "--resume"}) {
    auto parsed = parse({name, "/somewhere"});
    ASSERT_TRUE(parsed.run) << parsed.output;
    EXPECT_TRUE(parsed.run->verify_only);
    EXPECT_EQ(parsed.run->data_dir, "/somewhere");
  }
}

TEST(settings, durations) {
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("2m"), 120s);
  EXPECT_EQ(parse_duration("1h"), 1h);
  EXPECT_EQ(parse_duration("30"), 30s);
  for (const char* wrong : {"", "s", "-1s", "5 s", "5x", "1e3s", "9999h", "nan"})
    EXPECT_EQ(parse_duration(wrong), std::nullopt) << wrong;
}

TEST(settings, wrong_values_are_refused_by_name) {
  auto refused = [](const std::vector<std::string>& arguments, const char* name) {
    auto parsed = parse(arguments);
    EXPECT_FALSE(parsed.run);
    EXPECT_EQ(parsed.exit_code, 2);
    EXPECT_THAT(parsed.output, testing::HasSubstr(name));
  };
  refused({"--topics", "0"}, "--topics");
  refused({"--records", "many"}, "--records");
  refused({"--consume-timeout", "soon"}, "--consume-timeout");
  refused({"--consume-timeout", "0s"}, "timeout");
  refused({"--rate", "-1"}, "--rate");
  refused({"--wrong"}, "--wrong");
  refused({"-X", "linger.ms"}, "linger.ms");
  refused({"-X", "acks=0"}, "acks=0");
  refused({"-X", "enable.idempotence=false"}, "--no-idempotence");
  refused({"-X", "transactional.id=x"}, "transactional.id");
  refused({"--topic-prefix", "a b"}, "a b");
  refused({"--no-create-topics"}, "--topic-prefix");
  refused({"--verify-only", "a", "--data-dir", "b"}, "--data-dir");
}

TEST(settings, help_teaches) {
  auto parsed = parse({"--help"});
  EXPECT_FALSE(parsed.run);
  EXPECT_EQ(parsed.exit_code, 0);
  for (const char* word : {"completeness", "--consume-timeout", "Exit code", "Examples", "60s", "localhost:9092"})
    EXPECT_THAT(parsed.output, testing::HasSubstr(word));
}
}  // namespace
}  // namespace yaks::oracle
