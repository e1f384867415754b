// A small HTTP/1.1 server for metrics, health and peers: GET and HEAD, answers from memory, everything bounded.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/http.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::http {
struct server_request {
  std::string method;  // GET or HEAD, which is answered like GET; its body is left out by the server
  std::string path;    // without the query
  std::string query;   // without the question mark
  headers fields;
};
struct server_response {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<shared_bytes> more;  // of the body, sent without a copy
  std::shared_ptr<void> keep;      // let go of when all is sent
  // Where the answer takes a while: the client is told at once that it is under way (102, RFC 2518), then gets what this
  // makes; the rest of this struct is not looked at.
  std::function<awaitable<server_response>()> later;
  headers fields;  // besides those that the server writes
};
// Runs on the executor and must not block. What it, or `later`, throws becomes a 500.
using handler = std::function<server_response(const server_request&)>;

struct server_settings {
  std::size_t head_bytes_max = 8 << 10;  // more is answered with 431
  std::size_t connections_max = 64;      // more wait in the system's queue
  duration request_deadline = 10s;       // from the end of the last answer (or the connection) to the end of the next
};

class server {
 public:
  // References outlive the server.
  server(runtime& rt, listener& at, handler answer, server_settings settings = {});
  // Serves until it is cancelled or the listener is closed.
  awaitable<void> run();

 private:
  enum class after { keep, close };
  awaitable<void> accept(task_group& connections);
  awaitable<void> serve(std::unique_ptr<byte_stream> stream);
  awaitable<after> serve_one(byte_stream& stream, reader& from);
  runtime& rt_;
  listener& listener_;
  handler answer_;
  server_settings settings_;
  std::size_t open_ = 0;
  event closed_;
};
}  // namespace yaks::http
