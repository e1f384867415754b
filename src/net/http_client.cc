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
  response got;
  try {
    do {
      std::string text = co_await reader_.head();
      answered_ = true;
      auto parsed = parse_response_head(text);
      if (!parsed) throw protocol_error("what answers does not speak HTTP");
      got.head = std::move(*parsed);
    } while (got.head.status < 200);  // 100 Continue and the like
    auto extent = extent_of(got.head.fields, body_extent::kind::until_close);
    if (!extent) throw protocol_error("an HTTP answer contradicts itself about its length");
    if (!expects_body || got.head.status == 204 || got.head.status == 304) extent = body_extent{};
    got.body = co_await reader_.body(*extent, body_bytes_max);
    reusable_ = sent_ && extent->how != body_extent::kind::until_close && !reader_.has_more() &&
                keeps_alive(got.head.minor_version, got.head.fields);
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted || !not_sent || answered_) throw;
    std::rethrow_exception(not_sent);
  }
  co_return got;
}
}  // namespace yaks::http
