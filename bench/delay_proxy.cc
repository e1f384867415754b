// An HTTP/1.1 proxy in front of an S3 server that holds back the answer of every PUT for a while: the latency of a
// far-away store, without its noise. One executor, a coroutine per client connection; each has an upstream connection
// of its own, so delays do not queue behind each other.
//
//   bench_delay_proxy --listen 127.0.0.1:PORT --upstream 127.0.0.1:PORT --delay-ms 100
//
// Headers and bodies pass unchanged (signatures cover the Host header). Prints "ready" when it listens; SIGTERM ends it
// with a line of JSON that says how many requests passed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace {
namespace asio = boost::asio;
using asio::awaitable;
using asio::use_awaitable;
using tcp = asio::ip::tcp;

struct totals {
  std::uint64_t puts = 0, others = 0, bytes = 0;
  std::uint64_t puts_now = 0, puts_at_once_max = 0;
};

struct put_under_way {
  explicit put_under_way(totals& all) : counts(all) {
    counts.puts_at_once_max = std::max(counts.puts_at_once_max, ++counts.puts_now);
  }
  ~put_under_way() { counts.puts_now--; }
  put_under_way(const put_under_way&) = delete;
  put_under_way& operator=(const put_under_way&) = delete;
  totals& counts;
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  return out;
}

// One direction's reader: what was read beyond a header belongs to the body after it.
class source {
 public:
  source(tcp::socket& from, totals& counts) : from_(from), counts_(counts), chunk_(256 * 1024, '\0') {}

  // Up to and with the empty line; empty at the end of the stream.
  awaitable<std::string> header() {
    for (;;) {
      if (auto end = pending_.find("\r\n\r\n"); end != std::string::npos) {
        auto head = pending_.substr(0, end + 4);
        pending_.erase(0, end + 4);
        co_return head;
      }
      if (!co_await more()) co_return std::string();
    }
  }

  awaitable<void> pass_on(tcp::socket& to, std::uint64_t length) {
    auto first = std::min<std::uint64_t>(length, pending_.size());
    if (first > 0) {
      co_await asio::async_write(to, asio::buffer(pending_.data(), first), use_awaitable);
      pending_.erase(0, first);
      length -= first;
    }
    while (length > 0) {
      auto n = co_await from_.async_read_some(
          asio::buffer(chunk_.data(), std::min<std::uint64_t>(length, chunk_.size())), use_awaitable);
      counts_.bytes += n;
      co_await asio::async_write(to, asio::buffer(chunk_.data(), n), use_awaitable);
      length -= n;
    }
  }

  awaitable<void> pass_on_chunked(tcp::socket& to) {
    for (bool last = false; !last;) {
      std::string::size_type end;
      while ((end = pending_.find("\r\n")) == std::string::npos)
        if (!co_await more()) throw std::runtime_error("body ends in the middle");
      auto size = std::strtoull(pending_.c_str(), nullptr, 16);
      last = size == 0;
      co_await pass_on(to, end + 2 + size + 2);
    }
  }

  awaitable<void> pass_on_to_end(tcp::socket& to) {
    do {
      co_await asio::async_write(to, asio::buffer(pending_), use_awaitable);
      pending_.clear();
    } while (co_await more());
  }

 private:
  awaitable<bool> more() {
    boost::system::error_code ec;
    auto n = co_await from_.async_read_some(asio::buffer(chunk_), asio::redirect_error(use_awaitable, ec));
    if (ec == asio::error::eof || ec == asio::error::connection_reset) co_return false;
    if (ec) throw boost::system::system_error(ec);
    counts_.bytes += n;
    pending_.append(chunk_.data(), n);
    co_return true;
  }

  tcp::socket& from_;
  totals& counts_;
  std::string pending_, chunk_;
};

std::optional<std::string> field(const std::string& lower_head, std::string_view name) {
  auto at = lower_head.find("\r\n" + std::string(name) + ":");
  if (at == std::string::npos) return std::nullopt;
  at += name.size() + 3;
  auto end = lower_head.find("\r\n", at);
  auto value = lower_head.substr(at, end - at);
  value.erase(0, value.find_first_not_of(' '));
  return value;
}

struct proxy {
  asio::io_context& context;
  tcp::endpoint upstream;
  std::chrono::milliseconds delay;
  totals counts;

  awaitable<void> serve(tcp::socket client) {
    tcp::socket server(context);
    co_await server.async_connect(upstream, use_awaitable);
    client.set_option(tcp::no_delay(true));
    server.set_option(tcp::no_delay(true));
    source from_client(client, counts), from_server(server, counts);
    for (;;) {
      auto request = co_await from_client.header();
      if (request.empty()) co_return;
      auto is_put = request.starts_with("PUT ");
      auto is_head = request.starts_with("HEAD ");
      (is_put ? counts.puts : counts.others)++;
      std::optional<put_under_way> under_way;
      if (is_put) under_way.emplace(counts);
      auto head = lower(request);
      co_await asio::async_write(server, asio::buffer(request), use_awaitable);
      if (auto expect = field(head, "expect")) {
        auto interim = co_await from_server.header();
        co_await asio::async_write(client, asio::buffer(interim), use_awaitable);
        if (interim.find(" 100 ") == std::string::npos) co_return;  // refused: what follows is not ours to guess
      }
      if (field(head, "transfer-encoding"))
        co_await from_client.pass_on_chunked(server);
      else if (auto length = field(head, "content-length"))
        co_await from_client.pass_on(server, std::strtoull(length->c_str(), nullptr, 10));

      auto answer = co_await from_server.header();
      if (answer.empty()) co_return;
      if (is_put) {
        asio::steady_timer timer(context, delay);
        co_await timer.async_wait(use_awaitable);
        under_way.reset();
      }
      auto answer_head = lower(answer);
      co_await asio::async_write(client, asio::buffer(answer), use_awaitable);
      auto status = answer.substr(answer.find(' ') + 1, 3);
      if (!is_head && status != "204" && status != "304") {
        if (field(answer_head, "transfer-encoding"))
          co_await from_server.pass_on_chunked(client);
        else if (auto length = field(answer_head, "content-length"))
          co_await from_server.pass_on(client, std::strtoull(length->c_str(), nullptr, 10));
        else
          co_await from_server.pass_on_to_end(client);
      }
      if (field(answer_head, "connection").value_or("") == "close") co_return;
    }
  }

  awaitable<void> accept(tcp::endpoint at) {
    tcp::acceptor acceptor(context, at);
    fmt::print("ready\n");
    std::fflush(stdout);
    for (;;) {
      auto client = co_await acceptor.async_accept(use_awaitable);
      // A broken connection is the business of its two ends: both see it closed.
      asio::co_spawn(context, serve(std::move(client)), [](std::exception_ptr) {});
    }
  }
};

tcp::endpoint parse_endpoint(const std::string& text) {
  auto colon = text.rfind(':');
  if (colon == std::string::npos) throw std::runtime_error("not address:port: " + text);
  return {asio::ip::make_address(text.substr(0, colon)), std::uint16_t(std::stoul(text.substr(colon + 1)))};
}
}  // namespace

int main(int argc, char** argv) {
  std::string listen, upstream;
  int delay_ms = 100;
  CLI::App app("Holds back the answers of PUT requests.");
  app.add_option("--listen", listen, "address:port")->required();
  app.add_option("--upstream", upstream, "address:port of the S3 server")->required();
  app.add_option("--delay-ms", delay_ms, "how long")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    asio::io_context context(1);
    proxy p{context, parse_endpoint(upstream), std::chrono::milliseconds(delay_ms), {}};
    asio::signal_set signals(context, SIGTERM, SIGINT);
    signals.async_wait([&](auto, int) { context.stop(); });
    asio::co_spawn(context, p.accept(parse_endpoint(listen)), [&](std::exception_ptr failed) {
      if (failed) std::rethrow_exception(failed);
    });
    context.run();
    fmt::print(R"({{"puts": {}, "others": {}, "bytes": {}, "puts_at_once_max": {}}})"
               "\n",
               p.counts.puts, p.counts.others, p.counts.bytes, p.counts.puts_at_once_max);
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_delay_proxy: {}\n", e.what());
    return 1;
  }
  return 0;
}
