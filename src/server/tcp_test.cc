// Goal: the same server on real sockets and in real time: pipelined clients, a large frame, an orderly stop while reads
// are pending. Method: clients of this process over the loopback interface; nothing is asserted about time.
#include <gtest/gtest.h>

#include "net/tcp_network.hpp"
#include "runtime/real_runtime.hpp"
#include "runtime/task_group.hpp"
#include "server/kafka_server.hpp"
#include "server/test_world.hpp"

namespace yaks {
namespace {
using test::framed;

awaitable<void> send(byte_stream& to, std::string bytes) {
  std::vector<shared_bytes> segments{shared_bytes::copy_of(as_bytes(bytes))};
  co_await to.write_all(std::move(segments));
}

// So many bytes, or what came before the end.
awaitable<std::string> receive(byte_stream& from, std::size_t bytes) {
  std::string all;
  std::vector<std::byte> some(65536);
  try {
    while (all.size() < bytes) {
      auto n = co_await from.read_some({some.data(), std::min(some.size(), bytes - all.size())});
      all += as_text(byte_view(some.data(), n));
    }
  } catch (const boost::system::system_error&) {
  }
  co_return all;
}

awaitable<void> exchange(network& net, std::uint16_t port, int id, int& finished) {
  auto stream = co_await net.connect({.host = "127.0.0.1", .port = port});
  for (int round = 0; round < 5; ++round) {
    std::string all;
    for (int i = 0; i < 20; ++i) all += framed("client " + std::to_string(id) + " request " + std::to_string(i));
    if (round == 2) all += framed(std::string(300'000, char('a' + id % 26)));
    co_await send(*stream, all);
    EXPECT_EQ(co_await receive(*stream, all.size()), all);
  }
  ++finished;
}

TEST(tcp, a_hundred_pipelining_clients_and_an_orderly_stop) {
  real_runtime rt;
  tcp_network net(rt);
  metrics::registry registry;
  test::test_handler handler;
  kafka_server server(rt, net.listen({.host = "127.0.0.1"}), handler, {}, registry);
  task_group tasks(rt.executor());
  int finished = 0;
  bool open = false;
  event opened;
  auto held = [&](request of) -> awaitable<response> {
    while (!open) co_await opened.wait();
    co_return co_await test::test_handler::echo(std::move(of));
  };
  auto body = [&]() -> awaitable<void> {
    tasks.spawn(server.run());
    {
      task_group clients(rt.executor());
      auto all = [&]() -> awaitable<void> {
        for (int i = 0; i < 100; ++i) clients.spawn(exchange(net, server.port(), i, finished));
        while (clients.size() > 0) co_await rt.sleep_for(1ms);
      };
      co_await run_then_close(all(), clients);
    }
    EXPECT_EQ(finished, 100);

    handler.on_request = held;
    auto idle = co_await net.connect({.host = "127.0.0.1", .port = server.port()});
    auto busy = co_await net.connect({.host = "127.0.0.1", .port = server.port()});
    int before = handler.calls;
    co_await send(*busy, framed("in flight"));
    while (handler.calls == before) co_await rt.sleep_for(1ms);
    tasks.spawn(server.stop(rt.now() + 60s));
    EXPECT_EQ(co_await receive(*idle, 1), "");
    idle->close();
    open = true;
    opened.notify_all();
    EXPECT_EQ(co_await receive(*busy, 1000), framed("in flight"));
    busy->close();
    while (tasks.size() > 0) co_await rt.sleep_for(1ms);
    EXPECT_EQ(server.connections(), 0u);
  };
  rt.run(run_then_close(body(), tasks));
}

// The system drops what a client has not taken yet when a socket is closed over unread bytes.
TEST(tcp, an_orderly_stop_loses_no_answer_of_a_client_that_goes_on_sending) {
  real_runtime rt;
  tcp_network net(rt);
  metrics::registry registry;
  test::test_handler handler;
  std::string large(900'000, 'x');
  handler.on_request = [&](request) -> awaitable<response> { co_return test::answering(large); };
  kafka_server server(rt, net.listen({.host = "127.0.0.1"}), handler, {}, registry);
  task_group tasks(rt.executor());
  auto body = [&]() -> awaitable<void> {
    tasks.spawn(server.run());
    auto client = co_await net.connect({.host = "127.0.0.1", .port = server.port()});
    co_await send(*client, framed("a question"));
    while (registry.text().find("\nyaks_network_writes_total 1\n") == std::string::npos) co_await rt.sleep_for(1ms);
    tasks.spawn(server.stop(rt.now() + 60s));
    co_await send(*client, framed("too late"));
    co_await rt.sleep_for(20ms);  // for a reset to come, where one comes
    EXPECT_TRUE(co_await receive(*client, large.size() + 100) == framed(large));
    client->close();
    while (tasks.size() > 0) co_await rt.sleep_for(1ms);
  };
  rt.run(run_then_close(body(), tasks));
}

TEST(tcp, cancelling_ends_pending_reads_and_writes) {
  real_runtime rt;
  tcp_network net(rt);
  metrics::registry registry;
  test::test_handler handler;
  handler.on_request = [](request) -> awaitable<response> { co_return test::answering(std::string(30 << 20, 'x')); };
  kafka_server server(rt, net.listen({.host = "127.0.0.1"}), handler, {}, registry);
  task_group tasks(rt.executor());
  std::vector<std::unique_ptr<byte_stream>> clients;
  auto body = [&]() -> awaitable<void> {
    tasks.spawn(server.run());
    for (int i = 0; i < 4; ++i) {
      clients.push_back(co_await net.connect({.host = "127.0.0.1", .port = server.port()}));
      if (i < 2) co_await send(*clients.back(), framed("an answer that nobody reads"));
    }
    while (server.connections() < 4 || handler.calls < 2) co_await rt.sleep_for(1ms);
  };
  rt.run(run_then_close(body(), tasks));
  EXPECT_EQ(server.connections(), 0u);
}
}  // namespace
}  // namespace yaks
