// One agent's copy of the metadata: follows the log, applies it to the state machine, and appends this agent's
// commands.
//
//   submit(command) ─▶ waits for the next append (group commit) ─▶ log store ─▶ entries come back ─▶ apply ─▶ outcome
//   barrier()       ─▶ a read of the tail that began after the call ─▶ applied up to the head that it saw
//
// One append is outstanding at a time; whatever arrives meanwhile goes into the next one. On the agent's executor only.
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>

#include "base/result.hpp"
#include "metadata/commands.hpp"
#include "metadata/entry_codec.hpp"
#include "metadata/log_store.hpp"
#include "metadata/state.hpp"
#include "metrics/registry.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::metadata {
struct replica_settings {
  register_agent registration;
  duration poll_interval = 100ms;                         // the net under notifications
  duration stale_after = 60s;                             // YAKS_LOG_STALE_MS
  duration retry_first = 20ms, retry_most = 1s;           // back-off while the store is away
  // Commands that can wait are appended no oftener than this; where one that cannot is appended, they go with it.
  duration unhurried_interval = 50ms;
  std::size_t pending_bytes_max = std::size_t(64) << 20;  // of commands that wait for the next append
  // Asked after this agent was fenced: may it go on under a new incarnation, or has somebody else its node id?
  std::function<bool()> holds_node_id = [] { return true; };
};

// How soon a command is to be appended: at once, or when the store has had its rest (replica_settings::unhurried_interval).
enum class pace { hurried, unhurried };

enum class submit_error {
  not_appended,  // surely not in the log, now or later: too many wait, the agent was fenced, or it has stopped
  too_large,     // does not fit an entry
};

// The agent must stop: the log lost acknowledged entries, holds what this version cannot read, or is not ours to write
// any more. what() is a sentence for the operator.
struct replica_stopped : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class replica {
 public:
  // `applied` is called after each entry, on the executor, with what changed: it wakes long polls.
  replica(runtime& rt, log_store& log, replica_settings settings, metrics::registry& metrics,
          std::function<void(const changes&)> applied);
  ~replica();

  // Reads the log to its end, registers this incarnation, then follows and appends until cancelled. Throws
  // replica_stopped, or what `applied` threw. Afterwards barriers are false and submits not_appended, those included
  // whose command had not been sent; one whose append was under way is never answered: its outcome is unknown. Once
  // only.
  awaitable<void> run();
  // Begins with this state instead of with nothing. Before run().
  void begin_from(state loaded);
  // Returns once registered.
  awaitable<void> wait_until_ready();
  bool is_ready() const { return ready_; }

  // Takes this incarnation out of the log, at a clean end: nothing is appended after that.
  awaitable<void> leave();

  const state& current() const { return state_; }
  // Held by whoever reads objects that current() told of, for as long as it does: this agent then reports no later sequence as
  // read (lease::applied), and nothing that was there at that sequence is deleted.
  class reader {
   public:
    explicit reader(replica& of) : of_(of), at_(of.readers_.insert(of.state_.position().sequence)) {}
    reader(const reader&) = delete;
    reader& operator=(const reader&) = delete;
    ~reader() { of_.readers_.erase(at_); }

   private:
    replica& of_;
    std::multiset<log_sequence>::iterator at_;
  };
  // The oldest state that somebody still reads by; current()'s where nobody does. Never goes back.
  log_sequence oldest_read() const { return readers_.empty() ? state_.position().sequence : *readers_.begin(); }
  incarnation self() const { return self_; }
  // The newest clock of the store that this agent has read; never the agent's own.
  timestamp_ms log_time() const { return log_time_; }
  // What that clock says by now, as far as ours runs like it: for what is proposed, never for what is stored.
  timestamp_ms log_time_now() const;
  // False when the log has not been heard of for stale_after: fetches must fail rather than serve old data.
  bool is_fresh() const;
  // When it was last heard of.
  time_point heard_at() const { return heard_; }

  // Appends the command and answers its outcome when it has been applied here: durable and visible. Commands are
  // appended in the order of the calls. While the store is away this waits, as long as pending_bytes_max allows; what
  // the caller gives up on may still happen.
  template <class Command>
  awaitable<result<typename outcome_of<Command>::type, submit_error>> submit(Command c,
                                                                                     pace how = pace::hurried) {
    auto got = co_await answer_of(enqueue(command(std::move(c)), how));
    if (!got) co_return failure(got.error());
    co_return std::get<typename outcome_of<Command>::type>(std::move(*got));
  }

  // The same for several at once: they share as few appends as they fit into. One answer per command, in order.
  template <class Command>
  awaitable<std::vector<result<typename outcome_of<Command>::type, submit_error>>> submit_all(
      std::vector<Command> commands, pace how = pace::hurried) {
    std::vector<std::shared_ptr<submission>> waits;
    for (auto& c : commands) waits.push_back(enqueue(command(std::move(c)), how));
    std::vector<result<typename outcome_of<Command>::type, submit_error>> answers;
    for (auto& w : waits) {
      auto got = co_await answer_of(w);
      if (got)
        answers.push_back(std::get<typename outcome_of<Command>::type>(std::move(*got)));
      else
        answers.push_back(failure(got.error()));
    }
    co_return answers;
  }

  // After this, the state holds everything that was appended anywhere before the call: false when the log could not be
  // read: two reads have failed since, or the replica has stopped. Calls that arrive together share one read.
  awaitable<bool> barrier();
  // The same, but a read that began after `since` will do.
  awaitable<bool> barrier_since(time_point since);

 private:
  struct submission {     // shared by the caller that waits and the append that carries it; either may go first
    std::string section;  // the command, encoded; empty once it has been sent
    bool is_hurried = true;
    std::optional<result<outcome, submit_error>> answer;
    event answered;
  };
  struct append_in_flight {
    append_id id;
    std::vector<std::shared_ptr<submission>> submissions;
    bool decided = false;
  };
  std::shared_ptr<submission> enqueue(const command& c, pace how);
  void drop_abandoned();
  void end();
  bool is_registered() const { return state_.agents().contains(self_); }
  awaitable<void> register_self();
  void start_over();
  awaitable<result<outcome, submit_error>> answer_of(std::shared_ptr<submission> mine);
  awaitable<void> start_and_follow();
  awaitable<void> catch_up();
  awaitable<void> follow();
  awaitable<void> append_pending();
  awaitable<void> rest_before_append();
  awaitable<void> append_one(std::vector<std::shared_ptr<submission>> submissions, shared_bytes payload);
  awaitable<bool> read_to_end();
  awaitable<void> watch_for_change();
  // Applies what is new in the tail. False when entries are missing in between.
  bool apply_tail(const log_tail& tail);
  void apply_entry(const log_entry& entry);
  void decide(append_in_flight& append, const state::applied& applied);
  void begin_incarnation();
  void stop_where_too_old() const;
  [[noreturn]] void stop(log_error why);

  runtime& rt_;
  log_store& log_;
  replica_settings settings_;
  std::function<void(const changes&)> applied_;
  state state_;
  std::multiset<log_sequence> readers_;
  incarnation self_;
  std::uint64_t last_number_ = 0;
  timestamp_ms log_time_{0};
  time_point heard_{};
  bool ready_ = false, leaving_ = false, ended_ = false;
  event ready_changed_;

  std::deque<std::shared_ptr<submission>> pending_;
  std::size_t pending_bytes_ = 0;  // with what each of them costs beside its section
  std::size_t pending_hurried_ = 0;
  time_point append_began_{};      // the newest
  time_point next_drop_{};         // of abandoned ones
  event pending_changed_;
  append_in_flight* in_flight_ = nullptr;  // in append_one's frame

  std::uint64_t reads_begun_ = 0, reads_done_ = 0;  // reads_done_: the newest whose head has been applied
  std::uint64_t read_failures_ = 0;
  bool read_wanted_ = false;
  time_point last_read_began_{};  // of the newest read that is done
  event read_wanted_changed_, read_begun_, read_done_;

  task_group tasks_;
  metrics::counter &entries_, &voids_, &barriers_, &reads_, &append_retries_, &refused_;
  metrics::histogram &append_seconds_, &append_commands_;
};
}  // namespace yaks::metadata
