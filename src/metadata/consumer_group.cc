#include "metadata/consumer_group.hpp"

#include <algorithm>
#include <utility>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/endian.hpp"
#include "base/mutation.hpp"
#include "metadata/assignors.hpp"
#include "metadata/digest.hpp"
#include "metadata/groups.hpp"
#include "metadata/state.hpp"

namespace yaks::metadata {
namespace {
using partitions = std::set<topic_partition>;

consumer_outcome refused(group_error why, std::string_view member) { return {.error = why, .member = std::string(member), .assignment = {}}; }

bool intersects(const partitions& some, const std::vector<topic_partition>& others) {
  return std::ranges::any_of(others, [&](const auto& p) { return some.contains(p); });
}

std::vector<std::string> sorted(std::vector<std::string> names) {
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

// Everything that the members subscribe to, by name or by pattern.
std::set<std::string_view> subscribed_names(const consumer_group& g) {
  std::set<std::string_view> names;
  for (const auto& [id, m] : g.members) names.insert(m.topics.begin(), m.topics.end());
  for (const auto& [regex, matches] : g.regexes) names.insert(matches.begin(), matches.end());
  return names;
}

std::uint64_t sum_of_topics(const consumer_group& g, const state& s) {
  std::uint64_t sum = 0;
  for (auto name : subscribed_names(g))
    if (const auto* t = s.find_topic(name)) sum += item_hash("topic of a group").id(t->id.value()).number(std::uint64_t(t->partitions.size())).value();
  return sum;
}

// The assignor that most members ask for; the default where nobody does.
std::string choose_assignor(const consumer_group& g) {
  std::map<std::string_view, std::size_t> votes;
  for (const auto& [id, m] : g.members)
    if (!m.assignor.empty()) ++votes[m.assignor];
  std::string_view best = assignor_names[0];
  std::size_t most = 0;
  for (const auto& [name, count] : votes)
    if (count > most) best = name, most = count;
  return std::string(best);
}

void make_target(consumer_group& g, const state& s) {
  g.assignor = choose_assignor(g);
  g.topics_sum = sum_of_topics(g, s);
  g.target_epoch = g.epoch;
  std::map<topic_id, std::int32_t> sizes;
  std::vector<assignor_member> members;
  static const partitions none;
  for (const auto& [id, m] : g.members) {
    assignor_member who{.id = id, .instance = m.instance, .topics = {}, .has = &none};
    std::set<topic_id> topics;
    auto add = [&](const std::string& name) {
      const auto* t = s.find_topic(name);
      if (!t) return;
      topics.insert(t->id);
      sizes[t->id] = std::int32_t(t->partitions.size());
    };
    for (const auto& name : m.topics) add(name);
    if (auto matches = g.regexes.find(m.regex); matches != g.regexes.end())
      for (const auto& name : matches->second) add(name);
    who.topics.assign(topics.begin(), topics.end());
    // What it was to have: what it has already may be less, and is part of it.
    if (auto had = g.target.find(id); had != g.target.end()) who.has = &had->second;
    members.push_back(std::move(who));
  }
  auto made = g.assignor == "range" ? assign_range(members, sizes) : assign_uniform(members, sizes);
  g.target.clear();
  for (auto& [id, has] : made) g.target.emplace(id, std::move(has));
}

// Whether a partition of its target, that it does not have yet, can be had now.
bool can_take_more(const consumer_group& g, const std::string& id, const consumer_member& m) {
  auto target = g.target.find(id);
  return target != g.target.end() && std::ranges::any_of(target->second, [&](const auto& p) { return !m.assigned.contains(p) && !g.owners.contains(p); });
}

// One step of a member towards its target. `owned`: what it says that it still reads; nothing where it does not say.
void reconcile(consumer_group& g, const std::string& id, consumer_member& m, const std::vector<topic_partition>* owned, timestamp_ms now,
               bool has_assignment_epochs) {
  if (m.phase == reconcile_phase::stable && m.epoch == g.target_epoch) return;
  if (m.phase == reconcile_phase::unrevoked) {
    if (!owned || intersects(m.revoking, *owned)) return;
    for (const auto& p : m.revoking) g.release(m, p);
    m.revoking.clear();
  }
  static const partitions none;
  auto found = g.target.find(id);
  const auto& target = found == g.target.end() ? none : found->second;
  partitions keep, revoke;
  for (const auto& p : m.assigned) (target.contains(p) ? keep : revoke).insert(p);
  m.assigned = std::move(keep);
  if (!revoke.empty() && (!owned || intersects(revoke, *owned)) && !mutated("partition assigned before it is revoked")) {
    m.revoking = std::move(revoke);
    m.phase = reconcile_phase::unrevoked;
    m.revoke_by = now + m.rebalance_timeout_ms;
    return;
  }
  for (const auto& p : revoke) g.release(m, p);
  bool waits = false;
  for (const auto& p : target) {
    if (m.assigned.contains(p)) continue;
    if (!g.owners.try_emplace(p, id).second) {
      waits = true;
      continue;
    }
    m.assigned.insert(p);
    if (has_assignment_epochs) m.since[p] = g.target_epoch;
  }
  if (m.epoch != g.target_epoch) m.previous_epoch = std::exchange(m.epoch, g.target_epoch);
  m.phase = waits ? reconcile_phase::unreleased : reconcile_phase::stable;
  m.revoke_by = timestamp_ms(0);
}

// ---- what members of the classic protocol write and read (ConsumerProtocolSubscription, ConsumerProtocolAssignment)

struct scanner {
  byte_view left;
  bool ok = true;
  template <class T>
  T number() {
    if (left.size() < sizeof(T)) {
      ok = false;
      left = {};
      return T{};
    }
    auto n = load_big_endian<T>(left.data());
    left = left.subspan(sizeof(T));
    return n;
  }
  std::string_view text(std::int64_t length) {
    if (length < 0 || std::uint64_t(length) > left.size()) {
      ok = false;
      left = {};
      return {};
    }
    auto front = as_text(left.first(std::size_t(length)));
    left = left.subspan(std::size_t(length));
    return front;
  }
};

void scan_partitions(scanner& in, const state& s, std::vector<topic_partition>& into) {
  for (auto topics = in.number<std::int32_t>(); topics > 0 && in.ok; --topics) {
    const auto* t = s.find_topic(in.text(in.number<std::int16_t>()));
    for (auto n = in.number<std::int32_t>(); n > 0 && in.ok; --n) {
      auto index = in.number<std::int32_t>();
      if (t && in.ok && index >= 0 && std::size_t(index) < t->partitions.size()) into.push_back({t->id, partition_index(index)});
    }
  }
}

struct subscription {
  std::int16_t version = 0;
  std::vector<std::string> topics;
  std::vector<topic_partition> owned;
};
std::optional<subscription> read_subscription(std::string_view metadata, const state& s) {
  auto topics = subscribed_topics(metadata);
  if (!topics) return std::nullopt;
  subscription out;
  out.topics = sorted({topics->begin(), topics->end()});
  scanner in{as_bytes(metadata)};
  out.version = in.number<std::int16_t>();
  for (auto n = in.number<std::int32_t>(); n > 0; --n) in.text(in.number<std::int16_t>());
  if (auto bytes = in.number<std::int32_t>(); in.ok && bytes > 0) in.text(bytes);  // user data
  if (out.version >= 1 && in.ok) scan_partitions(in, s, out.owned);
  return out;
}

std::string write_assignment(const partitions& assigned, std::int16_t version, const state& s) {
  std::string out;
  auto number = [&]<class T>(T n) {
    std::byte bytes[sizeof(T)];
    store_big_endian(bytes, n);
    out.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
  };
  std::map<std::string, std::vector<std::int32_t>> by_topic;
  for (const auto& p : assigned)
    if (const auto* t = s.find_topic(p.topic)) by_topic[t->name].push_back(p.partition.value());
  number(version);
  number(std::int32_t(by_topic.size()));
  for (const auto& [name, indexes] : by_topic) {
    number(std::int16_t(name.size()));
    out += name;
    number(std::int32_t(indexes.size()));
    for (auto i : indexes) number(i);
  }
  number(std::int32_t(-1));  // no user data
  return out;
}

// The protocol that a classic member of such a group is told: its first one that all its kind support.
const group_protocol* common_protocol(const consumer_group& g, const std::vector<group_protocol>& protocols) {
  for (const auto& p : protocols)
    if (std::ranges::all_of(g.members, [&](const auto& m) {
          return !m.second.is_classic() || std::ranges::find(m.second.classic, p.name, &group_protocol::name) != m.second.classic.end();
        }))
      return &p;
  return nullptr;
}

// Whether a classic member has to join again to go on.
bool must_join_again(const consumer_group& g, const std::string& id, const consumer_member& m) {
  return m.epoch < g.target_epoch || m.phase == reconcile_phase::unrevoked || (m.phase == reconcile_phase::unreleased && can_take_more(g, id, m));
}
}  // namespace

const std::string* consumer_group::static_member(std::string_view instance) const {
  for (const auto& [id, m] : members)
    if (m.instance && *m.instance == instance) return &id;
  return nullptr;
}

bool consumer_group::is_subscribed(std::string_view topic) const {
  auto has = [&](const std::vector<std::string>& names) { return std::ranges::binary_search(names, topic); };
  return std::ranges::any_of(members, [&](const auto& m) { return has(m.second.topics); }) ||
         std::ranges::any_of(regexes, [&](const auto& r) { return has(r.second); });
}

std::string_view consumer_group::phase() const {
  if (members.empty()) return "Empty";
  if (epoch > target_epoch) return "Assigning";
  bool reached = std::ranges::all_of(members, [&](const auto& m) {
    return m.second.epoch == left_for_now || (m.second.epoch == target_epoch && m.second.phase == reconcile_phase::stable);
  });
  return reached ? "Stable" : "Reconciling";
}

std::uint64_t content_hash(const consumer_member& m) {
  item_hash h("content of a consumer");
  h.number(std::uint64_t(m.topics.size()));
  for (const auto& t : m.topics) h.text(t);
  h.text(m.regex).text(m.assignor).number(std::uint64_t(m.assigned.size()));
  for (const auto* set : {&m.assigned, &m.revoking})
    for (const auto& p : *set) h.id(p.topic.value()).number(std::int64_t(p.partition.value()));
  for (const auto& p : m.classic) h.text(p.name).text(p.metadata);
  for (const auto& [p, epoch] : m.since) h.id(p.topic.value()).number(std::int64_t(p.partition.value())).number(std::int64_t(epoch));
  return h.value();
}

// ---- heartbeats ----------------------------------------------------------------------------------------------------

namespace {
group_error check_epoch(const consumer_member& m, const consumer_heartbeat& c) {
  if (c.epoch == m.epoch || c.epoch == 0) return group_error::none;
  if (c.epoch > m.epoch) return group_error::fenced_member_epoch;
  // The answer that told it of its new epoch may have been lost: it may go on where it owns nothing that it does not have.
  bool is_subset = !c.owned || std::ranges::all_of(*c.owned, [&](const auto& p) { return m.assigned.contains(p); });
  return c.epoch == m.previous_epoch && c.owned && is_subset ? group_error::none : group_error::fenced_member_epoch;
}
// It says that it owns something else than it was told: the answer may have been lost.
bool owns_other(const consumer_heartbeat& c, const consumer_member& m) {
  return c.owned && !std::ranges::equal(partitions(c.owned->begin(), c.owned->end()), m.assigned);
}
}  // namespace

consumer_outcome groups::apply(const consumer_heartbeat& c, moment now) {
  auto found = groups_.find(c.group);
  if (c.epoch < 0) return leave_consumer(c, now);
  if (found == groups_.end()) {
    if (c.epoch != 0) return refused(group_error::group_id_not_found, c.member);
    found = groups_.emplace(c.group, group{.since = now.time}).first;
    digest_ += hash_of(found->first, found->second);
  }
  group& all = found->second;
  const auto& name = found->first;
  edit keep(*this, name, all);
  if (!all.consumer) {
    if (c.epoch != 0 || !become_consumer_group(name, all, now)) return refused(group_error::group_id_not_found, c.member);
  }
  consumer_group& g = *all.consumer;
  auto at = g.members.find(c.member);
  if (at == g.members.end() && g.members.size() >= c.members_max) return refused(group_error::group_max_size_reached, c.member);
  bool is_new_group_epoch = false;
  if (c.instance) {
    const auto* known = g.static_member(*c.instance);
    if (c.epoch == 0 && known && *known != c.member) {
      if (g.members.find(*known)->second.epoch != left_for_now) return refused(group_error::unreleased_instance_id, c.member);
      rename_consumer(name, g, std::string(*known), c.member);
      at = g.members.find(c.member);
    } else if (c.epoch != 0) {
      if (!known) return refused(group_error::unknown_member_id, c.member);
      if (*known != c.member) return refused(group_error::fenced_instance_id, c.member);
    }
  }
  if (at == g.members.end()) {
    if (c.epoch != 0) return refused(group_error::unknown_member_id, c.member);
    at = g.members.emplace(c.member, consumer_member{.instance = c.instance, .rack = c.rack}).first;
    is_new_group_epoch = true;
  } else if (auto why = check_epoch(at->second, c); why != group_error::none) {
    return refused(why, c.member);
  }
  consumer_member& m = at->second;
  auto before = m.assigned;
  auto epoch_before = m.epoch;
  static const std::vector<topic_partition> nothing;
  const auto* owned = c.owned ? &*c.owned : nullptr;
  if (c.epoch == 0) {
    owned = &nothing;  // whoever joins reads nothing yet
    if (m.epoch == left_for_now) m.epoch = 0;
  }
  m.classic.clear();
  m.client_id = c.client_id;
  m.client_host = c.client_host;
  m.session_timeout_ms = c.session_timeout_ms;
  if (c.rebalance_timeout_ms >= 0) m.rebalance_timeout_ms = c.rebalance_timeout_ms;
  if (c.rack) m.rack = c.rack;
  if (c.assignor) m.assignor = *c.assignor;
  if (c.topics)
    if (auto topics = sorted(*c.topics); topics != m.topics) m.topics = std::move(topics), is_new_group_epoch = true;
  if (c.regex && *c.regex != m.regex) m.regex = *c.regex, is_new_group_epoch = true;
  if (c.regex_matches && !m.regex.empty())
    if (auto matches = sorted(*c.regex_matches); g.regexes[m.regex] != matches) g.regexes[m.regex] = std::move(matches), is_new_group_epoch = true;
  std::erase_if(g.regexes, [&](const auto& r) {
    return std::ranges::none_of(g.members, [&](const auto& other) { return other.second.regex == r.first; });
  });
  change_consumers(g, is_new_group_epoch, now);
  if (c.epoch == 0)
    for (auto& [p, epoch] : m.since) epoch = g.target_epoch;  // what was sent by whoever was it before is not its own
  reconcile(g, at->first, m, owned, now.time, now.all.format() >= assignment_epochs_log_format);
  m.content = content_hash(m);
  set_home(name, at->first, m.home, m.session_timeout_ms, now);
  set_revoke_timer(name, all, now);
  return {.member = at->first, .epoch = m.epoch,
          .has_assignment = c.epoch == 0 || c.is_full() || m.assigned != before || m.epoch != epoch_before || c.epoch != m.epoch || owns_other(c, m),
          .assignment = {m.assigned.begin(), m.assigned.end()}};
}

// The group epoch grows with members, subscriptions and topics, and the target with it.
void groups::change_consumers(consumer_group& g, bool is_new_epoch, moment now) {
  if (!is_new_epoch && g.epoch == g.target_epoch && g.topics_sum == sum_of_topics(g, now.all)) return;
  ++g.epoch;
  make_target(g, now.all);
  // Those of the classic protocol are told by their heartbeats to join again, and have so long for it.
  for (auto& [id, m] : g.members)
    if (m.is_classic() && m.revoke_by == timestamp_ms(0)) m.revoke_by = now.time + m.rebalance_timeout_ms;
}

std::optional<consumer_outcome> groups::at_rest(const consumer_heartbeat& c, incarnation here, const state& s) const {
  const auto* all = find(c.group);
  if (!all || !all->consumer || c.epoch <= 0) return std::nullopt;
  const auto& g = *all->consumer;
  auto at = g.members.find(c.member);
  if (at == g.members.end()) return std::nullopt;
  const auto& m = at->second;
  if (m.is_classic() || m.epoch != c.epoch || m.session_timeout_ms != c.session_timeout_ms || m.home.agent != here || (c.instance && c.instance != m.instance)) return std::nullopt;
  if ((c.rebalance_timeout_ms >= 0 && c.rebalance_timeout_ms != m.rebalance_timeout_ms) || (c.rack && c.rack != m.rack) ||
      (c.assignor && *c.assignor != m.assignor) || (c.topics && sorted(*c.topics) != m.topics) || (c.regex && *c.regex != m.regex))
    return std::nullopt;
  if (c.regex_matches) {
    auto known = g.regexes.find(m.regex);
    if (known == g.regexes.end() || known->second != sorted(*c.regex_matches)) return std::nullopt;
  }
  if (g.epoch != g.target_epoch || g.topics_sum != sum_of_topics(g, s)) return std::nullopt;
  bool rests = m.phase == reconcile_phase::unrevoked ? !c.owned || intersects(m.revoking, *c.owned)
                                                     : m.epoch == g.target_epoch && (m.phase == reconcile_phase::stable || !can_take_more(g, at->first, m));
  if (!rests) return std::nullopt;
  return consumer_outcome{.member = at->first, .epoch = m.epoch, .has_assignment = c.is_full() || owns_other(c, m), .assignment = {m.assigned.begin(), m.assigned.end()}};
}

const std::string* groups::regex_of(std::string_view name, std::string_view member) const {
  const auto* g = find(name);
  if (!g || !g->consumer) return nullptr;
  auto at = g->consumer->members.find(member);
  return at == g->consumer->members.end() || at->second.regex.empty() ? nullptr : &at->second.regex;
}

group_error groups::check_consumer(std::string_view name, std::string_view member, std::int32_t epoch) const {
  const auto* g = find(name);
  if (!g || !g->consumer) return group_error::none;
  auto at = g->consumer->members.find(member);
  if (at == g->consumer->members.end()) return group_error::unknown_member_id;
  if (at->second.epoch == epoch) return group_error::none;
  return at->second.is_classic() ? group_error::illegal_generation : group_error::stale_member_epoch;
}

consumer_outcome groups::leave_consumer(const consumer_heartbeat& c, moment now) {
  auto found = groups_.find(c.group);
  if (found == groups_.end() || !found->second.consumer) return refused(group_error::group_id_not_found, c.member);
  edit keep(*this, found->first, found->second);
  consumer_group& g = *found->second.consumer;
  auto id = c.member;
  if (c.instance) {
    const auto* known = g.static_member(*c.instance);
    if (!known) return refused(group_error::unknown_member_id, c.member);
    if (*known != c.member) return refused(group_error::fenced_instance_id, c.member);
  }
  auto at = g.members.find(id);
  if (at == g.members.end()) return refused(group_error::unknown_member_id, c.member);
  if (c.epoch == left_for_now && c.instance) {
    // It keeps what it has until its session ends: whoever comes with its instance id takes over.
    auto& m = at->second;
    for (const auto& p : m.revoking) g.release(m, p);
    m.revoking.clear();
    m.phase = reconcile_phase::stable;
    m.revoke_by = timestamp_ms(0);
    m.epoch = left_for_now;
    m.content = content_hash(m);
    set_home(found->first, id, m.home, m.session_timeout_ms, now);
    set_revoke_timer(found->first, found->second, now);
  } else {
    remove_consumer(found->first, found->second, id, now);
  }
  return {.member = id, .epoch = c.epoch, .assignment = {}};
}

void groups::remove_consumer(const std::string& name, group& all, const std::string& id, moment now) {
  consumer_group& g = *all.consumer;
  auto at = g.members.find(id);
  for (const auto* set : {&at->second.assigned, &at->second.revoking})
    for (const auto& p : *set) g.owners.erase(p);
  drop_home(name, id, at->second.home);
  g.members.erase(at);
  g.target.erase(id);
  if (!g.members.empty() && std::ranges::all_of(g.members, [](const auto& m) { return m.second.is_classic(); }))
    return become_classic_group(name, all, now);
  std::erase_if(g.regexes, [&](const auto& r) {
    return std::ranges::none_of(g.members, [&](const auto& other) { return other.second.regex == r.first; });
  });
  if (g.members.empty()) all.since = now.time;
  change_consumers(g, true, now);
  set_revoke_timer(name, all, now);
}

// A static member is back under another id.
void groups::rename_consumer(const std::string& name, consumer_group& g, const std::string& old_id, const std::string& id) {
  auto node = g.members.extract(old_id);
  drop_home(name, old_id, node.mapped().home);
  for (const auto* set : {&node.mapped().assigned, &node.mapped().revoking})
    for (const auto& p : *set) g.owners[p] = id;
  node.key() = id;
  g.members.insert(std::move(node));
  if (auto target = g.target.extract(old_id)) {
    target.key() = id;
    g.target.insert(std::move(target));
  }
}

// One timer for the member that must let go of something soonest.
void groups::set_revoke_timer(const std::string& name, group& all, moment now) {
  timestamp_ms first{0};
  for (const auto& [id, m] : all.consumer->members)
    if (m.revoke_by != timestamp_ms(0) && (first == timestamp_ms(0) || m.revoke_by < first)) first = m.revoke_by;
  if (all.timer != 0 && all.timer_kind == group_timer_kind::revoke && all.deadline == first) return;
  clear_timer(name, all);
  if (first != timestamp_ms(0)) set_timer(name, all, group_timer_kind::revoke, first - now.time, now);
}

void groups::fire_revoke_timer(const std::string& name, group& all, moment now) {
  std::vector<std::string> late;
  for (const auto& [id, m] : all.consumer->members)
    if (m.revoke_by != timestamp_ms(0) && m.revoke_by <= now.time) late.push_back(id);
  for (const auto& id : late)
    if (all.consumer) remove_consumer(name, all, id, now);
    else if (all.members.contains(id)) remove_member(name, all, id, group_error::unknown_member_id, now), members_left(name, all, now);
  if (all.consumer) set_revoke_timer(name, all, now);
}

// ---- from one protocol to the other --------------------------------------------------------------------------------

bool groups::become_consumer_group(const std::string& name, group& all, moment now) {
  if (all.phase != group_phase::empty || !all.members.empty()) {
    if (!all.is_of_consumers()) return false;
    for (const auto& [id, m] : all.members)
      for (const auto& p : m.protocols)
        if (!subscribed_topics(p.metadata)) return false;
  }
  clear_timer(name, all);
  while (!all.pending.empty()) remove_pending(name, all, std::string(all.pending.begin()->first));
  auto& g = all.consumer.emplace();
  g.epoch = g.target_epoch = all.generation;
  for (auto& [id, old] : all.members) {
    if (old.join_request != 0) now.changed.answers.push_back({old.join_request, join_answer{.error = group_error::rebalance_in_progress, .protocol_type = {}, .protocol = {}, .leader = {}, .member = id, .members = {}}});
    if (old.sync_request != 0) now.changed.answers.push_back({old.sync_request, sync_answer{.error = group_error::rebalance_in_progress, .protocol_type = {}, .protocol = {}, .assignment = {}}});
    auto& m = g.members[id];
    m.instance = old.instance;
    m.client_id = old.client_id;
    m.client_host = old.client_host;
    m.session_timeout_ms = old.session_timeout_ms;
    m.rebalance_timeout_ms = old.rebalance_timeout_ms;
    m.classic = old.protocols;
    m.home = old.home;
    m.epoch = m.previous_epoch = all.generation;
    const auto* metadata = all.protocol ? old.metadata(*all.protocol) : nullptr;
    if (!metadata && !old.protocols.empty()) metadata = &old.protocols.front().metadata;
    auto read = metadata ? read_subscription(*metadata, now.all) : std::nullopt;
    if (read) m.topics = read->topics;
    std::vector<topic_partition> had;
    if (old.assignment.size() > 2) {
      scanner in{as_bytes(old.assignment)};
      in.number<std::int16_t>();
      scan_partitions(in, now.all, had);
    } else if (read) {
      // A rebalance began anew before it was complete: what was assigned before is forgotten, and members that are cooperative read
      // on what they said that they own.
      had = std::move(read->owned);
    }
    for (const auto& p : had)
      if (g.owners.try_emplace(p, id).second) {
        m.assigned.insert(p);
        if (now.all.format() >= assignment_epochs_log_format) m.since[p] = m.epoch;
      }
    g.target[id] = m.assigned;
    m.content = content_hash(m);
  }
  g.topics_sum = sum_of_topics(g, now.all);
  all.members.clear();
  all.leader.clear();
  all.protocol.reset();
  all.protocol_type = "consumer";
  all.phase = group_phase::empty;
  all.was_empty = all.member_added = false;
  return true;
}

// The last member of the consumer protocol has gone.
void groups::become_classic_group(const std::string& name, group& all, moment now) {
  clear_timer(name, all);
  auto g = std::move(*all.consumer);
  all.consumer.reset();
  all.generation = g.epoch;
  for (auto& [id, old] : g.members) {
    auto& m = all.members[id];
    m.instance = old.instance;
    m.client_id = old.client_id;
    m.client_host = old.client_host;
    m.session_timeout_ms = old.session_timeout_ms;
    m.rebalance_timeout_ms = old.rebalance_timeout_ms;
    m.protocols = old.classic;
    // What it has to give up it reads still, until it joins again.
    auto reads = old.assigned;
    reads.insert(old.revoking.begin(), old.revoking.end());
    m.assignment = write_assignment(reads, 0, now.all);
    m.home = old.home;
    m.has_synced = true;
    m.content = content_hash(m);
  }
  all.leader = all.members.begin()->first;
  all.protocol = all.members.begin()->second.protocols.front().name;
  for (const auto& p : all.members.begin()->second.protocols)
    if (std::ranges::all_of(all.members, [&](const auto& m) { return m.second.metadata(p.name) != nullptr; })) {
      all.protocol = p.name;
      break;
    }
  all.phase = group_phase::stable;
  all.since = now.time;
  prepare_rebalance(name, all, now);
}

join_outcome groups::join_consumer_group(const std::string& name, group& all, const join_group& c, moment now) {
  consumer_group& g = *all.consumer;
  auto refuse = [&](group_error why, std::string_view member) {
    return join_outcome{.answer = {.error = why, .protocol_type = {}, .protocol = {}, .leader = {}, .member = std::string(member), .members = {}}};
  };
  const auto* protocol = c.protocol_type == "consumer" ? common_protocol(g, c.protocols) : nullptr;
  auto read = protocol ? read_subscription(protocol->metadata, now.all) : std::nullopt;
  if (!read) return refuse(group_error::inconsistent_group_protocol, c.member);
  auto id = c.member.empty() ? c.new_member : c.member;
  const auto* known = c.instance ? g.static_member(*c.instance) : nullptr;
  if (c.member.empty() && !c.instance && c.needs_member_id) return refuse(group_error::member_id_required, id);
  // Whoever starts again with the classic protocol takes the place of the one before, of either protocol, which is fenced.
  bool takes_over = known && *known != id;
  if (takes_over) {
    if (!c.member.empty()) return refuse(group_error::fenced_instance_id, id);
    rename_consumer(name, g, std::string(*known), id);
  }
  auto at = g.members.find(id);
  if (at == g.members.end() && g.members.size() >= c.members_max) return refuse(group_error::group_max_size_reached, "");
  bool is_new_epoch = at == g.members.end();
  // It was put out, and does not know: what it owns has other owners by now. A new one owns nothing.
  if (is_new_epoch && !read->owned.empty()) return refuse(group_error::unknown_member_id, id);
  if (is_new_epoch) at = g.members.emplace(id, consumer_member{.instance = c.instance}).first;
  auto& m = at->second;
  if (!is_new_epoch && !m.is_classic()) {
    if (!takes_over && m.epoch != left_for_now) return refuse(group_error::unknown_member_id, id);
    m.epoch = 0;
    if (!m.regex.empty()) is_new_epoch = true;
    m.regex.clear();
    m.assignor.clear();
    std::erase_if(g.regexes, [&](const auto& r) {
      return std::ranges::none_of(g.members, [&](const auto& other) { return other.second.regex == r.first; });
    });
  }
  m.client_id = c.client_id;
  m.client_host = c.client_host;
  m.session_timeout_ms = c.session_timeout_ms;
  m.rebalance_timeout_ms = c.rebalance_timeout_ms;
  m.classic = c.protocols;
  if (m.topics != read->topics) m.topics = read->topics, is_new_epoch = true;
  change_consumers(g, is_new_epoch, now);
  reconcile(g, id, m, &read->owned, now.time, now.all.format() >= assignment_epochs_log_format);
  m.content = content_hash(m);
  set_home(name, id, m.home, m.session_timeout_ms, now);
  set_revoke_timer(name, all, now);
  return {.answer = {.generation = m.epoch, .protocol_type = "consumer", .protocol = protocol->name, .leader = {}, .member = id, .members = {}}};
}

sync_outcome groups::sync_consumer_group(const std::string& name, group& all, const sync_group& c, moment now) {
  consumer_group& g = *all.consumer;
  auto refuse = [](group_error why) { return sync_outcome{.answer = {.error = why, .protocol_type = {}, .protocol = {}, .assignment = {}}}; };
  auto at = g.members.find(c.member);
  if (at == g.members.end() || !at->second.is_classic()) return refuse(group_error::unknown_member_id);
  auto& m = at->second;
  if (c.instance && c.instance != m.instance) return refuse(group_error::fenced_instance_id);
  if (c.generation != m.epoch) return refuse(group_error::illegal_generation);
  const auto* protocol = common_protocol(g, m.classic);
  if ((c.protocol_type && *c.protocol_type != "consumer") || !protocol || (c.protocol && *c.protocol != protocol->name))
    return refuse(group_error::inconsistent_group_protocol);
  // Where it has to let go of something first, it has joined already, and learns here of what.
  if (m.epoch < g.target_epoch && m.phase != reconcile_phase::unrevoked) return refuse(group_error::rebalance_in_progress);
  edit keep(*this, name, all);
  set_home(name, at->first, m.home, m.session_timeout_ms, now);
  auto read = read_subscription(protocol->metadata, now.all);
  return {.answer = {.protocol_type = "consumer", .protocol = protocol->name,
                     .assignment = write_assignment(m.assigned, read ? read->version : std::int16_t(0), now.all)}};
}

group_error groups::check_classic_in_consumer_group(const group& all, std::string_view member, const std::optional<std::string_view>& instance,
                                                    std::int32_t generation) const {
  const auto& g = *all.consumer;
  if (instance) {
    const auto* known = g.static_member(*instance);
    if (!known) return group_error::unknown_member_id;
    if (*known != member) return group_error::fenced_instance_id;
  }
  auto at = g.members.find(member);
  if (at == g.members.end() || !at->second.is_classic()) return group_error::unknown_member_id;
  if (at->second.epoch != generation) return group_error::illegal_generation;
  return must_join_again(g, at->first, at->second) ? group_error::rebalance_in_progress : group_error::none;
}
}  // namespace yaks::metadata
