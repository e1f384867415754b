// Goal: the writer of an object is known from its name, everybody agrees on an owner, a question survives its URL,
// strangers get nothing, and whatever a peer does wrong ends in time and in "ask the store". Method: pure parts by
// tables and chance; client and server in virtual time on a network in memory, also against peers that are scripts.
#include <gtest/gtest.h>

#include <map>

#include "net/memory_network.hpp"
#include "objects/object_name.hpp"
#include "peers/ownership.hpp"
#include "peers/peer_client.hpp"
#include "peers/peer_server.hpp"
#include "peers/protocol.hpp"
#include "runtime/simulated_runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::peers {
namespace {
incarnation agent(std::uint64_t n) {
  return incarnation(uuid::v4(n * 0x9e3779b97f4a7c15ull, n * 0xbf58476d1ce4e5b9ull));
}
peer at(std::uint64_t n) {
  return {agent(n), "agent" + std::to_string(n), std::uint16_t(1000 + n)};
}

TEST(object_name, says_when_and_by_whom) {
  simulated_world world{1};
  simulated_runtime rt{world};
  std::set<object_id> all;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    timestamp_ms now(1'700'000'000'000 + std::int64_t(i));
    auto writer = agent(1 + i % 7);
    auto high = rt.random(), low = rt.random();
    auto id = new_object_id(now, writer, high, low);
    EXPECT_EQ(made_at(id), now);
    EXPECT_EQ(std::to_integer<unsigned>(id.value().bytes[6]) >> 4, 7u);
    EXPECT_EQ(std::to_integer<unsigned>(id.value().bytes[8]) >> 6, 2u);
    for (std::uint64_t n = 1; n <= 7; ++n) EXPECT_EQ(may_be_written_by(id, agent(n)), agent(n) == writer);
    all.insert(id);
    all.insert(new_object_id(now, writer, high, low + 1));
  }
  EXPECT_EQ(all.size(), 2000u);  // what chance is left makes names different
}

TEST(ownership, the_writer_first_then_a_rendezvous_that_moves_only_what_it_must) {
  std::vector<peer> five;
  for (std::uint64_t n = 1; n <= 5; ++n) five.push_back(at(n));
  std::vector<peer> four(five.begin(), five.end() - 1);
  std::map<incarnation, int> counts;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    auto by_three = new_object_id(timestamp_ms(std::int64_t(i)), agent(3), i, i * 0x9e3779b97f4a7c15ull);
    EXPECT_EQ(owner_of(by_three, five)->who, agent(3));
    auto by_nobody = new_object_id(timestamp_ms(std::int64_t(i)), agent(99), i, i * 0x9e3779b97f4a7c15ull);
    auto with = owner_of(by_nobody, five)->who, without = owner_of(by_nobody, four)->who;
    ++counts[with];
    if (with != without) {
      EXPECT_EQ(with, agent(5));
    }
  }
  for (const auto& [who, count] : counts) EXPECT_NEAR(count, 1000, 150);
  EXPECT_EQ(owner_of(object_id(uuid::v7(1, 2, 3)), {}), nullptr);
}

question some_question(int ranges = 2) {
  question q{.object = object_id(uuid::v7(1'700'000'000'000, 3, 4)), .ranges = {}};
  for (int i = 0; i < ranges; ++i)
    q.ranges.push_back({.position = std::uint32_t(1000 * i), .bytes = 10, .base_offset = offset(7), .records = 3});
  return q;
}

TEST(protocol, a_question_survives_its_url) {
  question q{.object = object_id(uuid::v7(1, 2, 3)), .ranges = {}};
  for (std::size_t i = 0; i < ranges_max; ++i)
    q.ranges.push_back({.position = 4'294'967'295u,
                        .bytes = 100'000,
                        .base_offset = offset(INT64_MAX),
                        .records = 4'294'967'295u,
                        .append_time = timestamp_ms(INT64_MAX)});
  auto target = target_of(q);
  EXPECT_LT(target.size() + 200, head_bytes_max);
  ASSERT_TRUE(target.starts_with("/range?"));
  EXPECT_EQ(parse_query(std::string_view(target).substr(7)), q);
  auto some = some_question(1);
  EXPECT_EQ(target_of(some), "/range?object=018bcfe5-6800-7003-8000-000000000004&at=0.10.7.3");
  some.ranges[0].append_time = timestamp_ms(1'700'000'000'123);
  EXPECT_EQ(target_of(some), "/range?object=018bcfe5-6800-7003-8000-000000000004&at=0.10.7.3.1700000000123");
  EXPECT_EQ(parse_query(target_of(some).substr(7)), some);
}

TEST(protocol, what_is_no_question_is_refused) {
  std::string object = "object=018bcfe5-6800-7003-8000-000000000004";
  EXPECT_TRUE(parse_query(object + "&at=0.10.7.3&of=tomorrow"));
  for (std::string bad :
       {"", "at=0.10.7.3", "object=x&at=0.10.7.3", "OBJECT", "OBJECT&at=", "OBJECT&at=1.2.3", "OBJECT&at=0.10.7.3.4.5",
        "OBJECT&at=0.10.7.3.", "OBJECT&at=0.10.7.3.-4", "OBJECT&at=0.10.7.3.4x", "OBJECT&at=-1.10.7.3",
        "OBJECT&at=0.0.7.3", "OBJECT&at=0.10.-7.3", "OBJECT&at=0.10.7.0", "OBJECT&at=0.10.7.3x",
        "OBJECT&at=4294967296.10.7.3", "OBJECT&OBJECT&at=0.10.7.3", "OBJECT&at=0.33554432.7.3&at=0.1.7.3"}) {
    for (auto found = bad.find("OBJECT"); found != bad.npos; found = bad.find("OBJECT")) bad.replace(found, 6, object);
    EXPECT_FALSE(parse_query(bad)) << bad;
  }
  EXPECT_TRUE(parse_query(object + "&at=0.4000000000.7.3"));  // one range is asked for whatever its size
  std::string too_many = object;
  for (std::size_t i = 0; i <= ranges_max; ++i) too_many += "&at=0.1.7.3";
  EXPECT_FALSE(parse_query(too_many));
}

TEST(protocol, secrets) {
  EXPECT_TRUE(secrets_match("abc", "abc"));
  for (auto wrong : {"", "ab", "abd", "abcd", "abcabc", "xbc", "ABC"})
    EXPECT_FALSE(secrets_match(wrong, "abc")) << wrong;
  EXPECT_FALSE(secrets_match("", ""));  // a server without a secret serves nobody
}

// ---- client and server

struct some_source : range_source {
  runtime& rt;
  bool has_in_memory = true, can_load = true;
  duration load_time = 1s;
  int loads = 0;
  explicit some_source(runtime& r) : rt(r) {}
  static std::vector<shared_bytes> bytes_of(const question& q) {
    std::vector<shared_bytes> all;
    for (const auto& r : q.ranges)
      all.push_back(shared_bytes::copy_of(as_bytes(std::string(r.bytes, char('a' + r.position / 1000)))));
    return all;
  }
  std::optional<std::vector<shared_bytes>> in_memory(const question& q) override {
    if (!has_in_memory) return std::nullopt;
    return bytes_of(q);
  }
  awaitable<std::optional<std::vector<shared_bytes>>> load(question q) override {
    ++loads;
    co_await rt.sleep_for(load_time);
    if (!can_load) co_return std::nullopt;
    co_return bytes_of(q);
  }
};

struct peering : testing::Test {
  simulated_world world{1};
  simulated_runtime rt{world};
  memory_network net;
  metrics::registry server_metrics, client_metrics;
  some_source source{rt};
  std::vector<peer> live{at(1), at(2)};
  peer_client client{
      rt, net, [] { return agent(1); }, [this] { return live; }, {.secret = "the secret"}, client_metrics};
  double count(const char* name) { return client_metrics.add_counter(name, help_of(name)).value(); }
  static std::string help_of(std::string_view name) {
    return name == "yaks_groupcache_peer_errors_total"
               ? "Questions to other agents that came to nothing: each costs a GET."
               : "Ranges that another agent had, or read for us.";
  }
  double errors() { return count("yaks_groupcache_peer_errors_total"); }
  double loads() { return count("yaks_groupcache_peer_loads_total"); }

  void run(std::function<awaitable<void>(task_group&)> body) {
    task_group tasks(rt.executor());
    auto scene = [&]() -> awaitable<void> { co_await body(tasks); };
    rt.run(run_then_close(scene(), tasks), 1h);
  }
  // Agent 2 with a real server, for the time of the body.
  void serve(std::string secret, std::function<awaitable<void>()> body) {
    run([&](task_group& tasks) -> awaitable<void> {
      auto listening = net.listen({"agent2", 1002});
      peer_server server(source, secret, server_metrics);
      http::server http(
          rt, *listening, [&](const http::server_request& r) { return server.answer(r); }, peer_server::settings());
      task_group serving(rt.executor());
      auto all = [&]() -> awaitable<void> {
        serving.spawn(http.run());
        co_await body();
      };
      co_await run_then_close(all(), serving);
      (void)tasks;
    });
  }
  // Agent 2 as a script: what it says to each connection.
  void script(std::function<awaitable<void>(byte_stream&)> say, std::function<awaitable<void>()> body) {
    run([&](task_group& tasks) -> awaitable<void> {
      auto listening = net.listen({"agent2", 1002});
      auto accept = [&]() -> awaitable<void> {
        std::vector<std::unique_ptr<byte_stream>> kept;
        for (;;) {
          kept.push_back(co_await listening->accept());
          co_await say(*kept.back());
        }
      };
      tasks.spawn(accept());
      co_await body();
    });
  }
  awaitable<std::string> asked(question q = some_question()) {
    auto got = co_await client.ask(at(2), q);
    if (!got) co_return "nothing";
    std::string all;
    for (const auto& part : *got) all += as_text(part.view()), all += '|';
    co_return all;
  }
  bool is_owner_asked() { return client.owner_of(new_object_id(timestamp_ms(1), agent(2), 1, 1)).has_value(); }
};
constexpr const char* both = "aaaaaaaaaa|bbbbbbbbbb|";

TEST_F(peering, answers_from_memory) {
  serve("the secret", [&]() -> awaitable<void> {
    auto begun = rt.now();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(co_await asked(), both);
    EXPECT_LT(rt.now() - begun, 1ms);
    EXPECT_EQ(source.loads, 0);
    EXPECT_EQ(loads(), 6);
    EXPECT_EQ(errors(), 0);
  });
}

TEST_F(peering, waits_for_a_peer_that_asks_the_store) {
  source.has_in_memory = false;
  serve("the secret", [&]() -> awaitable<void> {
    EXPECT_EQ(co_await asked(), both);
    EXPECT_EQ(source.loads, 1);
    source.can_load = false;
    EXPECT_EQ(co_await asked(), "nothing");
    EXPECT_TRUE(is_owner_asked());  // not the peer's fault
    EXPECT_EQ(errors(), 1);
  });
}

TEST_F(peering, but_not_for_ever) {
  source.has_in_memory = false;
  source.load_time = 60s;
  serve("the secret", [&]() -> awaitable<void> {
    auto begun = rt.now();
    EXPECT_EQ(co_await asked(), "nothing");
    EXPECT_NEAR(std::chrono::duration<double>(rt.now() - begun).count(), 5.0, 0.01);
    EXPECT_TRUE(is_owner_asked());
  });
}

TEST_F(peering, strangers_get_nothing) {
  serve("another secret", [&]() -> awaitable<void> {
    EXPECT_EQ(co_await asked(), "nothing");
    EXPECT_EQ(source.loads, 0);
    EXPECT_FALSE(is_owner_asked());
    EXPECT_EQ(errors(), 1);
  });
}

TEST_F(peering, a_dead_peer_is_left_alone_for_a_while) {
  run([&](task_group&) -> awaitable<void> {
    EXPECT_TRUE(is_owner_asked());
    EXPECT_EQ(co_await asked(), "nothing");
    EXPECT_FALSE(is_owner_asked());
    co_await rt.sleep_for(9s);
    EXPECT_FALSE(is_owner_asked());
    co_await rt.sleep_for(2s);
    EXPECT_TRUE(is_owner_asked());
  });
}

TEST_F(peering, a_silent_peer_costs_half_a_second_and_three_of_them_are_enough) {
  script([&](byte_stream&) -> awaitable<void> { co_return; },
         [&]() -> awaitable<void> {
           for (int i = 0; i < 3; ++i) {
             EXPECT_TRUE(is_owner_asked());
             auto begun = rt.now();
             EXPECT_EQ(co_await asked(), "nothing");
             EXPECT_NEAR(std::chrono::duration<double>(rt.now() - begun).count(), 0.5, 0.01);
           }
           EXPECT_FALSE(is_owner_asked());
           EXPECT_EQ(errors(), 3);
         });
}

TEST_F(peering, nonsense_is_an_error_and_no_more) {
  for (std::string answer :
       {"not http at all\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\naaaaaaaaaabbbbbbbbb",
        "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\naaaa", "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", ""}) {
    script(
        [&](byte_stream& to) -> awaitable<void> {
          std::byte buffer[2000];
          co_await to.read_some(buffer);
          std::vector<shared_bytes> segments{shared_bytes::copy_of(as_bytes(answer))};
          if (!answer.empty()) co_await to.write_all(std::move(segments));
          to.close();
        },
        [&]() -> awaitable<void> { EXPECT_EQ(co_await asked(), "nothing") << answer; });
  }
}

TEST_F(peering, a_kept_connection_that_was_closed_meanwhile_is_made_anew) {
  int connections = 0;
  script(
      [&](byte_stream& to) -> awaitable<void> {
        ++connections;
        std::byte buffer[2000];
        co_await to.read_some(buffer);
        std::vector<shared_bytes> segments{
            shared_bytes::copy_of(as_bytes("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\naaaaaaaaaabbbbbbbbbb"))};
        co_await to.write_all(std::move(segments));
        to.close();
      },
      [&]() -> awaitable<void> {
        for (int i = 0; i < 3; ++i) EXPECT_EQ(co_await asked(), both);
        EXPECT_EQ(connections, 3);
        EXPECT_EQ(errors(), 0);
      });
}

TEST_F(peering, too_much_at_once_is_refused_not_queued) {
  source.has_in_memory = false;
  serve("the secret", [&]() -> awaitable<void> {
    question large = some_question(1);
    large.ranges[0].bytes = 100u << 20;
    source.can_load = false;  // its bytes are not made, but promised
    task_group tasks(rt.executor());
    auto ask_large = [&]() -> awaitable<void> { co_await asked(large); };
    auto all = [&]() -> awaitable<void> {
      tasks.spawn(ask_large());
      co_await rt.sleep_for(10ms);
      auto begun = rt.now();
      EXPECT_EQ(co_await asked(large), "nothing");
      EXPECT_LT(rt.now() - begun, 1ms);
      EXPECT_EQ(source.loads, 1);
      while (tasks.size() > 0) co_await rt.sleep_for(10ms);
      source.can_load = true;
      EXPECT_EQ(co_await asked(), both);  // and given back
      EXPECT_NE(server_metrics.text().find("yaks_groupcache_held_bytes 0\n"), std::string::npos);
    };
    co_await run_then_close(all(), tasks);
  });
}

TEST_F(peering, so_many_at_a_time_and_the_others_wait) {
  source.has_in_memory = false;
  source.load_time = 100ms;
  serve("the secret", [&]() -> awaitable<void> {
    task_group tasks(rt.executor());
    int answered = 0;
    std::size_t at_once = 0;
    auto one = [&]() -> awaitable<void> {
      EXPECT_EQ(co_await asked(), both);
      ++answered;
    };
    auto all = [&]() -> awaitable<void> {
      auto begun = rt.now();
      for (int i = 0; i < 64; ++i) tasks.spawn(one());
      co_await rt.sleep_for(50ms);
      at_once = std::size_t(source.loads);
      while (tasks.size() > 0) co_await rt.sleep_for(10ms);
      EXPECT_NEAR(std::chrono::duration<double>(rt.now() - begun).count(), 0.4, 0.03);
    };
    co_await run_then_close(all(), tasks);
    EXPECT_EQ(at_once, 16u);
    EXPECT_EQ(answered, 64);
    EXPECT_EQ(errors(), 0);
  });
}

// Whoever waits for its turn with a peer that turns out to be dead does not wait for long, and nobody asks it again.
TEST_F(peering, those_who_wait_give_up_together_when_a_peer_is_left_alone) {
  script([&](byte_stream&) -> awaitable<void> { co_return; },
         [&]() -> awaitable<void> {
           task_group tasks(rt.executor());
           int refused = 0;
           auto one = [&]() -> awaitable<void> {
             EXPECT_EQ(co_await asked(), "nothing");
             ++refused;
           };
           auto all = [&]() -> awaitable<void> {
             auto begun = rt.now();
             for (int i = 0; i < 64; ++i) tasks.spawn(one());
             while (tasks.size() > 0) co_await rt.sleep_for(10ms);
             EXPECT_LE(rt.now() - begun, 1s);
           };
           co_await run_then_close(all(), tasks);
           EXPECT_EQ(refused, 64);
           EXPECT_LE(errors(), 18);  // two have had a turn before the third silence
         });
}
}  // namespace
}  // namespace yaks::peers
