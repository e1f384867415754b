// One client connection: reads frames ahead, lets the handler work on several at once, sends the answers in the order
// of the requests, and as many as are ready in one write.
//
//   reader ─▶ slot │ slot │ slot ─▶ writer      a slot is filled by its handler, whenever that is done
//
// Bounds: requests and request bytes in flight; above them the socket is not read. No timer per operation: the server
// calls sweep() now and then. On one executor.
#pragma once
#include <array>
#include <deque>
#include <memory>
#include <string_view>

#include "metrics/registry.hpp"
#include "net/network.hpp"
#include "runtime/event.hpp"
#include "runtime/task_group.hpp"
#include "server/frame_reader.hpp"
#include "server/receive_budget.hpp"
#include "server/request_handler.hpp"

namespace yaks {
enum class close_reason {
  client,       // its bytes ended between frames
  truncated,    // its bytes ended within a frame
  network,      // reset, or whatever the network said
  idle,         // no request for connection_settings::idle_timeout
  malformed,    // a length of 0 or less
  oversized,    // a length above request_bytes_max
  slow_frame,   // held memory for an unfinished frame when that was scarce
  slow_reader,  // did not take its answers for write_timeout
  refused,      // the handler said response::close
  failure,      // the handler threw
  limit,        // too many connections
  shutdown,
};
inline constexpr std::size_t close_reasons = 12;
std::string_view name(close_reason reason);

struct connection_settings {
  std::size_t request_bytes_max = 100u << 20;           // YAKS_REQUEST_MAX_BYTES
  std::size_t requests_in_flight_max = 128;             // per connection
  std::size_t request_bytes_in_flight_max = 64u << 20;  // per connection; one request is always taken
  duration idle_timeout = 600s;                         // YAKS_CONNECTION_IDLE_MS
  duration write_timeout = 30s;                         // for write_bytes_max
  duration drain_timeout = 5s;             // for what is in flight when the client has no more to say, or is refused
  // At the end of an agent, after the last answer: for the client to take it and close.
  duration linger_timeout = 1s;
  std::size_t write_bytes_max = 1u << 20;  // per write, so that a slow client's progress shows
};

struct connection_metrics {
  explicit connection_metrics(metrics::registry& all);
  metrics::gauge &connections, &requests_in_flight, &receive_memory;
  metrics::counter &accepted, &accept_failures, &frames, &received_bytes, &sent_bytes, &writes;
  std::array<metrics::counter*, close_reasons> closed;
};

class connection {
 public:
  // References outlive the connection.
  connection(runtime& rt, std::unique_ptr<byte_stream> stream, request_handler& handler, receive_budget& budget,
             const connection_settings& settings, connection_metrics& metrics, std::uint64_t id);

  // Serves until the end of the client, of us, or of the cancelled caller.
  awaitable<void> run();
  // Reads no more, answers what is in flight until `deadline`, then ends.
  void finish(close_reason why, time_point deadline);
  // Ends now: what is in flight is cancelled.
  void break_off(close_reason why);
  // Ends what is idle or stuck; to be called about once a second.
  void sweep(time_point now);

  // Why it ended, once it has.
  close_reason reason() const { return reason_; }
  const connection_context& context() const { return context_; }

 private:
  struct slot {
    response answer;
    std::size_t request_bytes = 0;
    bool is_done = false;
  };
  awaitable<void> serve(task_group& tasks);
  awaitable<void> read_until_finishing(task_group& reading, task_group& tasks);
  awaitable<void> read_frames(task_group& reading, task_group& tasks);
  awaitable<void> answer(task_group& tasks, slot& into, request of);
  awaitable<void> write_answers();
  awaitable<void> linger();
  awaitable<void> discard_input();
  awaitable<void> write(std::vector<shared_bytes> segments);
  void start(task_group& tasks, shared_bytes frame);
  bool is_full() const;
  void log_refusal(frame_reader::state state) const;

  runtime& rt_;
  std::unique_ptr<byte_stream> stream_;
  request_handler& handler_;
  const connection_settings& settings_;
  connection_metrics& metrics_;
  connection_context context_;
  receive_budget::account unfinished_;
  frame_reader reader_;
  std::deque<slot> slots_;  // in the order of the requests; a handler keeps a reference to its slot
  std::size_t request_bytes_in_flight_ = 0;
  bool finishing_ = false, broken_ = false, waits_for_client_ = false, is_writing_ = false;
  close_reason reason_ = close_reason::client;
  time_point last_activity_, received_at_, write_began_, drain_until_;
  event changed_;   // finishing_, broken_, or nothing left to answer
  event answered_;  // the first slot is done
  event room_;      // fewer slots
};
}  // namespace yaks
