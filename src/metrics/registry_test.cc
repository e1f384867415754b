// Goal: a scrape shows what was counted, in a form that Prometheus parses, whatever a label says.
// Method: exact text for each type; the promises about references, repeated names and misuse.
#include "metrics/registry.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace yaks::metrics {
namespace {
TEST(registry, renders_counters_and_gauges_sorted_with_one_header_per_family) {
  registry all;
  all.add_counter("yaks_requests_total", "Requests by API.", {{"api", "Produce"}}).add(3);
  all.add_counter("yaks_requests_total", "Requests by API.", {{"api", "Fetch"}}).add();
  all.add_gauge("yaks_connections", "Open connections.").set(2.5);
  EXPECT_EQ(all.text(),
            "# HELP yaks_connections Open connections.\n"
            "# TYPE yaks_connections gauge\n"
            "yaks_connections 2.5\n"
            "# HELP yaks_requests_total Requests by API.\n"
            "# TYPE yaks_requests_total counter\n"
            "yaks_requests_total{api=\"Fetch\"} 1\n"
            "yaks_requests_total{api=\"Produce\"} 3\n");
}

TEST(registry, renders_cumulative_buckets) {
  registry all;
  auto& of = all.add_histogram("wait_seconds", "Wait.", {0.5, 1}, {{"api", "Fetch"}});
  for (double value : {0.1, 0.5, 0.7, 4.0}) of.observe(value);  // 0.5 belongs to le="0.5"
  EXPECT_EQ(all.text(),
            "# HELP wait_seconds Wait.\n"
            "# TYPE wait_seconds histogram\n"
            "wait_seconds_bucket{api=\"Fetch\",le=\"0.5\"} 2\n"
            "wait_seconds_bucket{api=\"Fetch\",le=\"1\"} 3\n"
            "wait_seconds_bucket{api=\"Fetch\",le=\"+Inf\"} 4\n"
            "wait_seconds_sum{api=\"Fetch\"} 5.3\n"
            "wait_seconds_count{api=\"Fetch\"} 4\n");
  EXPECT_EQ(of.count(), 4u);
  EXPECT_EQ(of.counts(), (std::vector<std::uint64_t>{2, 1, 1}));
}

TEST(registry, escapes_labels_and_help) {
  registry all;
  all.add_counter("c", "a \\ b\nc \"d\"", {{"topic", "a\"b\\c\nd"}}).add();
  EXPECT_EQ(all.text(), "# HELP c a \\\\ b\\nc \"d\"\n# TYPE c counter\nc{topic=\"a\\\"b\\\\c\\nd\"} 1\n");
}

TEST(registry, large_and_special_numbers_stay_exact) {
  registry all;
  all.add_counter("big", "").add(9007199254740991.0);
  all.add_gauge("inf", "").set(-HUGE_VAL);
  all.add_gauge("nan", "").set(std::nan(""));
  auto text = all.text();
  EXPECT_NE(text.find("\nbig 9007199254740991\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\ninf -Inf\n"), std::string::npos);
  EXPECT_NE(text.find("\nnan NaN\n"), std::string::npos);
}

TEST(registry, visitors_see_what_a_scrape_sees) {
  registry all;
  all.add_counter("b_total", "B.", {{"x", "2"}}).add(2);
  all.add_counter("b_total", "B.", {{"x", "1"}}).add(1);
  all.add_histogram("c_seconds", "C.", {1, 2}).observe(1.5);
  all.add_callback("a", "A.", [] { return 7.0; });
  all.add_gauge("gone", "Gone.", {{"x", "1"}});
  all.remove("gone", {{"x", "1"}});
  std::string seen;
  all.visit([&](const registry::family& f) {
    seen += f.name + "/" + f.help + "/" + std::to_string(int(f.of)) + ":";
    f.each([&](const registry::series& s) {
      seen += s.with.empty() ? "" : s.with[0].second + "=";
      seen += s.distribution ? "count " + std::to_string(s.distribution->count()) : std::to_string(int(s.value));
      seen += ' ';
    });
  });
  EXPECT_EQ(seen, "a/A./1:7 b_total/B./0:1=1 2=2 c_seconds/C./2:count 1 ");
  double sum = 0;
  all.visit_series("b_total", [&](const registry::series& s) { sum += s.value; });
  all.visit_series("nobody", [&](const registry::series&) { sum += 100; });
  EXPECT_EQ(sum, 3);
}

TEST(registry, the_same_name_and_labels_are_the_same_metric) {
  registry all;
  auto& one = all.add_counter("c", "help", {{"a", "1"}, {"b", "2"}});
  for (int i = 0; i < 1000; ++i) all.add_counter("c", "help", {{"a", std::to_string(i + 2)}});
  auto& same = all.add_counter("c", "help", {{"b", "2"}, {"a", "1"}});
  EXPECT_EQ(&one, &same);
}

TEST(registry, a_callback_is_read_at_each_scrape) {
  registry all;
  double level = 1;
  all.add_callback("level", "Level.", [&] { return level; });
  EXPECT_NE(all.text().find("\nlevel 1\n"), std::string::npos);
  level = 2;
  EXPECT_NE(all.text().find("\nlevel 2\n"), std::string::npos);
}

TEST(registry, a_removed_series_is_gone_and_an_empty_family_is_silent) {
  registry all;
  all.add_counter("c", "help", {{"topic", "t"}}).add(7);
  all.remove("c", {{"topic", "other"}});
  all.remove("unknown", {});
  EXPECT_NE(all.text().find("c{topic=\"t\"} 7"), std::string::npos);
  all.remove("c", {{"topic", "t"}});
  EXPECT_EQ(all.text(), "");
  EXPECT_EQ(all.add_counter("c", "help", {{"topic", "t"}}).value(), 0);
}

TEST(registry_death, a_name_has_one_type_and_one_help) {
  registry all;
  all.add_counter("c", "help");
  EXPECT_DEATH(all.add_gauge("c", "help"), "check failed");
  EXPECT_DEATH(all.add_counter("c", "other"), "check failed");
  EXPECT_DEATH(all.add_counter("not-a-name", "help"), "check failed");
  EXPECT_DEATH(all.add_histogram("h", "help", {1, 1}), "check failed");
}

TEST(buckets, cover_what_they_promise_in_rising_order) {
  auto latency = latency_seconds_buckets();
  EXPECT_EQ(latency.front(), 0.0005);
  EXPECT_EQ(latency.back(), 30);
  EXPECT_TRUE(std::is_sorted(latency.begin(), latency.end()));
  auto bytes = bytes_buckets();
  EXPECT_EQ(bytes.front(), 1024);
  EXPECT_EQ(bytes.back(), 64.0 * 1024 * 1024);
}
}  // namespace
}  // namespace yaks::metrics
