// Goal: every setting has its documented default, can be given as variable and as flag, and a wrong one is refused with
// a sentence that helps; secrets never show; the README says what the code does. Method: load() on made-up environments
// and arguments; each row of the table is tried at and beyond its limits.
#include "config/load.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

namespace yaks::config {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using arguments = std::vector<std::string>;

loaded must(const environment& variables, const arguments& flags = {}) {
  auto all = load(variables, flags);
  if (!all) {
    ADD_FAILURE() << testing::PrintToString(all.error());
    return {};
  }
  return *all;
}
std::vector<std::string> errors(const environment& variables, const arguments& flags = {}) {
  auto all = load(variables, flags);
  return all ? std::vector<std::string>{} : all.error();
}

// Names and defaults that existing configurations rely on.
TEST(load, defaults_are_those_that_are_documented) {
  const std::pair<std::string_view, std::string_view> expected[] = {
      {"NODE_ID", "0"},
      {"BROKER_HOST", "0.0.0.0"},
      {"BROKER_PORT", "9092"},
      {"ADVERTISED_HOST", "localhost"},
      {"ADVERTISED_PORT", "0"},
      {"RUN_MIGRATIONS", "false"},
      {"FLUSH_INTERVAL_MS", "250"},
      {"FLUSH_BYTES", "5242880"},
      {"MATERIALIZE_INTERVAL_MS", "100"},
      {"MATERIALIZE_BATCH_SIZE", "1000"},
      {"MATERIALIZE_CHUNK_RANGES", "100"},
      {"SNAPSHOT_ENTRIES", "10000"},
      {"READ_MODEL_INTERVAL_MS", "5000"},
      {"DEFAULT_RETENTION_MS", "604800000"},
      {"DEFAULT_RETENTION_BYTES", "-1"},
      {"RETENTION_INTERVAL_MS", "10000"},
      {"DELETE_GRACE_MS", "60000"},
      {"SWEEP_INTERVAL_MS", "21600000"},
      {"MERGE_BYTES_PER_SECOND", "33554432"},
      {"MERGE_INTERVAL_MS", "60000"},
      {"MERGE_AGE_MS", "3600000"},
      {"MERGE_OBJECT_BYTES", "67108864"},
      {"MERGE_MIN_RUNS", "8"},
      {"MERGE_LIVE_RATIO", "0.5"},
      {"MERGE_WRITE_RATIO", "1.2"},
      {"FETCH_MAX_BYTES", "52428800"},
      {"DB_HOST", "localhost"},
      {"DB_PORT", "5432"},
      {"DB_USER", "testuser"},
      {"DB_PASSWORD", "testpassword"},
      {"DB_NAME", "testdb"},
      {"DB_SSLMODE", "disable"},
      {"OTEL_ENABLED", "false"},
      {"METRICS_PORT", "9090"},
      {"S3_ENDPOINT", "http://localhost:4566"},
      {"S3_REGION", "us-east-1"},
      {"S3_ACCESS_KEY", "test"},
      {"S3_SECRET_KEY", "test"},
      {"S3_PATH_STYLE", "true"},
      {"S3_BUCKET", "test-bucket"},
      {"GROUPCACHE_ENABLED", "false"},
      {"GROUPCACHE_PORT", "9080"},
      {"GROUPCACHE_ADVERTISED_HOST", ""},
      {"GROUPCACHE_SECRET", ""},
      {"GROUPCACHE_CACHE_SIZE_MB", "512"},
      {"GROUPCACHE_HEARTBEAT_MS", "5000"},
      {"GROUPCACHE_POLL_MS", "10000"},
      {"GROUPCACHE_LEASE_TTL_MS", "15000"},
      {"AUTO_CREATE_TOPICS", "true"},
      {"DEFAULT_PARTITIONS", "1"},
      {"GROUP_INITIAL_REBALANCE_DELAY_MS", "3000"},
      {"GROUP_MIN_SESSION_TIMEOUT_MS", "6000"},
      {"GROUP_MAX_SESSION_TIMEOUT_MS", "1800000"},
      {"GROUP_MAX_SIZE", "10000"},
      {"OFFSETS_RETENTION_MINUTES", "10080"},
      {"BUFFER_MAX_BYTES", "134217728"},
      {"FETCH_MEMORY_BYTES", "268435456"},
      {"REQUEST_MAX_BYTES", "104857600"},
      {"UPLOAD_DEADLINE_MS", "600000"},
      {"LOG_STALE_MS", "60000"},
      {"BACKFILL_BYTES_PER_S", "0"},
      {"BACKFILL_AGE_MS", "60000"},
      {"BACKFILL_GET_BYTES", "67108864"},
      {"BACKFILL_WINDOW_BYTES", "8388608"},
      {"ZONE", ""},
      {"DATA_DIR", "./yaks-data"},
      {"METASTORE", ""},
      {"OBJECT_STORE", ""},
      {"S3_CREATE_BUCKET", "false"},
      {"S3_SIGN_PAYLOAD", "false"},
      {"S3_PREFIX", ""},
      {"SHUTDOWN_TIMEOUT_MS", "10000"},
      {"LOG_LEVEL", "info"},
      {"MAX_CONNECTIONS", "10000"},
      {"CONNECTION_IDLE_MS", "600000"},
      {"MAX_MESSAGE_BYTES", "1048588"},
      {"OTEL_EXPORTER_OTLP_ENDPOINT", ""},
      {"OTEL_EXPORTER_OTLP_HEADERS", ""},
      {"OTEL_METRIC_EXPORT_INTERVAL", "60000"},
      {"OTEL_SERVICE_NAME", "yaks"},
      {"OTEL_RESOURCE_ATTRIBUTES", ""},
      {"PRICE_PUT_PER_1000", "0.005"},
      {"PRICE_GET_PER_1000", "0.0004"},
      {"PRICE_TRANSFER_PER_GB", "0"},
      {"PRICE_STORAGE_PER_GB_MONTH", "0.023"},
      {"CONSOLE_PORT", "0"},
      {"CONSOLE_HOST", "127.0.0.1"},
      {"CONSOLE_TOKEN", ""},
  };
  for (auto [name, fallback] : expected) {
    const definition* d = find_definition(name);
    ASSERT_NE(d, nullptr) << name;
    EXPECT_EQ(d->fallback, fallback) << name;
  }
  EXPECT_EQ(definitions().size(), std::size(expected));
}

TEST(load, nothing_given_gives_every_default) {
  auto all = must({});
  const settings& s = all.values;
  EXPECT_THAT(all.warnings, IsEmpty());
  EXPECT_EQ(s.process.data_directory, "./yaks-data");
  EXPECT_EQ(s.process.shutdown_timeout, milliseconds(10000));
  EXPECT_EQ(s.listener.host, "0.0.0.0");
  EXPECT_EQ(s.listener.port, 9092);
  EXPECT_EQ(s.listener.advertised_host, "localhost");
  EXPECT_EQ(s.listener.advertised_port, 9092);
  EXPECT_EQ(s.listener.request_bytes_max, 104857600u);
  EXPECT_EQ(s.write.flush_interval, milliseconds(250));
  EXPECT_EQ(s.write.flush_bytes, 5242880u);
  EXPECT_EQ(s.read.cache_bytes, 512u << 20);
  EXPECT_EQ(s.topics.message_bytes_max, 1048588u);
  EXPECT_TRUE(s.topics.auto_create);
  EXPECT_FALSE(s.metrics.enabled);
  EXPECT_EQ(s.storage.metastore, metastore_kind::embedded);
  EXPECT_EQ(s.storage.objects, object_store_kind::directory);
  EXPECT_EQ(s.s3.access_key, "test");
  EXPECT_EQ(s.s3.session_token, "");
}

// Every row stores what it parses: a copied row that stores into its neighbour's member would show here.
TEST(load, each_setting_changes_something_and_only_its_own_member) {
  auto fingerprint = [](const settings& s) {
    std::ostringstream all;
    auto put = [&](const auto&... v) { ((all << v << '\n'), ...); };
    put(s.process.node_id, s.process.zone, s.process.data_directory, s.process.log_level,
        s.process.shutdown_timeout.count(), s.listener.host, s.listener.port, s.listener.advertised_host,
        s.listener.advertised_port, s.listener.request_bytes_max, s.listener.connections_max,
        s.listener.idle_timeout.count(), s.topics.auto_create, s.topics.default_partitions, s.topics.message_bytes_max,
        s.groups.initial_rebalance_delay.count(), s.groups.session_timeout_min.count(), s.groups.session_timeout_max.count(),
        s.groups.members_max, s.groups.offsets_retention.count(),
        s.write.flush_interval.count(), s.write.flush_bytes, s.write.buffer_bytes_max, s.write.upload_deadline.count(),
        s.read.response_bytes_max, s.read.memory_bytes, s.read.cache_bytes, s.read.log_stale_after.count(),
        s.read.backfill_bytes_per_s,
        s.read.backfill_age.count(),
        s.read.backfill_get_bytes,
        s.read.backfill_window_bytes,
        s.database.host, s.database.port, s.database.user, s.database.password, s.database.name, s.database.sslmode,
        s.database.run_migrations, s.s3.endpoint, s.s3.region, s.s3.access_key, s.s3.secret_key, s.s3.path_style,
        s.s3.bucket, s.s3.prefix, s.s3.create_bucket, s.s3.sign_payload, s.metrics.enabled, s.metrics.port,
        s.otlp.endpoint, s.otlp.headers, s.otlp.interval.count(), s.otlp.service_name, s.otlp.resource_attributes,
        s.prices.put_per_1000, s.prices.get_per_1000, s.prices.transfer_per_gb, s.prices.storage_per_gb_month,
        s.console.host, s.console.port, s.console.token,
        s.cache_peers.enabled, s.cache_peers.port, s.cache_peers.advertised_host, s.cache_peers.secret,
        s.cache_peers.heartbeat.count(),
        s.cache_peers.poll.count(), s.cache_peers.lease.count(), s.materializer.interval.count(),
        s.materializer.batch_size, s.materializer.chunk_ranges, s.materializer.snapshot_entries, s.materializer.read_model_interval.count(),
        s.upkeep.retention_ms, s.upkeep.retention_bytes, s.upkeep.retention_interval.count(), s.upkeep.delete_grace.count(), s.upkeep.sweep_interval.count(),
        s.upkeep.merge_bytes_per_second, s.upkeep.merge_interval.count(), s.upkeep.merge_age.count(), s.upkeep.merge_object_bytes,
        s.upkeep.merge_min_runs, s.upkeep.merge_live_ratio, s.upkeep.merge_write_ratio);
    return all.str();
  };
  settings base{};
  for (const definition& d : definitions()) d.store(base, *d.parse(d.fallback));
  std::set<std::string> seen{fingerprint(base)};
  for (const definition& d : definitions()) {
    if (d.name == "METASTORE" || d.name == "OBJECT_STORE") continue;  // storage_choice_test
    std::string other = d.type == kind::truth    ? (d.fallback == "true" ? "false" : "true")
                        : d.type == kind::choice ? std::string(d.choices.substr(d.choices.rfind(' ') + 1))
                        : d.type == kind::url    ? "https://elsewhere:1"
                        : d.type == kind::path_url ? "https://elsewhere:1/path"
                        : d.type == kind::dollars  ? "0.125"
                        : d.name == "MERGE_LIVE_RATIO" ? "0.25"
                        : d.type == kind::ratio ? "3.5"
                        : d.most > 0             ? std::to_string(d.most)
                                                 : "another";
    settings changed = base;
    d.store(changed, *d.parse(other));
    auto print = fingerprint(changed);
    EXPECT_TRUE(seen.insert(print).second) << d.name << " changes nothing, or the member of another";
    int lines = 0;
    std::istringstream a(print), b(fingerprint(base));
    for (std::string x, y; std::getline(a, x) && std::getline(b, y);) lines += x != y;
    EXPECT_EQ(lines, 1) << d.name;
  }
}

TEST(load, a_flag_wins_over_its_variable) {
  auto all = must({{"YAKS_FLUSH_INTERVAL_MS", "100"}, {"YAKS_NODE_ID", "7"}, {"HOME", "/"}},
                  {"--flush-interval-ms", "50", "--zone=a=b"});
  EXPECT_EQ(all.values.write.flush_interval, milliseconds(50));
  EXPECT_EQ(all.values.process.node_id, 7);
  EXPECT_EQ(all.values.process.zone, "a=b");
  EXPECT_EQ(must({}, {"--node-id", "1", "--node-id=2"}).values.process.node_id, 2);
}

TEST(load, a_truth_flag_needs_no_value) {
  auto all = must({}, {"--run-migrations", "--auto-create-topics", "off", "--otel-enabled"});
  EXPECT_TRUE(all.values.database.run_migrations);
  EXPECT_FALSE(all.values.topics.auto_create);
  EXPECT_TRUE(all.values.metrics.enabled);
  for (auto yes : {"true", "TRUE", "1", "t", "yes", "on"})
    EXPECT_TRUE(must({{"YAKS_RUN_MIGRATIONS", yes}}).values.database.run_migrations) << yes;
  for (auto no : {"false", "False", "0", "f", "no", "off"})
    EXPECT_FALSE(must({{"YAKS_RUN_MIGRATIONS", no}}).values.database.run_migrations) << no;
}

TEST(load, limits_are_inclusive_and_what_lies_beyond_is_refused) {
  for (const definition& d : definitions()) {
    if (d.most == 0) continue;
    EXPECT_TRUE(d.parse(std::to_string(d.least))) << d.name;
    EXPECT_TRUE(d.parse(std::to_string(d.most))) << d.name;
    EXPECT_FALSE(d.parse(std::to_string(d.least - 1))) << d.name;
    EXPECT_FALSE(d.parse(std::to_string(d.most + 1))) << d.name;
    for (auto bad : {"", " 1", "1 ", "1x", "0x10", "1.5x", "99999999999999999999"})
      EXPECT_FALSE(d.parse(bad)) << d.name << bad;
    EXPECT_TRUE(!d.parse("1.5") || d.type == kind::ratio) << d.name;
  }
}

TEST(load, every_wrong_value_is_named_with_what_is_allowed) {
  EXPECT_THAT(
      errors({{"YAKS_BROKER_PORT", "kafka"}, {"YAKS_DB_SSLMODE", "maybe"}, {"YAKS_S3_BUCKET", ""}},
             {"--run-migrations=perhaps"}),
      ElementsAre("YAKS_BROKER_PORT=kafka: allowed is a port from 0 to 65535.",
                  "YAKS_DB_SSLMODE=maybe: allowed is one of disable, allow, prefer, require, verify-ca, verify-full.",
                  "--run-migrations perhaps: allowed is true or false.",
                  "YAKS_S3_BUCKET=: allowed is a text that is not empty."));
}

TEST(load, wrong_flags_are_errors_with_the_nearest_name) {
  EXPECT_THAT(errors({}, {"--brokr-port", "9092", "stray", "--node-id"}),
              ElementsAre("--brokr-port is not a flag; did you mean --broker-port? --help lists all.",
                          "'stray' is not a flag: settings are given as --name value.",
                          "--node-id needs a value: a whole number from 0 to 2147483647."));
  EXPECT_THAT(errors({}, {"--node-id", "--run-migrations"}), ElementsAre(HasSubstr("--node-id needs a value")));
}

TEST(load, unknown_variables_are_reported_with_the_nearest_name) {
  auto all = must(
      {{"YAKS_FLUSH_INTERVALL_MS", "1"}, {"YAKS_WHATEVER_THIS_IS", "1"}, {"YAKS_TEST_POSTGRES", "x"}, {"PATH", ""}});
  EXPECT_THAT(
      all.warnings,
      ElementsAre(
          "YAKS_FLUSH_INTERVALL_MS is not a setting of yaks and has no effect; did you mean YAKS_FLUSH_INTERVAL_MS?",
          "YAKS_WHATEVER_THIS_IS is not a setting of yaks and has no effect."));
}

TEST(load, storage_follows_variables_and_flags) {
  EXPECT_EQ(must({{"YAKS_DB_HOST", "db"}}).values.storage.objects, object_store_kind::s3);
  EXPECT_EQ(must({}, {"--s3-endpoint", "http://s3:9000"}).values.storage.metastore, metastore_kind::postgres);
  EXPECT_EQ(must({{"YAKS_METASTORE", "embedded"}}, {"--object-store", "s3"}).values.storage.objects,
            object_store_kind::s3);
  EXPECT_THAT(errors({{"YAKS_METASTORE", "postgres"}}), ElementsAre(HasSubstr("needs YAKS_OBJECT_STORE too")));
  EXPECT_THAT(errors({{"YAKS_METASTORE", "mysql"}}),
              ElementsAre("YAKS_METASTORE=mysql: allowed is one of embedded, postgres."));
  EXPECT_THAT(must({{"YAKS_METASTORE", "postgres"}, {"YAKS_OBJECT_STORE", "directory"}}).warnings,
              ElementsAre(HasSubstr("PostgreSQL with a directory")));
}

TEST(load, credentials_come_from_yaks_then_aws_then_defaults) {
  const environment aws = {
      {"AWS_ACCESS_KEY_ID", "id"}, {"AWS_SECRET_ACCESS_KEY", "secret"}, {"AWS_SESSION_TOKEN", "token"}};
  auto s = must(aws).values.s3;
  EXPECT_EQ(s.access_key, "id");
  EXPECT_EQ(s.secret_key, "secret");
  EXPECT_EQ(s.session_token, "token");
  environment both = aws;
  both.insert(both.end(), {{"YAKS_S3_ACCESS_KEY", "a"}, {"YAKS_S3_SECRET_KEY", "b"}});
  s = must(both).values.s3;
  EXPECT_EQ(s.access_key, "a");
  EXPECT_EQ(s.secret_key, "b");
  EXPECT_EQ(s.session_token, "");
  EXPECT_THAT(must({{"YAKS_S3_ACCESS_KEY", "a"}}).warnings, ElementsAre(HasSubstr("YAKS_S3_SECRET_KEY is not set")));
  EXPECT_THAT(errors({{"YAKS_S3_BUCKET", "b"}, {"AWS_ACCESS_KEY_ID", "id"}}),
              ElementsAre(HasSubstr("belong together")));
  // Embedded storage does not care about somebody's half-configured shell.
  EXPECT_THAT(must({{"AWS_ACCESS_KEY_ID", "id"}}).warnings, IsEmpty());
}

// Else the first object that is written would find out.
TEST(load, a_prefix_that_no_key_can_have_is_refused) {
  for (auto prefix : {"a//b", "../a", "a/./b", "a\\b", "a\nb"})
    EXPECT_THAT(errors({{"YAKS_S3_PREFIX", prefix}}), ElementsAre(HasSubstr("YAKS_S3_PREFIX"))) << prefix;
  EXPECT_THAT(errors({{"YAKS_S3_PREFIX", std::string(950, 'a')}}), ElementsAre(HasSubstr("YAKS_S3_PREFIX")));
  EXPECT_THAT(errors({{"YAKS_S3_PREFIX", "team a/yaks"}}), IsEmpty());
}

TEST(load, s3_endpoint_and_prefix_are_normalised) {
  EXPECT_EQ(must({{"YAKS_S3_ENDPOINT", "https://s3.example.org/"}}).values.s3.endpoint, "https://s3.example.org");
  EXPECT_EQ(must({{"YAKS_S3_ENDPOINT", ""}, {"YAKS_S3_REGION", "eu-west-1"}}).values.s3.endpoint,
            "https://s3.eu-west-1.amazonaws.com");
  EXPECT_EQ(must({{"YAKS_S3_PREFIX", "/a/b"}}).values.s3.prefix, "a/b/");
  EXPECT_EQ(must({{"YAKS_S3_PREFIX", "/"}}).values.s3.prefix, "");
  for (auto good : {"http://[::1]:9000", "http://h:1", "https://a.b.c"})
    EXPECT_THAT(errors({{"YAKS_S3_ENDPOINT", good}}), IsEmpty());
  for (auto bad :
       {"localhost:4566", "ftp://h", "http://", "http://h:0", "http://h:x", "http://h/p", "http://:1", "http://[]:1"})
    EXPECT_THAT(errors({{"YAKS_S3_ENDPOINT", bad}}), ElementsAre(HasSubstr("http://HOST:PORT"))) << bad;
}

TEST(load, standard_variables_have_their_standard_names) {
  auto all = must({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/base/"}, {"OTEL_SERVICE_NAME", "mine"}},
                  {"--otel-metric-export-interval", "1000"});
  EXPECT_EQ(all.values.otlp.endpoint, "http://collector:4318/base");
  EXPECT_EQ(all.values.otlp.service_name, "mine");
  EXPECT_EQ(all.values.otlp.interval, milliseconds(1000));
  EXPECT_EQ(all.values.storage.metastore, metastore_kind::embedded);  // they choose nothing
  EXPECT_THAT(must({{"YAKS_OTEL_SERVICE_NAME", "x"}}).warnings, ElementsAre(HasSubstr("is not a setting of yaks")));
  for (auto bad : {"collector:4318", "http://h/a?b", "grpc://h"})
    EXPECT_THAT(errors({{"OTEL_EXPORTER_OTLP_ENDPOINT", bad}}), ElementsAre(HasSubstr("http://HOST:PORT"))) << bad;
}

TEST(load, prices_are_decimal_numbers) {
  EXPECT_DOUBLE_EQ(must({{"YAKS_PRICE_PUT_PER_1000", "0.0055"}}).values.prices.put_per_1000, 0.0055);
  EXPECT_DOUBLE_EQ(must({{"YAKS_PRICE_PUT_PER_1000", "0"}}).values.prices.put_per_1000, 0);
  for (auto bad : {"", "-1", "1e3", "nan", "inf", "0.1$", "1000001"})
    EXPECT_THAT(errors({{"YAKS_PRICE_PUT_PER_1000", bad}}), ElementsAre(HasSubstr("a number of dollars"))) << bad;
}

TEST(load, settings_that_contradict_each_other_are_refused) {
  EXPECT_THAT(errors({{"YAKS_CONSOLE_PORT", "9092"}}), ElementsAre("YAKS_CONSOLE_PORT and YAKS_BROKER_PORT are both 9092."));
  EXPECT_THAT(errors({{"YAKS_CONSOLE_PORT", "9090"}, {"YAKS_OTEL_ENABLED", "true"}}),
              ElementsAre("YAKS_CONSOLE_PORT and YAKS_METRICS_PORT are both 9090."));
  EXPECT_THAT(errors({{"YAKS_FLUSH_BYTES", "2097152"}, {"YAKS_BUFFER_MAX_BYTES", "1048576"}}),
              ElementsAre("YAKS_FLUSH_BYTES=2097152 is more than YAKS_BUFFER_MAX_BYTES=1048576 can hold."));
  EXPECT_THAT(errors({{"YAKS_METRICS_PORT", "9092"}, {"YAKS_OTEL_ENABLED", "true"}}),
              ElementsAre("YAKS_METRICS_PORT and YAKS_BROKER_PORT are both 9092."));
  EXPECT_THAT(errors({{"YAKS_METRICS_PORT", "9092"}}), IsEmpty());
  EXPECT_THAT(must({{"YAKS_REQUEST_MAX_BYTES", "2048"}}).warnings,
              ElementsAre(HasSubstr("YAKS_MAX_MESSAGE_BYTES=1048588")));
}

TEST(load, the_advertised_port_is_its_own_where_it_is_given) {
  EXPECT_EQ(must({{"YAKS_BROKER_PORT", "19092"}}).values.listener.advertised_port, 19092);
  EXPECT_EQ(must({{"YAKS_ADVERTISED_PORT", "1234"}}).values.listener.advertised_port, 1234);
  EXPECT_EQ(must({{"YAKS_BROKER_PORT", "0"}}).values.listener.advertised_port, 0);
}

TEST(load, secrets_never_show) {
  auto all = must({{"YAKS_DB_PASSWORD", "hunter2"}, {"YAKS_S3_ACCESS_KEY", "hunter3"}}, {"--s3-secret-key", "hunter4"});
  EXPECT_EQ(all.values.database.password, "hunter2");
  EXPECT_THAT(effective(all), Not(HasSubstr("hunter")));
  EXPECT_THAT(effective(all), HasSubstr("YAKS_DB_PASSWORD=(hidden) (environment)\n"));
  EXPECT_THAT(effective(all), HasSubstr("YAKS_BROKER_PORT=9092 (default)\n"));
  EXPECT_THAT(errors({{"YAKS_S3_ENDPOINT", "http://me:hunter5@host"}}), ElementsAre(Not(HasSubstr("hunter"))));
}

TEST(text, help_and_table_name_every_setting) {
  auto help = help_text(), table = markdown();
  for (const definition& d : definitions()) {
    EXPECT_THAT(help, HasSubstr("  " + d.flag() + " "));
    EXPECT_THAT(help, HasSubstr("(" + d.variable() + ", default "));
    EXPECT_THAT(table, HasSubstr("| `" + d.variable() + "` |"));
  }
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
  EXPECT_TRUE(asks_for_help(arguments{"--node-id", "1", "--help"}));
  EXPECT_FALSE(asks_for_help(arguments{"--node-id", "1"}));
}

// The README carries the table between two markers; `yaks settings --markdown` prints what belongs there.
TEST(text, the_readme_has_this_table) {
  std::ifstream file("README.md");
  if (!file) GTEST_SKIP() << "there is no README.md yet";
  std::string readme((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  static constexpr std::string_view open = "<!-- settings -->\n", close = "<!-- /settings -->";
  auto from = readme.find(open), to = readme.find(close);
  ASSERT_NE(from, std::string::npos) << "no <!-- settings --> in README.md";
  ASSERT_NE(to, std::string::npos) << "no <!-- /settings --> in README.md";
  auto trim = [](std::string text) {
    while (text.starts_with('\n')) text.erase(0, 1);
    while (text.ends_with('\n')) text.pop_back();
    return text;
  };
  EXPECT_EQ(trim(readme.substr(from + open.size(), to - from - open.size())), trim(markdown()));
}
}  // namespace
}  // namespace yaks::config
