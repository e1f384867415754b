#include "groups/desk.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/mutation.hpp"
#include "base/printable.hpp"
#include "runtime/fault_points.hpp"
#include "runtime/first_of.hpp"
#include "runtime/task_group.hpp"

namespace yaks::groups {
namespace {
constexpr duration look_interval = 250ms;  // how exactly sessions are judged
constexpr duration lost_after = 2s;        // later than this a look shows that the agent did not run
constexpr duration rank_step = 500ms;      // agents propose a timer one after the other
constexpr std::size_t expiries_per_look = 10'000;

std::uint32_t to_ms(duration d) { return std::uint32_t(std::chrono::duration_cast<std::chrono::milliseconds>(d).count()); }
}  // namespace

// A request that waits, found by its number, from construction to destruction.
class desk::waiting_request {
 public:
  explicit waiting_request(desk& at) : at_(at) {
    do number_ = at_.rt_.random();
    while (number_ == 0 || at_.waiting_.contains(number_));
    at_.waiting_.emplace(number_, &state);
  }
  ~waiting_request() { at_.waiting_.erase(number_); }
  waiting_request(const waiting_request&) = delete;
  std::uint64_t number() const { return number_; }
  waiter state;

 private:
  desk& at_;
  std::uint64_t number_ = 0;
};

// While a member's request waits here, its connection is the proof that it lives.
class desk::hold {
 public:
  hold(desk& at, member_name who) : at_(at), who_(std::move(who)) { ++at_.sessions_[who_].holds; }
  ~hold() {
    auto& s = at_.sessions_[who_];
    --s.holds;
    s.heard_at = at_.session_time();
  }
  hold(const hold&) = delete;

 private:
  desk& at_;
  member_name who_;
};

desk::desk(runtime& rt, metadata::replica& log, const membership::members& members, desk_settings settings,
           metrics::registry& metrics)
    : rt_(rt),
      log_(log),
      members_(members),
      settings_(settings),
      expired_(metrics.add_counter("yaks_group_members_expired_total", "Members whose session this agent found to have ended.")),
      moved_(metrics.add_counter("yaks_group_members_moved_total", "Members that this agent took over from another one.")),
      rebalances_(metrics.add_counter("yaks_group_answers_total", "Waiting JoinGroup and SyncGroup requests that were answered.")) {
  metrics.add_callback("yaks_group_sessions", "Members whose home this agent is.", [this] { return double(sessions_.size()); });
  metrics.add_callback("yaks_group_waiting", "JoinGroup and SyncGroup requests that wait.", [this] { return double(waiting_.size()); });
}

void desk::applied(const metadata::changes& changes) {
  patterns_.applied(changes);
  for (const auto& a : changes.membership.answers) {
    auto found = waiting_.find(a.request);
    if (found == waiting_.end()) continue;
    rebalances_.add();
    std::visit([&](const auto& answer) { found->second->answer = answer; }, a.what);
    found->second->answered.notify_all();
  }
  for (const auto& h : changes.membership.homes) {
    member_name who{h.group, h.member};
    if (h.home.agent == log_.self()) {
      auto& s = sessions_[who];
      s.home_epoch = h.home.epoch;
      s.timeout = std::chrono::milliseconds(h.session_timeout_ms);
      s.heard_at = session_time();
      s.expiring = false;
    } else if (auto found = sessions_.find(who); found != sessions_.end() && found->second.holds == 0) {
      sessions_.erase(found);
    }
  }
  if (changes.membership.timers) changed_.notify_all();
}

void desk::stop() {
  stopped_ = true;
  for (auto& [request, w] : waiting_) w->answered.notify_all();
}

// ---- waiting requests ----------------------------------------------------------------------------------------------

template <class Command>
awaitable<void> desk::submit_into(
    Command command, std::optional<result<typename metadata::outcome_of<Command>::type, metadata::submit_error>>& out) {
  out = co_await log_.submit(std::move(command));
}

template <class Command, class Answer>
awaitable<std::optional<Answer>> desk::submit_and_wait(Command command, time_point deadline) {
  waiting_request request(*this);
  command.request = request.number();
  member_name who{command.group, command.member};
  if constexpr (requires { command.new_member; })
    if (who.second.empty()) who.second = command.new_member;
  std::optional<result<typename metadata::outcome_of<Command>::type, metadata::submit_error>> outcome;
  co_await first_of(submit_into(std::move(command), outcome), rt_.sleep_until(deadline));
  if (!outcome || !*outcome) co_return std::nullopt;
  if (!(*outcome)->waits) co_return std::move((*outcome)->answer);
  hold alive(*this, std::move(who));
  while (std::holds_alternative<std::monostate>(request.state.answer)) {
    if (stopped_) co_return std::nullopt;
    co_await request.state.answered.wait();
  }
  co_return std::get<Answer>(std::move(request.state.answer));
}

awaitable<std::optional<metadata::join_answer>> desk::join(metadata::join_group command, time_point deadline) {
  command.initial_delay_ms = to_ms(settings_.initial_rebalance_delay);
  command.members_max = settings_.members_max;
  return submit_and_wait<metadata::join_group, metadata::join_answer>(std::move(command), deadline);
}

awaitable<std::optional<metadata::sync_answer>> desk::sync(metadata::sync_group command, time_point deadline) {
  return submit_and_wait<metadata::sync_group, metadata::sync_answer>(std::move(command), deadline);
}

bool desk::heard(std::string_view group, std::string_view member) {
  auto known = log_.current().groups().home_of(group, member);
  if (known && mutated("members do not move")) return true;
  if (!known || known->first.agent != log_.self()) return false;
  auto& s = sessions_[{std::string(group), std::string(member)}];
  if (s.home_epoch != known->first.epoch) {
    s.home_epoch = known->first.epoch;
    s.timeout = std::chrono::milliseconds(known->second);
  }
  s.heard_at = session_time();
  return true;
}

// ---- time ----------------------------------------------------------------------------------------------------------

awaitable<void> desk::run() {
  looked_ = retention_looked_ = rt_.now();
  known_as_ = log_.self();
  task_group tasks(rt_.executor());
  co_await run_then_close(look(tasks), tasks);
}

awaitable<void> desk::look(task_group& tasks) {
  for (;;) {
    auto due = next_look();
    while (rt_.now() < due) {
      co_await changed_.wait_until(rt_, due);
      due = std::min(due, next_look());
    }
    if (auto late = rt_.now() - due; late > lost_after) lost_ += late;
    looked_ = rt_.now();
    judge_sessions(tasks);
    judge_orphans(tasks);
    judge_timers(tasks);
    judge_retention(tasks);
  }
}

template <class Command>
awaitable<void> desk::propose(Command command) {
  (void)co_await log_.submit(std::move(command));
}

awaitable<void> desk::expire(member_name who, std::uint64_t home_epoch) {
  auto outcome = co_await log_.submit(metadata::expire_member{who.first, who.second, home_epoch});
  if (outcome && outcome->error == metadata::group_error::none) reached(rt_, "a session expired");
  if (outcome) co_return;
  if (auto found = sessions_.find(who); found != sessions_.end() && found->second.home_epoch == home_epoch)
    found->second.expiring = false;  // it was not even appended
}

void desk::judge_sessions(task_group& tasks) {
  if (!log_.is_ready()) return;
  // Fenced and registered again: those who wait here, or were heard of here, are still at home here.
  if (known_as_ != log_.self()) {
    known_as_ = log_.self();
    for (auto& [who, s] : sessions_) {
      moved_.add();
      tasks.spawn(propose(metadata::move_home{who.first, who.second}));
    }
    return;
  }
  std::size_t expiries = 0;
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    auto& [who, s] = *at;
    if (s.holds > 0 || s.expiring || session_time() - s.heard_at < s.timeout || mutated("sessions never expire")) {
      ++at;
      continue;
    }
    auto known = log_.current().groups().home_of(who.first, who.second);
    if (!known || known->first.agent != log_.self() || known->first.epoch != s.home_epoch) {
      at = sessions_.erase(at);
      continue;
    }
    if (++expiries > expiries_per_look) break;
    spdlog::info("group {}: member {} has not been heard of for {} ms and is taken out", printable(who.first), printable(who.second),
                 to_ms(s.timeout));
    expired_.add();
    s.expiring = true;
    tasks.spawn(expire(who, s.home_epoch));
    ++at;
  }
}

// Members whose home is gone and who have not come to another one.
void desk::judge_orphans(task_group& tasks) {
  if (!log_.is_ready()) return;
  const auto& state = log_.current();
  const auto& homes = state.groups().homes();
  std::erase_if(gone_, [&](const auto& g) { return !homes.contains(g.first); });
  for (const auto& [home, members] : homes) {
    if (state.agents().contains(home)) continue;
    auto since = gone_.try_emplace(home, rt_.now()).first->second;
    if (!members_.is_first()) continue;  // one of us does it
    if (rt_.now() - since < settings_.home_heartbeat + settings_.session_timeout_min / 2) continue;
    std::size_t expiries = 0;
    for (const auto& who : members) {
      auto known = state.groups().home_of(who.first, who.second);
      if (!known || rt_.now() - since < settings_.home_heartbeat + std::chrono::milliseconds(known->second)) continue;
      // Not again before this had its time.
      auto [proposed, is_new] = proposed_.try_emplace(known->first.epoch, rt_.now() + 10s);
      if (!is_new && rt_.now() < proposed->second) continue;
      proposed->second = rt_.now() + 10s;
      if (++expiries > expiries_per_look) break;
      expired_.add();
      tasks.spawn(propose(metadata::expire_member{who.first, who.second, known->first.epoch}));
    }
  }
}

timestamp_ms desk::log_time() const { return std::max(log_.log_time_now(), log_.current().time()); }

void desk::judge_timers(task_group& tasks) {
  if (!log_.is_ready()) return;
  std::erase_if(proposed_, [&](const auto& p) { return p.second + 1min < rt_.now(); });
  auto now = log_time();
  auto patience_ms = std::int64_t(members_.rank() * to_ms(rank_step));
  for (const auto& [deadline, name] : log_.current().groups().timers()) {
    if (now < deadline + patience_ms) break;
    const auto* g = log_.current().groups().find(name);
    auto [proposed, is_new] = proposed_.try_emplace(g->timer, rt_.now() + 1s);
    if (!is_new && rt_.now() < proposed->second) continue;
    proposed->second = rt_.now() + 1s;
    tasks.spawn(propose(metadata::fire_group_timer{name, g->timer}));
  }
}

void desk::judge_retention(task_group& tasks) {
  if (rt_.now() - retention_looked_ < settings_.retention_check_interval || !log_.is_ready()) return;
  retention_looked_ = rt_.now();
  if (!members_.is_first()) return;
  const auto& state = log_.current();
  auto retention_ms = std::chrono::duration_cast<std::chrono::milliseconds>(settings_.offsets_retention).count();
  auto look_at = [&](const std::string& name) {
    auto expired = state.expired_of(name, retention_ms, log_time());
    if (expired.offsets.empty() && !expired.group) return;
    tasks.spawn(propose(metadata::remove_group_data{
        .group = name, .what = metadata::group_removal::expired, .partitions = {}, .retention_ms = retention_ms}));
  };
  for (const auto& [name, offsets] : state.group_offsets()) look_at(name);
  for (const auto& [name, g] : state.groups().all())
    if (!state.find_group_offsets(name)) look_at(name);
}

time_point desk::next_look() const {
  auto due = looked_ + look_interval;
  const auto& timers = log_.current().groups().timers();
  if (timers.empty()) return due;
  auto left_ms = (timers.begin()->first + std::int64_t(members_.rank() * to_ms(rank_step))) - log_time();
  // One that is overdue has been proposed.
  return left_ms <= 0 ? due : std::min(due, rt_.now() + std::chrono::milliseconds(left_ms));
}
}  // namespace yaks::groups
