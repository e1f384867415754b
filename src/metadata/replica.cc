#include "metadata/replica.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "base/mutation.hpp"
#include "runtime/fault_points.hpp"

namespace yaks::metadata {
namespace {
double seconds(duration d) {
  return std::chrono::duration<double>(d).count();
}
constexpr std::size_t submission_overhead_bytes = 256;
}  // namespace

replica::replica(runtime& rt, log_store& log, replica_settings settings, metrics::registry& metrics,
                 std::function<void(const changes&)> applied)
    : rt_(rt),
      log_(log),
      settings_(std::move(settings)),
      applied_(std::move(applied)),
      tasks_(rt.executor()),
      entries_(
          metrics.add_counter("yaks_log_entries_applied_total", "Entries of the metadata log applied by this agent.")),
      voids_(metrics.add_counter("yaks_log_entries_void_total",
                                 "Entries that were repeated or came from a fenced agent, and changed nothing.")),
      barriers_(
          metrics.add_counter("yaks_log_barriers_total", "Requests that waited until the log was read to its end.")),
      reads_(metrics.add_counter("yaks_log_reads_total", "Reads of the log's tail: polls, notifications, barriers.")),
      append_retries_(metrics.add_counter("yaks_log_append_retries_total", "Appends that had to be tried again.")),
      refused_(metrics.add_counter("yaks_log_commands_refused_total",
                                   "Commands refused because too many waited for the metadata log.")),
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
          "the metadata log has lost entries that were acknowledged (a standby took over that lacked them?): this "
          "agent stops serving rather than build on another history. Restore the log, or start all agents anew to "
          "accept the loss");
    case log_error::trimmed:
      throw replica_stopped("the metadata log no longer holds the entries that this agent needs next");
    case log_error::refused:
      throw replica_stopped("the store of the metadata log refuses to be used: see the message above");
    case log_error::unavailable:
    case log_error::unknown:
    case log_error::old_term:
      break;
  }
  YAKS_CHECK(false, "only final errors stop a replica");
  std::abort();
}

awaitable<void> replica::run() {
  struct at_end {
    replica& self;
    ~at_end() { self.end(); }
  } guard{*this};
  co_await run_then_close(start_and_follow(), tasks_);
}

// Nobody is left to answer: those who wait learn it.
void replica::end() {
  ended_ = true;
  for (auto& s : std::exchange(pending_, {})) {
    s->answer = failure(submit_error::not_appended);
    s->answered.notify_all();
  }
  pending_bytes_ = pending_hurried_ = 0;
  read_done_.notify_all();
}

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

void replica::begin_from(state loaded) {
  YAKS_CHECK(state_.position().sequence.value() == 0, "a replica begins once");
  state_ = std::move(loaded);
  stop_where_too_old();
  log_time_ = std::max(log_time_, state_.time());
}

void replica::stop_where_too_old() const {
  if (state_.format() > settings_.registration.format_max)
    throw replica_stopped(fmt::format(
        "the metadata log is written in format {} by now, and this version of yaks understands format {}: run a newer yaks",
        state_.format(), settings_.registration.format_max));
}

awaitable<void> replica::wait_until_ready() {
  while (!ready_) co_await ready_changed_.wait();
}

timestamp_ms replica::log_time_now() const {
  return log_time_ + std::chrono::duration_cast<std::chrono::milliseconds>(rt_.now() - heard_).count();
}

bool replica::is_fresh() const {
  return !log_.is_shared() || rt_.now() - heard_ < settings_.stale_after;
}

// ---- applying ------------------------------------------------------------------------------------------------------

bool replica::apply_tail(const log_tail& tail) {
  heard_ = rt_.now();
  log_time_ = std::max(log_time_, tail.now);
  for (const auto& entry : tail.entries) {
    auto next = state_.position().sequence + 1;
    if (entry.sequence < next) continue;  // a read and an append may both bring it
    if (entry.sequence > next) return false;
    apply_entry(entry);
  }
  // A store whose clock jumps back must not make new objects look old: their age is judged by the entries' time.
  log_time_ = std::max(log_time_, state_.time());
  return true;
}

void replica::apply_entry(const log_entry& entry) {
  state::applied applied;
  try {
    if (mutated("an entry lost") && entry.id.writer != self_ && entry.sequence.value() % 50 == 0)
      applied = state_.apply({.sequence = entry.sequence, .id = entry.id, .time = entry.time, .payload = {}});
    else
      applied = state_.apply(entry);
  } catch (const log_format_error& error) {
    throw replica_stopped(error.what());
  }
  stop_where_too_old();
  entries_.add();
  if (applied.is_void) voids_.add();
  if (in_flight_ && !in_flight_->decided && entry.id == in_flight_->id) decide(*in_flight_, applied);
  if (ready_ && !is_registered()) pending_changed_.notify_all();  // fenced: start over now, not at the next command
  applied_(applied.changed);
}

void replica::decide(append_in_flight& append, const state::applied& applied) {
  append.decided = true;
  for (std::size_t i = 0; i < append.submissions.size(); ++i) {
    auto& s = *append.submissions[i];
    if (applied.is_void)
      s.answer = failure(submit_error::not_appended);
    else
      s.answer = applied.outcomes[i];
    s.answered.notify_all();
  }
}

// ---- appending -----------------------------------------------------------------------------------------------------

std::shared_ptr<replica::submission> replica::enqueue(const command& c, pace how) {
  auto mine = std::make_shared<submission>();
  mine->is_hurried = how == pace::hurried;
  mine->section = encode_section(c);
  auto bytes = mine->section.size() + submission_overhead_bytes;
  if (mine->section.size() + 1 > entry_bytes_max) {
    mine->answer = failure(submit_error::too_large);
    return mine;
  }
  // Clients that time out come again, and again: while the store is away, what they left behind goes first.
  if (pending_bytes_ + bytes > settings_.pending_bytes_max) drop_abandoned();
  if (ended_ || pending_bytes_ + bytes > settings_.pending_bytes_max) {
    refused_.add();
    mine->answer = failure(submit_error::not_appended);
    return mine;
  }
  pending_bytes_ += bytes;
  pending_hurried_ += mine->is_hurried;
  pending_.push_back(mine);
  pending_changed_.notify_all();
  return mine;
}

// Those for whose answers nobody waits any more.
void replica::drop_abandoned() {
  if (rt_.now() < next_drop_) return;  // a scan for each refusal would cost more than the refused work
  next_drop_ = rt_.now() + 100ms;
  std::erase_if(pending_, [&](const auto& s) {
    if (s.use_count() > 1) return false;
    pending_bytes_ -= s->section.size() + submission_overhead_bytes;
    pending_hurried_ -= s->is_hurried;
    return true;
  });
}

awaitable<result<outcome, submit_error>> replica::answer_of(std::shared_ptr<submission> mine) {
  while (!mine->answer) co_await mine->answered.wait();
  co_return std::move(*mine->answer);
}

awaitable<void> replica::leave() {
  leaving_ = true;
  (void)co_await submit(fence_agent{self_});
}

awaitable<void> replica::append_pending() {
  for (;;) {
    co_await register_self();
    while (pending_.empty() && is_registered()) co_await pending_changed_.wait();
    co_await rest_before_append();
    if (pending_.empty() && is_registered()) continue;  // what waited was given up
    if (!is_registered() && leaving_) {
      for (auto& left : std::exchange(pending_, {})) {
        left->answer = failure(submit_error::not_appended);
        left->answered.notify_all();
      }
      pending_bytes_ = pending_hurried_ = 0;
      ended_ = true;
      co_return;
    }
    if (!is_registered()) {  // fenced: what waits has not been sent, and goes on under the new incarnation
      start_over();
      continue;
    }
    std::vector<std::shared_ptr<submission>> batch;
    entry_writer writer;
    while (!pending_.empty() &&
           (batch.empty() || writer.bytes() + pending_.front()->section.size() <= entry_bytes_max)) {
      auto& next = *pending_.front();
      pending_bytes_ -= next.section.size() + submission_overhead_bytes;
      pending_hurried_ -= next.is_hurried;
      writer.add_section(std::exchange(next.section, {}));
      batch.push_back(std::move(pending_.front()));
      pending_.pop_front();
    }
    append_commands_.observe(double(batch.size()));
    append_began_ = rt_.now();
    co_await append_one(std::move(batch), writer.take());
  }
}

// What can wait shares appends: a lone command goes at once, many go together. Not where they fill half an entry.
awaitable<void> replica::rest_before_append() {
  auto due = append_began_ + settings_.unhurried_interval;
  while (pending_hurried_ == 0 && !pending_.empty() && pending_bytes_ < entry_bytes_max / 2 && is_registered() && rt_.now() < due)
    co_await pending_changed_.wait_until(rt_, due);
}

// An incarnation's first entry registers it. Where that is void, another incarnation of this node came or went between
// what this one had read and its entry: the next one has read it.
awaitable<void> replica::register_self() {
  while (!ready_) {
    auto registration = settings_.registration;
    registration.as_of = state_.position().sequence;
    auto mine = std::make_shared<submission>();
    entry_writer writer;
    writer.add(registration);
    co_await append_one({mine}, writer.take());
    if (!mine->answer->has_value()) {
      start_over();
      continue;
    }
    ready_ = true;
    ready_changed_.notify_all();
  }
}

void replica::start_over() {
  if (!settings_.holds_node_id())
    throw replica_stopped(fmt::format(
        "another agent has taken node id {} (YAKS_NODE_ID) while this one was cut off: each agent needs its own",
        settings_.registration.node.value()));
  spdlog::warn("this agent was fenced (node id {} registered again); it starts over under a new incarnation",
               settings_.registration.node.value());
  ready_ = false;
  reached(rt_, "a fenced agent that starts over");
  begin_incarnation();
}

// Returns when the entry has been applied here. An outcome that is unknown is settled by reading on: the entry is
// there, or it is appended again under the same id, and the state machine applies only one of the two.
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
      if (!co_await read_to_end() || append.decided) {
        if (append.decided) reached(rt_, "an unknown append found by reading");
        continue;
      }
    }
    if (mutated("retry under a new id") && attempt > 0) append.id.number = ++last_number_;
    auto tail = co_await log_.append(state_.position(), append.id, payload);
    if (!tail) {
      if (tail.error() != log_error::unavailable && tail.error() != log_error::unknown) stop(tail.error());
      if (attempt % 20 == 0) spdlog::warn("cannot append to the metadata log ({}); trying again", name(tail.error()));
      continue;
    }
    // A tail that is cut at its limit, or that overlaps a read with a gap, is completed by a read.
    if (!apply_tail(*tail) || !append.decided) co_await read_to_end();
  }
  append_seconds_.observe(seconds(rt_.now() - begun));
}

// ---- reading -------------------------------------------------------------------------------------------------------

awaitable<bool> replica::barrier_since(time_point since) {
  if (mutated("barrier skipped")) co_return true;
  // Not one that began at `since` itself: in virtual time, much happens in one instant.
  if (reads_done_ > 0 && last_read_began_ > since) co_return true;
  co_return co_await barrier();
}

awaitable<bool> replica::barrier() {
  barriers_.add();
  co_return co_await read_to_end();
}

awaitable<bool> replica::read_to_end() {
  auto needed = reads_begun_ + 1;
  auto failures = read_failures_;
  read_wanted_ = true;
  read_wanted_changed_.notify_all();
  while (reads_done_ < needed) {
    if (ended_) co_return false;
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
    read_begun_.notify_all();
    auto number = ++reads_begun_;
    auto began = rt_.now();
    next_poll = began + settings_.poll_interval;
    reads_.add();
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
    while (read_wanted_) co_await read_begun_.wait();  // the read that waits its turn serves what comes meanwhile
  }
}
}  // namespace yaks::metadata
