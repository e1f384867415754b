// Goal: HTTP messages are understood as RFC 9110 and 9112 say, and whatever else arrives, cut anywhere, ends in an
// error and never in a hang, a crash or a wrong body. Method: parsers on golden texts, every prefix and random changes
// of them; client and server over the network in memory, against peers that are scripts.
#include "net/http.hpp"

#include <gtest/gtest.h>

#include <boost/asio/error.hpp>
#include <functional>
#include <random>

#include "net/http_client.hpp"
#include "net/http_server.hpp"
#include "net/memory_network.hpp"
#include "runtime/real_runtime.hpp"

namespace yaks::http {
namespace {
shared_bytes bytes(std::string_view text) {
  return shared_bytes::copy_of(as_bytes(text));
}

TEST(http_head, requests) {
  auto head = parse_request_head("GET /metrics?a=b HTTP/1.1\r\nHost: x\r\nX-Empty:\r\nx-two:  a b \r\n\r\n");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->method, "GET");
  EXPECT_EQ(head->target, "/metrics?a=b");
  EXPECT_EQ(head->minor_version, 1u);
  EXPECT_EQ(find(head->fields, "X-TWO"), "a b");
  EXPECT_EQ(find(head->fields, "x-empty"), "");
  EXPECT_EQ(head->fields.size(), 3u);
  for (const char* bad :
       {"", "\r\n", "GET\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "GET  HTTP/1.1\r\n\r\n",
        "G T / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\na : x\r\n\r\n", "GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n", "GET / HTTP/1.1\r\na: b\x01\r\n\r\n",
        "GET / HTTP/1.1\na: b\n\n", "GET / HTTP/1.1\r\n\r\nmore", "GET /\x80 HTTP/1.1\r\n\r\n"})
    EXPECT_FALSE(parse_request_head(bad)) << bad;
}

TEST(http_head, responses) {
  auto head = parse_response_head("HTTP/1.0 404 Not Found\r\nContent-Length: 3\r\n\r\n");
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 404u);
  EXPECT_EQ(head->reason, "Not Found");
  EXPECT_EQ(head->minor_version, 0u);
  EXPECT_EQ(parse_response_head("HTTP/1.1 200\r\n\r\n")->status, 200u);
  EXPECT_EQ(parse_response_head("HTTP/1.1 200 \r\n\r\n")->reason, "");
  for (const char* bad :
       {"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 099 no\r\n\r\n", "HTTP/1.1 -20 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n", "SSH-2.0-OpenSSH_9\r\n\r\n", "HTTP/1.1 200 OK\r\n"})
    EXPECT_FALSE(parse_response_head(bad)) << bad;
}

TEST(http_head, every_prefix_is_refused_and_random_changes_do_no_harm) {
  std::string text =
      "HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\nContent-Range: bytes 0-9/100\r\nETag: \"x\"\r\n\r\n";
  for (std::size_t i = 0; i < text.size(); ++i) EXPECT_FALSE(parse_response_head(text.substr(0, i))) << i;
  std::mt19937 random(1);
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string changed = text;
    for (unsigned n = 1 + random() % 3; n > 0; --n) changed[random() % changed.size()] = char(random());
    if (auto head = parse_response_head(changed)) {
      ++accepted;
      EXPECT_GE(head->status, 100u);
      EXPECT_LE(head->status, 999u);
      (void)extent_of(head->fields, body_extent::kind::until_close);
    }
    (void)parse_request_head(changed);
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, 20'000);
}

TEST(http_body, where_it_ends) {
  using kind = body_extent::kind;
  auto fixed = extent_of({{"Content-Length", "12"}}, kind::until_close);
  ASSERT_TRUE(fixed);
  EXPECT_EQ(fixed->bytes, 12u);
  EXPECT_EQ(extent_of({{"Transfer-Encoding", "Chunked"}}, kind::fixed)->how, kind::chunked);
  EXPECT_EQ(extent_of({}, kind::until_close)->how, kind::until_close);
  EXPECT_EQ(extent_of({{"content-length", "5"}, {"Content-Length", "5"}}, kind::fixed)->bytes, 5u);
  for (const headers& bad : std::vector<headers>{{{"Content-Length", "-1"}},
                                                 {{"Content-Length", "1 "}, {"Content-Length", "2"}},
                                                 {{"Content-Length", "1"}, {"Content-Length", "2"}},
                                                 {{"Content-Length", ""}},
                                                 {{"Content-Length", "99999999999999999999"}},
                                                 {{"Content-Length", "1"}, {"Transfer-Encoding", "chunked"}},
                                                 {{"Transfer-Encoding", "gzip, chunked"}}})
    EXPECT_FALSE(extent_of(bad, kind::fixed));
}

TEST(http_connection, who_keeps_it_alive) {
  EXPECT_TRUE(keeps_alive(1, {}));
  EXPECT_FALSE(keeps_alive(1, {{"Connection", "Keep-Alive, Close"}}));
  EXPECT_FALSE(keeps_alive(0, {}));
  EXPECT_TRUE(keeps_alive(0, {{"connection", "keep-alive"}}));
  EXPECT_TRUE(keeps_alive(1, {{"connection", "closed"}}));
}

TEST(http_url, parts) {
  auto one = parse_url("http://localhost:4566");
  ASSERT_TRUE(one);
  EXPECT_EQ(one->at.host, "localhost");
  EXPECT_EQ(one->at.port, 4566);
  EXPECT_FALSE(one->at.tls);
  EXPECT_EQ(one->path, "");
  EXPECT_EQ(host_header(one->at), "localhost:4566");
  auto two = parse_url("https://[::1]/a?b");
  ASSERT_TRUE(two);
  EXPECT_EQ(two->at.host, "::1");
  EXPECT_EQ(two->at.port, 443);
  EXPECT_TRUE(two->at.tls);
  EXPECT_EQ(two->path, "/a?b");
  EXPECT_EQ(host_header(two->at), "[::1]");
  for (const char* bad : {"", "localhost", "ftp://x", "http://", "http://:80", "http://x:", "http://x:0",
                          "http://x:65536", "http://x:1a", "http://[::1", "http://user@x", "http://a b"})
    EXPECT_FALSE(parse_url(bad)) << bad;
}

struct http_exchange : testing::Test {
  real_runtime rt;
  memory_network net;
  std::unique_ptr<listener> at = net.listen({"server", 80});

  void run(std::function<awaitable<void>(task_group&)> body) {
    task_group tasks(rt.executor());
    rt.run(run_then_close(body(tasks), tasks));
  }
  // Accepts one connection; for each request (they have no body) one of the answers; then closes.
  awaitable<void> script(std::vector<std::string> answers) {
    auto stream = co_await at->accept();
    reader from(*stream, 8192);
    for (auto& answer : answers) {
      (void)co_await from.head();
      std::vector<shared_bytes> segments{bytes(answer)};
      co_await stream->write_all(std::move(segments));
    }
  }
  awaitable<std::unique_ptr<client_connection>> connect() {
    auto stream = co_await net.connect({"server", 80});
    co_return std::make_unique<client_connection>(std::move(stream));
  }
  // The body, or "error: …".
  awaitable<std::string> get(client_connection& connection, std::uint64_t bytes_max = 1 << 20) {
    std::string failed;
    try {
      std::vector<shared_bytes> none;
      auto got = co_await connection.exchange(request_text("GET", "/", {{"Host", "server"}}), none, true, bytes_max);
      co_return std::to_string(got.head.status) + " " + std::string(as_text(got.body.view()));
    } catch (const boost::system::system_error& error) {
      failed = error.code() == asio::error::eof ? "eof" : error.what();
    } catch (const protocol_error& error) {
      failed = error.what();
    }
    co_return "error: " + failed;
  }
  // One exchange on a connection of its own.
  awaitable<std::string> answer_to(task_group& tasks, std::string text, std::uint64_t bytes_max = 1 << 20) {
    std::vector<std::string> answers{text};
    tasks.spawn(script(std::move(answers)));
    auto connection = co_await connect();
    co_return co_await get(*connection, bytes_max);
  }
};

TEST_F(http_exchange, a_connection_is_used_again) {
  run([&](task_group& tasks) -> awaitable<void> {
    std::vector<std::string> answers{
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2;x=y\r\ntw\r\n1\r\no\r\n0\r\nTrailer: x\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlast"};
    tasks.spawn(script(std::move(answers)));
    auto connection = co_await connect();
    EXPECT_EQ(co_await get(*connection), "200 one");
    EXPECT_TRUE(connection->reusable());
    EXPECT_EQ(co_await get(*connection), "200 two");
    EXPECT_TRUE(connection->reusable());
    EXPECT_EQ(co_await get(*connection), "204 ");
    EXPECT_TRUE(connection->reusable());
    EXPECT_EQ(co_await get(*connection), "200 last");
    EXPECT_FALSE(connection->reusable());
  });
}

TEST_F(http_exchange, a_body_until_close) {
  run([&](task_group& tasks) -> awaitable<void> {
    std::vector<std::string> answers{"HTTP/1.0 200 OK\r\n\r\n" + std::string(10'000, 'x')};
    tasks.spawn(script(answers));
    auto connection = co_await connect();
    EXPECT_EQ(co_await get(*connection), "200 " + std::string(10'000, 'x'));
    EXPECT_FALSE(connection->reusable());
  });
}

TEST_F(http_exchange, a_large_body_arrives_whole_and_an_extra_byte_ends_the_connection) {
  run([&](task_group& tasks) -> awaitable<void> {
    std::string large(1 << 20, '\0');
    std::mt19937 random(1);
    for (char& c : large) c = char(random());
    std::vector<std::string> answers{"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n" + large,
                                     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy"};
    tasks.spawn(script(std::move(answers)));
    auto connection = co_await connect();
    EXPECT_TRUE(co_await get(*connection) == "200 " + large);
    EXPECT_EQ(co_await get(*connection), "200 x");
    EXPECT_FALSE(connection->reusable());
  });
}

TEST_F(http_exchange, every_truncated_answer_is_an_error) {
  run([&](task_group& tasks) -> awaitable<void> {
    for (std::string whole : {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345",
                              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n"}) {
      EXPECT_EQ(co_await answer_to(tasks, whole), "200 12345");
      for (std::size_t i = 0; i < whole.size(); ++i) {
        std::string answer = co_await answer_to(tasks, whole.substr(0, i));
        EXPECT_TRUE(answer.starts_with("error: ")) << i << answer;
      }
    }
  });
}

TEST_F(http_exchange, random_changes_end_in_an_answer_or_an_error) {
  run([&](task_group& tasks) -> awaitable<void> {
    std::string whole = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n3\r\nabc\r\n0\r\n\r\n";
    std::mt19937 random(7);
    int errors = 0;
    for (int round = 0; round < 3000; ++round) {
      std::string changed = whole;
      for (unsigned n = 1 + random() % 3; n > 0; --n) changed[random() % changed.size()] = char(random());
      errors += (co_await answer_to(tasks, changed, 100)).starts_with("error: ");
    }
    EXPECT_GT(errors, 100);
  });
}

TEST_F(http_exchange, what_is_too_large_is_refused) {
  run([&](task_group& tasks) -> awaitable<void> {
    std::string rest = "\r\n\r\n0123456789";
    for (std::string head : {"Content-Length: 10", "X: y", "Content-Length: 9999999999999"}) {
      std::string answer = co_await answer_to(tasks, "HTTP/1.1 200 OK\r\n" + head + rest, 9);
      EXPECT_EQ(answer, "error: the body of an HTTP message is too large") << head;
    }
    std::string chunked = co_await answer_to(
        tasks, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nffffffffffffffff\r\n", 9);
    EXPECT_EQ(chunked, "error: the body of an HTTP message is too large");
    std::string head = co_await answer_to(tasks, "HTTP/1.1 200 OK\r\nX: " + std::string(40'000, 'x') + "\r\n\r\n");
    EXPECT_EQ(head, "error: the head of an HTTP message is too large");
  });
}

TEST_F(http_exchange, an_answer_before_the_whole_request_is_heard) {
  run([&](task_group& tasks) -> awaitable<void> {
    auto early = [&]() -> awaitable<void> {
      auto stream = co_await at->accept();
      std::vector<shared_bytes> answer{bytes("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")};
      co_await stream->write_all(std::move(answer));
    };
    tasks.spawn(early());
    auto connection = co_await connect();
    std::vector<shared_bytes> body{bytes(std::string(1 << 20, 'x'))};
    auto got = co_await connection->exchange(request_text("PUT", "/", {}), body, true, 100);
    EXPECT_EQ(got.head.status, 403u);
    EXPECT_EQ(as_text(got.body.view()), "no");
    EXPECT_FALSE(connection->sent());
    EXPECT_FALSE(connection->reusable());
  });
}

struct http_serving : http_exchange {
  server_settings settings{.head_bytes_max = 1000, .connections_max = 3, .request_deadline = 10s};
  server_response handle(const server_request& request) {
    if (request.path == "/throws") throw std::runtime_error("broken handler");
    if (request.path == "/echo") return {.body = request.method + " " + request.query};
    if (request.path == "/fields") return {.status = 401, .body = "no", .fields = {{"X-One", "1"}, {"X-Two", "a b"}}};
    if (request.path == "/parts") return {.body = "a", .more = {bytes("bc"), bytes("d")}, .keep = counted()};
    if (request.path == "/later") {
      server_response slow;
      slow.later = [this]() -> awaitable<server_response> {
        co_await rt.sleep_for(3s);
        co_return server_response{.body = "late", .keep = counted()};
      };
      return slow;
    }
    if (request.path == "/later-throws") {
      server_response slow;
      slow.later = []() -> awaitable<server_response> { throw std::runtime_error("broken later"); co_return server_response{}; };
      return slow;
    }
    return {.status = 404, .body = "not here\n"};
  }
  int kept = 0;
  std::shared_ptr<void> counted() {
    ++kept;
    return std::shared_ptr<void>(this, [this](void*) { --kept; });
  }
  void serve(std::function<awaitable<void>(task_group&)> body) {
    run([&](task_group& tasks) -> awaitable<void> {
      server serving(rt, *at, [this](const server_request& request) { return handle(request); }, settings);
      task_group of_server(rt.executor());
      auto both = [&]() -> awaitable<void> {
        of_server.spawn(serving.run());
        co_await body(tasks);
      };
      co_await run_then_close(both(), of_server);
    });
  }
  // Everything that comes back until the server closes.
  awaitable<std::string> send(std::string text) {
    auto stream = co_await net.connect({"server", 80});
    std::vector<shared_bytes> segments{bytes(text)};
    co_await stream->write_all(std::move(segments));
    std::string all;
    std::byte buffer[1000];
    for (;;) {
      std::size_t count = 0;
      try {
        count = co_await stream->read_some(buffer);
      } catch (const boost::system::system_error&) {
      }
      if (count == 0) co_return all;
      all += as_text(byte_view(buffer, count));
    }
  }
};

TEST_F(http_serving, answers_get_and_head) {
  serve([&](task_group&) -> awaitable<void> {
    std::string got =
        co_await send("GET /echo?a=b HTTP/1.1\r\nHost: x\r\n\r\nGET /echo HTTP/1.1\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(got,
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 7\r\n\r\nGET a=b"
              "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\nConnection: "
              "close\r\n\r\nGET ");
    got = co_await send("HEAD /echo?xyz HTTP/1.0\r\n\r\n");
    EXPECT_EQ(
        got,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 8\r\nConnection: close\r\n\r\n");
  });
}

TEST_F(http_serving, headers_of_the_handler_go_out) {
  serve([&](task_group&) -> awaitable<void> {
    auto got = co_await send("GET /fields HTTP/1.1\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 401 Unauthorized\r\n")) << got;
    EXPECT_NE(got.find("\r\nX-One: 1\r\nX-Two: a b\r\n"), std::string::npos) << got;
  });
}

TEST_F(http_serving, a_body_in_parts_goes_out_as_one_and_is_let_go_of) {
  serve([&](task_group&) -> awaitable<void> {
    auto got = co_await send("GET /parts HTTP/1.1\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(got.ends_with("Content-Length: 4\r\nConnection: close\r\n\r\nabcd")) << got;
    EXPECT_EQ(kept, 0);
  });
}

TEST_F(http_serving, an_answer_that_takes_a_while_is_announced_at_once) {
  serve([&](task_group&) -> awaitable<void> {
    auto stream = co_await net.connect({"server", 80});
    client_connection client(std::move(stream));
    auto begun = rt.now();
    for (int i = 0; i < 2; ++i) {  // and the connection is used again
      bool heard_at_once = false;
      auto watch = [&]() -> awaitable<void> {
        co_await rt.sleep_for(1s);
        heard_at_once = client.answered();
      };
      task_group watching(rt.executor());
      auto talk = [&]() -> awaitable<void> {
        watching.spawn(watch());
        std::vector<shared_bytes> none;
        auto got = co_await client.exchange(request_text("GET", "/later", {}), none, true, 100);
        EXPECT_EQ(got.head.status, 200u);
        EXPECT_EQ(as_text(got.body.view()), "late");
      };
      co_await run_then_close(talk(), watching);
      EXPECT_TRUE(heard_at_once);
      EXPECT_EQ(kept, 0);
    }
    EXPECT_GE(rt.now() - begun, 6s);
    auto got = co_await send("GET /later-throws HTTP/1.1\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 500 ")) << got;
    EXPECT_TRUE(got.ends_with("broken later\n")) << got;
    got = co_await send("GET /later HTTP/1.0\r\n\r\n");  // does not know of interim answers
    EXPECT_TRUE(got.starts_with("HTTP/1.1 200 OK\r\n")) << got;
  });
}

TEST_F(http_serving, refuses_what_it_does_not_serve) {
  serve([&](task_group&) -> awaitable<void> {
    auto status = [&](std::string text) -> awaitable<std::string> {
      std::string answer = co_await send(text);
      co_return answer.substr(0, std::min(answer.find("\r\n"), answer.size()));
    };
    EXPECT_EQ(co_await status("GET /other HTTP/1.1\r\nConnection: close\r\n\r\n"), "HTTP/1.1 404 Not Found");
    EXPECT_EQ(co_await status("GET /throws HTTP/1.1\r\nConnection: close\r\n\r\n"),
              "HTTP/1.1 500 Internal Server Error");
    for (auto [text, expected] : std::vector<std::pair<std::string, std::string>>{
             {"POST /echo HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody", "HTTP/1.1 405 Method Not Allowed"},
             {"GET /echo HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody", "HTTP/1.1 400 Bad Request"},
             {"\x16\x03\x01 hello\r\n\r\n", "HTTP/1.1 400 Bad Request"},
             {"GET /echo HTTP/1.1\r\nX: " + std::string(2000, 'x'), "HTTP/1.1 431 Request Header Fields Too Large"}}) {
      auto stream = co_await net.connect({"server", 80});
      std::vector<shared_bytes> segments{bytes(text)};
      co_await stream->write_all(std::move(segments));
      reader from(*stream, 8192);
      std::string head = co_await from.head();
      EXPECT_EQ(head.substr(0, head.find("\r\n")), expected);
    }
  });
}

TEST_F(http_serving, slow_clients_are_closed_and_do_not_keep_others_out) {
  settings.request_deadline = 20ms;
  serve([&](task_group&) -> awaitable<void> {
    std::vector<std::unique_ptr<byte_stream>> slow;
    for (int i = 0; i < 10; ++i) {
      slow.push_back(co_await net.connect({"server", 80}));
      std::vector<shared_bytes> half{bytes("GET /ec")};
      co_await slow.back()->write_all(std::move(half));
    }
    std::string got = co_await send("GET /echo HTTP/1.0\r\n\r\n");
    EXPECT_TRUE(got.starts_with("HTTP/1.1 200 OK\r\n")) << got;
    for (auto& stream : slow) {
      bool ended = false;
      try {
        std::byte one;
        (void)co_await stream->read_some({&one, 1});
      } catch (const boost::system::system_error& error) {
        ended = error.code() == asio::error::eof;
      }
      EXPECT_TRUE(ended);
    }
  });
}

TEST_F(http_serving, random_input_does_no_harm) {
  serve([&](task_group&) -> awaitable<void> {
    std::mt19937 random(3);
    std::string whole = "GET /echo?a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    for (int round = 0; round < 3000; ++round) {
      std::string changed = whole;
      for (unsigned n = 1 + random() % 4; n > 0; --n) changed[random() % changed.size()] = char(random());
      auto stream = co_await net.connect({"server", 80});
      std::vector<shared_bytes> segments{bytes(changed.substr(0, random() % (changed.size() + 1)))};
      co_await stream->write_all(std::move(segments));
      if (round % 2) co_await rt.sleep_for(0ms);  // the server sees it before, or together with, the end
      stream.reset();
      if (round % 50 > 0) continue;
      std::string got = co_await send("GET /echo HTTP/1.0\r\n\r\n");
      EXPECT_TRUE(got.starts_with("HTTP/1.1 200 OK\r\n")) << got;
    }
  });
}
}  // namespace
}  // namespace yaks::http
