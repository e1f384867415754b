#include "sim/crowd.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace yaks::sim {
namespace {
constexpr duration tick = 50ms;
}

crowd::crowd(client_world& all, group_checker& groups) : all_(all), groups_(groups) {
  auto& chance = all_.w.time.chance;
  const auto& s = all_.w.what;
  for (std::uint64_t i = 0; i < s.groups; ++i) {
    // 0, 1: the classic protocol, all anew or step by step; 2: the consumer protocol; 3: from one to the other and
    // back.
    auto kind = s.groups > 1 ? i % 4 : chance.below(4);
    bool is_cooperative = kind == 1 || (kind == 3 && chance.below(2) == 0);
    auto session = chance.below(2) == 0 ? 3s : 6s;
    names_.push_back({.name = fmt::format("group{}", i), .session = kind >= 2 ? duration(45s) : session});
    for (std::uint64_t m = 0; m < s.members; ++m) {
      member_plan plan{.group = names_.back().name,
                       .is_classic = kind < 2,
                       .is_cooperative = is_cooperative,
                       .session = session,
                       .pause = s.member_pause};
      if (kind == 3) plan.is_classic = chance.below(2) == 0;
      if (chance.below(4) == 0) plan.instance = fmt::format("instance{}", m);
      slots_.push_back(
          {.plan = plan, .changes_protocol = kind == 3, .comes_at = all_.rt.now() + chance.between(0ms, 3s)});
    }
  }
}

void crowd::start(slot& s) {
  auto& chance = all_.w.time.chance;
  if (s.changes_protocol && !all_.stopping)
    s.plan.is_classic = chance.below(8) == 0 ? chance.below(2) == 0 : prefers_classic_;
  s.plan.heartbeat = s.plan.is_classic ? s.plan.session / 5 : duration(2s);
  auto& m = members_.emplace_back(all_, groups_, s.plan, members_.size() + 1);
  s.current = &m;
  all_.tasks.spawn(m.run());
}

// It comes again: at once, within its session, or later.
void crowd::go(slot& s) {
  auto& chance = all_.w.time.chance;
  s.current = nullptr;
  s.comes_at = all_.rt.now() + (chance.below(2) == 0 ? chance.between(50ms, 1s) : chance.between(1s, 10s));
}

void crowd::change_something() {
  auto& chance = all_.w.time.chance;
  auto& s = slots_[std::size_t(chance.below(slots_.size()))];
  if (!s.current) return;
  // The last consumer has to be gone before a group is one of the classic protocol: those who die are members for long.
  bool goes_on_purpose = s.changes_protocol && !s.plan.is_classic && chance.below(4) > 0;
  switch (goes_on_purpose ? 3 : chance.below(8)) {
    case 0:
    case 1:
    case 2:
      s.current->die(chance.below(4) == 0);
      go(s);
      break;
    case 3:
    case 4:
      s.current->leave();
      go(s);
      break;
    case 5:
    case 6:
      s.current->sleep_for(chance.between(s.plan.session / 2, 2 * s.plan.session));
      break;
    case 7:
      // Two with one instance id: one of them is fenced.
      if (s.plan.instance && s.plan.is_classic && !s.changes_protocol)
        start(s);
      else if (!s.plan.is_classic)
        s.current->sleep_for(50s);
      break;
  }
}

awaitable<void> crowd::run() {
  auto& chance = all_.w.time.chance;
  auto mean = all_.w.what.member_change;
  auto next = [&] {
    return mean == duration(0) ? time_point::max() : all_.rt.now() + chance.between(duration(0), 2 * mean);
  };
  auto turn = all_.rt.now() + chance.between(5s, 15s);
  for (auto due = next(); !all_.stopping;) {
    co_await all_.rt.sleep_for(tick);
    for (auto& s : slots_) {
      if (s.current && s.current->is_over()) go(s);  // fenced
      if (!s.current && all_.rt.now() >= s.comes_at) start(s);
    }
    if (all_.rt.now() >= turn) prefers_classic_ = !prefers_classic_, turn = all_.rt.now() + chance.between(10s, 30s);
    while (all_.rt.now() >= due) {
      change_something();
      due = next();
    }
  }
  for (auto& s : slots_) {
    if (s.current) s.current->wake_up();
    while (!s.current || s.current->is_over()) {
      start(s);
      co_await all_.rt.sleep_for(tick);
    }
  }
}

std::vector<topic_partition> crowd::all_partitions() const {
  std::vector<topic_partition> all;
  for (const auto& t : all_.topics)
    if (const auto* topic = all_.check.state().find_topic(t))
      for (std::size_t p = 0; p < topic->partitions.size(); ++p)
        all.push_back({topic->id, partition_index(std::int32_t(p))});
  return all;
}

std::string crowd::what_lacks() const {
  auto partitions = all_partitions();
  for (const auto& g : names_) {
    auto generation = groups_.generation_of(g.name);
    std::set<topic_partition> owned;
    std::size_t count = 0;
    for (const auto& s : slots_) {
      if (s.plan.group != g.name) continue;
      if (!s.current) return fmt::format("a member of {} is not there", g.name);
      if (!s.current->is_reading()) return fmt::format("{} of {} does not read", s.current->client_name(), g.name);
      if (s.current->generation() != generation)
        return fmt::format("{} is in generation {}, and {} is in {}", s.current->client_name(), s.current->generation(),
                           g.name, generation);
      owned.insert(s.current->owned().begin(), s.current->owned().end());
      count += s.current->owned().size();
    }
    if (owned.size() != partitions.size() || count != owned.size())
      return fmt::format("{} reads {} partitions, and has {} of {}", g.name, count, owned.size(), partitions.size());
    if (!groups_.is_stable(g.name)) return fmt::format("{} is not stable", g.name);
  }
  return "";
}

bool crowd::is_whole() const {
  return what_lacks().empty();
}

bool crowd::is_done() const {
  for (const auto& g : names_)
    for (const auto& p : all_partitions())
      if (!groups_.is_done(g.name, p)) return false;
  return true;
}

awaitable<void> crowd::rest(std::function<void()> kill) {
  for (auto& s : slots_) s.current->settle_down();
  co_await all_.rt.sleep_for(8s);  // the last heartbeats of those who wandered
  auto digest = groups_.digest();
  std::vector<std::int32_t> generations;
  duration longest{};
  for (const auto& g : names_)
    generations.push_back(groups_.generation_of(g.name)), longest = std::max(longest, g.session);
  co_await all_.rt.sleep_for(15s);
  if (groups_.digest() != digest) all_.w.violation("costly rest: nothing happens, and groups change in the log");
  kill();
  co_await all_.rt.sleep_for(all_.w.what.lease + longest + 10s);
  for (std::size_t i = 0; i < names_.size(); ++i)
    if (auto now = groups_.generation_of(names_[i].name); now != generations[i])
      all_.w.violation(fmt::format(
          "needless rebalance: {} was in generation {} and is in {}, and its members only found other agents",
          names_[i].name, generations[i], now));
  if (auto lacks = what_lacks(); !lacks.empty()) all_.w.violation(fmt::format("needless rebalance: {}", lacks));
}

void crowd::leave() {
  for (auto& s : slots_) s.current->leave();
}

bool crowd::has_ended() const {
  return std::ranges::all_of(members_, &member::has_ended);
}

void crowd::finish() {
  for (const auto& g : names_) groups_.finish(g.name);
}
}  // namespace yaks::sim
