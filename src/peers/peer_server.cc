#include "peers/peer_server.hpp"

#include <utility>

namespace yaks::peers {
peer_server::peer_server(range_source& from, std::string secret, metrics::registry& metrics)
    : from_(from),
      secret_(std::move(secret)),
      held_(std::make_shared<std::uint64_t>(0)),
      served_(metrics.add_counter("yaks_groupcache_served_total", "Questions of peers that were answered with bytes.")),
      served_bytes_(metrics.add_counter("yaks_groupcache_served_bytes_total", "Bytes that were sent to peers.")),
      refused_(metrics.add_counter("yaks_groupcache_refused_total",
                                   "Questions of peers that were not answered: too much at once, or not to be had.")),
      strangers_(
          metrics.add_counter("yaks_groupcache_strangers_total", "Requests to the peer port with a wrong secret.")) {
  metrics.add_callback("yaks_groupcache_held_bytes", "Bytes of answers to peers that are not sent yet.",
                       [held = held_] { return double(*held); });
}

http::server_settings peer_server::settings() {
  // Longer than peers keep a connection that they do not use.
  return {.head_bytes_max = head_bytes_max, .connections_max = 1024, .request_deadline = 120s};
}

http::server_response peer_server::answer(const http::server_request& request) {
  if (!secrets_match(http::find(request.fields, secret_header), secret_)) {
    strangers_.add();
    return {.status = 403, .body = "wrong secret\n"};
  }
  if (request.path != range_path) {
    auto page = pages_.find(request.path);
    return page != pages_.end() ? page->second(request)
                                : http::server_response{.status = 404, .body = "there is no such page\n"};
  }
  auto q = parse_query(request.query);
  if (!q) return {.status = 400, .body = "not a question that is answered here\n"};
  auto bytes = q->bytes();
  if (*held_ > 0 && *held_ + bytes > held_bytes_max) {
    refused_.add();
    return {.status = 503, .body = "too much at once\n"};
  }
  *held_ += bytes;
  std::shared_ptr<void> keep(nullptr, [held = held_, bytes](void*) { *held -= bytes; });
  if (auto found = from_.in_memory(*q)) return send(std::move(*found), std::move(keep));
  http::server_response slow;
  slow.later = [this, q = std::move(*q), keep = std::move(keep)]() mutable -> awaitable<http::server_response> {
    auto loaded = co_await from_.load(std::move(q));
    if (loaded) co_return send(std::move(*loaded), std::move(keep));
    refused_.add();
    co_return http::server_response{.status = 503, .body = "cannot be had here\n"};
  };
  return slow;
}

http::server_response peer_server::send(std::vector<shared_bytes> bytes, std::shared_ptr<void> keep) {
  served_.add();
  for (const auto& b : bytes) served_bytes_.add(double(b.size()));
  return {.content_type = "application/octet-stream", .body = {}, .more = std::move(bytes), .keep = std::move(keep)};
}
}  // namespace yaks::peers
