#include "net/http_server.hpp"

#include <fmt/format.h>

#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

namespace yaks::http {
namespace {
std::string_view reason(unsigned status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    default:
      return "";
  }
}

awaitable<void> send(byte_stream& to, const server_response& answer, bool with_body, bool keep) {
  std::size_t bytes = answer.body.size();
  for (const auto& segment : answer.more) bytes += segment.size();
  std::string head = fmt::format("HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n", answer.status,
                                 reason(answer.status), answer.content_type, bytes);
  for (const auto& [name, value] : answer.fields) head += fmt::format("{}: {}\r\n", name, value);
  if (answer.status == 405) head += "Allow: GET, HEAD\r\n";
  if (!keep) head += "Connection: close\r\n";
  head += "\r\n";
  std::vector<shared_bytes> segments{shared_bytes::copy_of(as_bytes(head))};
  if (with_body && !answer.body.empty()) segments.push_back(shared_bytes::copy_of(as_bytes(answer.body)));
  if (with_body) segments.insert(segments.end(), answer.more.begin(), answer.more.end());
  co_await to.write_all(std::move(segments));
}

// Closing a socket with unread bytes resets it, and the reset can overtake the answer. So some are read.
awaitable<void> read_the_rest(byte_stream& from) {
  std::byte buffer[4096];
  for (std::size_t left = 64 << 10; left > 0;) left -= std::min(left, co_await from.read_some(buffer));
}
}  // namespace

server::server(runtime& rt, listener& at, handler answer, server_settings settings)
    : rt_(rt), listener_(at), answer_(std::move(answer)), settings_(settings) {}

awaitable<void> server::run() {
  task_group connections(rt_.executor());
  co_await run_then_close(accept(connections), connections);
}

awaitable<void> server::accept(task_group& connections) {
  for (;;) {
    while (open_ >= settings_.connections_max) co_await closed_.wait();
    std::unique_ptr<byte_stream> stream;
    bool wait = false;
    try {
      stream = co_await listener_.accept();
    } catch (const boost::system::system_error& error) {
      if (error.code() == asio::error::operation_aborted || error.code() == asio::error::bad_descriptor) throw;
      wait = true;  // no file descriptors left, most likely
    }
    if (wait) {
      co_await rt_.sleep_for(100ms);
      continue;
    }
    ++open_;
    connections.spawn(serve(std::move(stream)));
  }
}

awaitable<void> server::serve(std::unique_ptr<byte_stream> stream) {
  using namespace asio::experimental::awaitable_operators;
  struct leave {
    server& of;
    ~leave() { --of.open_, of.closed_.notify_all(); }
  } on_exit{*this};
  reader from(*stream, settings_.head_bytes_max);
  for (;;) {
    auto first = co_await (serve_one(*stream, from) || rt_.sleep_until(rt_.now() + settings_.request_deadline));
    if (first.index() == 1 || std::get<0>(first) == after::close) co_return;
  }
}

// Throws nothing: a failed branch of || is only seen when the other one ends.
awaitable<server::after> server::serve_one(byte_stream& stream, reader& from) {
  try {
    std::optional<request_head> head;
    server_response refusal{.status = 400, .body = "this is not an HTTP/1.1 request\n"};
    try {
      std::string text = co_await from.head();
      head = parse_request_head(text);
    } catch (const head_too_large&) {
      refusal = {.status = 431, .body = "the request's headers are too large\n"};
    }
    bool served = head && (head->method == "GET" || head->method == "HEAD");
    std::optional<body_extent> extent;
    if (head) extent = extent_of(head->fields, body_extent::kind::fixed);
    bool has_body = !extent || extent->how != body_extent::kind::fixed || extent->bytes > 0;
    if (head && !served) refusal = {.status = 405, .body = "only GET and HEAD are served\n"};
    if (!served || has_body) {
      co_await send(stream, refusal, !head || head->method != "HEAD", false);
      co_await read_the_rest(stream);
      co_return after::close;
    }
    server_response answer;
    bool interim = false;
    try {
      std::size_t question = std::min(head->target.find('?'), head->target.size());
      server_request request{
          .method = head->method, .path = head->target.substr(0, question), .query = "", .fields = head->fields};
      if (question < head->target.size()) request.query = head->target.substr(question + 1);
      answer = answer_(request);
      interim = answer.later && head->minor_version >= 1;
    } catch (const std::exception& error) {
      answer = {.status = 500, .body = fmt::format("{}\n", error.what())};
    }
    if (interim) {
      std::vector<shared_bytes> under_way{shared_bytes::copy_of(as_bytes("HTTP/1.1 102 Processing\r\n\r\n"))};
      co_await stream.write_all(std::move(under_way));
    }
    if (auto later = std::move(answer.later)) {
      std::string problem;
      try {
        answer = co_await later();
      } catch (const boost::system::system_error& error) {
        if (error.code() == asio::error::operation_aborted) throw;
        problem = error.what();
      } catch (const std::exception& error) {
        problem = error.what();
      }
      if (!problem.empty()) answer = {.status = 500, .body = problem + "\n"};
    }
    bool keep = keeps_alive(head->minor_version, head->fields);
    co_await send(stream, answer, head->method == "GET", keep);
    co_return keep ? after::keep : after::close;
  } catch (const std::exception&) {  // gone, cut, or not speaking HTTP: nobody to tell
    co_return after::close;
  }
}
}  // namespace yaks::http
