// Goal: the dashboard's numbers are those of the metrics, add up over agents, cost nothing where nobody looks, and are
// for those only who may see them. Method: histories of made-up metrics in virtual time; agents on a network in memory,
// some of them silent; documents are read back by a JSON library of somebody else.
#include <gtest/gtest.h>

#include <list>
#include <nlohmann/json.hpp>
#include <regex>

#include "console/assets.hpp"
#include "console/dashboard.hpp"
#include "console/own_numbers.hpp"
#include "metastores/memory/memory_metastore.hpp"
#include "net/memory_network.hpp"
#include "runtime/first_of.hpp"
#include "runtime/simulated_runtime.hpp"

namespace yaks::console {
namespace {
using nlohmann::json;

// ---- history
// -----------------------------------------------------------------------------------------------------------

struct histories : testing::Test {
  metrics::registry all;
  metrics::counter& in = all.add_counter("yaks_produce_records_total", "R.", {{"topic", "a"}});
  metrics::counter& in_b = all.add_counter("yaks_produce_records_total", "R.", {{"topic", "b"}});
  metrics::counter& bytes = all.add_counter("yaks_produce_bytes_total", "B.", {{"topic", "a"}});
  metrics::histogram& seconds = all.add_histogram("yaks_request_duration_seconds", "S.",
                                                  metrics::latency_seconds_buckets(), {{"api", "Produce"}});
  time_point start{1h};
  static constexpr std::int64_t wall = 1'700'000'000'000;  // a multiple of 5 s
  history h{all, start, timestamp_ms(wall)};
  void sample(double at_s) {
    h.sample(start + duration(std::int64_t(at_s * 1e9)), timestamp_ms(wall + std::int64_t(at_s * 1000)));
  }
  json read(unsigned step = 5, std::int64_t since = 0) {
    return json::parse("{" + h.json(step, timestamp_ms(since)) + "}");
  }
};

TEST_F(histories, a_step_has_what_was_counted_in_it) {
  in.add(10);
  in_b.add(1);
  seconds.observe(0.003);
  seconds.observe(100);
  sample(5);
  sample(10);
  in.add(5);
  sample(15);
  auto got = read();
  EXPECT_EQ(got["points"], 3);
  EXPECT_EQ(got["end_ms"], wall + 15'000);
  EXPECT_EQ(got["records_in"], json::parse("[11,0,5]"));
  EXPECT_EQ(got["produce"], json::parse("[[3,1,15,1],[],[]]"));  // below 5 ms, above 30 s
  EXPECT_EQ(read(5, wall + 10'000)["records_in"], json::parse("[5]"));
}

// A range that another agent has given is a hit of the cluster; the agent that read it from the object store has the miss.
TEST_F(histories, what_peers_give_is_no_miss) {
  all.add_counter("yaks_cache_hits_total", "H.").add(7);
  all.add_counter("yaks_cache_misses_total", "M.").add(5);
  all.add_counter("yaks_groupcache_peer_loads_total", "P.").add(4);
  all.add_counter("yaks_groupcache_local_loads_total", "L.").add(1);
  sample(5);
  auto got = read();
  EXPECT_EQ(got["cache_hits"], json::parse("[11]"));
  EXPECT_EQ(got["cache_misses"], json::parse("[1]"));
}

TEST_F(histories, longer_steps_are_sums_and_whole) {
  for (int i = 1; i <= 10; ++i) {
    in.add(i);
    sample(5.0 * i);
  }
  auto got = read(20);  // the wall clock's: ends at 20 s and 40 s
  EXPECT_EQ(got["records_in"], json::parse("[10,26]"));
  EXPECT_EQ(got["end_ms"], wall + 40'000);
}

TEST_F(histories, what_was_missed_is_spread_over_the_steps_that_were) {
  sample(5);
  in.add(30);
  sample(20);
  EXPECT_EQ(read()["records_in"], json::parse("[0,10,10,10]"));
}

TEST_F(histories, a_deleted_topic_is_no_negative_rate) {
  in.add(100);
  in_b.add(10);
  sample(5);
  all.remove("yaks_produce_records_total", {{"topic", "a"}});
  sample(10);
  EXPECT_EQ(read()["records_in"], json::parse("[110,0]"));
}

TEST_F(histories, an_hour_is_kept_and_a_clock_that_was_set_begins_anew) {
  for (int i = 1; i <= 800; ++i) sample(5.0 * i);
  EXPECT_EQ(h.points().size(), history::steps_max);
  sample(100);
  EXPECT_EQ(h.points().size(), 1u);
}

TEST_F(histories, recent_rates_are_of_a_step_at_least) {
  sample(5);
  in.add(50);
  sample(10);
  in.add(6);
  auto lately = h.recent(start + 11s);
  EXPECT_DOUBLE_EQ(lately.seconds, 6);  // since 5 s
  EXPECT_EQ(lately.counted.counters[records_in], 56);
  EXPECT_DOUBLE_EQ(h.recent(start + 15s).seconds, 5);
}

TEST_F(histories, busy_topics_come_first_and_idle_ones_not_at_all) {
  auto& other = all.add_counter("yaks_fetch_bytes_total", "F.", {{"topic", "b"}});
  bytes.add(1000);
  sample(5);
  EXPECT_EQ(h.topics().size(), 1u);
  bytes.add(10);
  other.add(500);
  sample(10);
  ASSERT_EQ(h.topics().size(), 2u);
  EXPECT_EQ(h.topics()[0].name, "b");
  EXPECT_DOUBLE_EQ(h.topics()[0].per_s[2], 100);
  EXPECT_DOUBLE_EQ(h.topics()[1].per_s[0], 2);
  sample(15);
  EXPECT_TRUE(h.topics().empty());
}

TEST(numbers_query, round_trips_and_refuses_nonsense) {
  numbers_request asked{.step_s = 20, .since_ms = 123, .with_topics = true};
  EXPECT_EQ(parse_query(query_of(asked)), asked);
  EXPECT_EQ(parse_query(""), numbers_request());
  EXPECT_EQ(parse_query("new=1&step=60"), numbers_request{.step_s = 60});
  for (auto bad : {"step=0", "step=7", "step=65", "since=-1", "since=x", "topics=", "step=5x"})
    EXPECT_FALSE(parse_query(bad)) << bad;
}

// ---- one agent
// ---------------------------------------------------------------------------------------------------------

struct console_world : testing::Test {
  simulated_world world{1};
  simulated_runtime rt{world};
  metastores::memory_log shared{[this] {
    return timestamp_ms(1'700'000'000'000 +
                        std::chrono::duration_cast<std::chrono::milliseconds>(rt.now().time_since_epoch()).count());
  }};
  metastores::memory_metastore store{rt, shared, "node"};
  metrics::registry all;
  metadata::register_agent self{.node = node_id(3), .upload_deadline_ms = 600'000, .host = "h", .port = 9092};
  metadata::replica log{rt, store.log(), {.registration = self}, all, [](const metadata::changes&) {}};
  membership::members members{rt, store, log, {.self = self}, all};
  own_numbers own{rt, all, log, members, {.version = "9", .host = "h", .port = 9092, .zone = "z", .node = 3}};
  topic_survey survey{rt, log};
  memory_network net;

  void run(std::function<awaitable<void>(task_group&)> body) {
    task_group tasks(rt.executor());
    auto whole = [&]() -> awaitable<void> {
      co_await store.open();
      tasks.spawn(log.run());
      tasks.spawn(members.run());
      tasks.spawn(own.run());
      co_await log.wait_until_ready();
      co_await body(tasks);
    };
    rt.run(run_then_close(whole(), tasks));
  }
  awaitable<void> create(std::string name, std::int32_t partitions) {
    auto high = rt.random(), low = rt.random();
    metadata::create_topic c{
        .id = topic_id(uuid::v4(high, low)), .name = std::move(name), .partitions = partitions, .configs = {}};
    (void)co_await log.submit(std::move(c));
  }
};

TEST_F(console_world, numbers_are_collected_only_while_somebody_asks) {
  auto& in = all.add_counter("yaks_produce_records_total", "R.", {{"topic", "a"}});
  run([&](task_group&) -> awaitable<void> {
    co_await rt.sleep_for(1min);
    EXPECT_FALSE(own.is_collecting());
    auto first = json::parse(own.numbers({}));
    EXPECT_TRUE(first["now"].is_null());
    EXPECT_EQ(first["node"], 3);
    EXPECT_EQ(first["zone"], "z");
    EXPECT_EQ(first["fresh"], true);
    EXPECT_EQ(first["lease"]["ttl_s"], 15);
    EXPECT_LE(first["lease"]["age_s"].get<double>(), 5.1);
    EXPECT_GT(first["log"]["sequence"].get<int>(), 0);
    co_await rt.sleep_for(1s);
    in.add(70);
    co_await rt.sleep_for(20s);
    auto second = json::parse(own.numbers({.with_topics = true}));
    double sum = 0;
    for (double n : second["history"]["records_in"]) sum += n;
    EXPECT_EQ(sum, 70);
    EXPECT_TRUE(second["topics"].empty());  // nothing in the last step
    EXPECT_GE(second["now"]["seconds"].get<double>(), 4.9);
    EXPECT_LE(second["now"]["seconds"].get<double>(), 10.1);
    EXPECT_TRUE(own.is_collecting());
    co_await rt.sleep_for(20min);
    EXPECT_FALSE(own.is_collecting());
  });
}

TEST_F(console_world, a_survey_counts_all_topics_in_slices) {
  run([&](task_group& tasks) -> awaitable<void> {
    co_await create("small", 3);
    co_await create("large", 50'000);  // more than two slices
    co_await create("gone", 50'000);
    EXPECT_EQ(survey.totals_json(), "null");
    co_await survey.take();
    EXPECT_EQ(json::parse(survey.totals_json()),
              json::parse(R"j({"topics":3,"partitions":100003,"records":0,"bytes":0})j"));
    EXPECT_EQ(json::parse(survey.json("small", 10)),
              json::parse(R"j({"total":3,"matching":1,"topics":[["small",3,0,0]]})j"));
    EXPECT_EQ(json::parse(survey.json("", 2))["topics"].size(), 2u);
    EXPECT_EQ(json::parse(survey.json("", 2))["matching"], 3);
    // One that is deleted while it is counted is left out, or counted in part, and the others are right.
    bool done = false;
    auto again = [&]() -> awaitable<void> {
      co_await survey.take();
      done = true;
    };
    tasks.spawn(again());
    co_await rt.sleep_for(500us);
    auto id = log.current().find_topic("gone")->id;
    (void)co_await log.submit(metadata::delete_topic{id});
    while (!done) co_await rt.sleep_for(10ms);
    auto rows = json::parse(survey.json("", 10))["topics"];
    EXPECT_NE(std::ranges::find(rows, json::parse(R"j(["large",50000,0,0])j")), rows.end());
    EXPECT_NE(std::ranges::find(rows, json::parse(R"j(["small",3,0,0])j")), rows.end());
  });
}

// ---- all agents
// --------------------------------------------------------------------------------------------------------

struct fixed_numbers final : agent_numbers {
  std::string text = R"j({"node":0})j";
  numbers_request last;
  std::string numbers(const numbers_request& request) override {
    last = request;
    return text;
  }
};
struct cluster : testing::Test {
  simulated_world world{1};
  simulated_runtime rt{world};
  memory_network net;
  fixed_numbers own;
  std::vector<other_agent> others;
  other_agent at(int node, std::string host, std::uint16_t port = 9080) {
    return {.who = incarnation(uuid::v4(1, std::uint64_t(node))),
            .node = node,
            .host = "a\"b",
            .port = 9092,
            .zone = "z",
            .version = "1",
            .at = {.host = std::move(host), .port = port}};
  }
  // A peer that answers with `answer`.
  struct peer {
    std::unique_ptr<listener> listening;
    std::unique_ptr<http::server> server;
    std::vector<std::string> seen;
  };
  std::list<peer> peers;
  void serve(std::string host, http::server_response answer, task_group& tasks) {
    auto& p = peers.emplace_back();
    p.listening = net.listen({.host = std::move(host), .port = 9080});
    p.server = std::make_unique<http::server>(rt, *p.listening, [&p, answer](const http::server_request& r) {
      p.seen.push_back(r.path + "?" + r.query + " " + std::string(http::find(r.fields, "x-secret")));
      return answer;
    });
    tasks.spawn(p.server->run());
  }
  void run(std::function<awaitable<void>(task_group&, cluster_numbers&)> body) {
    task_group tasks(rt.executor());
    auto whole = [&]() -> awaitable<void> {
      cluster_numbers numbers(rt, net, own, [this] { return others; }, {.credentials = {{"x-secret", "s"}}});
      co_await body(tasks, numbers);
    };
    rt.run(run_then_close(whole(), tasks));
  }
};

TEST_F(cluster, asks_everybody_and_names_who_is_silent) {
  others = {at(1, "good"), at(2, "refuses"), at(3, "nobody"), at(4, "hangs"), at(5, "nowhere", 0), at(6, "odd")};
  run([&](task_group& tasks, cluster_numbers& numbers) -> awaitable<void> {
    serve("good", {.body = R"j({"node":1})j"}, tasks);
    serve("refuses", {.status = 403, .body = "no"}, tasks);
    serve("odd", {.body = "hello"}, tasks);
    auto hangs = net.listen({.host = "hangs", .port = 9080});
    auto begun = rt.now();
    numbers_request request{.step_s = 20, .since_ms = 5};
    auto got = json::parse("{" + co_await numbers.json(request) + "}");
    EXPECT_EQ(got["agents"], json::parse(R"j([{"node":0},{"node":1}])j"));
    EXPECT_EQ(got["silent"].size(), 5u);
    std::map<int, std::string> why;
    for (const auto& s : got["silent"]) why[s["node"]] = s["problem"];
    EXPECT_EQ(why[2], "it answers with status 403");
    EXPECT_FALSE(why[3].empty());
    EXPECT_EQ(why[4], "no answer within 2 s");
    EXPECT_NE(why[5].find("YAKS_GROUPCACHE_ENABLED"), std::string::npos);
    EXPECT_EQ(why[6], "it answers with something else");
    EXPECT_EQ(got["silent"][0]["host"], "a\"b");
    EXPECT_LE(rt.now() - begun, 2100ms);  // all at the same time
    EXPECT_EQ(peers.front().seen.at(0), "/numbers?step=20&since=5&topics=0 s");
    EXPECT_EQ(own.last, request);
  });
}

// ---- the page
// ----------------------------------------------------------------------------------------------------------

struct pages : console_world {
  fixed_numbers fixed;
  cluster_numbers numbers{rt, net, fixed, [] { return std::vector<other_agent>(); }, {}};
  dashboard_settings settings{
      .cluster_id = "c", .node = 3, .host = "console.example", .storage_dollars_per_gb_month = 0.023};
  std::list<dashboard> made;
  http::server_response get(std::string path, http::headers fields = {{"Host", "localhost:3000"}}) {
    auto& d = made.emplace_back(rt, numbers, survey, settings);  // an answer that takes a while comes from it
    auto question = std::min(path.find('?'), path.size());
    return d.answer({.method = "GET",
                     .path = path.substr(0, question),
                     .query = path.substr(std::min(question + 1, path.size())),
                     .fields = fields});
  }
};

TEST_F(pages, the_page_and_its_files_are_there_and_name_no_other_host) {
  EXPECT_EQ(get("/").content_type, "text/html; charset=utf-8");
  EXPECT_EQ(get("/app.js").content_type, "text/javascript; charset=utf-8");
  EXPECT_EQ(get("/vendor/uplot/LICENSE").status, 200u);
  EXPECT_EQ(get("/../etc/passwd").status, 404u);
  std::string html = get("/").body;
  std::regex reference("(?:src|href)=\"([^\"#]+)\"");
  int references = 0;
  for (auto r = std::sregex_iterator(html.begin(), html.end(), reference); r != std::sregex_iterator();
       ++r, ++references) {
    auto path = (*r)[1].str();
    if (path.starts_with("api/")) continue;
    EXPECT_EQ(get("/" + path).status, 200u) << path;
  }
  EXPECT_GE(references, 5);
  EXPECT_EQ(html.find("style=\""), std::string::npos);
  EXPECT_EQ(html.find("<style"), std::string::npos);
  // What may stand there: XML's names for itself, and the comment in front of the library.
  std::regex elsewhere("https?://[A-Za-z0-9./]+");
  for (const auto& file : assets()) {
    std::string text(file.bytes);
    for (auto r = std::sregex_iterator(text.begin(), text.end(), elsewhere); r != std::sregex_iterator(); ++r)
      EXPECT_TRUE(r->str().starts_with("http://www.w3.org/") ||
                  r->str().starts_with("https://github.com/leeoniya/uPlot"))
          << file.path << r->str();
  }
}

TEST_F(pages, every_answer_forbids_what_the_page_does_not_need) {
  for (auto path : {"/", "/app.js", "/api/topics", "/nothing", "/api/nothing"}) {
    auto answer = get(path);
    auto policy = http::find(answer.fields, "Content-Security-Policy");
    EXPECT_TRUE(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';")) << path;
    EXPECT_EQ(policy.find("unsafe"), policy.npos);
    EXPECT_EQ(http::find(answer.fields, "X-Content-Type-Options"), "nosniff");
  }
}

TEST_F(pages, the_cluster_is_one_document) {
  run([&](task_group&) -> awaitable<void> {
    auto slow = get("/api/cluster?step=20");
    EXPECT_TRUE(slow.later);
    auto answer = co_await slow.later();
    auto got = json::parse(answer.body);
    EXPECT_EQ(answer.content_type, "application/json");
    EXPECT_EQ(got["agents"], json::parse(R"j([{"node":0}])j"));
    EXPECT_EQ(got["silent"], json::array());
    EXPECT_EQ(got["bounds"].size() + 1, buckets);
    EXPECT_EQ(got["prices"]["storage_per_gb_month"], 0.023);
    EXPECT_TRUE(got["stored"].is_null());
    EXPECT_EQ(fixed.last.step_s, 20u);
    EXPECT_EQ(get("/api/cluster?step=1").status, 400u);
    co_await create("a b", 2);
    co_await survey.take();
    EXPECT_EQ(json::parse(get("/api/topics?filter=a%20b").body)["matching"], 1);
    EXPECT_EQ(json::parse(get("/api/topics?filter=x").body)["matching"], 0);
  });
}

TEST_F(pages, a_token_is_asked_for_where_it_is_set) {
  settings.token = "secret";
  EXPECT_EQ(get("/").status, 200u);  // the page that asks
  EXPECT_EQ(get("/api/topics").status, 401u);
  for (auto wrong : {"Bearer ", "Bearer secre", "Bearer secrets", "Bearer Secret", "Basic secret", "secret"})
    EXPECT_EQ(get("/api/topics", {{"Host", "localhost"}, {"Authorization", wrong}}).status, 401u) << wrong;
  EXPECT_EQ(get("/api/topics", {{"Host", "any.name"}, {"authorization", "Bearer secret"}}).status, 200u);
}

TEST_F(pages, without_a_token_names_of_others_are_refused) {
  for (auto good : {"localhost", "localhost:3000", "127.0.0.1:3000", "[::1]:3000", "10.0.0.7", "console.example:3000"})
    EXPECT_EQ(get("/api/topics", {{"Host", good}}).status, 200u) << good;
  for (auto bad : {"evil.example", "evil.example:3000", "localhost.evil.example", "127.0.0.1.evil.example", ""})
    EXPECT_EQ(get("/api/topics", {{"Host", bad}}).status, 403u) << bad;
}
}  // namespace
}  // namespace yaks::console
