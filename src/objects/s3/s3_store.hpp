// Objects in an S3-compatible bucket.
//
// Every request is signed (SigV4); an object's CRC-32C goes with it as a signed header, so that a body that is cut short or
// changed on the way never becomes an object, and the body itself is hashed only where the settings ask for it. Requests that
// fail are repeated with full jitter until their deadline: all of them are idempotent, since keys never repeat with other
// bytes. 503 pauses everybody for a moment. On the executor only.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "metrics/registry.hpp"
#include "net/http_client.hpp"
#include "net/network.hpp"
#include "objects/object_store.hpp"
#include "objects/s3/sigv4.hpp"
#include "objects/throttled_log.hpp"
#include "runtime/event.hpp"

namespace yaks {
// What requests cost, in dollars. Where a store costs nothing, all are 0.
struct s3_prices {
  double put = 0;            // of a PUT, POST or LIST
  double get = 0;            // of a GET
  double transfer_byte = 0;  // of a byte of a body, in either direction
};

struct s3_settings {
  std::string endpoint;  // http://host:port or https://host; "" for AWS in `region`
  std::string region = "us-east-1";
  s3::credentials who;
  std::string bucket;
  bool path_style = true;      // http://host/bucket/key, not http://bucket.host/key
  bool sign_payload = false;   // YAKS_S3_SIGN_PAYLOAD
  bool create_bucket = false;  // YAKS_S3_CREATE_BUCKET
  std::size_t connections_max = 64;
  duration attempt_timeout = 30s;  // of one attempt; the body of a large object on a slow line fits
  duration idle_timeout = 4s;      // of a kept connection: shorter than what servers are known to wait
  duration retry_first = 50ms, retry_most = 2s;
  s3_prices prices;
  duration open_patience = 5s;  // open() waits that long for a server that is starting
};

class s3_store final : public object_store {
 public:
  // Throws object_store_error where the endpoint is no URL. References outlive the store.
  s3_store(runtime& rt, network& net, metrics::registry& metrics, s3_settings settings);
  ~s3_store() override;
  // Checks that the bucket is there, or makes it where the settings ask for that. Throws object_store_error.
  awaitable<void> open();

  awaitable<result<void, object_error>> put(std::string key, std::vector<shared_bytes> body, std::uint32_t crc32c,
                                            time_point deadline) override;
  awaitable<result<shared_bytes, object_error>> get(std::string key, std::uint64_t position, std::uint64_t bytes,
                                                    time_point deadline) override;
  awaitable<result<std::unique_ptr<object_stream>, object_error>> stream(std::string key, std::uint64_t position,
                                                                         std::uint64_t bytes,
                                                                         time_point deadline) override;
  awaitable<result<std::vector<object_info>, object_error>> list(std::string prefix, time_point deadline) override;
  awaitable<result<void, object_error>> remove(std::vector<std::string> keys, time_point deadline) override;
  std::string description() const;

 private:
  enum class operation { put, get, list, remove, bucket };
  static constexpr std::size_t operations = 5, outcomes = 7;  // done, and one per object_error
  struct request {
    operation what = operation::get;
    std::string method, path, query;  // encoded
    http::headers fields;             // besides those of every request
    std::vector<shared_bytes> body;
    bool expects_body = true;
    bool is_streamed = false;  // the body of a good answer stays on its connection
    std::uint64_t answer_bytes_max = 1 << 20;
  };
  struct reply {
    http::response_head head;
    shared_bytes body;
    std::unique_ptr<http::client_connection> streaming;
  };
  struct attempt_outcome {
    bool answered = false;  // `response` is there
    bool maybe_done = false;
    bool stale = false;  // a kept connection that the server had closed
    reply response;
    std::string why;
  };
  struct idle_connection {
    std::unique_ptr<http::client_connection> connection;
    time_point since;
  };
  struct slot;
  class ranged_stream;
  static request ranged_get(std::string path, std::uint64_t position, std::uint64_t bytes);
  // Whether a good answer to such a GET is what was asked for.
  bool is_range(const reply& answer, std::uint64_t position, std::uint64_t bytes, std::uint64_t got);
  awaitable<result<reply, object_error>> send(request r, time_point deadline);
  awaitable<attempt_outcome> attempt(const request& r, time_point until, bool fresh);
  awaitable<void> exchange(const request& r, bool fresh, attempt_outcome& out);
  object_error error_of(const request& r, const reply& answer);
  std::string path_of(std::string_view key) const;
  void count(operation what, duration took, const result<reply, object_error>& answer);
  void charge(operation what, std::uint64_t body_bytes);

  runtime& rt_;
  network& net_;
  s3_settings settings_;
  endpoint at_;
  std::string host_;
  s3::signer signer_;
  throttled_log log_;
  std::vector<idle_connection> idle_;  // the most recently used last
  std::size_t in_use_ = 0;
  std::size_t streams_ = 0;  // not among those in use: they may stand still for long
  event freed_;
  time_point paused_until_{};  // by a 503
  std::string last_failure_;   // of an attempt, for a sentence
  std::vector<std::vector<metrics::counter*>> calls_;
  std::vector<metrics::histogram*> seconds_;
  metrics::counter &retries_, &pauses_, &sent_bytes_, &received_bytes_;
  metrics::counter &billed_puts_, &billed_gets_, &put_dollars_, &get_dollars_, &transfer_dollars_;
};
}  // namespace yaks
