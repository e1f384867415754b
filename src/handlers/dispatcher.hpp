// From a frame to an answer: header, version, decoding, the API's function, encoding, metrics.
//
// What cannot be answered closes the connection, as Kafka does: an API or version outside the table (but for ApiVersions),
// bytes that are no request, an error with acks 0. Other connections do not notice.
#pragma once
#include <string>
#include <vector>

#include "handlers/services.hpp"
#include "metrics/registry.hpp"
#include "runtime/runtime.hpp"
#include "server/request_handler.hpp"
#include "wire/api.hpp"

namespace yaks::handlers {
class dispatcher final : public request_handler {
 public:
  dispatcher(services& s, metrics::registry& metrics);
  awaitable<response> handle(request in) override;
  // A full write buffer holds producers back, also one that has just connected: their sockets are not read until there is
  // room.
  bool admits(const connection_context& connection, byte_view begun) const override;
  awaitable<void> admission(connection_context& connection) override;

 private:
  struct api_metrics {
    metrics::counter* requests;
    metrics::histogram* seconds;
  };
  response refuse(const request& in, metrics::counter& reason, std::string why);

  services& s_;
  std::vector<api_metrics> by_api_;  // in the order of wire::apis
  metrics::counter &unsupported_, &malformed_, &rejected_;
};
}  // namespace yaks::handlers
