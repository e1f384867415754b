// What the connection loop asks of whoever answers requests. It knows frames, not messages.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "runtime/runtime.hpp"
#include "runtime/turnstile.hpp"

namespace yaks {
// Of one client connection; lives until its last handler has returned. The handlers write what they learn of the
// client.
struct connection_context {
  std::uint64_t id = 0;                                       // unique in this process
  std::string peer;                                           // address and port
  std::string client_software_name, client_software_version;  // from ApiVersions, "" before
  bool has_produced = false;  // for admits(): only producers are held back when the write buffer is full
  std::shared_ptr<void> fetch_session;  // the handlers' (KIP-227); null: none
  turnstile produce_turns;
  // Answers leave in order, so one that holds memory waits for those before it: only who has none of them ahead that still
  // wants memory may take some. Else two requests of one connection could wait for each other, and everybody for them.
  turnstile memory_turns;
};

struct request {
  shared_bytes frame;  // what follows the length
  connection_context& connection;
  time_point arrived_at;
};

struct response {
  enum class outcome {
    answer,  // `segments` are the whole frame, the length included
    none,    // nothing is sent (Produce with acks=0)
    close,   // earlier requests are answered, then the connection is closed; `why` is for the log
  };
  outcome what = outcome::none;
  std::vector<shared_bytes> segments;
  std::shared_ptr<void> held_until_sent;  // a memory reservation, for instance
  std::string why;

  static response of(std::vector<shared_bytes> segments, std::shared_ptr<void> held_until_sent = {}) {
    return {outcome::answer, std::move(segments), std::move(held_until_sent), {}};
  }
  static response none() { return {}; }
  static response close(std::string why) { return {outcome::close, {}, {}, std::move(why)}; }
};

class request_handler {
 public:
  virtual ~request_handler() = default;
  // Called in the order of the requests; the calls of one connection then run concurrently, and their answers are sent
  // in order. An exception is logged and counted and closes that connection only, once what came before is answered.
  // Cancelled when the connection ends.
  virtual awaitable<response> handle(request of) = 0;
  // Asked before each frame is taken, and before the bulk of a large one is read: false makes the connection wait for
  // admission() first. Its socket is not read meanwhile, so that the client feels it.
  // `begun` is what has come of that frame, its length included: perhaps nothing, perhaps all and more.
  virtual bool admits(const connection_context&, byte_view /*begun*/) const { return true; }
  virtual awaitable<void> admission(connection_context&) { co_return; }
};
}  // namespace yaks
