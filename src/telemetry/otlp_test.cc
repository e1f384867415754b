// Goal: a collector gets what Prometheus would see, in the form that OTLP/HTTP prescribes for JSON, at each interval; a
// collector that is away costs nothing but the message. Method: documents are read back by a JSON library of somebody
// else and compared field by field; the exporter runs in virtual time against scripted collectors.
#include "telemetry/otlp.hpp"

#include <gtest/gtest.h>

#include <boost/asio/error.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json.hpp"
#include "net/memory_network.hpp"
#include "runtime/first_of.hpp"
#include "runtime/simulated_runtime.hpp"
#include "runtime/task_group.hpp"
#include "telemetry/otlp_exporter.hpp"

namespace yaks::telemetry {
namespace {
using nlohmann::json;

json parsed(const metrics::registry& all, const attributes& resource = {}) {
  return json::parse(otlp_json(all, resource, "1.2", timestamp_ms(1000), timestamp_ms(5000)));
}
const json& metric(const json& document, const std::string& name) {
  for (const auto& one : document["resourceMetrics"][0]["scopeMetrics"][0]["metrics"])
    if (one["name"] == name) return one;
  static const json none;
  return none;
}

TEST(otlp, counters_are_cumulative_monotonic_sums) {
  metrics::registry all;
  all.add_counter("yaks_x_bytes_total", "X.", {{"topic", "a\"b"}}).add(9007199254740991.0);
  all.add_counter("yaks_x_bytes_total", "X.", {{"topic", "b"}}).add(0.5);
  EXPECT_EQ(metric(parsed(all), "yaks_x_bytes_total"),
            json::parse(R"j({"name":"yaks_x_bytes_total","description":"X.","unit":"By","sum":
    {"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
      {"attributes":[{"key":"topic","value":{"stringValue":"a\"b"}}],"startTimeUnixNano":"1000000000","timeUnixNano":"5000000000",
       "asDouble":9007199254740991},
      {"attributes":[{"key":"topic","value":{"stringValue":"b"}}],"startTimeUnixNano":"1000000000","timeUnixNano":"5000000000",
       "asDouble":0.5}]}})j"));
}

TEST(otlp, gauges_have_no_start_and_impossible_numbers_are_left_out) {
  metrics::registry all;
  all.add_gauge("yaks_level", "L.", {{"x", "1"}}).set(-2.5);
  all.add_gauge("yaks_level", "L.", {{"x", "2"}}).set(std::nan(""));
  EXPECT_EQ(metric(parsed(all), "yaks_level"),
            json::parse(R"j({"name":"yaks_level","description":"L.","unit":"","gauge":{"dataPoints":[
      {"attributes":[{"key":"x","value":{"stringValue":"1"}}],"timeUnixNano":"5000000000","asDouble":-2.5}]}})j"));
}

TEST(otlp, histograms_have_one_count_more_than_bounds_and_are_not_cumulative_over_buckets) {
  metrics::registry all;
  auto& h = all.add_histogram("yaks_wait_seconds", "W.", {0.5, 1});
  for (double v : {0.25, 0.5, 0.75, 4.0}) h.observe(v);
  EXPECT_EQ(metric(parsed(all), "yaks_wait_seconds"),
            json::parse(R"j({"name":"yaks_wait_seconds","description":"W.","unit":"s","histogram":
    {"aggregationTemporality":2,"dataPoints":[{"attributes":[],"startTimeUnixNano":"1000000000","timeUnixNano":"5000000000",
      "count":"4","sum":5.5,"bucketCounts":["2","1","1"],"explicitBounds":[0.5,1]}]}})j"));
}

TEST(otlp, the_resource_says_who_sends) {
  metrics::registry all;
  auto document = parsed(all, {{"service.name", "yaks"}, {"zone", "a"}, {"service.name", "mine"}});
  EXPECT_EQ(document["resourceMetrics"][0]["resource"], json::parse(R"j({"attributes":[
      {"key":"service.name","value":{"stringValue":"mine"}},{"key":"zone","value":{"stringValue":"a"}}]})j"));
  EXPECT_EQ(document["resourceMetrics"][0]["scopeMetrics"][0]["scope"],
            json::parse(R"j({"name":"yaks","version":"1.2"})j"));
}

TEST(otlp, pairs) {
  EXPECT_EQ(parse_pairs(""), attributes());
  EXPECT_EQ(parse_pairs("a=1, b = x%20y%2C,c="), (attributes{{"a", "1"}, {"b", "x y,"}, {"c", ""}}));
  EXPECT_EQ(parse_pairs("a=b=c,"), (attributes{{"a", "b=c"}}));
  for (auto bad : {"a", "=1", "a=%2", "a=%zz", "a=1,b"}) EXPECT_FALSE(parse_pairs(bad)) << bad;
}

TEST(json_text, is_well_formed_whatever_comes) {
  for (std::string text :
       {std::string("plain"), std::string("a\"b\\c\n\t\x01"), std::string("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80")}) {
    std::string out;
    append_json(out, text);
    EXPECT_EQ(json::parse(out).get<std::string>(), text);
  }
  for (std::string bad :
       {"\xff", "a\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xe0\x80\x80"}) {
    std::string out;
    append_json(out, bad);
    EXPECT_NE(json::parse(out).get<std::string>().find("\xef\xbf\xbd"), std::string::npos);
  }
  std::string out;
  append_json(out, HUGE_VAL);
  append_json(out += ' ', 0.1);
  append_json(out += ' ', 12345678901234.0);
  append_json(out += ' ', 1.0 / 3, false);
  EXPECT_EQ(out, "null 0.1 12345678901234 0.333333333");
}

// ---- the exporter
// ------------------------------------------------------------------------------------------------------

struct collecting : testing::Test {
  simulated_world world{1};
  simulated_runtime rt{world};
  memory_network net;
  metrics::registry all;
  struct message {
    http::request_head head;
    std::string body;
    time_point at;
  };
  std::vector<message> got;
  std::vector<std::string> answers;  // one per message, then 200; "" is none

  awaitable<void> serve_one(std::unique_ptr<byte_stream> stream) {
    try {
      http::reader reader(*stream, 32 << 10);
      auto head = http::parse_request_head(co_await reader.head());
      if (!head) co_return;
      auto extent = http::extent_of(head->fields, http::body_extent::kind::fixed);
      auto body = co_await reader.body(*extent, 1 << 20);
      got.push_back({*head, std::string(as_text(body.view())), rt.now()});
      std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
      if (got.size() <= answers.size()) answer = answers[got.size() - 1];
      if (answer.empty()) co_await rt.sleep_for(1h);
      std::vector<shared_bytes> parts{shared_bytes::copy_of(as_bytes(answer))};
      co_await stream->write_all(std::move(parts));
    } catch (const boost::system::system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
    }
  }
  awaitable<void> serve(listener& at, task_group& tasks) {
    for (;;) tasks.spawn(serve_one(co_await at.accept()));
  }
  double count(const char* outcome) {
    double found = -1;
    all.visit_series("yaks_otlp_messages_total", [&](const auto& s) {
      if (s.with == metrics::labels{{"outcome", outcome}}) found = s.value;
    });
    return found;
  }
  void run(duration how_long, bool collector = true) {
    auto main = [&](task_group& tasks) -> awaitable<void> {
      std::unique_ptr<listener> at;
      if (collector) {
        at = net.listen({.host = "collector", .port = 4318});
        tasks.spawn(serve(*at, tasks));
      }
      otlp_exporter exporter(rt, net, all,
                             {.endpoint = "http://collector:4318/base",
                              .headers = {{"x-key", "k"}},
                              .resource = {{"service.name", "yaks"}},
                              .version = "1"});
      co_await first_of(exporter.run(), rt.sleep_for(how_long));
    };
    task_group tasks(rt.executor());
    rt.run(run_then_close(main(tasks), tasks));
  }
};

TEST_F(collecting, sends_all_metrics_at_each_interval) {
  auto& counted = all.add_counter("yaks_things_total", "Things.");
  counted.add(7);
  auto begun = rt.now();
  run(3min + 1s);
  ASSERT_EQ(got.size(), 3u);
  EXPECT_EQ(got[0].head.method + " " + got[0].head.target, "POST /base/v1/metrics");
  EXPECT_EQ(http::find(got[0].head.fields, "Content-Type"), "application/json");
  EXPECT_EQ(http::find(got[0].head.fields, "x-key"), "k");
  EXPECT_EQ(http::find(got[0].head.fields, "Host"), "collector:4318");
  EXPECT_GE(got[0].at - begun, 60s);
  EXPECT_EQ(metric(json::parse(got[2].body), "yaks_things_total")["sum"]["dataPoints"][0]["asDouble"], 7);
  EXPECT_EQ(count("sent"), 3);
  EXPECT_EQ(count("failed"), 0);
}

TEST_F(collecting, a_collector_that_fails_costs_its_message_only) {
  answers = {"HTTP/1.1 503 busy\r\nContent-Length: 0\r\n\r\n", "SSH-2.0\r\n\r\n", ""};  // the third never answers
  run(5min + 1s);
  EXPECT_EQ(count("failed"), 3);
  EXPECT_GE(count("sent"), 1);
}

TEST_F(collecting, nobody_there) {
  run(3min + 1s, false);
  EXPECT_EQ(count("failed"), 3);
  EXPECT_EQ(count("sent"), 0);
}
}  // namespace
}  // namespace yaks::telemetry
