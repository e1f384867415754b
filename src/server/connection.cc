#include "server/connection.hpp"

#include <spdlog/spdlog.h>

#include <exception>
#include <iterator>
#include <utility>

#include "runtime/first_of.hpp"

namespace yaks {
namespace {
// Of a frame that is not admitted, at most so much is read before its connection waits.
constexpr std::size_t head_bytes = 65536;

// Clients of other protocols find the port now and then; their first bytes say so.
std::string_view guess(byte_view first) {
  auto text = as_text(first.first(std::min<std::size_t>(first.size(), 4)));
  if (text.starts_with("\x16\x03")) return " (a client that speaks TLS?)";
  if (text == "GET " || text == "POST" || text == "HEAD" || text == "PUT ") return " (a client that speaks HTTP?)";
  return "";
}
}  // namespace

std::string_view name(close_reason reason) {
  switch (reason) {
    case close_reason::client:
      return "client";
    case close_reason::truncated:
      return "truncated";
    case close_reason::network:
      return "network";
    case close_reason::idle:
      return "idle";
    case close_reason::malformed:
      return "malformed";
    case close_reason::oversized:
      return "oversized";
    case close_reason::slow_frame:
      return "slow_frame";
    case close_reason::slow_reader:
      return "slow_reader";
    case close_reason::refused:
      return "refused";
    case close_reason::failure:
      return "failure";
    case close_reason::limit:
      return "limit";
    case close_reason::shutdown:
      return "shutdown";
  }
  return "";
}

connection_metrics::connection_metrics(metrics::registry& all)
    : connections(all.add_gauge("yaks_connections", "Open client connections.")),
      requests_in_flight(all.add_gauge("yaks_requests_in_flight", "Requests that are received and not answered yet.")),
      receive_memory(all.add_gauge("yaks_receive_memory_bytes", "Bytes of requests that are not received completely.")),
      accepted(all.add_counter("yaks_connections_accepted_total", "Connections accepted.")),
      accept_failures(all.add_counter("yaks_accept_failures_total", "Connections that could not be accepted.")),
      frames(all.add_counter("yaks_frames_received_total", "Requests received.")),
      received_bytes(all.add_counter("yaks_network_received_bytes_total", "Bytes received from clients.")),
      sent_bytes(all.add_counter("yaks_network_sent_bytes_total", "Bytes sent to clients.")),
      writes(all.add_counter("yaks_network_writes_total", "Writes to clients; one sends all answers that are ready.")) {
  for (std::size_t i = 0; i < close_reasons; ++i)
    closed[i] = &all.add_counter("yaks_connections_closed_total", "Connections closed, by reason.",
                                 {{"reason", std::string(name(close_reason(i)))}});
}

connection::connection(runtime& rt, std::unique_ptr<byte_stream> stream, request_handler& handler,
                       receive_budget& budget, const connection_settings& settings, connection_metrics& metrics,
                       std::uint64_t id)
    : rt_(rt),
      stream_(std::move(stream)),
      handler_(handler),
      settings_(settings),
      metrics_(metrics),
      unfinished_(budget, [this] { break_off(close_reason::slow_frame); }),
      reader_(*stream_, unfinished_, settings.request_bytes_max),
      last_activity_(rt.now()) {
  context_.id = id;
  context_.peer = stream_->peer();
}

awaitable<void> connection::run() {
  task_group tasks(rt_.executor());
  std::exception_ptr cancelled;
  try {
    co_await run_then_close(serve(tasks), tasks);
  } catch (...) {
    cancelled = std::current_exception();
    if (!finishing_ && !broken_) reason_ = is_cancellation(cancelled) ? close_reason::shutdown : close_reason::failure;
  }
  metrics_.requests_in_flight.add(-double(slots_.size()));
  if (cancelled) std::rethrow_exception(cancelled);
}

awaitable<void> connection::serve(task_group& tasks) {
  tasks.spawn(write_answers());
  {
    // A group of its own, so that a connection that stops reading can still write.
    task_group reading(rt_.executor());
    co_await run_then_close(read_until_finishing(reading, tasks), reading);
  }
  while (!broken_ && (!slots_.empty() || is_writing_)) co_await changed_.wait();
  if (!broken_ && reason_ == close_reason::shutdown) co_await linger();
  stream_->close();
}

// A socket that is closed with unread bytes is reset, and a reset takes answers with it that the client has not read yet:
// acknowledged records would be sent again to another agent. So the client is told that nothing more will come, and what
// it has sent meanwhile is read until it closes.
awaitable<void> connection::linger() {
  stream_->shutdown_write();
  co_await first_of(discard_input(), rt_.sleep_for(settings_.linger_timeout));
}

awaitable<void> connection::discard_input() {
  std::array<std::byte, 4096> nowhere;
  try {
    for (;;) co_await stream_->read_some(nowhere);
  } catch (const boost::system::system_error&) {  // the end, in whatever way
  }
}

awaitable<void> connection::read_until_finishing(task_group& reading, task_group& tasks) {
  reading.spawn(read_frames(reading, tasks));
  while (!finishing_) co_await changed_.wait();
}

awaitable<void> connection::read_frames(task_group& reading, task_group& tasks) {
  auto why = close_reason::client;
  try {
    for (;;) {
      while (is_full()) co_await room_.wait();
      if (!handler_.admits(context_, reader_.rest())) co_await handler_.admission(context_);
      shared_bytes frame;
      auto state = reader_.take(frame);
      for (; state == frame_reader::state::partial; state = reader_.take(frame)) {
        // Asked again within a frame: the buffer may have filled up since this connection began to wait for bytes, and
        // the bulk of a thousand producers' frames must not come on top of it. Who waits here is not slow.
        if (reader_.buffered() <= head_bytes && !handler_.admits(context_, reader_.rest())) {
          unfinished_.charge(0);
          co_await handler_.admission(context_);
        }
        auto before = reader_.bytes_received();
        waits_for_client_ = true;
        co_await reader_.fill();
        waits_for_client_ = false;
        last_activity_ = received_at_ = rt_.now();
        metrics_.received_bytes.add(double(reader_.bytes_received() - before));
      }
      if (state != frame_reader::state::frame) {
        log_refusal(state);
        why = state == frame_reader::state::oversized ? close_reason::oversized : close_reason::malformed;
        break;
      }
      start(tasks, std::move(frame));
      if (finishing_) co_return;
    }
  } catch (const boost::system::system_error& error) {
    if (reading.closing() || finishing_) co_return;
    if (error.code() != asio::error::eof)
      why = close_reason::network;
    else if (reader_.buffered() > 0)
      why = close_reason::truncated;
  } catch (const std::exception& error) {  // no memory for a large frame, for instance
    spdlog::warn("connection of {}: {}", context_.peer, error.what());
    why = close_reason::failure;
  }
  finish(why, rt_.now() + settings_.drain_timeout);
}

bool connection::is_full() const {
  return slots_.size() >= settings_.requests_in_flight_max ||
         (!slots_.empty() && request_bytes_in_flight_ >= settings_.request_bytes_in_flight_max);
}

void connection::start(task_group& tasks, shared_bytes frame) {
  metrics_.frames.add();
  metrics_.requests_in_flight.add(1);
  slot& into = slots_.emplace_back();
  into.request_bytes = frame.size();
  request_bytes_in_flight_ += frame.size();
  tasks.spawn(answer(tasks, into, request{std::move(frame), context_, received_at_}));
}

awaitable<void> connection::answer(task_group& tasks, slot& into, request of) {
  try {
    into.answer = co_await handler_.handle(std::move(of));
    if (into.answer.what == response::outcome::close)
      spdlog::debug("connection of {} is closed: {}", context_.peer, into.answer.why);
  } catch (...) {
    auto failure = std::current_exception();
    if (tasks.closing() && is_cancellation(failure)) co_return;  // it is not needed any more
    spdlog::error("connection of {} is closed, its request failed: {}", context_.peer, what(failure));
    into.answer = response::close({});
    if (!finishing_) finish(close_reason::failure, rt_.now() + settings_.drain_timeout);
  }
  // What comes after it will not be answered: there is no use in reading it.
  if (into.answer.what == response::outcome::close && !finishing_)
    finish(close_reason::refused, rt_.now() + settings_.drain_timeout);
  into.is_done = true;
  if (&slots_.front() == &into) answered_.notify_all();
}

awaitable<void> connection::write_answers() {
  try {
    std::deque<shared_bytes> waiting;
    std::vector<std::shared_ptr<void>> held;
    bool closes = false;
    for (;;) {
      while (slots_.empty() || !slots_.front().is_done) co_await answered_.wait();
      // All answers that are ready, up to about one write: the rest stays in its slot, and counts as in flight.
      std::size_t bytes = 0;
      while (!closes && !slots_.empty() && slots_.front().is_done && bytes < settings_.write_bytes_max) {
        slot& first = slots_.front();
        closes = first.answer.what == response::outcome::close;
        for (auto& segment : first.answer.segments) {
          bytes += segment.size();
          waiting.push_back(std::move(segment));
        }
        if (first.answer.held_until_sent) held.push_back(std::move(first.answer.held_until_sent));
        request_bytes_in_flight_ -= first.request_bytes;
        slots_.pop_front();
        metrics_.requests_in_flight.add(-1);
      }
      while (!waiting.empty()) {
        std::vector<shared_bytes> piece;
        std::size_t piece_bytes = 0;
        while (!waiting.empty() && piece_bytes < settings_.write_bytes_max) {
          shared_bytes& segment = waiting.front();
          std::size_t fits = std::min(segment.size(), settings_.write_bytes_max - piece_bytes);
          piece_bytes += fits;
          if (fits == segment.size()) {
            piece.push_back(std::move(segment));
            waiting.pop_front();
          } else {
            piece.push_back(segment.slice(0, fits));
            segment = segment.from(fits);
          }
        }
        co_await write(std::move(piece));
      }
      held.clear();
      room_.notify_all();
      if (closes) break;
      if (finishing_) changed_.notify_all();
    }
  } catch (...) {
    is_writing_ = false;
    if (broken_) co_return;
    // A cancelled writer has nothing left to write; else the client is gone.
    if (!is_cancellation(std::current_exception())) break_off(close_reason::network);
    co_return;
  }
  break_off(reason_);
}

awaitable<void> connection::write(std::vector<shared_bytes> segments) {
  std::size_t bytes = 0;
  for (const auto& segment : segments) bytes += segment.size();
  write_began_ = rt_.now();
  is_writing_ = true;
  co_await stream_->write_all(std::move(segments));
  is_writing_ = false;
  last_activity_ = rt_.now();
  metrics_.writes.add();
  metrics_.sent_bytes.add(double(bytes));
}

void connection::finish(close_reason why, time_point deadline) {
  if (finishing_ || broken_) return;
  finishing_ = true;
  reason_ = why;
  drain_until_ = deadline;
  changed_.notify_all();
}

void connection::break_off(close_reason why) {
  if (broken_) return;
  if (!finishing_) reason_ = why;
  finishing_ = broken_ = true;
  stream_->close();
  changed_.notify_all();
}

void connection::sweep(time_point now) {
  if (broken_) return;
  if (is_writing_ && now - write_began_ > settings_.write_timeout) {
    reason_ = close_reason::slow_reader;
    finishing_ = true;
    break_off(reason_);
  } else if (finishing_ && now >= drain_until_) {
    break_off(reason_);
  } else if (!finishing_ && waits_for_client_ && slots_.empty() && !is_writing_ &&
             now - last_activity_ > settings_.idle_timeout) {
    break_off(close_reason::idle);
  }
}

void connection::log_refusal(frame_reader::state state) const {
  byte_view first = reader_.rest();
  std::uint32_t length = 0;
  for (std::size_t i = 0; i < 4; ++i) length = length << 8 | std::to_integer<std::uint32_t>(first[i]);
  if (state == frame_reader::state::oversized)
    spdlog::info("connection of {} is closed: it announces a request of {} bytes, and YAKS_REQUEST_MAX_BYTES is {}{}",
                 context_.peer, length, settings_.request_bytes_max, guess(first));
  else
    spdlog::info("connection of {} is closed: it announces a request of {} bytes{}", context_.peer,
                 std::int32_t(length), guess(first));
}
}  // namespace yaks
