// What one agent does for consumer groups: it keeps the requests that wait for a rebalance, judges the sessions of the members
// whose home it is, and proposes what time brings about.
//
//   join, sync  ─▶ command ─▶ log ─▶ state ─▶ answer: at once, or when the entry is applied that completes the rebalance
//   heartbeat   ─▶ this agent's clock, nothing else; only a member that comes from elsewhere costs an append
//   time        ─▶ expire_member (this agent's clock), fire_group_timer (the log's time), remove_group_data (retention)
//
// What groups are and how they change is metadata/groups.hpp. On the agent's executor only.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

#include "base/result.hpp"
#include "groups/topic_regex.hpp"
#include "membership/members.hpp"
#include "metadata/replica.hpp"
#include "metrics/registry.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::groups {
struct desk_settings {
  duration initial_rebalance_delay = 3s;    // YAKS_GROUP_INITIAL_REBALANCE_DELAY_MS
  duration session_timeout_min = 6s;        // Kafka's group.min.session.timeout.ms
  duration session_timeout_max = 30min;     // group.max.session.timeout.ms
  std::uint32_t members_max = 10'000;       // YAKS_GROUP_MAX_SIZE, per group
  duration offsets_retention = 7 * 24h;     // YAKS_OFFSETS_RETENTION_MINUTES
  duration retention_check_interval = 10min;
  // A home that is gone had renewed its lease at most so long before: its members' sessions are judged by others only after
  // that and their session timeouts.
  duration home_heartbeat = 5s;
};

class desk {
 public:
  // References outlive the desk.
  desk(runtime& rt, metadata::replica& log, const membership::members& members, desk_settings settings,
       metrics::registry& metrics);
  // Sessions and timers, until cancelled.
  awaitable<void> run();
  // After each entry: answers those who wait, takes over members.
  void applied(const metadata::changes& changes);
  // Ends all waiting, now and from now on: the agent stops, its clients go elsewhere.
  void stop();

  // Nothing: the log could not be written before `deadline`, or the agent stops. The wait for the others of the group has
  // no limit but theirs. `request` and the settings in the command are filled in.
  awaitable<std::optional<metadata::join_answer>> join(metadata::join_group command, time_point deadline);
  awaitable<std::optional<metadata::sync_answer>> sync(metadata::sync_group command, time_point deadline);

  // The member has been heard, by a request that proves that it is one. True where this agent is its home; else the caller
  // appends move_home.
  bool heard(std::string_view group, std::string_view member);

  const desk_settings& settings() const { return settings_; }
  topic_regex& patterns() { return patterns_; }
  std::size_t waiting() const { return waiting_.size(); }

 private:
  using member_name = metadata::groups::member_name;
  struct session {
    std::uint64_t home_epoch = 0;
    duration timeout{};
    duration heard_at{};    // by session_time()
    std::size_t holds = 0;  // requests that wait here: their member lives as long as its connection
    bool expiring = false;  // proposed
  };
  struct waiter {
    std::variant<std::monostate, metadata::join_answer, metadata::sync_answer> answer;
    event answered;
  };
  class waiting_request;
  class hold;
  template <class Command, class Answer>
  awaitable<std::optional<Answer>> submit_and_wait(Command command, time_point deadline);
  template <class Command>
  awaitable<void> submit_into(Command command,
                              std::optional<result<typename metadata::outcome_of<Command>::type, metadata::submit_error>>& out);
  template <class Command>
  awaitable<void> propose(Command command);

  // The agent's clock, without the time in which it could not have heard anybody (it was stopped, or starved).
  duration session_time() const { return rt_.now().time_since_epoch() - lost_; }
  awaitable<void> look(task_group& tasks);
  awaitable<void> expire(member_name who, std::uint64_t home_epoch);
  void judge_sessions(task_group& tasks);
  void judge_orphans(task_group& tasks);
  void judge_timers(task_group& tasks);
  void judge_retention(task_group& tasks);
  time_point next_look() const;
  timestamp_ms log_time() const;

  runtime& rt_;
  metadata::replica& log_;
  const membership::members& members_;
  desk_settings settings_;
  topic_regex patterns_;
  std::unordered_map<std::uint64_t, waiter*> waiting_;  // by request
  std::map<member_name, session> sessions_;
  std::map<incarnation, time_point> gone_;  // homes that are not registered any more, since when
  std::map<std::uint64_t, time_point> proposed_;  // timers, until when not to propose them again
  incarnation known_as_;
  duration lost_{};
  time_point looked_{}, retention_looked_{};
  bool stopped_ = false;
  event changed_;
  metrics::counter &expired_, &moved_, &rebalances_;
};
}  // namespace yaks::groups
