// Goal: TCP and the network in memory behave alike, so that what is tried on one holds on the other.
// Method: one contract suite on both; what only TCP has (names, IPv6, ports in use by others) stands below it.
#include "net/network.hpp"

#include <gtest/gtest.h>

#include <boost/asio/error.hpp>
#include <functional>
#include <random>

#include "net/memory_network.hpp"
#include "net/tcp_network.hpp"
#include "runtime/real_runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks {
namespace {
using boost::system::system_error;

std::string error_of(const std::exception_ptr& failure) {
  try {
    if (failure) std::rethrow_exception(failure);
    return "none";
  } catch (const system_error& error) {
    for (auto [code, name] : std::initializer_list<std::pair<boost::system::error_code, const char*>>{
             {asio::error::eof, "eof"},
             {asio::error::operation_aborted, "operation_aborted"},
             {asio::error::broken_pipe, "gone"},
             {asio::error::connection_reset, "gone"},
             {asio::error::connection_refused, "refused"},
             {asio::error::host_not_found, "not found"},
             {asio::error::host_not_found_try_again, "not found"}})
      if (error.code() == code) return name;
    return error.what();
  }
}

// The failure of `work` by name, "none" where there is none.
awaitable<std::string> outcome(awaitable<void> work) {
  std::exception_ptr failure;
  try {
    co_await std::move(work);
  } catch (...) {
    failure = std::current_exception();
  }
  co_return error_of(failure);
}

shared_bytes random_bytes(std::size_t bytes, unsigned seed) {
  auto owner = chunk::make(bytes);
  std::minstd_rand random(seed);
  for (std::size_t i = 0; i < bytes; ++i) owner->data()[i] = std::byte(random());
  return {owner, {owner->data(), bytes}};
}

awaitable<void> read_one(byte_stream& from) {
  std::byte one;
  co_await from.read_some({&one, 1});
}
awaitable<void> write_one(byte_stream& to) {
  std::vector<shared_bytes> segments{shared_bytes::copy_of(as_bytes("x"))};
  co_await to.write_all(std::move(segments));
}
awaitable<void> write_without_end(byte_stream& to) {
  for (auto bytes = random_bytes(1 << 20, 1);;) {
    std::vector<shared_bytes> segments{bytes};
    co_await to.write_all(std::move(segments));
  }
}
awaitable<std::string> read_exactly(byte_stream& from, std::size_t bytes) {
  std::string all(bytes, '\0');
  for (std::size_t have = 0; have < bytes;)
    have += co_await from.read_some(std::as_writable_bytes(std::span(all)).subspan(have));
  co_return all;
}

using make_network = std::unique_ptr<network> (*)(runtime&);
std::unique_ptr<network> make_tcp(runtime& rt) {
  return std::make_unique<tcp_network>(rt);
}
std::unique_ptr<network> make_memory(runtime&) {
  return std::make_unique<memory_network>();
}

// A connected pair and the means to run coroutines on it.
struct network_contract : testing::TestWithParam<make_network> {
  real_runtime rt;
  std::unique_ptr<network> net = GetParam()(rt);
  std::unique_ptr<listener> listening = net->listen({"127.0.0.1", 0});
  std::unique_ptr<byte_stream> client, server;

  awaitable<void> connect() {
    client = co_await net->connect({"127.0.0.1", listening->port()});
    server = co_await listening->accept();
  }
  void run(std::function<awaitable<void>(task_group&)> body) {
    task_group tasks(rt.executor());
    auto connected = [&]() -> awaitable<void> {
      co_await connect();
      co_await body(tasks);
    };
    rt.run(run_then_close(connected(), tasks));
  }
};

TEST_P(network_contract, bytes_arrive_in_order_both_ways_at_the_same_time) {
  std::vector<shared_bytes> up, down;  // many small segments, empty ones, large ones
  std::string up_text, down_text;
  for (unsigned i = 0; i < 3000; ++i) up.push_back(random_bytes(i % 7 == 0 ? 0 : i % 300, i));
  up.push_back(random_bytes(3 << 20, 3));
  down.push_back(random_bytes(5 << 20, 4));
  for (unsigned i = 0; i < 100; ++i) down.push_back(random_bytes(1, i));
  for (auto& one : up) up_text += as_text(one.view());
  for (auto& one : down) down_text += as_text(one.view());
  run([&](task_group& tasks) -> awaitable<void> {
    tasks.spawn(client->write_all(up));
    tasks.spawn(server->write_all(down));
    std::string arrived_down;
    auto receive = [&]() -> awaitable<void> { arrived_down = co_await read_exactly(*client, down_text.size()); };
    tasks.spawn(receive());
    EXPECT_TRUE(co_await read_exactly(*server, up_text.size()) == up_text);
    while (tasks.size() > 0) co_await rt.sleep_for(1ms);
    EXPECT_TRUE(arrived_down == down_text);
  });
}

TEST_P(network_contract, nothing_to_write_is_fine) {
  run([&](task_group&) -> awaitable<void> {
    std::vector<shared_bytes> none, empties(3);
    co_await client->write_all(none);
    co_await client->write_all(empties);
    co_await write_one(*client);
    EXPECT_EQ(co_await read_exactly(*server, 1), "x");
  });
}

TEST_P(network_contract, what_was_written_before_a_close_arrives_and_then_eof) {
  run([&](task_group&) -> awaitable<void> {
    co_await write_one(*client);
    client.reset();
    EXPECT_EQ(co_await read_exactly(*server, 1), "x");
    EXPECT_EQ(co_await outcome(read_one(*server)), "eof");
    EXPECT_EQ(co_await outcome(read_one(*server)), "eof");
  });
}

TEST_P(network_contract, after_shutdown_write_the_peer_reads_the_end_and_may_still_write) {
  run([&](task_group&) -> awaitable<void> {
    co_await write_one(*client);
    client->shutdown_write(), client->shutdown_write();
    EXPECT_EQ(co_await read_exactly(*server, 1), "x");
    EXPECT_EQ(co_await outcome(read_one(*server)), "eof");
    co_await write_one(*server);
    EXPECT_EQ(co_await read_exactly(*client, 1), "x");
    EXPECT_NE(co_await outcome(write_one(*client)), "none");
  });
}

TEST_P(network_contract, writing_to_a_peer_that_is_gone_fails) {
  run([&](task_group&) -> awaitable<void> {
    client->close();
    EXPECT_EQ(co_await outcome(write_without_end(*server)), "gone");
  });
}

TEST_P(network_contract, close_wakes_a_pending_read_and_may_be_repeated) {
  run([&](task_group& tasks) -> awaitable<void> {
    std::string ended;
    auto read = [&]() -> awaitable<void> { ended = co_await outcome(read_one(*client)); };
    tasks.spawn(read());
    co_await rt.sleep_for(1ms);
    EXPECT_EQ(ended, "");
    client->close(), client->close();
    while (tasks.size() > 0) co_await rt.sleep_for(1ms);
    EXPECT_EQ(ended, "operation_aborted");
    EXPECT_NE(co_await outcome(read_one(*client)), "none");
    EXPECT_NE(co_await outcome(write_one(*client)), "none");
  });
}

TEST_P(network_contract, a_writer_waits_for_its_reader_and_close_wakes_it) {
  run([&](task_group& tasks) -> awaitable<void> {
    std::string ended;
    auto write = [&]() -> awaitable<void> { ended = co_await outcome(write_without_end(*client)); };
    tasks.spawn(write());
    co_await rt.sleep_for(20ms);
    EXPECT_EQ(ended, "");
    client->close();
    while (tasks.size() > 0) co_await rt.sleep_for(1ms);
    EXPECT_EQ(ended, "operation_aborted");
  });
}

TEST_P(network_contract, cancelled_coroutines_stop_reading_writing_and_accepting) {
  // run() returns at all only if the group's cancellation ends them.
  run([&](task_group& tasks) -> awaitable<void> {
    tasks.spawn(read_one(*client));
    tasks.spawn(write_without_end(*client));
    auto accept = [&]() -> awaitable<void> { co_await listening->accept(); };
    tasks.spawn(accept());
    co_await rt.sleep_for(5ms);
    EXPECT_EQ(tasks.size(), 3u);
  });
}

TEST_P(network_contract, closing_a_listener_wakes_accept_and_refuses_connections) {
  run([&](task_group& tasks) -> awaitable<void> {
    std::string ended;
    auto accept = [&]() -> awaitable<void> { co_await listening->accept(); };
    auto watch = [&]() -> awaitable<void> { ended = co_await outcome(accept()); };
    tasks.spawn(watch());
    co_await rt.sleep_for(1ms);
    listening->close();
    while (tasks.size() > 0) co_await rt.sleep_for(1ms);
    EXPECT_EQ(ended, "operation_aborted");
    auto connect = [&]() -> awaitable<void> { co_await net->connect({"127.0.0.1", listening->port()}); };
    EXPECT_EQ(co_await outcome(connect()), "refused");
  });
}

TEST_P(network_contract, a_taken_port_is_refused) {
  EXPECT_NE(listening->port(), 0);
  EXPECT_THROW(net->listen({"127.0.0.1", listening->port()}), system_error);
  listening.reset();
  EXPECT_EQ(net->listen({"127.0.0.1", 0})->port() == 0, false);
}

TEST_P(network_contract, connections_queue_until_they_are_accepted) {
  auto body = [&]() -> awaitable<void> {
    std::vector<std::unique_ptr<byte_stream>> clients, servers;
    for (int i = 0; i < 50; ++i) clients.push_back(co_await net->connect({"127.0.0.1", listening->port()}));
    for (int i = 0; i < 50; ++i) servers.push_back(co_await listening->accept());
    for (int i = 0; i < 50; ++i) co_await write_one(*clients[i]);
    for (int i = 0; i < 50; ++i) EXPECT_EQ(co_await read_exactly(*servers[i], 1), "x");
    EXPECT_NE(clients[0]->peer(), "");
    EXPECT_NE(servers[0]->peer(), servers[1]->peer());
  };
  rt.run(body());
}

INSTANTIATE_TEST_SUITE_P(tcp, network_contract, testing::Values(&make_tcp));
INSTANTIATE_TEST_SUITE_P(memory, network_contract, testing::Values(&make_memory));

TEST(tcp_network, names_are_resolved) {
  real_runtime rt;
  tcp_network net(rt);
  auto listening = net.listen({"localhost", 0});
  auto body = [&]() -> awaitable<void> {
    for (std::string host : {"localhost", "bucket.localhost", "127.0.0.1"}) {
      auto client = co_await net.connect({host, listening->port()});
      EXPECT_TRUE(client->peer().starts_with("127.0.0.1:")) << client->peer();
    }
    auto connect = [&]() -> awaitable<void> { co_await net.connect({"no-such-host.invalid", 1}); };
    EXPECT_EQ(co_await outcome(connect()), "not found");
  };
  rt.run(body());
}

TEST(tcp_network, ipv6_listeners_take_ipv4_too) {
  real_runtime rt;
  tcp_network net(rt);
  std::unique_ptr<listener> listening;
  try {
    listening = net.listen({"::", 0});
  } catch (const system_error& error) {
    GTEST_SKIP() << "this machine has no IPv6: " << error.what();
  }
  auto body = [&]() -> awaitable<void> {
    auto four = co_await net.connect({"127.0.0.1", listening->port()});
    auto six = co_await net.connect({"::1", listening->port()});
    EXPECT_EQ(six->peer(), "[::1]:" + std::to_string(listening->port()));
  };
  rt.run(body());
}

TEST(memory_network, wildcard_listeners_take_every_host) {
  real_runtime rt;
  memory_network net;
  auto any = net.listen({"0.0.0.0", 9092}), exact = net.listen({"one", 9092});
  auto body = [&]() -> awaitable<void> {
    auto first = co_await net.connect({"one", 9092}), second = co_await net.connect({"two", 9092});
    co_await write_one(*second);
    auto at_any = co_await any->accept(), at_exact = co_await exact->accept();
    EXPECT_EQ(co_await read_exactly(*at_any, 1), "x");
    first.reset();
    EXPECT_EQ(co_await outcome(read_one(*at_exact)), "eof");
  };
  rt.run(body());
}
}  // namespace
}  // namespace yaks
