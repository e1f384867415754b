// Goal: the commands do what they say against a cluster that is not ours. Method: librdkafka's mock cluster, in this
// process; what is printed is captured. (Groups and settings are tried by compat/ on real ones.)
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "client/cluster.hpp"

namespace yaks::client {
namespace {
class mock : public testing::Test {
 protected:
  mock() {
    char words[512];
    auto* conf = rd_kafka_conf_new();
    owner_.reset(rd_kafka_new(RD_KAFKA_PRODUCER, conf, words, sizeof words));
    cluster_ = rd_kafka_mock_cluster_new(owner_.get(), 1);
    rd_kafka_mock_topic_create(cluster_, "greetings", 2, 1);
  }
  ~mock() override { rd_kafka_mock_cluster_destroy(cluster_); }

  // The exit code and what went to standard output.
  std::pair<int, std::string> yaks(std::vector<std::string> words) {
    words.insert(words.end(), {"--brokers", rd_kafka_mock_cluster_bootstraps(cluster_)});
    testing::internal::CaptureStdout();
    int code = run(words);
    std::fflush(stdout);
    return {code, testing::internal::GetCapturedStdout()};
  }
  std::pair<int, std::string> produce(const std::string& lines, std::vector<std::string> words) {
    std::istringstream in(lines);
    auto* before = std::cin.rdbuf(in.rdbuf());
    std::cin.clear();
    auto out = yaks(std::move(words));
    std::cin.rdbuf(before);
    return out;
  }

 private:
  owned<rd_kafka_t> owner_;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

TEST_F(mock, what_is_produced_is_consumed) {
  auto [code, text] = produce("a:1\nb:2\n", {"produce", "greetings", "-k", ":", "-p", "1", "-H", "h=x", "-z", "lz4"});
  EXPECT_EQ(code, 0);
  EXPECT_EQ(text, "greetings-1: offsets 0 to 1\n");
  std::tie(code, text) = yaks({"consume", "greetings", "--until-end", "--keys"});
  EXPECT_EQ(code, 0);
  EXPECT_EQ(text, "a\t1\nb\t2\n");
  std::tie(code, text) = yaks({"consume", "greetings", "--partition", "1", "--from", "1", "--count", "1", "--json"});
  auto record = nlohmann::json::parse(text);
  EXPECT_EQ(record["offset"], 1);
  EXPECT_EQ(record["value"], "2");
  EXPECT_EQ(record["headers"].dump(), R"([["h","x"]])");
}

TEST_F(mock, topics_are_shown_with_their_offsets) {
  (void)produce("x\n", {"produce", "greetings", "-p", "0"});
  auto [code, text] = yaks({"topics", "describe", "greetings"});
  EXPECT_EQ(code, 0);
  EXPECT_EQ(text,
            "TOPIC      PARTITION  LEADER  START  END  RECORDS\n"
            "greetings          0       1      0    1        1\n"
            "greetings          1       1      0    0        0\n");
  std::tie(code, text) = yaks({"topics", "list", "--json"});
  EXPECT_EQ(nlohmann::json::parse(text), (nlohmann::json{{{"topic", "greetings"}, {"partitions", 2}}}));
}

TEST_F(mock, wrong_use_and_failures_have_their_own_codes) {
  EXPECT_EQ(yaks({"topics"}).first, 2);
  EXPECT_EQ(yaks({"consume"}).first, 2);
  EXPECT_EQ(yaks({"consume", "greetings", "--from", "yesterday"}).first, 2);
  EXPECT_EQ(yaks({"produce", "greetings", "-X", "no.such=1"}).first, 1);
  EXPECT_EQ(yaks({"consume", "greetings", "--partition", "7"}).first, 1);
  EXPECT_EQ(yaks({"topics", "list", "--help"}).first, 0);
}
}  // namespace
}  // namespace yaks::client
