#include "membership/members.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <utility>

#include "runtime/fault_points.hpp"

namespace yaks::membership {
namespace {
// All agents together look at most 25 times a second.
constexpr duration look_interval = 400ms, look_interval_per_agent = 40ms;
// One session may break and be made again; and when the database comes back, agents take their ids again one after the other.
constexpr unsigned looks_until_absent = 2;
}  // namespace

members::members(runtime& rt, metadata::metastore& store, metadata::replica& log, members_settings settings,
                 metrics::registry& metrics)
    : rt_(rt),
      store_(store),
      log_(log),
      settings_(std::move(settings)),
      renewals_(metrics.add_counter("yaks_lease_renewals_total", "Renewals of this agent's lease.")),
      failures_(metrics.add_counter("yaks_lease_failures_total", "Renewals that could not be made.")),
      fenced_(metrics.add_counter("yaks_agents_fenced_total", "Agents that this one fenced because their lease had lapsed.")) {
  metrics.add_callback("yaks_agents", "Live agents, this one included.", [this] {
    return double(std::ranges::count_if(log_.current().agents(), [&](const auto& a) { return is_live(a.first, a.second); }));
  });
}

awaitable<void> members::run() {
  for (unsigned failures = 0;;) {
    auto got = co_await store_.renew_lease(
        {.who = log_.self(), .what = settings_.self, .applied = log_.oldest_read()}, settings_.lease_ttl);
    renewals_.add();
    if (got) {
      failures = 0;
      renewed_at_ = rt_.now();
      live_ = std::set<incarnation>(got->begin(), got->end());
      co_await fence_lapsed();
      co_await raise_format();
      auto due = rt_.now() + settings_.heartbeat;
      while (rt_.now() < due) {
        auto pause = std::max<duration>(look_interval, look_interval_per_agent * std::int64_t(log_.current().agents().size()));
        co_await rt_.sleep_until(std::min(due, rt_.now() + pause));
        co_await look_for_absent();
      }
    } else {
      failures_.add();
      // Whoever cannot be asked is taken to be as it was.
      co_await rt_.sleep_for(backoff(rt_, failures++, 200ms, settings_.heartbeat));
    }
  }
}

// A new one has not renewed yet: for one lease its registration counts.
bool members::is_live(incarnation who, const metadata::agent& what) const {
  if (who == log_.self() || live_.contains(who)) return true;
  auto age_ms = log_.log_time() - what.registered_at;
  return age_ms < std::chrono::duration_cast<std::chrono::milliseconds>(settings_.lease_ttl).count();
}

// Where the store cannot say, everybody is as before; where it does not even have this agent's id, it has just come back.
awaitable<void> members::look_for_absent() {
  auto is_other = [&](const auto& a) { return a.second.registration.node != settings_.self.node; };
  if (std::ranges::none_of(log_.current().agents(), is_other)) {
    missing_.clear();
    co_return;
  }
  auto held = co_await store_.held_node_ids();
  if (!held) co_return;
  auto before = std::exchange(missing_, {});
  if (!held->contains(settings_.self.node)) co_return;
  for (const auto& [who, what] : log_.current().agents()) {
    auto node = what.registration.node;
    if (held->contains(node)) continue;
    auto& looks = missing_[node] = before[node] + 1;
    if (looks == looks_until_absent) spdlog::info("node id {} is held by nobody: clients are not sent to its agent until it is", node.value());
  }
}

bool members::is_absent(node_id node) const {
  auto found = missing_.find(node);
  return found != missing_.end() && found->second >= looks_until_absent;
}

awaitable<void> members::fence_lapsed() {
  if (!log_.is_ready()) co_return;
  std::vector<metadata::fence_agent> lapsed;
  const incarnation* first_live = nullptr;
  for (const auto& [who, what] : log_.current().agents()) {
    if (!is_live(who, what)) {
      lapsed.push_back({who});
      spdlog::warn("the lease of agent {} (node id {}) has lapsed", who.value().text(), what.registration.node.value());
    } else if (!first_live) {
      first_live = &who;
    }
  }
  if (lapsed.empty() || !first_live || *first_live != log_.self()) co_return;  // one of us does it
  fenced_.add(double(lapsed.size()));
  co_await log_.submit_all(std::move(lapsed));
}

// An installation is upgraded agent by agent. Who is last to know a format need not be the one that says so.
awaitable<void> members::raise_format() {
  auto newest = settings_.self.format_max;
  if (!log_.is_ready() || log_.current().format() >= newest || !is_first()) co_return;
  for (const auto& [who, what] : log_.current().agents()) newest = std::min(newest, what.registration.format_max);
  if (newest <= log_.current().format()) co_return;
  auto got = co_await log_.submit(metadata::enable_format{newest});
  if (!got || got->error != metadata::apply_error::none) co_return;
  reached(rt_, "a newer format of the log enabled");
  spdlog::info("all agents understand format {} of the metadata log: it is used from now on, and older versions of yaks do not "
               "start any more", newest);
}

awaitable<void> members::leave() {
  auto self = log_.self();
  co_await log_.leave();
  co_await store_.end_lease(self);
}

std::vector<broker> members::brokers() const {
  const auto& state = log_.current();
  std::map<node_id, broker> by_id;
  auto add = [&](const metadata::register_agent& r) {
    auto id = state.broker_at(r.host, r.port).value_or(r.node);
    by_id.try_emplace(id, broker{.id = id, .host = r.host, .port = r.port, .zone = r.zone});
  };
  add(settings_.self);  // also while it is not registered
  for (const auto& [who, what] : state.agents())
    if (is_live(who, what) && !is_absent(what.registration.node)) add(what.registration);
  std::vector<broker> all;
  for (auto& [id, b] : by_id) all.push_back(std::move(b));
  return all;
}

bool members::is_alive(incarnation who) const {
  auto known = log_.current().agents().find(who);
  return known != log_.current().agents().end() && is_live(who, known->second);
}

bool members::is_first() const {
  for (const auto& [who, what] : log_.current().agents())
    if (is_live(who, what)) return who == log_.self();
  return false;
}

std::vector<std::pair<incarnation, const metadata::register_agent*>> members::agents() const {
  std::vector<std::pair<incarnation, const metadata::register_agent*>> all;
  for (const auto& [who, what] : log_.current().agents())
    if (is_live(who, what)) all.emplace_back(who, &what.registration);
  return all;
}

std::size_t members::rank() const {
  std::size_t before = 0;
  for (const auto& [who, what] : log_.current().agents()) {
    if (who == log_.self()) break;
    before += is_live(who, what);
  }
  return before;
}

node_id members::self() const {
  return log_.current().broker_at(settings_.self.host, settings_.self.port).value_or(settings_.self.node);
}
}  // namespace yaks::membership
