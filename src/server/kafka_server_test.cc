// Goal: the server survives whatever arrives, serves the others meanwhile, counts every refusal, and stops in order.
// Method: a listener in memory that can fail, a hundred clients at a time, random bytes from a seed.
#include "server/kafka_server.hpp"

#include <gmock/gmock.h>

#include <random>

#include "server/test_world.hpp"

namespace yaks {
namespace {
using test::framed;
using ::testing::HasSubstr;

struct fixture {
  explicit fixture(server_settings with = {}) : tasks(rt.executor()) {
    auto made = std::make_unique<test::test_listener>();
    door = made.get();
    server.emplace(rt, std::move(made), handler, with, registry);
  }
  void test(awaitable<void> body) {
    auto all = [this](awaitable<void> inner) -> awaitable<void> {
      tasks.spawn(run());
      co_await std::move(inner);
    };
    rt.run(run_then_close(all(std::move(body)), tasks));
  }
  awaitable<void> run() {
    co_await server->run();
    returned = true;
  }
  awaitable<void> stop(time_point deadline) {
    co_await server->stop(deadline);
    stopped = true;
  }
  std::string closed(std::string_view reason) {
    auto text = registry.text();
    auto name = "yaks_connections_closed_total{reason=\"" + std::string(reason) + "\"} ";
    auto at = text.find(name);
    return at == text.npos ? "?" : text.substr(at + name.size(), text.find('\n', at) - at - name.size());
  }

  test::manual_runtime rt;
  metrics::registry registry;
  test::test_handler handler;
  test::test_listener* door;
  std::optional<kafka_server> server;
  task_group tasks;
  bool returned = false, stopped = false;
};

TEST(kafka_server, a_hundred_clients_at_once) {
  fixture f;
  auto body = [&]() -> awaitable<void> {
    std::vector<test::test_client> clients;
    for (int i = 0; i < 100; ++i) clients.push_back(f.door->connect());
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 100; ++i) co_await clients[i].send(framed(std::to_string(i)) + framed("again"));
      for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(co_await clients[i].receive(), std::to_string(i));
        EXPECT_EQ(co_await clients[i].receive(), "again");
      }
    }
    EXPECT_EQ(f.server->connections(), 100u);
    EXPECT_THAT(f.registry.text(), HasSubstr("\nyaks_connections 100\n"));
    EXPECT_THAT(f.registry.text(), HasSubstr("\nyaks_frames_received_total 600\n"));
    clients.clear();
    co_await f.rt.settle();
    EXPECT_EQ(f.server->connections(), 0u);
    EXPECT_EQ(f.closed("client"), "100");
  };
  f.test(body());
}

TEST(kafka_server, failures_to_accept_do_not_end_it) {
  fixture f;
  auto body = [&]() -> awaitable<void> {
    f.door->failures = 5;  // as when file descriptors run out
    auto client = f.door->connect();
    for (int i = 0; i < 6; ++i) co_await f.rt.advance(2s);
    co_await client.send(framed("hello"));
    EXPECT_EQ(co_await client.receive(), "hello");
    EXPECT_THAT(f.registry.text(), HasSubstr("\nyaks_accept_failures_total 5\n"));
  };
  f.test(body());
}

TEST(kafka_server, connections_above_the_limit_are_closed_and_counted) {
  fixture f({.connections_max = 2});
  auto body = [&]() -> awaitable<void> {
    auto a = f.door->connect(), b = f.door->connect();
    co_await f.rt.settle();
    auto c = f.door->connect();
    EXPECT_EQ(co_await c.receive(), "<end>");
    EXPECT_EQ(f.closed("limit"), "1");
    a.stream->close();
    co_await f.rt.settle();
    auto d = f.door->connect();
    co_await d.send(framed("room again"));
    EXPECT_EQ(co_await d.receive(), "room again");
  };
  f.test(body());
}

// To a server that may have closed already.
awaitable<void> send_anyway(test::test_client& to, std::string bytes) {
  try {
    co_await to.send(std::move(bytes));
  } catch (const boost::system::system_error&) {
  }
}

TEST(kafka_server, garbage_and_drips_harm_nobody_else) {
  server_settings with;
  with.connections.request_bytes_max = 1 << 20;
  with.receive_bytes_max = 1 << 20;
  fixture f(with);
  std::mt19937 random(7);
  auto body = [&]() -> awaitable<void> {
    auto good = f.door->connect();
    std::vector<test::test_client> bad;
    for (int i = 0; i < 100; ++i) {
      auto& one = bad.emplace_back(f.door->connect());
      std::string bytes(1 + random() % 300, '\0');
      for (char& c : bytes) c = char(random());
      if (i % 4 == 0) co_await one.send(bytes);                                                // random
      if (i % 4 == 1) co_await one.send(std::string("\x7f\xff\xff\xff", 4) + bytes);           // oversized
      if (i % 4 == 2) co_await one.send(framed(std::string(1 << 20, 'h')).substr(0, 60'000));  // half a frame
      if (i % 4 == 3) co_await one.send(framed(std::string(50'000, 'd')).substr(0, 5));  // the first drop of a drip
    }
    for (int second = 0; second < 20; ++second) {
      co_await f.rt.advance(1s);
      for (int i = 2; i < 100; i += 4) co_await send_anyway(bad[i], "hhhhhhh");
      for (int i = 3; i < 100; i += 4) co_await send_anyway(bad[i], "d");
      if (second < 2) continue;  // until the first bad frames are older than receive_grace
      co_await good.send(framed(std::string(100'000, 'g')));
      EXPECT_EQ((co_await good.receive()).size(), 100'000u);
    }
    EXPECT_NE(f.closed("oversized"), "0");
    EXPECT_NE(f.closed("slow_frame"), "0");  // 25 times 60,000 bytes are more than there is
    EXPECT_EQ(f.closed("failure"), "0");
    for (auto& one : bad) one.stream->close();
    co_await f.rt.settle();
    EXPECT_EQ(f.server->connections(), 1u);
  };
  f.test(body());
}

TEST(kafka_server, one_frame_of_the_largest_size_fits_whatever_the_budget) {
  server_settings with;
  with.connections.request_bytes_max = 1 << 20;
  with.receive_bytes_max = 1000;
  fixture f(with);
  auto body = [&]() -> awaitable<void> {
    auto client = f.door->connect();
    std::string large(1 << 20, 'x');
    co_await client.send(framed(large));
    EXPECT_EQ(co_await client.receive(), large);
  };
  f.test(body());
}

TEST(kafka_server, the_sweeper_closes_idle_connections) {
  fixture f;
  auto body = [&]() -> awaitable<void> {
    auto client = f.door->connect();
    co_await f.rt.settle();
    co_await f.rt.advance(602s);
    EXPECT_EQ(co_await client.receive(), "<end>");
    co_await f.rt.settle();
    EXPECT_EQ(f.closed("idle"), "1");
  };
  f.test(body());
}

// A request that is answered when the test says so.
struct held_requests {
  bool open = false;
  event changed;
  awaitable<response> hold(request of) {
    while (!open) co_await changed.wait();
    co_return co_await test::test_handler::echo(std::move(of));
  }
};

TEST(kafka_server, stopping_answers_what_is_in_flight) {
  fixture f;
  held_requests held;
  f.handler.on_request = [&](request of) { return held.hold(std::move(of)); };
  auto body = [&]() -> awaitable<void> {
    auto busy = f.door->connect(), idle = f.door->connect();
    co_await busy.send(framed("in flight") + framed("too"));
    co_await f.rt.settle();
    f.tasks.spawn(f.stop(f.rt.now() + 10s));
    EXPECT_EQ(co_await idle.receive(), "<end>");
    idle.stream->close();
    co_await busy.send(framed("too late"));
    co_await f.rt.settle();
    EXPECT_FALSE(f.stopped);
    held.open = true;
    held.changed.notify_all();
    EXPECT_EQ(co_await busy.receive(), "in flight");
    EXPECT_EQ(co_await busy.receive(), "too");
    EXPECT_EQ(co_await busy.receive(), "<end>");
    busy.stream->close();
    co_await f.rt.settle();
    EXPECT_TRUE(f.stopped);
    EXPECT_TRUE(f.returned);
    EXPECT_EQ(f.handler.calls, 2);
    EXPECT_EQ(f.closed("shutdown"), "2");
  };
  f.test(body());
}

TEST(kafka_server, stopping_takes_in_what_clients_go_on_sending_and_does_not_wait_for_ever) {
  fixture f;
  auto body = [&]() -> awaitable<void> {
    auto closing = f.door->connect(), staying = f.door->connect();
    co_await closing.send(framed("1"));
    EXPECT_EQ(co_await closing.receive(), "1");
    f.tasks.spawn(f.stop(f.rt.now() + 10s));
    EXPECT_EQ(co_await closing.receive(), "<end>");
    EXPECT_EQ(co_await staying.receive(), "<end>");
    co_await closing.send(framed("on its way"));
    co_await f.rt.settle();
    EXPECT_TRUE(closing.stream->out_->bytes.empty());  // else a socket would be reset
    EXPECT_EQ(f.server->connections(), 2u);
    closing.stream->close();
    co_await f.rt.settle();
    EXPECT_EQ(f.server->connections(), 1u);
    co_await f.rt.advance(connection_settings().linger_timeout);
    EXPECT_TRUE(f.stopped);
    EXPECT_EQ(f.handler.calls, 1);
  };
  f.test(body());
}

TEST(kafka_server, stopping_breaks_off_at_the_deadline) {
  fixture f;
  held_requests held;
  f.handler.on_request = [&](request of) { return held.hold(std::move(of)); };
  auto body = [&]() -> awaitable<void> {
    auto client = f.door->connect();
    co_await client.send(framed("never answered"));
    co_await f.rt.settle();
    f.tasks.spawn(f.stop(f.rt.now() + 10s));
    co_await f.rt.advance(9s);
    EXPECT_FALSE(f.stopped);
    co_await f.rt.advance(1s);
    EXPECT_EQ(co_await client.receive(), "<end>");
    co_await f.rt.settle();
    EXPECT_TRUE(f.stopped);
    EXPECT_TRUE(f.returned);
    EXPECT_THAT(f.registry.text(), HasSubstr("\nyaks_requests_in_flight 0\n"));
  };
  f.test(body());
}

TEST(kafka_server, cancelling_it_ends_every_connection) {
  fixture f;
  held_requests held;
  f.handler.on_request = [&](request of) { return held.hold(std::move(of)); };
  std::vector<test::test_client> clients;
  auto body = [&]() -> awaitable<void> {
    for (int i = 0; i < 10; ++i) {
      clients.push_back(f.door->connect());
      co_await clients.back().send(framed("waits"));
    }
    co_await f.rt.settle();
    EXPECT_EQ(f.handler.calls, 10);
  };
  f.test(body());
  EXPECT_EQ(f.server->connections(), 0u);
  EXPECT_EQ(f.closed("shutdown"), "10");
}
}  // namespace
}  // namespace yaks
