// Goal: a client gets every answer, in the order of its requests, whatever order they are ready in; a client that
// misbehaves or that fails us costs its own connection only, and is counted. Method: connections over streams in memory
// that count their calls, handlers that the test steers, time that moves when told.
#include "server/connection.hpp"

#include <map>

#include "runtime/task_group.hpp"
#include "server/test_world.hpp"

namespace yaks {
namespace {
using test::answering;
using test::framed;

struct fixture {
  explicit fixture(connection_settings with = {}, std::size_t budget_bytes = 1u << 30)
      : settings(with), metrics(registry), budget(rt, budget_bytes, 1s), tasks(rt.executor()) {}

  // A connection that is served until it ends.
  struct served {
    test::test_client client;
    test::memory_stream* server_end;
    std::unique_ptr<connection> server;
    bool ended = false;
  };
  served& connect() {
    auto [server_end, client_end] = test::connected();
    auto* end = server_end.get();
    auto server =
        std::make_unique<connection>(rt, std::move(server_end), handler, budget, settings, metrics, all.size() + 1);
    auto& one = all.emplace_back(test::test_client(std::move(client_end)), end, std::move(server));
    tasks.spawn(run(one));
    return one;
  }
  awaitable<void> run(served& one) {
    co_await one.server->run();
    one.ended = true;
  }
  void test(awaitable<void> body) { rt.run(run_then_close(std::move(body), tasks)); }
  double in_flight() { return metrics.requests_in_flight.value(); }

  test::manual_runtime rt;
  metrics::registry registry;
  connection_settings settings;
  connection_metrics metrics;
  receive_budget budget;
  test::test_handler handler;
  std::deque<served> all;
  task_group tasks;
};

// Handlers that answer when the test says so, by the text of their request.
struct gates {
  std::map<std::string, bool> open;
  event changed;
  int waiting = 0;
  awaitable<response> pass(request of) {
    std::string name(as_text(of.frame.view()));
    ++waiting;
    while (!open[name]) co_await changed.wait();
    --waiting;
    co_return answering("answer to " + name);
  }
  void let(const std::string& name) {
    open[name] = true;
    changed.notify_all();
  }
};

TEST(connection, answers_in_order_what_is_ready_in_reverse) {
  fixture f;
  gates gate;
  f.handler.on_request = [&](request of) { return gate.pass(std::move(of)); };
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    co_await c.client.send(framed("0") + framed("1") + framed("2") + framed("3") + framed("4"));
    co_await f.rt.settle();
    EXPECT_EQ(gate.waiting, 5);  // all at once
    EXPECT_EQ(f.in_flight(), 5);
    for (int i = 4; i >= 1; --i) gate.let(std::to_string(i));
    co_await f.rt.settle();
    EXPECT_EQ(c.server_end->writes, 0);
    gate.let("0");
    for (int i = 0; i < 5; ++i) EXPECT_EQ(co_await c.client.receive(), "answer to " + std::to_string(i));
    EXPECT_EQ(c.server_end->writes, 1);  // one for all that were ready
    EXPECT_EQ(f.in_flight(), 0);
  };
  f.test(body());
}

TEST(connection, pipelined_requests_cost_one_read_and_one_write) {
  fixture f;
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    std::string all;
    for (int i = 0; i < 32; ++i) all += framed("request " + std::to_string(i));
    co_await c.client.send(all);
    for (int i = 0; i < 32; ++i) EXPECT_EQ(co_await c.client.receive(), "request " + std::to_string(i));
    EXPECT_EQ(c.server_end->reads, 2);  // and the one that waits now
    EXPECT_EQ(c.server_end->writes, 1);
    EXPECT_EQ(f.metrics.frames.value(), 32);
    EXPECT_EQ(f.metrics.received_bytes.value(), double(all.size()));
    EXPECT_EQ(f.metrics.sent_bytes.value(), double(all.size()));
  };
  f.test(body());
}

TEST(connection, a_request_without_answer_leaves_no_gap) {
  fixture f;
  f.handler.on_request = [](request of) -> awaitable<response> {
    if (as_text(of.frame.view()) == "acks=0") co_return response::none();
    co_return answering(as_text(of.frame.view()));
  };
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    co_await c.client.send(framed("1") + framed("acks=0") + framed("2"));
    EXPECT_EQ(co_await c.client.receive(), "1");
    EXPECT_EQ(co_await c.client.receive(), "2");
  };
  f.test(body());
}

TEST(connection, requests_in_flight_are_bounded) {
  fixture f({.requests_in_flight_max = 3});
  gates gate;
  f.handler.on_request = [&](request of) { return gate.pass(std::move(of)); };
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    for (int i = 0; i < 6; ++i) co_await c.client.send(framed(std::to_string(i)));
    co_await f.rt.settle();
    EXPECT_EQ(gate.waiting, 3);
    for (int i = 0; i < 6; ++i) {
      gate.let(std::to_string(i));
      EXPECT_EQ(co_await c.client.receive(), "answer to " + std::to_string(i));
    }
  };
  f.test(body());
}

TEST(connection, request_bytes_in_flight_are_bounded_and_one_always_fits) {
  fixture f({.request_bytes_in_flight_max = 1000});
  gates gate;
  f.handler.on_request = [&](request of) { return gate.pass(std::move(of)); };
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    std::string large(5000, 'L');
    co_await c.client.send(framed(large) + framed("next"));
    co_await f.rt.settle();
    EXPECT_EQ(gate.waiting, 1);
    gate.let(large);
    EXPECT_EQ((co_await c.client.receive()).size(), 5010u);
    gate.let("next");
    EXPECT_EQ(co_await c.client.receive(), "answer to next");
  };
  f.test(body());
}

TEST(connection, admission_holds_back_the_next_frame) {
  fixture f;
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    co_await c.client.send(framed("1"));
    EXPECT_EQ(co_await c.client.receive(), "1");
    f.handler.admits_all = false;
    co_await c.client.send(framed("2") + framed("3"));  // the reader waits for bytes already: these are received
    EXPECT_EQ(co_await c.client.receive(), "2");
    co_await c.client.send(framed("4"));
    co_await f.rt.settle();
    EXPECT_EQ(f.handler.calls, 2);
    EXPECT_EQ(c.client.stream->out_->bytes, framed("4"));  // still in the network: the client feels it
    co_await f.rt.advance(1h);
    c.server->sweep(f.rt.now());  // who is held back is not idle
    f.handler.admits_all = true;
    f.handler.admitted.notify_all();
    EXPECT_EQ(co_await c.client.receive(), "3");
    EXPECT_EQ(co_await c.client.receive(), "4");
  };
  f.test(body());
}

TEST(connection, admission_holds_back_the_bulk_of_a_large_frame) {
  fixture f;
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    co_await f.rt.settle();
    f.handler.admits_all = false;
    std::string large(1'000'000, 'x');
    co_await c.client.send(framed(large));
    co_await f.rt.settle();
    EXPECT_GT(c.client.stream->out_->bytes.size(), 900'000u);
    EXPECT_EQ(f.budget.used(), 0u);  // it is not the one to be given up
    f.handler.admits_all = true;
    f.handler.admitted.notify_all();
    EXPECT_EQ(co_await c.client.receive(), large);
  };
  f.test(body());
}

// By its first bytes, which come before anything is known of the connection.
TEST(connection, admission_depends_on_the_frame_that_has_begun) {
  fixture f;
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    std::string large(1'000'000, 'x');
    f.handler.held_back = framed(large).substr(0, 6);
    co_await c.client.send(framed("small") + framed(large));
    EXPECT_EQ(co_await c.client.receive(), "small");
    co_await f.rt.settle();
    EXPECT_GT(c.client.stream->out_->bytes.size(), 900'000u);
    f.handler.held_back.clear();
    f.handler.admitted.notify_all();
    EXPECT_EQ(co_await c.client.receive(), large);
  };
  f.test(body());
}

TEST(connection, a_failing_handler_closes_its_own_connection_only) {
  fixture f;
  f.handler.on_request = [](request of) -> awaitable<response> {
    if (as_text(of.frame.view()) == "bad") throw std::runtime_error("planted failure");
    co_return answering(as_text(of.frame.view()));
  };
  auto body = [&]() -> awaitable<void> {
    auto &bad = f.connect(), &good = f.connect();
    co_await bad.client.send(framed("before") + framed("bad") + framed("after"));
    EXPECT_EQ(co_await bad.client.receive(), "before");
    EXPECT_EQ(co_await bad.client.receive(), "<end>");
    co_await f.rt.settle();
    EXPECT_TRUE(bad.ended);
    EXPECT_EQ(bad.server->reason(), close_reason::failure);
    co_await good.client.send(framed("fine"));
    EXPECT_EQ(co_await good.client.receive(), "fine");
    EXPECT_FALSE(good.ended);
  };
  f.test(body());
  EXPECT_EQ(f.in_flight(), 0);
}

TEST(connection, a_handler_that_closes_lets_earlier_answers_out) {
  fixture f;
  gates gate;
  f.handler.on_request = [&](request of) -> awaitable<response> {
    if (as_text(of.frame.view()) == "close") co_return response::close("acks=0 and an error");
    co_return co_await gate.pass(std::move(of));
  };
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    co_await c.client.send(framed("slow") + framed("close"));
    co_await f.rt.settle();
    EXPECT_FALSE(c.ended);
    co_await c.client.send(framed("too late"));
    gate.let("slow");
    EXPECT_EQ(co_await c.client.receive(), "answer to slow");
    EXPECT_EQ(co_await c.client.receive(), "<end>");
    co_await f.rt.settle();
    EXPECT_TRUE(c.ended);
    EXPECT_EQ(c.server->reason(), close_reason::refused);
    EXPECT_EQ(f.handler.calls, 2);
  };
  f.test(body());
}

TEST(connection, a_half_closed_client_gets_its_answers) {
  fixture f;
  gates gate;
  f.handler.on_request = [&](request of) { return gate.pass(std::move(of)); };
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    co_await c.client.send(framed("last"));
    c.client.stream->shutdown_write();
    co_await f.rt.settle();
    EXPECT_FALSE(c.ended);
    gate.let("last");
    EXPECT_EQ(co_await c.client.receive(), "answer to last");
    EXPECT_EQ(co_await c.client.receive(), "<end>");
    co_await f.rt.settle();
    EXPECT_EQ(c.server->reason(), close_reason::client);
  };
  f.test(body());
}

TEST(connection, a_client_that_left_does_not_keep_a_long_poll) {
  fixture f;
  gates gate;
  f.handler.on_request = [&](request of) { return gate.pass(std::move(of)); };
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    co_await c.client.send(framed("long poll"));
    c.client.stream->close();
    co_await f.rt.settle();
    co_await f.rt.advance(f.settings.drain_timeout);
    c.server->sweep(f.rt.now());
    co_await f.rt.settle();
    EXPECT_TRUE(c.ended);
    EXPECT_EQ(c.server->reason(), close_reason::client);
  };
  f.test(body());
  EXPECT_EQ(f.in_flight(), 0);
}

TEST(connection, bad_frames_close_after_what_came_before_is_answered) {
  for (auto [bytes, why] : {std::pair(std::string("GET / HTTP/1.1\r\n\r\n"), close_reason::oversized),
                            std::pair(std::string("\x16\x03\x01\x02\x00\x01\x00", 7), close_reason::oversized),
                            std::pair(std::string("\xff\xff\xff\xfe", 4), close_reason::malformed),
                            std::pair(std::string(8, '\0'), close_reason::malformed)}) {
    fixture f;
    auto body = [&]() -> awaitable<void> {
      auto& c = f.connect();
      co_await c.client.send(framed("good") + bytes);
      EXPECT_EQ(co_await c.client.receive(), "good");
      EXPECT_EQ(co_await c.client.receive(), "<end>");
      co_await f.rt.settle();
      EXPECT_TRUE(c.ended);
      EXPECT_EQ(c.server->reason(), why);
    };
    f.test(body());
  }
}

TEST(connection, half_a_frame_is_truncated) {
  fixture f;
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    co_await c.client.send(framed("whole request").substr(0, 9));
    c.client.stream->shutdown_write();
    EXPECT_EQ(co_await c.client.receive(), "<end>");
    co_await f.rt.settle();
    EXPECT_EQ(c.server->reason(), close_reason::truncated);
  };
  f.test(body());
}

TEST(connection, an_idle_client_is_closed_a_waiting_one_is_not) {
  fixture f;
  gates gate;
  f.handler.on_request = [&](request of) { return gate.pass(std::move(of)); };
  auto body = [&]() -> awaitable<void> {
    auto &idle = f.connect(), &waiting = f.connect();
    co_await waiting.client.send(framed("long poll"));
    co_await f.rt.advance(f.settings.idle_timeout);
    for (auto& one : f.all) one.server->sweep(f.rt.now());
    co_await f.rt.settle();
    EXPECT_FALSE(idle.ended);  // to the nanosecond
    co_await f.rt.advance(1ns);
    for (auto& one : f.all) one.server->sweep(f.rt.now());
    EXPECT_EQ(co_await idle.client.receive(), "<end>");
    co_await f.rt.settle();
    EXPECT_TRUE(idle.ended);
    EXPECT_EQ(idle.server->reason(), close_reason::idle);
    EXPECT_FALSE(waiting.ended);
    gate.let("long poll");
    EXPECT_EQ(co_await waiting.client.receive(), "answer to long poll");
    co_await f.rt.advance(1s);
    waiting.server->sweep(f.rt.now());  // its clock starts with the answer
    co_await f.rt.settle();
    EXPECT_FALSE(waiting.ended);
  };
  f.test(body());
}

TEST(connection, a_client_that_does_not_read_is_closed) {
  fixture f;
  std::string large(1 << 20, 'x');
  f.handler.on_request = [&](request) -> awaitable<response> { co_return answering(large); };
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    c.server_end->out_->capacity = 100'000;
    co_await c.client.send(framed("1") + framed("2"));
    co_await f.rt.settle();
    co_await f.rt.advance(f.settings.write_timeout);
    c.server->sweep(f.rt.now());
    co_await f.rt.settle();
    EXPECT_FALSE(c.ended);
    co_await f.rt.advance(1s);
    c.server->sweep(f.rt.now());
    co_await f.rt.settle();
    EXPECT_TRUE(c.ended);
    EXPECT_EQ(c.server->reason(), close_reason::slow_reader);
  };
  f.test(body());
  EXPECT_EQ(f.in_flight(), 0);
}

TEST(connection, a_slow_client_that_reads_on_keeps_its_connection) {
  fixture f({.write_bytes_max = 1000});
  std::string large(10'000, 'x');
  f.handler.on_request = [&](request) -> awaitable<response> { co_return answering(large); };
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    c.server_end->out_->capacity = 1000;
    c.client.stream->bytes_per_read_max = 500;
    co_await c.client.send(framed("1"));
    std::byte some[500];
    std::size_t got = 0;
    while (got < large.size() + 4) {  // 21 reads, 20 s apart: far longer than write_timeout in all
      got += co_await c.client.stream->read_some(some);
      co_await f.rt.advance(10s);
      c.server->sweep(f.rt.now());
      co_await f.rt.settle();
    }
    EXPECT_FALSE(c.ended);
    EXPECT_GT(c.server_end->writes, 10);
  };
  f.test(body());
}

TEST(connection, an_answer_is_held_until_it_is_sent) {
  fixture f;
  auto token = std::make_shared<int>();
  std::weak_ptr<int> held = token;
  f.handler.on_request = [&](request) -> awaitable<response> {
    auto out = answering(std::string(1000, 'x'));
    out.held_until_sent = std::move(token);
    co_return out;
  };
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    c.server_end->out_->capacity = 100;
    co_await c.client.send(framed("1"));
    co_await f.rt.settle();
    EXPECT_FALSE(held.expired());
    EXPECT_EQ((co_await c.client.receive()).size(), 1000u);
    co_await f.rt.settle();
    EXPECT_TRUE(held.expired());
  };
  f.test(body());
}

TEST(connection, drips_lose_to_a_producer_when_memory_is_scarce) {
  fixture f({}, 100'000);
  auto body = [&]() -> awaitable<void> {
    std::vector<fixture::served*> drips;
    for (int i = 0; i < 4; ++i) {
      drips.push_back(&f.connect());
      co_await drips.back()->client.send(framed(std::string(50'000, 'd')).substr(0, 20'000));
    }
    co_await f.rt.settle();
    co_await f.rt.advance(5s);
    auto& producer = f.connect();
    std::string large(90'000, 'p');
    co_await producer.client.send(framed(large));
    EXPECT_EQ(co_await producer.client.receive(), large);
    co_await f.rt.settle();
    int closed = 0;
    for (auto* drip : drips)
      if (drip->ended) {
        ++closed;
        EXPECT_EQ(drip->server->reason(), close_reason::slow_frame);
      }
    EXPECT_GE(closed, 3);
    EXPECT_FALSE(producer.ended);
    EXPECT_LE(f.budget.used(), 100'000u);
  };
  f.test(body());
}

TEST(connection, produce_turns_keep_the_order_of_requests) {
  fixture f;
  std::vector<std::string> joined;
  gates gate;
  f.handler.on_request = [&](request of) -> awaitable<response> {
    auto turn = of.connection.produce_turns.next_turn();
    std::string name(as_text(of.frame.view()));
    (void)co_await gate.pass(of);  // what a request may have to wait for: a barrier, an auto-created topic
    co_await turn.wait();
    joined.push_back(name);
    turn.pass();
    co_return answering(name);
  };
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    co_await c.client.send(framed("a") + framed("b") + framed("c"));
    co_await f.rt.settle();
    gate.let("c");
    gate.let("b");
    co_await f.rt.settle();
    EXPECT_TRUE(joined.empty());
    gate.let("a");
    for (auto name : {"a", "b", "c"}) EXPECT_EQ(co_await c.client.receive(), name);
    EXPECT_EQ(joined, (std::vector<std::string>{"a", "b", "c"}));
  };
  f.test(body());
}

TEST(connection, a_reset_while_writing_ends_it) {
  fixture f;
  gates gate;
  f.handler.on_request = [&](request of) { return gate.pass(std::move(of)); };
  auto body = [&]() -> awaitable<void> {
    auto& c = f.connect();
    co_await c.client.send(framed("1") + framed("2"));
    co_await f.rt.settle();
    c.server_end->out_->abandoned = true;  // the client's receiving side is gone, its sending side is not
    gate.let("1");
    co_await f.rt.settle();
    EXPECT_TRUE(c.ended);
    EXPECT_EQ(c.server->reason(), close_reason::network);
  };
  f.test(body());
  EXPECT_EQ(f.in_flight(), 0);
}
}  // namespace
}  // namespace yaks
