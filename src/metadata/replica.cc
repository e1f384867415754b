#include "metadata/replica.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/check.hpp"

namespace yaks::metadata {
namespace {
double seconds(duration d) { return std::chrono::duration<double>(d).count(); }
}  // namespace

replica::replica(runtime& rt, log_store& log, replica_settings settings, metrics::registry& metrics,
                 std::function<void(const changes&)> applied)
    : rt_(rt),
      log_(log),
      settings_(std::move(settings)),
      applied_(std::move(applied)),
      tasks_(rt.executor()),
      entries_(metrics.add_counter("yaks_log_entries_applied_total", "Entries of the metadata log applied by this agent.")),
      voids_(metrics.add_counter("yaks_log_entries_void_total",
                                 "Entries that were repeated or came from a fenced agent, and changed nothing.")),
      barriers_(metrics.add_counter("yaks_log_barriers_total", "Requests that waited until the log was read to its end.")),
      barrier_reads_(metrics.add_counter("yaks_log_reads_total", "Reads of the log's tail: polls, notifications, barriers.")),
      append_retries_(metrics.add_counter("yaks_log_append_retries_total", "Appends that had to be tried again.")),
      append_seconds_(metrics.add_histogram("yaks_buffer_db_commit_duration_seconds",
                                            "Time from an append to the application of its entry.",
                                            metrics::latency_seconds_buckets())),
      append_commands_(metrics.add_histogram("yaks_log_append_commands", "Commands in one append (group commit).",
                                             {1, 2, 4, 8, 16, 32, 64, 128, 256})) {
  metrics.add_callback("yaks_log_sequence", "Sequence of the entry that was applied last.",
                       [this] { return double(state_.position().sequence.value()); });
  metrics.add_callback("yaks_log_pending_commands", "Commands that wait for the next append.",
                       [this] { return double(pending_.size()); });
  begin_incarnation();
}

replica::~replica() = default;

void replica::begin_incarnation() {
  auto high = rt_.random(), low = rt_.random();
  self_ = incarnation(uuid::v4(high, low));
  last_number_ = 0;
}

void replica::stop(log_error why) {
  switch (why) {
    case log_error::diverged:
      throw replica_stopped(
          "the metadata log has lost entries that were acknowledged (a standby took over that lacked them?): this agent "
          "stops serving rather than build on another history. Restore the log, or start all agents anew to accept the loss");
    case log_error::trimmed:
      throw replica_stopped("the metadata log no longer holds the entries that this agent needs next");
    case log_error::refused:
      throw replica_stopped("the store of the metadata log refuses to be used: see the message above");
    case log_error::unavailable:
    case log_error::unknown: break;
  }
  YAKS_CHECK(false, "only final errors stop a replica");
  std::abort();
}

awaitable<void> replica::run() { return run_then_close(start_and_follow(), tasks_); }

awaitable<void> replica::start_and_follow() {
  co_await catch_up();
  tasks_.spawn(follow());
  tasks_.spawn(append_pending());
  if (log_.is_shared()) tasks_.spawn(watch_for_change());
  co_await tasks_.failed();
}

awaitable<void> replica::catch_up() {
  for (unsigned attempt = 0;;) {
    auto tail = co_await log_.read_after(state_.position());
    if (tail) {
      attempt = 0;
      apply_tail(*tail);
      if (state_.position().sequence >= tail->head) co_return;
    } else {
      if (tail.error() != log_error::unavailable && tail.error() != log_error::unknown) stop(tail.error());
      if (attempt % 10 == 0) spdlog::warn("cannot read the metadata log ({}); trying again", name(tail.error()));
      co_await rt_.sleep_for(backoff(rt_, attempt++, settings_.retry_first, settings_.retry_most));
    }
  }
}

awaitable<void> replica::wait_until_ready() {
  while (!ready_) co_await ready_changed_.wait();
}

bool replica::is_fresh() const { return !log_.is_shared() || rt_.now() - heard_ < settings_.stale_after; }

// ---- applying --------------------------------------------------------------------------------------------------------

bool replica::apply_tail(const log_tail& tail) {
  heard_ = rt_.now();
  log_time_ = std::max(log_time_, tail.now);
  for (const auto& entry : tail.entries) {
    auto next = state_.position().sequence + 1;
    if (entry.sequence < next) continue;  // a read and an append may both bring it
    if (entry.sequence > next) return false;
    apply_entry(entry);
  }
  return true;
}

void replica::apply_entry(const log_entry& entry) {
  state::applied applied;
  try {
    applied = state_.apply(entry);
  } catch (const log_format_error& error) {
    throw replica_stopped(error.what());
  }
  entries_.add();
  if (applied.is_void) voids_.add();
  if (in_flight_ && !in_flight_->decided && entry.id == in_flight_->id) decide(*in_flight_, applied);
  applied_(applied.changed);
}

void replica::decide(append_in_flight& append, const state::applied& applied) {
  append.decided = true;
  for (std::size_t i = 0; i < append.submissions.size(); ++i) {
    auto& s = *append.submissions[i];
    if (applied.is_void) s.answer = failure(submit_error::not_appended);
    else s.answer = applied.outcomes[i];
    s.answered.notify_all();
  }
}

// ---- appending -------------------------------------------------------------------------------------------------------

std::shared_ptr<replica::submission> replica::enqueue(command c) {
  auto mine = std::make_shared<submission>(std::move(c));
  mine->bytes = encoded_bytes(mine->what);
  if (mine->bytes > entry_bytes_max) {
    mine->answer = failure(submit_error::too_large);
  } else {
    pending_.push_back(mine);
    pending_changed_.notify_all();
  }
  return mine;
}

awaitable<result<outcome, submit_error>> replica::answer_of(std::shared_ptr<submission> mine) {
  while (!mine->answer) co_await mine->answered.wait();
  co_return std::move(*mine->answer);
}

awaitable<void> replica::append_pending() {
  for (;;) {
    if (!ready_) {  // an incarnation's first entry registers it
      auto registration = std::make_shared<submission>(settings_.registration);
      entry_writer writer;
      writer.add(registration->what);
      co_await append_one({registration}, writer.take());
      if (!registration->answer->has_value()) {  // somebody took the node id in between: begin again
        begin_incarnation();
        continue;
      }
      ready_ = true;
      ready_changed_.notify_all();
    }
    while (pending_.empty()) co_await pending_changed_.wait();
    std::vector<std::shared_ptr<submission>> batch;
    entry_writer writer;
    while (!pending_.empty() && (batch.empty() || writer.bytes() + pending_.front()->bytes <= entry_bytes_max)) {
      writer.add(pending_.front()->what);
      batch.push_back(std::move(pending_.front()));
      pending_.pop_front();
    }
    append_commands_.observe(double(batch.size()));
    co_await append_one(std::move(batch), writer.take());
    if (!state_.agents().contains(self_)) {  // fenced: start over under a new incarnation
      if (!settings_.holds_node_id())
        throw replica_stopped(fmt::format(
            "another agent has taken node id {} (YAKS_NODE_ID) while this one was cut off: each agent needs its own",
            settings_.registration.node.value()));
      spdlog::warn("this agent was fenced (node id {} registered again); it starts over under a new incarnation",
                   settings_.registration.node.value());
      ready_ = false;
      begin_incarnation();
    }
  }
}

// Returns when the entry has been applied here. An outcome that is unknown is settled by reading on: the entry is there, or
// it is appended again under the same id, and the state machine applies only one of the two.
awaitable<void> replica::append_one(std::vector<std::shared_ptr<submission>> submissions, shared_bytes payload) {
  append_in_flight append{.id = {self_, ++last_number_}, .submissions = std::move(submissions), .decided = false};
  struct registered {  // in_flight_ must not outlive this frame, however it ends
    append_in_flight*& slot;
    ~registered() { slot = nullptr; }
  } guard{in_flight_};
  in_flight_ = &append;
  auto begun = rt_.now();
  for (unsigned attempt = 0; !append.decided; ++attempt) {
    if (attempt > 0) {
      append_retries_.add();
      co_await rt_.sleep_for(backoff(rt_, attempt - 1, settings_.retry_first, settings_.retry_most));
      // An earlier attempt may have arrived: read before appending again. Where that fails, appending would too.
      if (!co_await barrier() || append.decided) continue;
    }
    auto tail = co_await log_.append(state_.position(), append.id, payload);
    if (!tail) {
      if (tail.error() != log_error::unavailable && tail.error() != log_error::unknown) stop(tail.error());
      if (attempt % 20 == 0) spdlog::warn("cannot append to the metadata log ({}); trying again", name(tail.error()));
      continue;
    }
    // A tail that is cut at its limit, or that overlaps a read with a gap, is completed by a read.
    if (!apply_tail(*tail) || !append.decided) co_await barrier();
  }
  append_seconds_.observe(seconds(rt_.now() - begun));
}

// ---- reading ---------------------------------------------------------------------------------------------------------

awaitable<bool> replica::barrier_since(time_point since) {
  if (reads_done_ > 0 && last_read_began_ >= since) co_return true;
  co_return co_await barrier();
}

awaitable<bool> replica::barrier() {
  barriers_.add();
  auto needed = reads_begun_ + 1;
  auto failures = read_failures_;
  read_wanted_ = true;
  read_wanted_changed_.notify_all();
  while (reads_done_ < needed) {
    co_await read_done_.wait();
    if (reads_done_ < needed && read_failures_ >= failures + 2) co_return false;  // one that began before, one after
  }
  co_return true;
}

awaitable<void> replica::follow() {
  auto next_poll = rt_.now();
  for (unsigned failures = 0;;) {
    if (log_.is_shared()) {
      while (!read_wanted_ && rt_.now() < next_poll) co_await read_wanted_changed_.wait_until(rt_, next_poll);
    } else {
      while (!read_wanted_) co_await read_wanted_changed_.wait();
    }
    read_wanted_ = false;
    auto number = ++reads_begun_;
    auto began = rt_.now();
    next_poll = began + settings_.poll_interval;
    barrier_reads_.add();
    std::optional<log_sequence> head;  // as the first read of this round saw it
    for (;;) {
      auto tail = co_await log_.read_after(state_.position());
      if (!tail) {
        if (tail.error() != log_error::unavailable && tail.error() != log_error::unknown) stop(tail.error());
        ++read_failures_;
        read_wanted_ = read_wanted_ || read_done_.has_waiters();
        read_done_.notify_all();
        co_await rt_.sleep_for(backoff(rt_, failures++, settings_.retry_first, settings_.retry_most));
        break;
      }
      failures = 0;
      if (!head) head = tail->head;
      apply_tail(*tail);
      if (state_.position().sequence >= *head) {
        reads_done_ = number;
        last_read_began_ = began;
        read_done_.notify_all();
        break;
      }
    }
  }
}

awaitable<void> replica::watch_for_change() {
  for (;;) {
    co_await log_.wait_for_change();
    read_wanted_ = true;
    read_wanted_changed_.notify_all();
  }
}
}  // namespace yaks::metadata
