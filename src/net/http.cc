#include "net/http.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <charconv>
#include <cstring>

namespace yaks::http {
namespace {
char lower(char c) {
  return c >= 'A' && c <= 'Z' ? char(c + ('a' - 'A')) : c;
}
bool same(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}
bool is_token_char(char c) {
  return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
         (c != '\0' && std::strchr("!#$%&'*+-.^_`|~", c) != nullptr);
}
bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_char);
}
// Anything but control characters; bytes above 0x7f are passed on (obs-text).
bool is_text(std::string_view text) {
  return std::ranges::all_of(text,
                             [](char c) { return static_cast<unsigned char>(c) >= 0x20 ? c != 0x7f : c == '\t'; });
}
std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}
std::optional<std::string_view> take_line(std::string_view& text) {
  std::size_t end = text.find("\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 2);
  return line;
}
template <class T>
std::optional<T> number(std::string_view text, int base = 10) {
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}
std::optional<unsigned> minor_version(std::string_view text) {
  if (text == "HTTP/1.1") return 1;
  if (text == "HTTP/1.0") return 0;
  return std::nullopt;
}

// Up to and with the empty line, and nothing after it.
std::optional<headers> parse_fields(std::string_view text) {
  headers fields;
  for (;;) {
    auto line = take_line(text);
    if (!line) return std::nullopt;
    if (line->empty()) return text.empty() ? std::optional(std::move(fields)) : std::nullopt;
    std::size_t colon = line->find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    // A folded line begins with a blank and a name before a blank is an attack: neither is a token.
    std::string_view name = line->substr(0, colon), value = trim(line->substr(colon + 1));
    if (!is_token(name) || !is_text(value)) return std::nullopt;
    fields.push_back({std::string(name), std::string(value)});
  }
}
}  // namespace

std::string_view find(const headers& in, std::string_view name) {
  auto found = std::ranges::find_if(in, [&](const header& h) { return same(h.name, name); });
  return found == in.end() ? std::string_view() : std::string_view(found->value);
}

bool has_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    std::size_t comma = std::min(list.find(','), list.size());
    if (same(trim(list.substr(0, comma)), token)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

std::optional<request_head> parse_request_head(std::string_view text) {
  auto line = take_line(text);
  if (!line) return std::nullopt;
  std::size_t first = line->find(' '), last = line->rfind(' ');
  if (first == std::string_view::npos || first == last) return std::nullopt;
  request_head head;
  head.method = line->substr(0, first);
  head.target = line->substr(first + 1, last - first - 1);
  auto version = minor_version(line->substr(last + 1));
  auto printable = [](char c) { return c > 0x20 && c < 0x7f; };
  if (!version || !is_token(head.method) || head.target.empty() || !std::ranges::all_of(head.target, printable))
    return std::nullopt;
  head.minor_version = *version;
  auto fields = parse_fields(text);
  if (!fields) return std::nullopt;
  head.fields = std::move(*fields);
  return head;
}

std::optional<response_head> parse_response_head(std::string_view text) {
  auto line = take_line(text);
  if (!line || line->size() < 12 || (*line)[8] != ' ' || (line->size() > 12 && (*line)[12] != ' ')) return std::nullopt;
  response_head head;
  auto version = minor_version(line->substr(0, 8));
  auto status = number<unsigned>(line->substr(9, 3));
  if (!version || !status || *status < 100 || !is_text(*line)) return std::nullopt;
  head.minor_version = *version;
  head.status = *status;
  if (line->size() > 13) head.reason = line->substr(13);
  auto fields = parse_fields(text);
  if (!fields) return std::nullopt;
  head.fields = std::move(*fields);
  return head;
}

bool keeps_alive(unsigned minor_version, const headers& fields) {
  std::string_view connection = find(fields, "connection");
  return minor_version >= 1 ? !has_token(connection, "close") : has_token(connection, "keep-alive");
}

std::optional<body_extent> extent_of(const headers& fields, body_extent::kind unless_told) {
  std::optional<std::uint64_t> length;
  bool chunked = false;
  for (const header& one : fields) {
    if (same(one.name, "content-length")) {
      auto value = number<std::uint64_t>(one.value);
      if (!value || (length && *length != *value)) return std::nullopt;
      length = value;
    } else if (same(one.name, "transfer-encoding")) {
      if (!same(one.value, "chunked") || chunked) return std::nullopt;
      chunked = true;
    }
  }
  if (chunked && length) return std::nullopt;
  if (chunked) return body_extent{body_extent::kind::chunked, 0};
  if (length) return body_extent{body_extent::kind::fixed, *length};
  return body_extent{unless_told, 0};
}

awaitable<void> reader::fill() {
  if (begin_ > 0) buffer_.erase(0, std::exchange(begin_, 0));
  // Little at a time: what belongs to a large body is better read straight into it.
  constexpr std::size_t read_bytes = 4096;
  std::size_t used = buffer_.size();
  buffer_.resize(used + read_bytes);
  std::size_t count = 0;
  try {
    count = co_await from_.read_some(std::as_writable_bytes(std::span(buffer_)).subspan(used));
  } catch (...) {
    buffer_.resize(used);
    throw;
  }
  buffer_.resize(used + count);
}

awaitable<std::string> reader::head() {
  for (std::size_t searched = 0;;) {
    std::size_t end = buffer_.find("\r\n\r\n", begin_ + searched);
    if (end != std::string::npos && end + 4 - begin_ <= head_bytes_max_) {
      std::string text = buffer_.substr(begin_, end + 4 - begin_);
      begin_ = end + 4;
      co_return text;
    }
    if (buffer_.size() - begin_ >= head_bytes_max_) throw head_too_large("the head of an HTTP message is too large");
    searched = std::max<std::size_t>(buffer_.size() - begin_, 3) - 3;
    bool middle = has_more();
    try {
      co_await fill();
    } catch (const boost::system::system_error& error) {
      if (!middle || error.code() != asio::error::eof) throw;
      throw protocol_error("the connection ended in the middle of an HTTP message's head");
    }
  }
}

awaitable<void> reader::exactly(mutable_byte_view to) {
  if (std::size_t buffered = std::min(to.size(), buffer_.size() - begin_); buffered > 0) {
    std::memcpy(to.data(), buffer_.data() + begin_, buffered);
    begin_ += buffered;
    to = to.subspan(buffered);
  }
  while (!to.empty()) to = to.subspan(co_await from_.read_some(to));
}

awaitable<std::string> reader::line() {
  constexpr std::size_t line_bytes_max = 1024;
  for (;;) {
    std::size_t end = buffer_.find("\r\n", begin_);
    if (end != std::string::npos) {
      std::string text = buffer_.substr(begin_, end - begin_);
      begin_ = end + 2;
      co_return text;
    }
    if (buffer_.size() - begin_ > line_bytes_max) throw protocol_error("a line of a chunked body is too long");
    co_await fill();
  }
}

awaitable<std::string> reader::chunked(std::uint64_t bytes_max) {
  std::string all;
  for (;;) {
    std::string size_line = co_await line();
    auto size = number<std::uint64_t>(trim(std::string_view(size_line).substr(0, size_line.find(';'))), 16);
    if (!size) throw protocol_error("a chunk of a body has no size");
    if (*size == 0) break;
    if (*size > bytes_max - all.size()) throw protocol_error("the body of an HTTP message is too large");
    std::size_t at = all.size();
    all.resize(at + *size);
    co_await exactly(std::as_writable_bytes(std::span(all)).subspan(at));
    std::string rest = co_await line();
    if (!rest.empty()) throw protocol_error("a chunk of a body is longer than it says");
  }
  for (std::size_t trailers = 0;; ++trailers) {
    std::string trailer = co_await line();
    if (trailer.empty()) co_return all;
    if (trailers == 100) throw protocol_error("a chunked body has too many trailers");
  }
}

awaitable<std::string> reader::until_close(std::uint64_t bytes_max) {
  std::string all = buffer_.substr(begin_);
  buffer_.clear(), begin_ = 0;
  for (;;) {
    bool ended = false;
    try {
      co_await fill();
    } catch (const boost::system::system_error& error) {
      if (error.code() != asio::error::eof) throw;
      ended = true;
    }
    all += buffer_;
    buffer_.clear();
    if (all.size() > bytes_max) throw protocol_error("the body of an HTTP message is too large");
    if (ended) co_return all;
  }
}

awaitable<shared_bytes> reader::body(body_extent extent, std::uint64_t bytes_max) {
  if (extent.how == body_extent::kind::chunked) {
    std::string text = co_await chunked(bytes_max);
    co_return shared_bytes::copy_of(as_bytes(text));
  }
  if (extent.how == body_extent::kind::until_close) {
    std::string text = co_await until_close(bytes_max);
    co_return shared_bytes::copy_of(as_bytes(text));
  }
  if (extent.bytes > bytes_max) throw protocol_error("the body of an HTTP message is too large");
  if (extent.bytes == 0) co_return shared_bytes();
  auto memory = chunk::make(extent.bytes);
  co_await exactly({memory->data(), memory->size()});
  byte_view view{memory->data(), memory->size()};
  co_return shared_bytes(std::move(memory), view);
}

std::optional<url> parse_url(std::string_view text) {
  url parsed;
  if (text.starts_with("https://"))
    parsed.at.tls = true, text.remove_prefix(8);
  else if (text.starts_with("http://"))
    text.remove_prefix(7);
  else
    return std::nullopt;
  std::size_t slash = std::min(text.find_first_of("/?#"), text.size());
  std::string_view authority = text.substr(0, slash);
  parsed.path = text.substr(slash);
  if (authority.starts_with('[')) {
    std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    parsed.at.host = authority.substr(1, close - 1);
    authority.remove_prefix(close + 1);
  } else {
    std::size_t colon = std::min(authority.find(':'), authority.size());
    parsed.at.host = authority.substr(0, colon);
    authority.remove_prefix(colon);
  }
  parsed.at.port = parsed.at.tls ? 443 : 80;
  if (!authority.empty()) {
    auto port = authority.front() == ':' ? number<std::uint16_t>(authority.substr(1)) : std::nullopt;
    if (!port || *port == 0) return std::nullopt;
    parsed.at.port = *port;
  }
  auto fits = [](char c) { return c > 0x20 && c < 0x7f && c != '@'; };
  if (parsed.at.host.empty() || !std::ranges::all_of(parsed.at.host, fits)) return std::nullopt;
  return parsed;
}

std::string host_header(const endpoint& at) {
  std::string host = at.host.find(':') == std::string::npos ? at.host : fmt::format("[{}]", at.host);
  return at.port == (at.tls ? 443 : 80) ? host : fmt::format("{}:{}", host, at.port);
}
}  // namespace yaks::http
