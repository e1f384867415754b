// From a frame to an answer: header, version, decoding, the API's function, encoding, metrics.
//
// What cannot be answered closes the connection, as Kafka does: an API or version outside the table (but for ApiVersions),
// bytes that are no request, an error with acks 0. Other connections do not notice.
#pragma once
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "handlers/services.hpp"
#include "metrics/registry.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"
#include "wire/api.hpp"

namespace yaks::handlers {
// A turn in the order of a connection's requests. Produce requests take theirs one after the other, so that batches join the
// write buffer in the order in which they were sent; the rest of each request runs concurrently.
class produce_turn {
 public:
  virtual ~produce_turn() = default;
  virtual awaitable<void> wait() = 0;  // until all earlier turns of the connection have passed
  virtual void pass() = 0;             // lets the next one in; also done by destruction
};

struct incoming {
  shared_bytes frame;  // without its length
  time_point arrived;
  std::string peer;    // for log lines
};

struct reply {
  enum class kind { answer, nothing, close } what = kind::close;
  std::vector<shared_bytes> segments;  // of an answer, its length included
  std::shared_ptr<void> lease;         // memory that the answer holds until it is sent
};

class dispatcher {
 public:
  dispatcher(services& s, metrics::registry& metrics);
  // The turn was taken when the frame was read. It has passed when this returns, whatever the request was.
  awaitable<reply> handle(incoming in, std::unique_ptr<produce_turn> turn);

 private:
  struct api_metrics {
    metrics::counter* requests;
    metrics::histogram* seconds;
  };
  awaitable<reply> answer(const incoming& in, produce_turn& turn);

  services& s_;
  std::vector<api_metrics> by_api_;  // in the order of wire::apis
  metrics::counter &unsupported_, &malformed_;
};
}  // namespace yaks::handlers
