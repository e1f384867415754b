#include "sim/group_checker.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace yaks::sim {
using wire::error_code;
namespace {
// Longer than an OffsetFetch is waited for.
constexpr duration remembered = 30s;

std::string text_of(topic_partition p) {
  return fmt::format("{}-{}", p.topic.value().text().substr(0, 8), p.partition.value());
}
std::string text_of(const member_name& who) {
  return fmt::format("member {} ({}) of {}", who.life, who.id, who.group);
}
}  // namespace

// ---- who has what

template <class Predicate>
void group_checker::close(partition& p, Predicate is_over) {
  for (auto& a : p.attempts)
    if (a->what == attempt::unknown && a->ended == time_point::max() && is_over(*a)) a->ended = world_.time.now();
}

void group_checker::generation_told(const std::string& group, std::int32_t generation) {
  auto& g = groups_[group];
  if (generation <= g.generation_told) return;
  g.generation_told = generation;
  ++generations_told_;
  for (auto& [where, p] : g.partitions)
    close(p, [&](const attempt& a) { return a.is_classic && a.who.generation < generation; });
}

void group_checker::told(const member_name& who, topic_partition what, bool one_by_one) {
  auto& p = groups_[who.group].partitions[what];
  auto [owner, is_first] = p.owners.try_emplace(who.generation, who.owner);
  if (!is_first && owner->second != who.owner)
    world_.violation(fmt::format("two owners: {} is given to {} in generation {}, and was given to {}", text_of(what),
                                 text_of(who), who.generation, owner->second));
  while (p.owners.size() > 50) p.owners.erase(p.owners.begin());
  if (one_by_one) {
    for (const auto& [life, other] : p.believers) {
      if (life == who.life || other.owner == who.owner || other.is_doubtful) continue;
      // Either may have been put out, and not know yet: this one while its answer was under way.
      const auto& groups = truth_.state().groups();
      if (groups.home_of(other.group, other.id) && groups.home_of(who.group, who.id))
        world_.violation(fmt::format("two owners: {} is given to {} while {}, which is a member, has not let go of it",
                                     text_of(what), text_of(who), text_of(other)));
    }
    close(p, [&](const attempt& a) { return a.who.owner != who.owner; });
  }
}

void group_checker::epoch_told(const member_name& who) {
  for (auto& [where, p] : groups_[who.group].partitions) {
    // With the consumer protocol, what is still its own may be committed in an older epoch (KIP-1251).
    close(p, [&](const attempt& a) {
      return a.is_classic && a.who.life == who.life && a.who.id == who.id && a.who.generation < who.generation;
    });
    auto mine = p.believers.find(who.life);
    if (mine != p.believers.end() && mine->second.generation < who.generation) mine->second = who;
  }
}

void group_checker::in_doubt(const member_name& who) {
  for (auto& [where, p] : groups_[who.group].partitions)
    if (auto mine = p.believers.find(who.life); mine != p.believers.end()) mine->second.is_doubtful = true;
}

void group_checker::lets_go(const member_name& who, topic_partition what) {
  groups_[who.group].partitions[what].believers.erase(who.life);
}

void group_checker::lets_go_of_all(const std::string& group, std::uint64_t life) {
  for (auto& [where, p] : groups_[group].partitions) p.believers.erase(life);
}

// ---- committed offsets

group_checker::ticket group_checker::commit_begins(const member_name& who, topic_partition what, std::int64_t value,
                                                   bool is_classic) {
  auto& g = groups_[who.group];
  auto& p = g.partitions[what];
  attempt a{.who = who, .value = value, .is_classic = is_classic, .begun = world_.time.now()};
  const auto* truth = find(who.group);
  if (is_classic && truth && !truth->consumer) a.must_fail = who.generation < g.generation_told;
  // It was told to somebody else, by the consumer protocol: this one is a member no more.
  if (!is_classic && !p.owners.empty()) {
    const auto& [generation, owner] = *p.owners.rbegin();
    a.must_fail = generation > who.generation && owner != who.owner;
  }
  return p.attempts.emplace_back(std::make_shared<attempt>(std::move(a)));
}

void group_checker::commit_acknowledged(const member_name& who, topic_partition what, const ticket& t) {
  t->what = attempt::acknowledged;
  t->ended = world_.time.now();
  if (t->must_fail)
    world_.violation(
        fmt::format("not fenced: {} commits {} of {} in generation {}, which was over before, and that is acknowledged",
                    text_of(who), t->value, text_of(what), who.generation));
  // What no OffsetFetch can be answered with any more.
  auto& all = groups_[who.group].partitions[what].attempts;
  time_point decided{};
  for (const auto& a : all)
    if (a->what == attempt::acknowledged && a->ended + remembered < world_.time.now())
      decided = std::max(decided, a->begun);
  std::erase_if(all, [&](const auto& a) { return a->ended < decided; });
}

void group_checker::commit_refused(const ticket& t) {
  t->what = attempt::refused;
  t->ended = world_.time.now();
}

void group_checker::fetched(const member_name& who, topic_partition what, time_point begun, std::int64_t value) {
  const auto& all = groups_[who.group].partitions[what].attempts;
  // Something that was acknowledged in the meantime between that one's end and this question.
  auto is_overwritten = [&](time_point ended) {
    return std::ranges::any_of(
        all, [&](const auto& d) { return d->what == attempt::acknowledged && d->begun > ended && d->ended < begun; });
  };
  bool good = value < 0 ? !is_overwritten(time_point{})
                        : std::ranges::any_of(
                              all,
                              [&](const auto& a) {
                                return a->value == value && a->what != attempt::refused && !is_overwritten(a->ended);
                              });
  if (good) return;
  std::int64_t last = -1;
  for (const auto& a : all)
    if (a->what == attempt::acknowledged && a->ended < begun) last = a->value;
  world_.violation(
      fmt::format("offset went back: {} is told that {} is committed up to {}, and {} had been acknowledged",
                  text_of(who), text_of(what), value, last));
}

// ---- records

void group_checker::consumed(const std::string& group, topic_partition what, std::int64_t at) {
  auto& seen = groups_[group].partitions[what].consumed;
  if (std::size_t(at) >= seen.size()) seen.resize(std::size_t(at) + 1);
  seen[std::size_t(at)] = true;
}

bool group_checker::is_done(const std::string& group, topic_partition what) const {
  auto end = truth_.end_known(what);
  if (end == 0) return true;
  const auto* offsets = truth_.state().find_group_offsets(group);
  if (!offsets) return false;
  auto committed = offsets->find(what);
  return committed != offsets->end() && committed->second.committed.value() >= end;
}

void group_checker::finish(const std::string& group) {
  const auto* offsets = truth_.state().find_group_offsets(group);
  if (!offsets) return;
  for (const auto& [where, committed] : *offsets) {
    const auto& seen = groups_[group].partitions[where].consumed;
    for (std::int64_t at = 0; at < committed.committed.value(); ++at)
      if (std::size_t(at) >= seen.size() || !seen[std::size_t(at)]) {
        world_.violation(fmt::format("not consumed: {} has committed {} of {}, and offset {} was given to nobody",
                                     group, committed.committed.value(), text_of(where), at));
        break;
      }
  }
}

// ---- answers

void group_checker::refused(const member_name& who, error_code why, std::string_view to_what) {
  const auto& groups = truth_.state().groups();
  const auto* g = groups.find(who.group);
  if (!g) return;
  bool is_member = groups.home_of(who.group, who.id).has_value();
  std::int32_t generation = g->generation;
  if (g->consumer) {
    auto m = g->consumer->members.find(who.id);
    generation = m == g->consumer->members.end() ? -1 : m->second.epoch;
  }
  bool wrong = false;
  switch (why) {
    case error_code::unknown_member_id:
      wrong = is_member;
      break;
    case error_code::illegal_generation:
    case error_code::stale_member_epoch:
    case error_code::fenced_member_epoch:
      wrong = is_member && generation == who.generation;
      break;
    case error_code::fenced_instance_id:
      wrong = is_member;
      break;
    default:
      return;
  }
  if (wrong)
    world_.violation(fmt::format(
        "wrong fencing: {} of {}, generation {}, is answered with {}, and the log says that it is a member of {}",
        to_what, text_of(who), who.generation, wire::name(why), generation));
}

// ---- the log's word

std::int32_t group_checker::generation_of(const std::string& group) const {
  const auto* g = find(group);
  return !g ? -1 : g->consumer ? g->consumer->epoch : g->generation;
}

bool group_checker::is_stable(const std::string& group) const {
  const auto* g = find(group);
  return g && g->phase_name() == "Stable";
}

void group_checker::entry_applied() {
  for (const auto& [name, g] : truth_.state().groups().all()) {
    auto& known = kinds_[name];
    bool is_of_consumers = g.consumer.has_value(), has_members = !g.is_empty();
    if (is_of_consumers != known.is_of_consumers && known.has_members && has_members)
      world_.reached(is_of_consumers ? "a living group moved to the consumer protocol"
                                     : "a living group moved to the classic protocol");
    known = {is_of_consumers, has_members};
  }
}
}  // namespace yaks::sim
