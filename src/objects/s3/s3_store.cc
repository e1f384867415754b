#include "objects/s3/s3_store.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "base/check.hpp"
#include "objects/s3/digest.hpp"
#include "objects/s3/xml.hpp"
#include "runtime/first_of.hpp"

namespace yaks {
namespace {
std::string_view name_of_operation(std::size_t i) {
  constexpr std::string_view names[] = {"put", "get", "list", "remove", "bucket"};
  return names[i];
}

std::string_view body_text(const shared_bytes& body) { return as_text(body.view()).substr(0, 16 << 10); }

constexpr const char* billed_help =
    "HTTP requests that an object store charges for, by price class: repetitions count, deletions and answers of 5xx do not.";
constexpr const char* dollars_help = "What the requests of this agent have cost by the YAKS_PRICE_* settings, in dollars; storage is not in it.";

bool is_aborted(const boost::system::system_error& error) { return error.code() == asio::error::operation_aborted; }
}  // namespace

// A place among connections_max, given back however the attempt ends.
struct s3_store::slot {
  s3_store& of;
  explicit slot(s3_store& store) : of(store) { ++of.in_use_; }
  ~slot() {
    --of.in_use_;
    of.freed_.notify_all();
  }
  slot(const slot&) = delete;
  slot& operator=(const slot&) = delete;
};

s3_store::s3_store(runtime& rt, network& net, metrics::registry& metrics, s3_settings settings)
    : rt_(rt),
      net_(net),
      settings_(std::move(settings)),
      signer_(settings_.who, settings_.region),
      log_(rt),
      retries_(metrics.add_counter("yaks_s3_retries_total", "Requests to the object store that were repeated.")),
      pauses_(metrics.add_counter("yaks_s3_slow_downs_total", "Answers of the object store that asked for less (503).")),
      sent_bytes_(metrics.add_counter("yaks_s3_sent_bytes_total", "Bytes of bodies sent to the object store.")),
      received_bytes_(metrics.add_counter("yaks_s3_received_bytes_total", "Bytes of bodies received from the object store.")),
      billed_puts_(metrics.add_counter("yaks_s3_billed_requests_total", billed_help, {{"class", "put"}})),
      billed_gets_(metrics.add_counter("yaks_s3_billed_requests_total", billed_help, {{"class", "get"}})),
      put_dollars_(metrics.add_counter("yaks_estimated_cost_dollars_total", dollars_help, {{"kind", "put"}})),
      get_dollars_(metrics.add_counter("yaks_estimated_cost_dollars_total", dollars_help, {{"kind", "get"}})),
      transfer_dollars_(metrics.add_counter("yaks_estimated_cost_dollars_total", dollars_help, {{"kind", "transfer"}})) {
  if (settings_.endpoint.empty()) settings_.endpoint = fmt::format("https://s3.{}.amazonaws.com", settings_.region);
  auto parsed = http::parse_url(settings_.endpoint);
  if (!parsed || !(parsed->path.empty() || parsed->path == "/"))
    throw object_store_error(fmt::format("YAKS_S3_ENDPOINT is '{}'; it must be http://HOST[:PORT] or https://HOST[:PORT]",
                                         settings_.endpoint));
  at_ = parsed->at;
  if (!settings_.path_style) at_.host = settings_.bucket + "." + at_.host;
  host_ = http::host_header(at_);
  static constexpr object_error errors[] = {object_error::not_found, object_error::unavailable, object_error::slow_down,
                                            object_error::unknown,   object_error::corrupt,     object_error::denied};
  for (std::size_t o = 0; o < operations; ++o) {
    auto& by_outcome = calls_.emplace_back();
    auto add = [&](std::string_view outcome) {
      by_outcome.push_back(&metrics.add_counter("yaks_s3_requests_total", "Calls of the object store, by operation and outcome.",
                                                {{"operation", std::string(name_of_operation(o))}, {"outcome", std::string(outcome)}}));
    };
    add("done");
    for (auto e : errors) add(name(e));
    seconds_.push_back(&metrics.add_histogram("yaks_s3_request_duration_seconds",
                                              "Time of a call of the object store with its repetitions.",
                                              metrics::latency_seconds_buckets(), {{"operation", std::string(name_of_operation(o))}}));
  }
  metrics.add_callback("yaks_s3_connections", "Connections to the object store, by state.", [this] { return double(in_use_); },
                       {{"state", "busy"}});
  metrics.add_callback("yaks_s3_connections", "Connections to the object store, by state.", [this] { return double(idle_.size()); },
                       {{"state", "idle"}});
  metrics.add_callback("yaks_s3_connections", "Connections to the object store, by state.", [this] { return double(streams_); },
                       {{"state", "streaming"}});
}

s3_store::~s3_store() = default;

std::string s3_store::description() const { return fmt::format("bucket {} at {}", settings_.bucket, settings_.endpoint); }

std::string s3_store::path_of(std::string_view key) const {
  std::string path = "/";
  if (settings_.path_style) path += s3::uri_encode(settings_.bucket, false) + (key.empty() ? "" : "/");
  return path + s3::uri_encode(key, true);
}

// ---- opening ---------------------------------------------------------------------------------------------------------

awaitable<void> s3_store::open() {
  auto deadline = rt_.now() + settings_.open_patience;
  // A listing of one key asks for what an agent needs anyway; HEAD would answer without saying why.
  auto look = [&] {
    return request{.what = operation::bucket, .method = "GET", .path = path_of(""),
                   .query = s3::canonical_query({{"list-type", "2"}, {"max-keys", "1"}})};
  };
  auto answer = co_await send(look(), deadline);
  if (!answer && answer.error() == object_error::not_found && settings_.create_bucket) {
    request make{.what = operation::bucket, .method = "PUT", .path = path_of("")};
    if (settings_.region != "us-east-1")
      make.body.push_back(shared_bytes::copy_of(as_bytes(fmt::format(
          "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{}"
          "</LocationConstraint></CreateBucketConfiguration>",
          s3::encode_entities(settings_.region)))));
    auto made = co_await send(std::move(make), deadline);
    if (made) spdlog::info("made bucket {} at {}", settings_.bucket, settings_.endpoint);
    answer = co_await send(look(), rt_.now() + settings_.open_patience);  // another agent may have made it at the same time
  }
  if (answer) co_return;
  switch (answer.error()) {
    case object_error::not_found:
      throw object_store_error(fmt::format(
          "there is no bucket '{}' (YAKS_S3_BUCKET) at {}: make it, or set YAKS_S3_CREATE_BUCKET=true and the agent makes it",
          settings_.bucket, settings_.endpoint));
    case object_error::denied:
      throw object_store_error(fmt::format(
          "the object store at {} refuses us ({}): check YAKS_S3_ACCESS_KEY, YAKS_S3_SECRET_KEY, YAKS_S3_REGION and the policy of "
          "bucket '{}'",
          settings_.endpoint, last_failure_, settings_.bucket));
    case object_error::unavailable:
    case object_error::slow_down:
    case object_error::unknown:
    case object_error::corrupt: break;
  }
  throw object_store_error(
      fmt::format("cannot reach the object store at {} ({}): check YAKS_S3_ENDPOINT, and that it runs", settings_.endpoint, last_failure_));
}

// ---- the four calls --------------------------------------------------------------------------------------------------

awaitable<result<void, object_error>> s3_store::put(std::string key, std::vector<shared_bytes> body, std::uint32_t crc32c,
                                                    time_point deadline) {
  YAKS_CHECK(is_object_key(key), "keys are made by us");
  request r{.what = operation::put, .method = "PUT", .path = path_of(key), .body = std::move(body)};
  r.fields.push_back({"x-amz-checksum-crc32c", s3::checksum_text(crc32c)});
  auto answer = co_await send(std::move(r), deadline);
  if (!answer) co_return failure(answer.error());
  co_return result<void, object_error>{};
}

awaitable<result<shared_bytes, object_error>> s3_store::get(std::string key, std::uint64_t position, std::uint64_t bytes,
                                                            time_point deadline) {
  YAKS_CHECK(is_object_key(key), "keys are made by us");
  if (bytes == 0) co_return shared_bytes();
  auto answer = co_await send(ranged_get(path_of(key), position, bytes), deadline);
  if (!answer) co_return failure(answer.error());
  if (!is_range(*answer, position, bytes, answer->body.size())) co_return failure(object_error::corrupt);
  if (answer->body.size() < bytes) co_return failure(object_error::not_found);  // the object ends before the range does
  co_return std::move(answer->body);
}

s3_store::request s3_store::ranged_get(std::string path, std::uint64_t position, std::uint64_t bytes) {
  request r{.what = operation::get, .method = "GET", .path = std::move(path)};
  r.fields.push_back({"Range", fmt::format("bytes={}-{}", position, position + bytes - 1)});
  // A server that does not know ranges answers with all of it: that is refused, not swallowed.
  r.answer_bytes_max = std::max<std::uint64_t>(bytes, 64 << 10);
  return r;
}

bool s3_store::is_range(const reply& answer, std::uint64_t position, std::uint64_t bytes, std::uint64_t got) {
  bool whole = answer.head.status == 200 && position == 0;
  if ((answer.head.status == 206 || whole) && got <= bytes) return true;
  log_.warn(fmt::format("{} answered a ranged GET with status {} and {} bytes, not {}", settings_.endpoint, answer.head.status, got,
                        bytes));
  return false;
}

// The body of one GET, on the connection that it comes on.
class s3_store::ranged_stream final : public object_stream {
 public:
  ranged_stream(s3_store& of, std::unique_ptr<http::client_connection> connection) : of_(of), connection_(std::move(connection)) {
    ++of_.streams_;
  }
  ~ranged_stream() override {
    --of_.streams_;
    if (connection_ && connection_->reusable()) of_.idle_.push_back({std::move(connection_), of_.rt_.now()});
  }
  awaitable<result<shared_bytes, object_error>> next(std::uint64_t bytes, time_point deadline) override {
    result<shared_bytes, object_error> got = failure(object_error::unavailable);
    std::string why = "no bytes in time";
    auto read = [&]() -> awaitable<void> {
      try {
        got = co_await connection_->next_of_body(bytes);
      } catch (const boost::system::system_error& error) {
        if (is_aborted(error)) throw;
        why = error.code().message();
      }
    };
    auto limit = [&]() -> awaitable<void> { co_await of_.rt_.sleep_until(deadline); };
    co_await first_of(read(), limit());
    if (!got) {
      of_.log_.warn(fmt::format("{} stopped in the middle of an object: {}", of_.settings_.endpoint, why));
      connection_.reset();
    } else {
      of_.received_bytes_.add(double(bytes));
      of_.transfer_dollars_.add(double(bytes) * of_.settings_.prices.transfer_byte);
    }
    co_return got;
  }

 private:
  s3_store& of_;
  std::unique_ptr<http::client_connection> connection_;
};

awaitable<result<std::unique_ptr<object_stream>, object_error>> s3_store::stream(std::string key, std::uint64_t position,
                                                                                 std::uint64_t bytes, time_point deadline) {
  YAKS_CHECK(is_object_key(key) && bytes > 0, "keys are made by us, and ranges have bytes");
  auto r = ranged_get(path_of(key), position, bytes);
  r.is_streamed = true;
  auto answer = co_await send(std::move(r), deadline);
  if (!answer) co_return failure(answer.error());
  // Without a length it cannot be taken in pieces: no S3 server is known to do that.
  auto comes = answer->streaming->body_left();
  if (!is_range(*answer, position, bytes, comes.value_or(0)) || !comes) co_return failure(object_error::corrupt);
  if (*comes < bytes) co_return failure(object_error::not_found);
  co_return std::make_unique<ranged_stream>(*this, std::move(answer->streaming));
}

awaitable<result<std::vector<object_info>, object_error>> s3_store::list(std::string prefix, time_point deadline) {
  std::vector<object_info> found;
  for (std::string token;;) {
    s3::query parameters{{"list-type", "2"}, {"max-keys", "1000"}, {"prefix", prefix}};
    if (!token.empty()) parameters.emplace_back("continuation-token", token);
    request r{.what = operation::list, .method = "GET", .path = path_of(""), .query = s3::canonical_query(parameters),
              .answer_bytes_max = 8 << 20};
    auto answer = co_await send(std::move(r), deadline);
    if (!answer) co_return failure(answer.error());
    std::string_view xml = as_text(answer->body.view());
    for (std::size_t from = 0; auto one = s3::element(xml, "Contents", from);) {
      object_info info{.key = s3::text_of(*one, "Key")};
      auto size = s3::text_of(*one, "Size");
      std::from_chars(size.data(), size.data() + size.size(), info.bytes);
      // Some servers list the folders that they make for keys.
      if (!info.key.ends_with('/')) found.push_back(std::move(info));
    }
    auto next = s3::text_of(xml, "NextContinuationToken");
    if (s3::text_of(xml, "IsTruncated") != "true" || next.empty()) co_return found;
    if (next == token) {  // the same page for ever
      log_.warn(fmt::format("{} does not go on with a listing where it ended", settings_.endpoint));
      co_return failure(object_error::corrupt);
    }
    token = std::move(next);
  }
}

awaitable<result<void, object_error>> s3_store::remove(std::vector<std::string> keys, time_point deadline) {
  YAKS_CHECK(keys.size() <= 1000, "S3 takes at most 1,000 keys at a time");
  if (keys.empty()) co_return result<void, object_error>{};
  std::string xml = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>";
  for (const auto& key : keys) xml += "<Object><Key>" + s3::encode_entities(key) + "</Key></Object>";
  xml += "</Delete>";
  request r{.what = operation::remove, .method = "POST", .path = path_of(""), .query = s3::canonical_query({{"delete", ""}})};
  r.fields.push_back({"Content-MD5", s3::base64(s3::md5(xml))});
  r.fields.push_back({"Content-Type", "application/xml"});
  r.body.push_back(shared_bytes::copy_of(as_bytes(xml)));
  auto answer = co_await send(std::move(r), deadline);
  if (!answer) co_return failure(answer.error());
  std::string_view text = as_text(answer->body.view());
  for (std::size_t from = 0; auto one = s3::element(text, "Error", from);) {
    auto code = s3::text_of(*one, "Code");
    if (code == "NoSuchKey") continue;
    log_.warn(fmt::format("{} did not delete {}: {} {}", settings_.endpoint, s3::text_of(*one, "Key"), code, s3::text_of(*one, "Message")));
    co_return failure(code == "AccessDenied" ? object_error::denied : object_error::unknown);
  }
  co_return result<void, object_error>{};
}

// ---- requests --------------------------------------------------------------------------------------------------------

awaitable<result<s3_store::reply, object_error>> s3_store::send(request r, time_point deadline) {
  auto begun = rt_.now();
  bool maybe_done = false, fresh = false;
  result<reply, object_error> answer = failure(object_error::unavailable);
  for (unsigned attempts = 0;; ++attempts) {
    while (rt_.now() < paused_until_ && rt_.now() < deadline) {
      // Not all at the same moment: the server has just asked for less.
      auto on = paused_until_ + backoff(rt_, 1, settings_.retry_first, settings_.retry_most);
      co_await rt_.sleep_until(std::min(on, deadline));
    }
    auto now = rt_.now();
    if (now >= deadline) break;  // sending it could still make it happen
    auto out = co_await attempt(r, std::min(now + settings_.attempt_timeout, deadline), fresh);
    // The server had closed the connection while it was idle, most likely: that says nothing about the server.
    if (out.stale && !fresh) {
      maybe_done |= out.maybe_done;
      fresh = true;
      continue;
    }
    fresh = false;
    if (out.answered && out.response.head.status >= 200 && out.response.head.status < 300) {
      answer = std::move(out.response);
      break;
    }
    object_error error = out.maybe_done ? object_error::unknown : object_error::unavailable;
    if (out.answered) {
      error = error_of(r, out.response);
    } else {
      last_failure_ = out.why;
    }
    maybe_done |= error == object_error::unknown;
    bool again = error == object_error::unavailable || error == object_error::slow_down || error == object_error::unknown;
    answer = failure(again && maybe_done ? object_error::unknown : error);
    if (!again) break;
    if (error == object_error::slow_down) {
      pauses_.add();
      paused_until_ =
          std::max(paused_until_, rt_.now() + backoff(rt_, attempts + 1, settings_.retry_first, settings_.retry_most));
    }
    auto pause = backoff(rt_, attempts, settings_.retry_first, settings_.retry_most);
    if (rt_.now() + pause >= deadline) break;
    log_.warn(fmt::format("{} {} at {} failed ({}: {}); trying again", r.method, r.path, settings_.endpoint, name(error), last_failure_));
    retries_.add();
    co_await rt_.sleep_for(pause);
  }
  count(r.what, rt_.now() - begun, answer);
  co_return answer;
}

awaitable<s3_store::attempt_outcome> s3_store::attempt(const request& r, time_point until, bool fresh) {
  attempt_outcome out;
  bool timed_out = true;
  auto whole = [&]() -> awaitable<void> {
    while (in_use_ >= settings_.connections_max) co_await freed_.wait();
    slot mine(*this);
    co_await exchange(r, fresh, out);
    timed_out = false;
  };
  auto limit = [&]() -> awaitable<void> { co_await rt_.sleep_until(until); };
  out.why = "no answer in time";
  co_await first_of(whole(), limit());
  if (timed_out) out.stale = false;
  co_return out;
}

awaitable<void> s3_store::exchange(const request& r, bool fresh, attempt_outcome& out) {
  std::unique_ptr<http::client_connection> connection;
  std::erase_if(idle_, [&](const auto& i) { return rt_.now() - i.since > settings_.idle_timeout; });
  if (fresh) idle_.clear();  // what was kept as long as the stale one is likely stale too
  bool reused = !idle_.empty();
  try {
    if (reused) {
      connection = std::move(idle_.back().connection);
      idle_.pop_back();
    } else {
      connection = std::make_unique<http::client_connection>(co_await net_.connect(at_));
    }
  } catch (const boost::system::system_error& error) {
    if (is_aborted(error)) throw;
    out.why = error.code().message();
    co_return;
  }
  http::headers fields = r.fields;
  fields.push_back({"Host", host_});
  std::string payload = settings_.sign_payload ? s3::hex(s3::sha256_of(r.body)) : std::string(s3::unsigned_payload);
  signer_.sign(r.method, r.path, r.query, fields, payload, rt_.wall_clock());
  std::uint64_t bytes = 0;
  for (const auto& segment : r.body) bytes += segment.size();
  if (bytes > 0 || r.method != "GET") fields.push_back({"Content-Length", std::to_string(bytes)});
  auto head = http::request_text(r.method, r.query.empty() ? r.path : r.path + "?" + r.query, fields);
  // Until the answer is here, the request may have been done: also when this coroutine is cancelled by its time limit.
  out.maybe_done = true;
  try {
    out.response.head = co_await connection->begin(std::move(head), r.body, r.expects_body);
    if (r.is_streamed && out.response.head.status / 100 == 2) {
      charge(r.what, 0);
      out.response.streaming = std::move(connection);
      out.answered = true;
      co_return;
    }
    out.response.body = co_await connection->rest_of_body(r.answer_bytes_max);
    out.answered = true;
    sent_bytes_.add(double(bytes));
    received_bytes_.add(double(out.response.body.size()));
    if (out.response.head.status < 500) charge(r.what, bytes + out.response.body.size());
    if (connection->reusable()) idle_.push_back({std::move(connection), rt_.now()});
  } catch (const boost::system::system_error& error) {
    if (connection->sent()) charge(r.what, bytes);  // its answer is lost, its price is not
    if (is_aborted(error)) throw;
    out.why = error.code().message();
    out.maybe_done = connection->sent();
    out.stale = reused && !connection->answered();
  } catch (const http::protocol_error& error) {
    if (connection->sent()) charge(r.what, bytes);
    out.why = error.what();
    out.maybe_done = connection->sent();
    out.stale = reused && !connection->answered();
  }
}

void s3_store::charge(operation what, std::uint64_t body_bytes) {
  switch (what) {
    case operation::put:
    case operation::list:
    case operation::bucket:
      billed_puts_.add();
      put_dollars_.add(settings_.prices.put);
      break;
    case operation::get:
      billed_gets_.add();
      get_dollars_.add(settings_.prices.get);
      break;
    case operation::remove: return;  // free
  }
  transfer_dollars_.add(double(body_bytes) * settings_.prices.transfer_byte);
}

object_error s3_store::error_of(const request& r, const reply& answer) {
  auto xml = body_text(answer.body);
  auto code = s3::text_of(xml, "Code");
  auto status = answer.head.status;
  last_failure_ = fmt::format("status {} {} {}", status, code, s3::text_of(xml, "Message").substr(0, 200));
  if (status == 404) {
    if (r.what == operation::bucket || code != "NoSuchBucket") return object_error::not_found;
    log_.warn(fmt::format("bucket {} is gone from {}", settings_.bucket, settings_.endpoint));
    return object_error::unavailable;
  }
  if (status == 416) return object_error::not_found;
  if (status == 503 || status == 429) return object_error::slow_down;
  if (status == 408 || code == "RequestTimeout" || code == "OperationAborted" || code == "RequestTimeTooSkewed")
    return object_error::unavailable;
  if (status >= 500) return object_error::unknown;
  log_.warn(fmt::format("{} {} at {} is refused: {}", r.method, r.path, settings_.endpoint, last_failure_));
  // Servers differ in what they call a wrong checksum: a 400 that is not about who we are is about the body.
  bool about_us = code == "AuthorizationHeaderMalformed" || code == "InvalidBucketName" || code == "ExpiredToken" ||
                  code == "InvalidToken";
  return r.what == operation::put && status == 400 && !about_us ? object_error::corrupt : object_error::denied;
}

void s3_store::count(operation what, duration took, const result<reply, object_error>& answer) {
  std::size_t outcome = answer ? 0 : 1 + std::size_t(answer.error());
  calls_[std::size_t(what)][outcome]->add();
  seconds_[std::size_t(what)]->observe(std::chrono::duration<double>(took).count());
}
}  // namespace yaks
