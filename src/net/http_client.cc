#include "net/http_client.hpp"

#include <boost/asio/error.hpp>
#include <exception>

#include "base/check.hpp"

namespace yaks::http {
shared_bytes request_text(std::string_view method, std::string_view target, const headers& fields) {
  std::string text;
  text.reserve(1024);
  text.append(method).append(" ").append(target).append(" HTTP/1.1\r\n");
  for (const header& one : fields) text.append(one.name).append(": ").append(one.value).append("\r\n");
  text.append("\r\n");
  return shared_bytes::copy_of(as_bytes(text));
}

awaitable<response> client_connection::exchange(shared_bytes head, std::vector<shared_bytes> body, bool expects_body,
                                                std::uint64_t body_bytes_max) {
  response got;
  got.head = co_await begin(std::move(head), std::move(body), expects_body);
  got.body = co_await rest_of_body(body_bytes_max);
  co_return got;
}

awaitable<response_head> client_connection::begin(shared_bytes head, std::vector<shared_bytes> body,
                                                  bool expects_body) {
  YAKS_CHECK(reusable_, "a connection is used for one request at a time and not after a failure");
  reusable_ = sent_ = answered_ = false;
  body.insert(body.begin(), std::move(head));
  std::exception_ptr not_sent;
  try {
    co_await stream_->write_all(std::move(body));
    sent_ = true;
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    not_sent = std::current_exception();  // perhaps because it has been answered, and the answer says why
  }
  response_head got;
  try {
    do {
      std::string text = co_await reader_.head();
      answered_ = true;
      auto parsed = parse_response_head(text);
      if (!parsed) throw protocol_error("what answers does not speak HTTP");
      got = std::move(*parsed);
    } while (got.status < 200);  // 100 Continue and the like
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted || !not_sent || answered_) throw;
    std::rethrow_exception(not_sent);
  }
  auto extent = extent_of(got.fields, body_extent::kind::until_close);
  if (!extent) throw protocol_error("an HTTP answer contradicts itself about its length");
  if (!expects_body || got.status == 204 || got.status == 304) extent = body_extent{};
  extent_ = *extent;
  may_follow_ =
      sent_ && extent->how != body_extent::kind::until_close && keeps_alive(got.minor_version, got.fields);
  co_return got;
}

std::optional<std::uint64_t> client_connection::body_left() const {
  if (extent_.how == body_extent::kind::chunked || extent_.how == body_extent::kind::until_close) return std::nullopt;
  return extent_.bytes;
}

awaitable<shared_bytes> client_connection::next_of_body(std::uint64_t bytes) {
  YAKS_CHECK(body_left() && bytes <= *body_left(), "a body of known length is read to its end and no further");
  auto piece = extent_;
  piece.bytes = bytes;
  auto got = co_await reader_.body(piece, bytes);
  extent_.bytes -= bytes;
  if (extent_.bytes == 0) reusable_ = may_follow_ && !reader_.has_more();
  co_return got;
}

awaitable<shared_bytes> client_connection::rest_of_body(std::uint64_t bytes_max) {
  auto got = co_await reader_.body(extent_, bytes_max);
  extent_ = {};
  reusable_ = may_follow_ && !reader_.has_more();
  co_return got;
}
}  // namespace yaks::http
