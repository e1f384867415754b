#include "metadata/groups.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/endian.hpp"
#include "metadata/digest.hpp"

namespace yaks::metadata {
namespace {
// Whether all members, none of them left out, support it.
bool all_support(const group& g, std::string_view protocol) {
  return std::ranges::all_of(g.members, [&](const auto& m) { return m.second.metadata(protocol) != nullptr; });
}

bool supports(const group& g, const join_group& c) {
  if (g.phase == group_phase::empty) return !c.protocol_type.empty() && !c.protocols.empty();
  return g.protocol_type == c.protocol_type &&
         std::ranges::any_of(c.protocols, [&](const auto& p) { return all_support(g, p.name); });
}

// Each member votes for the first of its protocols that all support; with equal votes the one that comes first by name wins.
std::string choose_protocol(const group& g) {
  std::map<std::string_view, std::size_t> votes;
  std::map<std::string_view, bool> supported;
  for (const auto& [id, m] : g.members)
    for (const auto& p : m.protocols) {
      auto [known, is_new] = supported.try_emplace(p.name);
      if (is_new) known->second = all_support(g, p.name);
      if (!known->second) continue;
      ++votes[p.name];
      break;
    }
  std::string_view best;
  std::size_t most = 0;
  for (const auto& [protocol, count] : votes)
    if (count > most) best = protocol, most = count;
  YAKS_CHECK(most > 0, "a member joins only with a protocol that all others support");
  return std::string(best);
}

group_error check_member(const group& g, std::string_view member, const std::optional<std::string_view>& instance) {
  if (instance) {
    const auto* known = g.static_member(*instance);
    if (!known) return group_error::unknown_member_id;
    if (*known != member) return group_error::fenced_instance_id;
  }
  return g.members.contains(member) ? group_error::none : group_error::unknown_member_id;
}
std::optional<std::string_view> view(const std::optional<std::string>& text) {
  return text ? std::optional<std::string_view>(*text) : std::nullopt;
}

join_answer refused(group_error why, std::string_view member) {
  return {.error = why, .protocol_type = {}, .protocol = {}, .leader = {}, .member = std::string(member), .members = {}};
}

std::shared_ptr<const std::vector<joined_member>> members_of(const group& g) {
  auto all = std::make_shared<std::vector<joined_member>>();
  for (const auto& [id, m] : g.members) all->push_back({id, m.instance, *m.metadata(*g.protocol)});
  return all;
}

// What a member of the current generation is told of it.
join_answer answer_of(const group& g, const std::string& id, std::shared_ptr<const std::vector<joined_member>> members) {
  return {.generation = g.generation,
          .protocol_type = g.protocol_type,
          .protocol = g.protocol.value_or(""),
          .leader = g.leader,
          .member = id,
          .members = std::move(members)};
}

void answer_join(group_changes& changed, group_member& m, join_answer answer) {
  if (m.join_request != 0) changed.answers.push_back({m.join_request, std::move(answer)});
  m.join_request = 0;
}
void answer_sync(group_changes& changed, group_member& m, sync_answer answer) {
  if (m.sync_request != 0) changed.answers.push_back({m.sync_request, std::move(answer)});
  m.sync_request = 0;
}
sync_answer refused_sync(group_error why) {
  return {.error = why, .protocol_type = {}, .protocol = {}, .assignment = {}};
}
sync_answer assignment_of(const group& g, const group_member& m) {
  return {.protocol_type = g.protocol_type, .protocol = g.protocol.value_or(""), .assignment = m.assignment};
}
}  // namespace

std::string_view name(group_phase phase) {
  switch (phase) {
    case group_phase::empty: return "Empty";
    case group_phase::preparing_rebalance: return "PreparingRebalance";
    case group_phase::completing_rebalance: return "CompletingRebalance";
    case group_phase::stable: return "Stable";
  }
  return "Unknown";
}

const std::string* group_member::metadata(std::string_view protocol) const {
  auto found = std::ranges::find(protocols, protocol, &group_protocol::name);
  return found == protocols.end() ? nullptr : &found->metadata;
}

std::size_t group::joined() const {
  return std::size_t(std::ranges::count_if(members, [](const auto& m) { return m.second.join_request != 0; }));
}

std::int32_t group::rebalance_timeout_ms() const {
  std::int32_t longest = 0;
  for (const auto& [id, m] : members) longest = std::max(longest, m.rebalance_timeout_ms);
  return longest;
}

const std::string* group::static_member(std::string_view instance) const {
  for (const auto& [id, m] : members)
    if (m.instance && *m.instance == instance) return &id;
  return nullptr;
}

bool group::is_subscribed(std::string_view topic) const {
  if (consumer) return consumer->is_subscribed(topic);
  if (!is_of_consumers()) return false;
  for (const auto& [id, m] : members) {
    const auto* metadata = protocol ? m.metadata(*protocol) : nullptr;
    auto topics = metadata ? subscribed_topics(*metadata) : std::nullopt;
    if (!topics || std::ranges::find(*topics, topic) != topics->end()) return true;  // not readable: it may be
  }
  return false;
}

std::optional<std::vector<std::string_view>> subscribed_topics(std::string_view metadata) {
  auto bytes = as_bytes(metadata);
  auto take = [&](std::size_t n) -> std::optional<byte_view> {
    if (n > bytes.size()) return std::nullopt;
    auto front = bytes.first(n);
    bytes = bytes.subspan(n);
    return front;
  };
  auto version = take(2), count = take(4);
  if (!version || !count || load_big_endian<std::int16_t>(version->data()) < 0) return std::nullopt;
  std::vector<std::string_view> topics;
  for (auto left = load_big_endian<std::int32_t>(count->data()); left > 0; --left) {
    auto length = take(2);
    if (!length || load_big_endian<std::int16_t>(length->data()) < 0) return std::nullopt;
    auto text = take(std::size_t(load_big_endian<std::int16_t>(length->data())));
    if (!text) return std::nullopt;
    topics.push_back(as_text(*text));
  }
  return topics;
}

// ---- reads ---------------------------------------------------------------------------------------------------------

const group* groups::find(std::string_view name) const {
  auto found = groups_.find(name);
  return found == groups_.end() ? nullptr : &found->second;
}

std::optional<std::pair<member_home, std::int32_t>> groups::home_of(std::string_view name, std::string_view member) const {
  const auto* g = find(name);
  if (!g) return std::nullopt;
  if (g->consumer) {
    auto found = g->consumer->members.find(member);
    if (found == g->consumer->members.end()) return std::nullopt;
    return std::pair(found->second.home, found->second.session_timeout_ms);
  }
  if (auto found = g->members.find(member); found != g->members.end())
    return std::pair(found->second.home, found->second.session_timeout_ms);
  if (auto found = g->pending.find(member); found != g->pending.end())
    return std::pair(found->second.home, found->second.session_timeout_ms);
  return std::nullopt;
}

group_error groups::check(const commit_group_offsets& c) const {
  const auto* g = find(c.group);
  if (!g) return c.generation < 0 ? group_error::none : group_error::group_id_not_found;
  if (c.generation < 0 && g->is_empty()) return group_error::none;  // assigns its partitions itself
  if (g->consumer) {
    if (c.instance) {
      const auto* known = g->consumer->static_member(*c.instance);
      if (known && *known != c.member) return group_error::fenced_instance_id;
    }
    auto why = check_consumer(c.group, c.member, c.generation);
    if (why != group_error::stale_member_epoch) return why;
    // The answer that tells it of its new epoch may be under way. What it has had since then, nobody else can have committed.
    const auto& m = g->consumer->members.find(c.member)->second;
    auto is_its_own = [&](const offset_commit& o) {
      auto since = m.since.find({o.topic, o.partition});
      return since != m.since.end() && since->second <= c.generation;
    };
    return c.generation < m.epoch && std::ranges::all_of(c.offsets, is_its_own) ? group_error::none : why;
  }
  if (c.generation >= 0 || !c.member.empty() || c.instance) {
    if (auto why = check_member(*g, c.member, view(c.instance)); why != group_error::none) return why;
    if (c.generation != g->generation) return group_error::illegal_generation;
  } else if (g->phase != group_phase::empty) {
    return group_error::unknown_member_id;
  }
  // A member of the new generation has not been told its partitions yet: what it commits are those of the old one.
  return g->phase == group_phase::completing_rebalance ? group_error::rebalance_in_progress : group_error::none;
}

group_error groups::check(std::string_view name, std::string_view member, const std::optional<std::string_view>& instance,
                          std::int32_t generation) const {
  const auto* g = find(name);
  if (!g) return group_error::unknown_member_id;
  if (g->consumer) return check_classic_in_consumer_group(*g, member, instance, generation);
  if (auto why = check_member(*g, member, instance); why != group_error::none) return why;
  if (generation != g->generation) return group_error::illegal_generation;
  return g->phase == group_phase::preparing_rebalance ? group_error::rebalance_in_progress : group_error::none;
}

// ---- changes -------------------------------------------------------------------------------------------------------

groups::edit::edit(groups& all, std::string_view name, const group& g)
    : all_(all), name_(name), group_(g), before_(hash_of(name, g)) {}
groups::edit::~edit() { all_.digest_ += hash_of(name_, group_) - before_; }

join_outcome groups::apply(const join_group& c, moment now) {
  auto found = groups_.find(c.group);
  if (found == groups_.end()) {
    if (!c.member.empty()) return {.answer = refused(group_error::unknown_member_id, c.member)};
    found = groups_.emplace(c.group, group{.since = now.time}).first;
    digest_ += hash_of(found->first, found->second);
  }
  group& g = found->second;
  edit keep(*this, found->first, g);
  if (g.consumer) {
    if (!g.consumer->members.empty()) return join_consumer_group(found->first, g, c, now);
    g.generation = g.consumer->epoch;
    g.consumer.reset();  // empty: it may be of either protocol
  }

  auto known = g.members.find(c.member);
  bool fits = g.phase == group_phase::empty ||
              (g.phase == group_phase::preparing_rebalance
                   ? (known != g.members.end() && known->second.join_request != 0) || g.joined() < c.members_max
                   : known != g.members.end() || g.members.size() < c.members_max);
  if (!fits) {
    if (known != g.members.end()) remove_member(found->first, g, c.member, group_error::group_max_size_reached, now);
    return {.answer = refused(group_error::group_max_size_reached, "")};
  }
  auto out = c.member.empty() ? join_new(found->first, g, c, now) : join_known(found->first, g, c, now);
  complete_if_all_joined(found->first, g, now);
  return out;
}

join_outcome groups::join_new(const std::string& name, group& g, const join_group& c, moment now) {
  if (!supports(g, c)) return {.answer = refused(group_error::inconsistent_group_protocol, "")};
  if (c.instance) {
    if (const auto* old_id = g.static_member(*c.instance)) return replace_static(name, g, std::string(*old_id), c, now);
  } else if (c.needs_member_id) {
    auto& pending = g.pending[c.new_member];
    pending.session_timeout_ms = c.session_timeout_ms;
    set_home(name, c.new_member, pending.home, c.session_timeout_ms, now);
    return {.answer = refused(group_error::member_id_required, c.new_member)};
  }
  add_member(name, g, c.new_member, c, now);
  rebalance_or_complete(name, g, now);
  return {.waits = true, .answer = {}};
}

join_outcome groups::join_known(const std::string& name, group& g, const join_group& c, moment now) {
  if (!supports(g, c)) return {.answer = refused(group_error::inconsistent_group_protocol, c.member)};
  if (g.pending.contains(c.member)) {
    remove_pending(name, g, c.member);
    add_member(name, g, c.member, c, now);
    rebalance_or_complete(name, g, now);
    return {.waits = true, .answer = {}};
  }
  if (auto why = check_member(g, c.member, view(c.instance)); why != group_error::none) return {.answer = refused(why, c.member)};
  auto& m = g.members.find(c.member)->second;
  bool is_leader = g.leader == c.member;
  bool says_the_same = m.protocols == c.protocols;
  // The answer may have been lost; in a stable group, a leader that comes back wants a rebalance, whatever it says.
  if (says_the_same && (g.phase == group_phase::completing_rebalance || (g.phase == group_phase::stable && !is_leader))) {
    set_home(name, c.member, m.home, m.session_timeout_ms, now);
    return {.answer = answer_of(g, c.member, is_leader ? members_of(g) : nullptr)};
  }
  if (g.phase == group_phase::empty) return {.answer = refused(group_error::unknown_member_id, c.member)};
  update_member(name, g, c.member, c, now);
  rebalance_or_complete(name, g, now);
  return {.waits = true, .answer = {}};
}

// A static member that has started again comes without its id: it takes the place of the old one, which is fenced, and where
// nothing else changes the others do not notice (KIP-345).
join_outcome groups::replace_static(const std::string& name, group& g, const std::string& old_id, const join_group& c, moment now) {
  auto node = g.members.extract(old_id);
  group_member& m = node.mapped();
  answer_join(now.changed, m, refused(group_error::fenced_instance_id, old_id));
  answer_sync(now.changed, m, refused_sync(group_error::fenced_instance_id));
  drop_home(name, old_id, m.home);
  auto old_leader = g.leader;
  if (g.leader == old_id) g.leader = c.new_member;
  node.key() = c.new_member;
  g.members.insert(std::move(node));
  update_member(name, g, c.new_member, c, now);
  if (g.phase == group_phase::stable && g.protocol == choose_protocol(g)) {
    auto& kept = g.members.find(c.new_member)->second;
    kept.join_request = 0;
    bool is_leader = g.leader == c.new_member;
    auto answer = answer_of(g, c.new_member, is_leader && c.can_skip_assignment ? members_of(g) : nullptr);
    answer.skip_assignment = is_leader && c.can_skip_assignment;
    // An old leader that is told that it is one would assign anew, although nobody else synchronises.
    if (!c.can_skip_assignment) answer.leader = old_leader;
    return {.answer = std::move(answer)};
  }
  rebalance_or_complete(name, g, now);
  return {.waits = true, .answer = {}};
}

void groups::add_member(const std::string& name, group& g, const std::string& id, const join_group& c, moment now) {
  if (g.phase == group_phase::preparing_rebalance && g.was_empty) g.member_added = true;
  if (g.members.empty()) g.protocol_type = c.protocol_type;
  if (g.leader.empty()) g.leader = id;
  if (g.phase == group_phase::empty) g.initial_delay_ms = c.initial_delay_ms;
  g.members[id].instance = c.instance;
  update_member(name, g, id, c, now);
}

void groups::update_member(const std::string& name, group& g, const std::string& id, const join_group& c, moment now) {
  auto& m = g.members[id];
  // Two requests of one member: the older one's client has given up.
  answer_join(now.changed, m, refused(group_error::rebalance_in_progress, id));
  m.client_id = c.client_id;
  m.client_host = c.client_host;
  m.session_timeout_ms = c.session_timeout_ms;
  m.rebalance_timeout_ms = c.rebalance_timeout_ms;
  m.protocols = c.protocols;
  m.join_request = c.request;
  m.content = content_hash(m);
  set_home(name, id, m.home, c.session_timeout_ms, now);
}

void groups::rebalance_or_complete(const std::string& name, group& g, moment now) {
  if (g.phase != group_phase::preparing_rebalance)
    prepare_rebalance(name, g, now);
  else
    complete_if_all_joined(name, g, now);
}

void groups::prepare_rebalance(const std::string& name, group& g, moment now) {
  if (g.phase == group_phase::completing_rebalance)
    for (auto& [id, m] : g.members) {
      m.assignment.clear();
      m.content = content_hash(m);
      answer_sync(now.changed, m, refused_sync(group_error::rebalance_in_progress));
    }
  g.was_empty = g.phase == group_phase::empty;
  g.member_added = false;
  g.phase = group_phase::preparing_rebalance;
  g.since = now.time;
  if (g.was_empty && g.initial_delay_ms > 0) {
    g.delay_left_ms = std::max<std::int64_t>(std::int64_t(g.rebalance_timeout_ms()) - g.initial_delay_ms, 0);
    set_timer(name, g, group_timer_kind::initial_delay, g.initial_delay_ms, now);
    return;
  }
  g.was_empty = false;
  set_timer(name, g, group_timer_kind::join, g.rebalance_timeout_ms(), now);
  complete_if_all_joined(name, g, now);
}

void groups::complete_if_all_joined(const std::string& name, group& g, moment now) {
  if (g.phase == group_phase::preparing_rebalance && !g.was_empty && g.pending.empty() && g.joined() == g.members.size())
    complete_join(name, g, now);
}

void groups::complete_join(const std::string& name, group& g, moment now) {
  clear_timer(name, g);
  std::vector<std::string> late;
  for (const auto& [id, m] : g.members)
    if (m.join_request == 0 && !m.instance) late.push_back(id);
  for (const auto& id : late) remove_member(name, g, id, group_error::unknown_member_id, now);
  if (!g.members.empty()) {
    if (auto leader = g.members.find(g.leader); leader == g.members.end() || leader->second.join_request == 0) {
      auto other = std::ranges::find_if(g.members, [](const auto& m) { return m.second.join_request != 0; });
      if (other == g.members.end()) {  // static members, and none of them has come yet
        set_timer(name, g, group_timer_kind::join, g.rebalance_timeout_ms(), now);
        return;
      }
      g.leader = other->first;
    }
  }
  ++g.generation;
  g.since = now.time;
  g.was_empty = false;
  if (g.members.empty()) {
    g.phase = group_phase::empty;
    g.protocol.reset();
    g.leader.clear();
    return;
  }
  g.protocol = choose_protocol(g);
  g.phase = group_phase::completing_rebalance;
  auto members = members_of(g);
  for (auto& [id, m] : g.members) {
    m.has_synced = false;
    answer_join(now.changed, m, answer_of(g, id, id == g.leader ? members : nullptr));
  }
  set_timer(name, g, group_timer_kind::sync, g.rebalance_timeout_ms(), now);
}

void groups::remove_member(const std::string& name, group& g, const std::string& id, group_error why, moment now) {
  auto found = g.members.find(id);
  group_member& m = found->second;
  answer_join(now.changed, m, refused(why, ""));
  answer_sync(now.changed, m, refused_sync(why));
  drop_home(name, id, m.home);
  g.members.erase(found);
  if (g.leader == id) g.leader = g.members.empty() ? "" : g.members.begin()->first;
}

void groups::remove_pending(const std::string& name, group& g, const std::string& id) {
  auto found = g.pending.find(id);
  drop_home(name, id, found->second.home);
  g.pending.erase(found);
}

void groups::members_left(const std::string& name, group& g, moment now) {
  if (g.phase == group_phase::stable || g.phase == group_phase::completing_rebalance)
    prepare_rebalance(name, g, now);
  else
    complete_if_all_joined(name, g, now);
}

sync_outcome groups::apply(const sync_group& c, moment now) {
  auto found = groups_.find(c.group);
  if (found == groups_.end()) return {.answer = refused_sync(group_error::unknown_member_id)};
  group& g = found->second;
  if (g.consumer) return sync_consumer_group(found->first, g, c, now);
  if (auto why = check_member(g, c.member, view(c.instance)); why != group_error::none) return {.answer = refused_sync(why)};
  if (c.generation != g.generation) return {.answer = refused_sync(group_error::illegal_generation)};
  if ((c.protocol_type && *c.protocol_type != g.protocol_type) || (c.protocol && g.protocol && *c.protocol != *g.protocol))
    return {.answer = refused_sync(group_error::inconsistent_group_protocol)};
  if (g.phase == group_phase::preparing_rebalance) return {.answer = refused_sync(group_error::rebalance_in_progress)};

  edit keep(*this, found->first, g);
  auto& m = g.members.find(c.member)->second;
  set_home(found->first, c.member, m.home, m.session_timeout_ms, now);
  m.has_synced = true;
  auto all_synced = [&] { return std::ranges::all_of(g.members, [](const auto& other) { return other.second.has_synced; }); };
  if (g.phase == group_phase::stable) {
    if (g.timer_kind == group_timer_kind::sync && all_synced()) clear_timer(found->first, g);
    return {.answer = assignment_of(g, m)};
  }
  answer_sync(now.changed, m, refused_sync(group_error::rebalance_in_progress));  // an older request
  m.sync_request = c.request;
  if (c.member != g.leader) return {.waits = true, .answer = {}};
  for (auto& [id, other] : g.members) other.assignment.clear();
  for (const auto& a : c.assignments)
    if (auto other = g.members.find(a.member); other != g.members.end()) other->second.assignment = a.assignment;
  g.phase = group_phase::stable;
  g.since = now.time;
  if (all_synced()) clear_timer(found->first, g);
  for (auto& [id, other] : g.members) {
    other.content = content_hash(other);
    answer_sync(now.changed, other, assignment_of(g, other));
  }
  return {.waits = true, .answer = {}};  // it is among the answers
}

leave_outcome groups::apply(const leave_group& c, moment now) {
  auto found = groups_.find(c.group);
  if (found == groups_.end()) return {.error = group_error::unknown_member_id, .members = {}};
  group& g = found->second;
  edit keep(*this, found->first, g);
  leave_outcome out;
  if (g.consumer) {
    for (const auto& who : c.members) {
      auto id = who.member;
      const auto* known = who.instance ? g.consumer ? g.consumer->static_member(*who.instance) : g.static_member(*who.instance) : nullptr;
      if (id.empty() && known) id = *known;
      auto why = who.instance && !known       ? group_error::unknown_member_id
                 : known && *known != id      ? group_error::fenced_instance_id
                 : home_of(c.group, id)       ? group_error::none
                                              : group_error::unknown_member_id;
      out.members.push_back(why);
      if (why != group_error::none) continue;
      if (g.consumer) {
        remove_consumer(found->first, g, id, now);
      } else {  // the one before was the last of the consumer protocol
        remove_member(found->first, g, id, group_error::unknown_member_id, now);
        members_left(found->first, g, now);
      }
    }
    return out;
  }
  bool any = false;
  for (const auto& who : c.members) {
    auto id = who.member;
    auto why = group_error::none;
    if (id.empty()) {
      const auto* known = who.instance ? g.static_member(*who.instance) : nullptr;
      if (known) id = *known;
      else why = group_error::unknown_member_id;
    } else if (g.pending.contains(id)) {
      remove_pending(found->first, g, id);
      any = true;
      out.members.push_back(group_error::none);
      continue;
    } else {
      why = check_member(g, id, view(who.instance));
    }
    if (why == group_error::none) {
      remove_member(found->first, g, id, group_error::unknown_member_id, now);
      any = true;
    }
    out.members.push_back(why);
  }
  if (any) members_left(found->first, g, now);
  return out;
}

group_outcome groups::apply(const move_home& c, moment now) {
  auto found = groups_.find(c.group);
  if (found == groups_.end()) return {.error = group_error::unknown_member_id};
  group& g = found->second;
  edit keep(*this, found->first, g);
  if (g.consumer) {
    auto m = g.consumer->members.find(c.member);
    if (m == g.consumer->members.end()) return {.error = group_error::unknown_member_id};
    set_home(found->first, c.member, m->second.home, m->second.session_timeout_ms, now);
    return {};
  }
  if (auto m = g.members.find(c.member); m != g.members.end())
    set_home(found->first, c.member, m->second.home, m->second.session_timeout_ms, now);
  else if (auto p = g.pending.find(c.member); p != g.pending.end())
    set_home(found->first, c.member, p->second.home, p->second.session_timeout_ms, now);
  else
    return {.error = group_error::unknown_member_id};
  return {};
}

group_outcome groups::apply(const expire_member& c, moment now) {
  auto found = groups_.find(c.group);
  if (found == groups_.end()) return {.error = group_error::unknown_member_id};
  group& g = found->second;
  edit keep(*this, found->first, g);
  if (g.consumer) {
    auto m = g.consumer->members.find(c.member);
    if (m == g.consumer->members.end() || m->second.home.epoch != c.home_epoch) return {.error = group_error::unknown_member_id};
    remove_consumer(found->first, g, c.member, now);
    return {};
  }
  if (auto m = g.members.find(c.member); m != g.members.end() && m->second.home.epoch == c.home_epoch) {
    remove_member(found->first, g, c.member, group_error::unknown_member_id, now);
    members_left(found->first, g, now);
  } else if (auto p = g.pending.find(c.member); p != g.pending.end() && p->second.home.epoch == c.home_epoch) {
    remove_pending(found->first, g, c.member);
    complete_if_all_joined(found->first, g, now);
  } else {
    return {.error = group_error::unknown_member_id};
  }
  return {};
}

group_outcome groups::apply(const fire_group_timer& c, moment now) {
  auto found = groups_.find(c.group);
  if (found == groups_.end() || found->second.timer != c.timer || c.timer == 0) return {};
  group& g = found->second;
  if (now.time < g.deadline) return {.early_ms = g.deadline - now.time};
  edit keep(*this, found->first, g);
  auto kind = g.timer_kind;
  clear_timer(found->first, g);
  switch (kind) {
    case group_timer_kind::none: break;
    case group_timer_kind::initial_delay:
      if (g.member_added && g.delay_left_ms > 0) {
        g.member_added = false;
        auto delay = std::min<std::int64_t>(g.initial_delay_ms, g.delay_left_ms);
        g.delay_left_ms -= delay;
        set_timer(found->first, g, group_timer_kind::initial_delay, delay, now);
      } else {
        complete_join(found->first, g, now);
      }
      break;
    case group_timer_kind::join: complete_join(found->first, g, now); break;
    case group_timer_kind::revoke: fire_revoke_timer(found->first, g, now); break;
    case group_timer_kind::sync: {
      std::vector<std::string> late;
      for (const auto& [id, m] : g.members)
        if (!m.has_synced) late.push_back(id);
      for (const auto& id : late) remove_member(found->first, g, id, group_error::unknown_member_id, now);
      if (!late.empty()) members_left(found->first, g, now);
      break;
    }
  }
  return {};
}

void groups::remove(std::string_view name) {
  auto found = groups_.find(name);
  if (found == groups_.end()) return;
  YAKS_CHECK(found->second.is_empty(), "only an empty group is removed");
  while (!found->second.pending.empty()) {
    edit keep(*this, found->first, found->second);
    remove_pending(found->first, found->second, std::string(found->second.pending.begin()->first));
  }
  clear_timer(found->first, found->second);
  digest_ -= hash_of(found->first, found->second);
  groups_.erase(found);
}

// ---- homes and timers ----------------------------------------------------------------------------------------------

void groups::set_home(const std::string& name, const std::string& member, member_home& home, std::int32_t session_timeout_ms,
                      moment now) {
  drop_home(name, member, home);
  home = {now.writer, ++last_number_};
  homes_[now.writer].emplace(name, member);
  now.changed.homes.push_back({name, member, home, session_timeout_ms});
}

void groups::drop_home(const std::string& name, const std::string& member, const member_home& home) {
  auto found = homes_.find(home.agent);
  if (found == homes_.end()) return;
  found->second.erase({name, member});
  if (found->second.empty()) homes_.erase(found);
}

void groups::set_timer(const std::string& name, group& g, group_timer_kind kind, std::int64_t ms, moment now) {
  clear_timer(name, g);
  g.timer_kind = kind;
  g.timer = ++last_number_;
  g.deadline = now.time + ms;
  timers_.emplace(g.deadline, name);
  now.changed.timers = true;
}

void groups::clear_timer(const std::string& name, group& g) {
  if (g.timer == 0) return;
  timers_.erase({g.deadline, name});
  g.timer_kind = group_timer_kind::none;
  g.timer = 0;
  g.deadline = timestamp_ms(0);
}

void groups::index(const std::string& name, const group& g) {
  if (g.timer != 0) timers_.emplace(g.deadline, name);
  for (const auto& [id, m] : g.members) homes_[m.home.agent].emplace(name, id);
  for (const auto& [id, p] : g.pending) homes_[p.home.agent].emplace(name, id);
  if (!g.consumer) return;
  for (const auto& [id, m] : g.consumer->members) homes_[m.home.agent].emplace(name, id);
}

// ---- digest --------------------------------------------------------------------------------------------------------

namespace {
void add(item_hash& h, const std::optional<std::string>& text) {
  h.number(std::uint64_t(text.has_value()));
  if (text) h.text(*text);
}
void add(item_hash& h, const member_home& home) { h.id(home.agent.value()).number(home.epoch); }
}  // namespace

std::uint64_t content_hash(const group_member& m) {
  item_hash h("content of a member");
  h.number(std::uint64_t(m.protocols.size()));
  for (const auto& p : m.protocols) h.text(p.name).text(p.metadata);
  return h.text(m.assignment).value();
}

std::uint64_t hash_of(std::string_view name, const group& g) {
  item_hash h("group");
  h.text(name).number(std::uint64_t(g.phase)).number(std::int64_t(g.generation)).text(g.protocol_type).text(g.leader);
  add(h, g.protocol);
  h.number(g.since.value()).number(std::uint64_t(g.was_empty)).number(std::uint64_t(g.member_added));
  h.number(std::uint64_t(g.initial_delay_ms)).number(g.delay_left_ms);
  h.number(std::uint64_t(g.timer_kind)).number(g.timer).number(g.deadline.value());
  auto sum = h.value();
  for (const auto& [id, m] : g.members) {
    item_hash member("member");
    member.text(name).text(id).text(m.client_id).text(m.client_host);
    add(member, m.instance);
    member.number(std::int64_t(m.session_timeout_ms)).number(std::int64_t(m.rebalance_timeout_ms)).number(m.content);
    add(member, m.home);
    member.number(m.join_request).number(m.sync_request).number(std::uint64_t(m.has_synced));
    sum += member.value();
  }
  for (const auto& [id, p] : g.pending) {
    item_hash pending("pending");
    pending.text(name).text(id).number(std::int64_t(p.session_timeout_ms));
    add(pending, p.home);
    sum += pending.value();
  }
  if (!g.consumer) return sum;
  const auto& c = *g.consumer;
  item_hash consumer("consumer group");
  consumer.text(name).number(std::int64_t(c.epoch)).number(std::int64_t(c.target_epoch)).text(c.assignor).number(c.topics_sum);
  for (const auto& [regex, matches] : c.regexes) {
    consumer.text(regex).number(std::uint64_t(matches.size()));
    for (const auto& topic : matches) consumer.text(topic);
  }
  sum += consumer.value();
  for (const auto& [id, target] : c.target) {
    item_hash h("target");
    h.text(name).text(id);
    for (const auto& p : target) h.id(p.topic.value()).number(std::int64_t(p.partition.value()));
    sum += h.value();
  }
  for (const auto& [id, m] : c.members) {
    item_hash member("consumer");
    member.text(name).text(id).text(m.client_id).text(m.client_host);
    add(member, m.instance);
    add(member, m.rack);
    member.number(std::int64_t(m.session_timeout_ms)).number(std::int64_t(m.rebalance_timeout_ms)).number(m.content);
    add(member, m.home);
    member.number(std::int64_t(m.epoch)).number(std::int64_t(m.previous_epoch)).number(std::uint64_t(m.phase)).number(m.revoke_by.value());
    sum += member.value();
  }
  return sum;
}

std::uint64_t groups::recompute_digest() const {
  std::uint64_t sum = last_number_;
  for (const auto& [name, g] : groups_) {
    sum += hash_of(name, g);
    for (const auto& [id, m] : g.members) YAKS_CHECK(m.content == content_hash(m), "a member's content has its hash");
    if (g.consumer)
      for (const auto& [id, m] : g.consumer->members) YAKS_CHECK(m.content == content_hash(m), "a member's content has its hash");
  }
  return sum;
}
}  // namespace yaks::metadata
