// Goal: producers, ledger, consumer and checker work together on a real protocol, also when requests fail.
// Method: librdkafka's mock cluster in this process (it creates no topics on request, so the tests do), with injected
// answers; the ledger is then tampered with to see that a second look finds it.
#include "oracle/run.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "oracle/kafka.hpp"

// After rdkafka.h, which it needs.
#include <librdkafka/rdkafka_mock.h>

namespace yaks::oracle {
namespace {
constexpr std::int16_t produce_api = 0;

struct run_test : testing::Test {
  complaints heard{false};
  kafka_handle host;
  rd_kafka_mock_cluster_t* cluster = nullptr;
  settings from;
  std::atomic<bool> stop{false};

  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "yaks-run-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    from.data_dir = pattern;
    from.topics = 2;
    from.partitions = 2;
    from.producers = 4;
    from.records = 300;
    from.topic_prefix = "t";
    from.create_topics = false;
    from.seed = 11;
    from.consume_timeout = std::chrono::seconds(5);
    from.brokers = "unused:1";
    host = make_handle(RD_KAFKA_PRODUCER, make_conf(from, heard, {}));
    cluster = rd_kafka_mock_cluster_new(host.get(), 1);
    ASSERT_NE(cluster, nullptr);
    from.brokers = rd_kafka_mock_cluster_bootstraps(cluster);
    for (std::uint32_t i = 0; i < from.topics; ++i)
      ASSERT_EQ(rd_kafka_mock_topic_create(cluster, fmt::format("t-{}", i).c_str(), 2, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  void TearDown() override {
    if (cluster) rd_kafka_mock_cluster_destroy(cluster);
    std::filesystem::remove_all(from.data_dir);
  }
  run_result run() { return run_oracle(from, stop); }
  static bool good(const run_result& result) { return passed(result.facts, result.found, result.figures); }
  void tamper(const char* sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open((from.data_dir + "/ledger.db").c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    EXPECT_GT(sqlite3_changes(db), 0);
    sqlite3_close(db);
  }
};

TEST_F(run_test, a_good_run_is_good_and_stays_so_when_it_is_checked_again) {
  run_result first = run();
  EXPECT_TRUE(good(first)) << text_report(first.facts, first.found, first.figures);
  EXPECT_EQ(first.found.acknowledged, 1200u);
  EXPECT_EQ(first.found.consumed, 1200u);
  EXPECT_EQ(first.figures.produced_bytes, first.figures.consumed_bytes);

  from.verify_only = true;
  run_result again = run();
  EXPECT_TRUE(good(again));
  EXPECT_EQ(again.facts, first.facts);
}

TEST_F(run_test, answers_that_ask_for_a_retry_lose_nothing) {
  rd_kafka_mock_push_request_errors(cluster, produce_api, 4, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                                    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
  run_result result = run();
  EXPECT_TRUE(good(result)) << text_report(result.facts, result.found, result.figures);
  EXPECT_EQ(result.found.acknowledged, 1200u);
}

TEST_F(run_test, records_that_run_out_of_time_are_told_apart_from_lost_ones) {
  from.produce_timeout = std::chrono::milliseconds(1500);
  from.idempotent = false;
  std::vector<rd_kafka_resp_err_t> timeouts(2'000, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
  rd_kafka_mock_push_request_errors_array(cluster, produce_api, timeouts.size(), timeouts.data());
  run_result result = run();
  // The mock cluster did not store what it answered with an error, but nobody could know that.
  EXPECT_TRUE(result.found.ok()) << text_report(result.facts, result.found, result.figures);
  EXPECT_GT(result.found.unknown, 0u);
  EXPECT_EQ(result.found.acknowledged + result.found.unknown + result.found.not_stored, 1200u);
  EXPECT_EQ(result.found.unknown_found, 0u);
}

TEST_F(run_test, a_second_look_finds_what_was_changed_meanwhile) {
  ASSERT_TRUE(good(run()));
  from.verify_only = true;
  from.consume_timeout = std::chrono::seconds(1);  // it waits for what the ledger claims
  tamper("update outcomes set offset = 100000 where producer = 2 and sequence = 17");
  run_result result = run();
  EXPECT_FALSE(good(result));
  EXPECT_EQ(result.found.of(invariant::completeness).violations, 1u);
  tamper("update outcomes set outcome = 'not_stored' where producer = 2 and sequence = 17");
  result = run();
  EXPECT_EQ(result.found.of(invariant::completeness).violations, 0u);
  EXPECT_EQ(result.found.of(invariant::no_phantoms).violations, 1u);
}

TEST_F(run_test, a_stranger_s_record_is_a_phantom) {
  ASSERT_TRUE(good(run()));
  settings stranger = from;
  stranger.idempotent = false;
  kafka_handle other = make_handle(RD_KAFKA_PRODUCER, make_conf(stranger, heard, {}));
  kafka_topic topic(rd_kafka_topic_new(other.get(), "t-0", nullptr));
  std::string value = "boo";
  ASSERT_EQ(rd_kafka_produce(topic.get(), 0, RD_KAFKA_MSG_F_COPY, value.data(), value.size(), nullptr, 0, nullptr), 0);
  ASSERT_EQ(rd_kafka_flush(other.get(), 5000), RD_KAFKA_RESP_ERR_NO_ERROR);
  from.verify_only = true;
  run_result result = run();
  EXPECT_FALSE(good(result));
  EXPECT_EQ(result.found.of(invariant::no_phantoms).violations, 1u);
}

TEST_F(run_test, an_interrupted_run_checks_what_was_sent) {
  from.rate = 0.001;  // the first record of each producer, then nothing for long
  std::jthread interrupt([&](std::stop_token) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    stop = true;
  });
  run_result result = run();
  EXPECT_TRUE(good(result)) << text_report(result.facts, result.found, result.figures);
  EXPECT_TRUE(result.figures.interrupted);
  EXPECT_EQ(result.found.acknowledged, 4u);
}

TEST_F(run_test, topics_that_are_not_empty_or_not_there_are_refused) {
  ASSERT_TRUE(good(run()));
  std::filesystem::remove(from.data_dir + "/ledger.db");
  EXPECT_THROW(run(), environment_error);
  from.topic_prefix = "unknown";
  from.partitions = 7;
  from.connect_timeout = std::chrono::seconds(1);
  EXPECT_THROW(run(), environment_error);
}

TEST_F(run_test, nobody_there_is_a_sentence_and_leaves_no_folder) {
  from.brokers = "127.0.0.1:1";
  from.data_dir += "/new";
  from.connect_timeout = std::chrono::seconds(1);
  try {
    run();
    FAIL();
  } catch (const environment_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("no broker answers at 127.0.0.1:1"));
  }
  EXPECT_FALSE(std::filesystem::exists(from.data_dir));
  from.data_dir = from.data_dir.substr(0, from.data_dir.size() - 4);
}

TEST_F(run_test, a_setting_that_librdkafka_does_not_know_is_a_sentence) {
  from.properties = {{"linger.mss", "5"}};
  try {
    run();
    FAIL();
  } catch (const environment_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("-X linger.mss=5"));
  }
}
}  // namespace
}  // namespace yaks::oracle
