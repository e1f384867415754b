#include "sim/member.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/uuid.hpp"

namespace yaks::sim {
namespace {
std::int32_t ms(duration d) {
  return std::int32_t(std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
}

void put(std::string& to, std::integral auto n) {
  std::byte bytes[sizeof n];
  store_big_endian(bytes, n);
  to.append(as_text(bytes));
}
void put_text(std::string& to, std::string_view text) {
  put(to, std::int16_t(text.size()));
  to += text;
}
template <class Number>
bool get(byte_view& from, Number& n) {
  if (from.size() < sizeof n) return false;
  n = load_big_endian<Number>(from.data());
  from = from.subspan(sizeof n);
  return true;
}
bool get_text(byte_view& from, std::string& text) {
  std::int16_t length = 0;
  if (!get(from, length) || length < 0 || from.size() < std::size_t(length)) return false;
  text = as_text(from.first(std::size_t(length)));
  from = from.subspan(std::size_t(length));
  return true;
}

using partition_set = std::set<topic_partition>;
void put_partitions(std::string& to, const partition_set& all, const std::map<topic_id, std::string>& names) {
  std::map<std::string, std::vector<std::int32_t>> by_topic;
  for (const auto& p : all) by_topic[names.at(p.topic)].push_back(p.partition.value());
  put(to, std::int32_t(by_topic.size()));
  for (const auto& [name, indexes] : by_topic) {
    put_text(to, name);
    put(to, std::int32_t(indexes.size()));
    for (auto i : indexes) put(to, i);
  }
}
partition_set without(const partition_set& some, const partition_set& others) {
  partition_set rest;
  std::ranges::set_difference(some, others, std::inserter(rest, rest.end()));
  return rest;
}
bool is_fencing(wire::error_code code) {
  using enum wire::error_code;
  return code == unknown_member_id || code == illegal_generation || code == fenced_instance_id ||
         code == fenced_member_epoch || code == stale_member_epoch;
}
}  // namespace

member::member(client_world& all, group_checker& groups, member_plan plan, std::uint64_t life)
    : consumer(all, fmt::format("member{}", life), life % 2 == 0), groups_(groups), plan_(std::move(plan)), life_(life) {
  wanders_ = all_.w.time.chance.below(5) == 0;
}

member_name member::name() const {
  return {
      .group = plan_.group, .life = life_, .id = id_, .owner = plan_.instance.value_or(id_), .generation = generation_};
}

// ---- its life

awaitable<void> member::run() {
  while (!is_over() && !co_await refresh(all_.topics)) co_await back_off();
  for (const auto& t : all_.topics)
    if (const auto* p = find(t, 0)) topic_names_[p->where.topic] = t;
  if (!plan_.is_classic) {
    auto high = all_.rt.random(), low = all_.rt.random();
    id_ = uuid::v4(high, low).kafka_text();
    generation_ = 0;
  }
  next_beat_ = all_.rt.now();
  beating_ = true;
  all_.tasks.spawn(beat());
  while (!is_over() && !is_fenced_) {
    co_await awake();
    if (is_over()) break;
    if (lost_) lose_everything();
    if (leaving_) {
      co_await go_away();
      break;
    }
    if (plan_.is_classic && (!joined_ || rejoin_)) {
      if (!co_await join_classic()) co_await back_off();
    } else if (next_assignment_) {
      co_await follow_assignment();
    } else if (places_.size() < owned_.size()) {
      if (!co_await adopt()) co_await back_off();
    } else {
      co_await poll();
    }
  }
  groups_.lets_go_of_all(plan_.group, life_);
  over_ = true;
  beat_now();
  if (!silent_) {
    close();
    if (coordinator_) coordinator_->close();
  }
  while (beating_) co_await beat_changed_.wait();
}

void member::die(bool silently) {
  if (is_over()) return;
  all_.w.note(name_ + (silently ? " falls silent" : " dies"), life_);
  dead_ = true;
  silent_ = silently;
  groups_.lets_go_of_all(plan_.group, life_);
  if (!silently) {
    close();
    if (coordinator_) coordinator_->close();
  }
  asleep_until_ = {};
  beat_now();
}

void member::leave() {
  leaving_ = true;
  beat_now();
}

void member::sleep_for(duration d) {
  asleep_until_ = all_.rt.now() + d;
  // What it does first afterwards, not knowing what has happened, is the most dangerous thing.
  next_commit_ = asleep_until_;
  next_beat_ = std::max(next_beat_, asleep_until_ + 50ms);
  commits_all_ = true;
}

awaitable<void> member::awake() {
  while (!is_over() && is_asleep()) co_await all_.rt.sleep_until(std::min(asleep_until_, all_.rt.now() + 200ms));
}

void member::beat_now() {
  next_beat_ = std::min(next_beat_, std::max(all_.rt.now(), asleep_until_));
  beat_changed_.notify_all();
}

void member::lose_everything() {
  lost_ = rejoin_ = joined_ = false;
  next_assignment_.reset();
  drop(partition_set(owned_));
  reported_.clear();
  say_all_ = true;
  if (!plan_.is_classic) generation_ = 0;
  beat_now();
}

// ---- requests

// Named by an agent, or, as behind one address, any.
awaitable<std::shared_ptr<connection>> member::coordinator() {
  if (coordinator_ && coordinator_->is_open()) {
    if (!wanders_ || coordinator_->in_flight() > 0) co_return coordinator_;
    coordinator_->close();
  }
  auto at = all_.bootstrap[below(all_.bootstrap.size())];
  if (one_of(3)) {
    if (auto guide = co_await connect(at, -1)) {
      wire::find_coordinator_request request{.coordinator_keys = {plan_.group}};
      auto answer = co_await guide->ask(4, request, patience);
      guide->close();
      if (answer && answer->coordinators.size() == 1 && answer->coordinators[0].error_code == error_code::none)
        at = {.host = answer->coordinators[0].host, .port = std::uint16_t(answer->coordinators[0].port)};
    }
  }
  auto since = all_.rt.now();
  auto c = co_await connect(at, -1);
  if (c && is_over() && !silent_) c->close();
  if (coordinator_ && coordinator_->is_open()) {  // the other coroutine was first
    if (c) c->close();
    co_return coordinator_;
  }
  coordinator_ = c;
  coordinator_since_ = since;
  co_return c;
}

template <class Request>
awaitable<std::optional<typename answer_to<Request>::type>> member::ask_coordinator(std::int16_t version,
                                                                                    const Request& request,
                                                                                    duration how_long) {
  co_await awake();
  if (is_over()) co_return std::nullopt;
  auto over = co_await coordinator();
  if (!over || is_over()) co_return std::nullopt;
  auto answer = co_await over->ask(version, request, how_long);
  co_await awake();
  if (is_over()) co_return std::nullopt;
  if (!answer) {
    over->close();
    co_return std::nullopt;
  }
  all_.did_one();
  co_return answer;
}

bool member::judge(error_code code, const member_name& asked_as, std::string_view to_what) {
  if (code == error_code::none) return true;
  all_.w.note(fmt::format("{}: {}", name_, to_what), std::uint64_t(code), std::uint64_t(asked_as.generation));
  groups_.refused(asked_as, code, to_what);
  bool is_current = asked_as.id == id_ && asked_as.generation == generation_;
  switch (code) {
    case error_code::coordinator_not_available:
    case error_code::not_coordinator:
    case error_code::coordinator_load_in_progress:
    case error_code::request_timed_out:
      if (coordinator_ && one_of(2) && coordinator_->in_flight() == 0) coordinator_->close();
      break;
    case error_code::rebalance_in_progress:
      if (is_current) rejoin_ = true;
      break;
    case error_code::unknown_member_id:
      all_.w.reached("a member fenced");
      if (!is_current) break;
      lost_ = true;
      if (plan_.is_classic) id_.clear();
      break;
    case error_code::illegal_generation:
    case error_code::fenced_member_epoch:
      all_.w.reached("a member fenced");
      if (is_current) lost_ = true;
      break;
    case error_code::stale_member_epoch:
      break;                              // the next heartbeat tells more
    case error_code::group_id_not_found:  // it was the classic protocol's meanwhile
      if (is_current) lost_ = true;
      break;
    case error_code::fenced_instance_id:
      all_.w.reached("a static member fenced by another one");
      is_fenced_ = true;
      break;
    case error_code::unreleased_instance_id:
      all_.w.reached("a static member that its instance id was refused to");
      break;
    default:
      all_.w.violation(fmt::format("wrong answer: {} of {} is answered with {}", to_what, name_, wire::name(code)));
  }
  beat_changed_.notify_all();
  return false;
}

void member::judge_silence(time_point begun, duration how_long, std::string_view to_what) {
  if (is_over() || begun < all_.calm_since || coordinator_since_ < all_.calm_since || all_.rt.now() - begun < how_long)
    return;
  all_.w.violation(
      fmt::format("stuck join: a {} of {} in {} is not answered in {} ms", to_what, name_, plan_.group, ms(how_long)));
}

// ---- heartbeats

awaitable<void> member::beat() {
  for (;;) {
    bool may = !leaving_ && !lost_ && (!plan_.is_classic || joined_);
    if (is_over() || is_fenced_) break;
    if (!may) {
      co_await beat_changed_.wait();
    } else if (is_asleep()) {
      co_await awake();
    } else if (all_.rt.now() < next_beat_) {
      co_await beat_changed_.wait_until(all_.rt, next_beat_);
    } else {
      next_beat_ = all_.rt.now() + plan_.heartbeat;
      beat_in_flight_ = true;
      if (plan_.is_classic)
        co_await beat_classic();
      else
        co_await beat_consumer();
      beat_in_flight_ = false;
      beat_changed_.notify_all();
    }
  }
  beating_ = false;
  beat_changed_.notify_all();
}

awaitable<void> member::beat_classic() {
  auto me = name();
  wire::heartbeat_request request{
      .group_id = me.group, .generation_id = me.generation, .member_id = me.id, .group_instance_id = plan_.instance};
  auto answer = co_await ask_coordinator(4, request, patience);
  if (is_over()) co_return;
  if (!answer) next_beat_ = std::min(next_beat_, all_.rt.now() + all_.w.time.chance.between(50ms, 300ms));
  // It joins again meanwhile: an answer of before says nothing.
  else if (joined_ && me.generation == generation_ && me.id == id_)
    (void)judge(answer->error_code, me, "a heartbeat");
}

awaitable<void> member::beat_consumer() {
  auto me = name();
  bool joins = !joined_;
  auto owned = owned_;
  wire::consumer_group_heartbeat_request request{.group_id = me.group,
                                                 .member_id = me.id,
                                                 .member_epoch = joins ? 0 : me.generation,
                                                 .instance_id = plan_.instance};
  bool says_owned = joins || say_all_ || reported_ != owned;
  if (joins || say_all_) {
    request.rebalance_timeout_ms = ms(plan_.rebalance_timeout);
    request.subscribed_topic_names.emplace(all_.topics.begin(), all_.topics.end());
  }
  if (says_owned) {
    auto& topics = request.topic_partitions.emplace();
    for (const auto& p : owned) {
      if (topics.empty() || topics.back().topic_id != p.topic.value())
        topics.push_back({.topic_id = p.topic.value(), .partitions = {}});
      topics.back().partitions.push_back(p.partition.value());
    }
  }
  if (joins) kills_before_ = all_.kills();
  auto before = groups_.generation_of(me.group);
  say_all_ = true;
  auto answer = co_await ask_coordinator(1, request, patience);
  if (is_over() || leaving_) co_return;
  if (!answer) {
    if (says_owned) groups_.in_doubt(me);
    next_beat_ = std::min(next_beat_, all_.rt.now() + all_.w.time.chance.between(50ms, 300ms));
    co_return;
  }
  if (!judge(answer->error_code, me, "a heartbeat")) {
    next_beat_ = std::min(next_beat_, all_.rt.now() + all_.w.time.chance.between(50ms, 300ms));
    co_return;
  }
  if (answer->member_id != id_)
    all_.w.violation(fmt::format("wrong answer: {} is called {}", name_, answer->member_id.value_or("")));
  say_all_ = false;
  reported_ = owned;
  if (answer->member_epoch < generation_ && !joins)
    all_.w.violation(
        fmt::format("wrong answer: {} was in epoch {} and is in {}", name_, generation_, answer->member_epoch));
  if (joins && joins_++ == 0 && plan_.instance && answer->member_epoch == before)
    all_.w.reached("a static member returned without a rebalance");
  if (joins && all_.kills() != kills_before_) all_.w.reached("a rebalance while an agent was killed");
  if (answer->assignment || generation_ != answer->member_epoch)
    all_.w.note(name_ + " is in epoch", std::uint64_t(answer->member_epoch), answer->assignment.has_value());
  generation_ = answer->member_epoch;
  joined_ = true;
  groups_.epoch_told(name());
  if (!answer->assignment) co_return;
  partition_set now;
  for (const auto& t : answer->assignment->topic_partitions)
    for (auto index : t.partitions) now.insert({topic_id(t.topic_id), partition_index(index)});
  for (const auto& p : now) groups_.told(name(), p, true);
  next_assignment_.reset();
  if (now != owned_) next_assignment_ = std::move(now);
}

// What goes is committed and let go of; what comes is read from where it was committed.
awaitable<void> member::follow_assignment() {
  auto goes = without(owned_, *next_assignment_);
  if (!goes.empty()) co_await commit(false);
  // A heartbeat that is under way says that it does not own what it would begin to read now.
  while (beat_in_flight_ && !is_over() && !lost_) co_await beat_changed_.wait();
  if (is_over() || lost_ || !next_assignment_) co_return;
  auto now = *std::exchange(next_assignment_, std::nullopt);
  drop(without(owned_, now));
  owned_ = std::move(now);
  for (const auto& p : owned_) groups_.reads(name(), p);
  beat_now();
}

// ---- the classic protocol

awaitable<bool> member::join_classic() {
  if (!plan_.is_cooperative && !owned_.empty()) {
    if (joined_) co_await commit(false);
    if (is_over() || lost_) co_return true;
    drop(partition_set(owned_));
  }
  if (!joined_ && plan_.is_cooperative && id_.empty()) drop(partition_set(owned_));
  rejoin_ = joined_ = false;
  auto metadata = subscription();
  auto me = name();
  std::int16_t version = life_ % 3 == 0 ? 5 : life_ % 3 == 1 ? 7 : 9;
  wire::join_group_request request{.group_id = me.group,
                                   .session_timeout_ms = ms(plan_.session),
                                   .rebalance_timeout_ms = ms(plan_.rebalance_timeout),
                                   .member_id = me.id,
                                   .group_instance_id = plan_.instance,
                                   .protocol_type = "consumer"};
  request.protocols.push_back({.name = plan_.is_cooperative ? "cooperative-sticky" : "range", .metadata = {metadata}});
  auto kills = all_.kills();
  auto before = groups_.generation_of(me.group);
  auto begun = all_.rt.now();
  auto how_long = plan_.rebalance_timeout + 8s;
  auto answer = co_await ask_coordinator(version, request, how_long);
  if (is_over()) co_return true;
  if (!answer) {
    judge_silence(begun, how_long, "JoinGroup");
    co_return false;
  }
  if (answer->error_code == error_code::member_id_required) {
    id_ = answer->member_id;
    co_return true;
  }
  if (!judge(answer->error_code, me, "a JoinGroup")) co_return false;
  bool is_new = answer->generation_id > before;
  id_ = answer->member_id;
  generation_ = answer->generation_id;
  in_consumer_group_ = answer->leader.empty();
  groups_.epoch_told(name());
  if (!in_consumer_group_)
    groups_.generation_told(me.group, generation_);
  else
    all_.w.reached("a classic member in a group of consumers");
  if (is_new && all_.kills() != kills) all_.w.reached("a rebalance while an agent was killed");
  if (joins_++ == 0 && plan_.instance && answer->generation_id == before)
    all_.w.reached("a static member returned without a rebalance");
  co_return co_await sync(std::move(*answer));
}

awaitable<bool> member::sync(wire::join_group_response joined) {
  auto me = name();
  wire::sync_group_request request{.group_id = me.group,
                                   .generation_id = me.generation,
                                   .member_id = me.id,
                                   .group_instance_id = plan_.instance,
                                   .protocol_type = "consumer",
                                   .protocol_name = plan_.is_cooperative ? "cooperative-sticky" : "range"};
  std::map<std::string, std::string> texts;
  if (joined.leader == id_ && !joined.skip_assignment)
    for (const auto& [id, what] : assign(joined.members)) texts[id] = assignment_text(what);
  for (const auto& [id, text] : texts) request.assignments.push_back({.member_id = id, .assignment = {text}});
  auto begun = all_.rt.now();
  auto how_long = plan_.rebalance_timeout + 8s;
  auto answer = co_await ask_coordinator(5, request, how_long);
  if (is_over()) co_return true;
  if (!answer) {
    judge_silence(begun, how_long, "SyncGroup");
    co_return false;
  }
  if (!judge(answer->error_code, me, "a SyncGroup")) co_return false;
  partition_set now;
  byte_view bytes = as_bytes(answer->assignment.value);
  std::int16_t version = 0;
  if (!bytes.empty() && (!get(bytes, version) || !read_partitions(bytes, now)))
    all_.w.violation(fmt::format("wrong answer: the assignment of {} is none", name_));
  all_.w.note(name_ + " is in generation", std::uint64_t(me.generation), now.size());
  for (const auto& p : now) groups_.told(me, p, in_consumer_group_);
  joined_ = true;
  next_beat_ = all_.rt.now() + plan_.heartbeat;
  beat_changed_.notify_all();
  auto goes = without(owned_, now);
  if (!goes.empty()) {
    co_await commit(false);
    if (is_over() || lost_) co_return true;
    drop(goes);
    rejoin_ = true;  // others wait for these
  }
  owned_ = std::move(now);
  for (const auto& p : owned_) groups_.reads(me, p);
  co_return true;
}

awaitable<void> member::go_away() {
  if (joined_) co_await commit(false);
  auto me = name();
  joined_ = false;
  drop(partition_set(owned_));
  if (plan_.is_classic) {
    // Static members go without a word, as the Java client does.
    if (plan_.instance || me.id.empty()) co_return;
    wire::leave_group_request request{.group_id = me.group};
    request.members.push_back({.member_id = me.id, .group_instance_id = plan_.instance});
    auto answer = co_await ask_coordinator(4, request, patience);
    if (answer && answer->error_code == error_code::none && answer->members.size() == 1 &&
        answer->members[0].error_code == error_code::none)
      all_.w.reached("a member left");
  } else {
    wire::consumer_group_heartbeat_request request{.group_id = me.group,
                                                   .member_id = me.id,
                                                   .member_epoch = plan_.instance ? -2 : -1,
                                                   .instance_id = plan_.instance};
    auto answer = co_await ask_coordinator(1, request, patience);
    if (answer && answer->error_code == error_code::none) all_.w.reached("a member left");
  }
}

// ---- partitions

void member::drop(const partition_set& what) {
  for (const auto& p : what) {
    owned_.erase(p);
    committed_.erase(p);
    groups_.lets_go(name(), p);
  }
  std::erase_if(places_, [&](const place& p) { return what.contains(p.where); });
}

const std::string& member::topic_of(const topic_partition& p) const {
  return topic_names_.at(p.topic);
}

awaitable<bool> member::adopt() {
  partition_set comes = owned_;
  for (const auto& p : places_) comes.erase(p.where);
  co_return co_await fetch_offsets(comes);
}

awaitable<bool> member::fetch_offsets(const partition_set& of) {
  auto me = name();
  bool is_new_form = !plan_.is_classic || life_ % 2 == 0;
  std::int16_t version = !plan_.is_classic ? 9 : is_new_form ? 8 : 7;
  wire::offset_fetch_request request{.group_id = me.group};
  auto fill = [&](auto& topics) {
    for (const auto& p : of) {
      if (topics.empty() || topics.back().name != topic_of(p)) topics.emplace_back().name = topic_of(p);
      topics.back().partition_indexes.push_back(p.partition.value());
    }
  };
  if (is_new_form) {
    auto& g = request.groups.emplace_back();
    g.group_id = me.group;
    if (!plan_.is_classic) g.member_id = me.id, g.member_epoch = me.generation;
    fill(g.topics.emplace());
  } else {
    fill(request.topics.emplace());
  }
  auto begun = all_.rt.now();
  auto answer = co_await ask_coordinator(version, request, 5s);
  if (!answer || is_interrupted()) co_return false;
  std::size_t found = 0;
  bool good = true;
  auto take = [&](const auto& topics) {
    for (const auto& t : topics)
      for (const auto& d : t.partitions) {
        const auto* known = find(t.name, d.partition_index);
        if (!known || !of.contains(known->where)) continue;
        ++found;
        if (d.error_code != error_code::none) {
          good = judge(d.error_code, me, "an OffsetFetch") && good;
          continue;
        }
        groups_.fetched(me, known->where, begun, d.committed_offset);
        if (!owned_.contains(known->where)) continue;
        committed_[known->where] = d.committed_offset;
        places_.push_back({.topic = t.name,
                           .partition = d.partition_index,
                           .where = known->where,
                           .next = std::max<std::int64_t>(d.committed_offset, 0)});
      }
  };
  if (is_new_form) {
    if (answer->groups.size() != 1)
      all_.w.violation(
          fmt::format("wrong answer: an OffsetFetch of {} is answered for {} groups", name_, answer->groups.size()));
    else if (!judge(answer->groups[0].error_code, me, "an OffsetFetch"))
      co_return false;
    else
      take(answer->groups[0].topics);
  } else {
    if (!judge(answer->error_code, me, "an OffsetFetch")) co_return false;
    take(answer->topics);
  }
  if (found != of.size())
    all_.w.violation(
        fmt::format("wrong answer: {} of {} committed offsets that {} asks for are answered", found, of.size(), name_));
  co_return good;
}

awaitable<void> member::commit(bool all) {
  auto me = name();
  std::int16_t version = !plan_.is_classic ? (life_ % 2 == 0 ? 9 : 10) : life_ % 2 == 0 ? 7 : 9;
  wire::offset_commit_request request{.group_id = me.group,
                                      .generation_id_or_member_epoch = me.generation,
                                      .member_id = me.id,
                                      .group_instance_id = plan_.instance};
  std::map<topic_partition, group_checker::ticket> tickets;
  for (const auto& p : places_) {
    if (!all && p.next <= std::max<std::int64_t>(committed_[p.where], 0)) continue;
    if (p.next == 0) continue;
    auto& topics = request.topics;
    if (topics.empty() || topics.back().topic_id != p.where.topic.value())
      topics.push_back({.name = topic_of(p.where), .topic_id = p.where.topic.value(), .partitions = {}});
    topics.back().partitions.push_back({.partition_index = p.partition, .committed_offset = p.next});
    tickets[p.where] = nullptr;
  }
  if (tickets.empty()) co_return;
  co_await awake();
  if (is_over()) co_return;
  // The attempt begins here: who sleeps before it is sent sends it late.
  for (const auto& p : places_)
    if (tickets.contains(p.where)) tickets[p.where] = groups_.commit_begins(me, p.where, p.next, plan_.is_classic);
  auto answer = co_await ask_coordinator(version, request, 5s);
  if (!answer) co_return;
  std::size_t found = 0;
  auto worst = error_code::none;
  for (const auto& t : answer->topics)
    for (const auto& d : t.partitions) {
      for (auto& [where, ticket] : tickets) {
        if (where.partition.value() != d.partition_index ||
            (version >= 10 ? where.topic.value() != t.topic_id : topic_of(where) != t.name))
          continue;
        ++found;
        if (d.error_code == error_code::none) {
          groups_.commit_acknowledged(me, where, ticket);
          if (auto mine = committed_.find(where); mine != committed_.end())
            mine->second = std::max(mine->second, ticket->value);
        } else {
          worst = d.error_code;
          if (!wire::is_retriable(d.error_code)) groups_.commit_refused(ticket);
        }
      }
    }
  if (found != tickets.size())
    all_.w.violation(fmt::format("wrong answer: {} of {} commits of {} are answered", found, tickets.size(), name_));
  if (is_fencing(worst)) all_.w.reached("a commit fenced");
  (void)judge(worst, me, "an OffsetCommit");
}

awaitable<void> member::poll() {
  auto& rt = all_.rt;
  if (!joined_ || places_.empty()) {
    co_await beat_changed_.wait_until(rt, rt.now() + plan_.pause);
    co_return;
  }
  if (rt.now() >= next_commit_) {
    next_commit_ = rt.now() + all_.w.time.chance.between(500ms, 1500ms);
    co_await commit(std::exchange(commits_all_, false));
    if (is_interrupted()) co_return;
  }
  std::vector<std::int32_t> leaders;
  for (const auto& p : places_)
    if (const auto* known = find(p.topic, p.partition)) leaders.push_back(known->leader);
  bool good = !leaders.empty() && co_await fetch_from(leaders[below(leaders.size())]);
  if (is_over()) co_return;
  if (!good) {
    co_await back_off();
    if (!is_over()) (void)co_await refresh(all_.topics);
  } else if (!is_interrupted()) {
    co_await beat_changed_.wait_until(rt, rt.now() + all_.w.time.chance.between(plan_.pause / 2, plan_.pause));
  }
}

void member::took(const place& p, std::int64_t at) {
  groups_.consumed(plan_.group, p.where, at);
}

// ---- what members of the classic protocol tell each other (ConsumerProtocolSubscription, ConsumerProtocolAssignment)

std::string member::subscription() const {
  std::string out;
  put(out, std::int16_t(plan_.is_cooperative ? 2 : 0));
  put(out, std::int32_t(all_.topics.size()));
  for (const auto& t : all_.topics) put_text(out, t);
  put(out, std::int32_t(-1));  // no user data
  if (!plan_.is_cooperative) return out;
  put_partitions(out, owned_, topic_names_);
  put(out, generation_);
  return out;
}

std::string member::assignment_text(const partition_set& of) const {
  std::string out;
  put(out, std::int16_t(0));
  put_partitions(out, of, topic_names_);
  put(out, std::int32_t(-1));
  return out;
}

bool member::read_partitions(byte_view& from, partition_set& into) const {
  std::int32_t topics = 0, count = 0, index = 0;
  std::string name;
  if (!get(from, topics)) return false;
  for (; topics > 0; --topics) {
    if (!get_text(from, name) || !get(from, count)) return false;
    for (; count > 0; --count) {
      if (!get(from, index)) return false;
      if (const auto* p = find(name, index)) into.insert(p->where);
    }
  }
  return true;
}

std::map<std::string, member::partition_set> member::assign(
    const std::vector<wire::join_group_response::member>& members) const {
  std::map<std::string, partition_set> out;
  std::vector<topic_partition> all;
  for (const auto& t : all_.topics)
    for (std::int32_t p = 0; p < partitions(t); ++p) all.push_back(find(t, p)->where);
  if (members.empty()) return out;
  // By instance id where there is one: a static member that comes back has what it had.
  std::map<std::string, std::string> order;
  for (const auto& m : members) order[m.group_instance_id.value_or(m.member_id)] = m.member_id, out[m.member_id];
  if (!plan_.is_cooperative) {
    std::size_t n = 0;
    for (const auto& [key, id] : order) {
      auto begin = all.size() * n / order.size(), end = all.size() * (n + 1) / order.size();
      out[id].insert(all.begin() + std::ptrdiff_t(begin), all.begin() + std::ptrdiff_t(end));
      ++n;
    }
    return out;
  }
  // Who had it in the latest generation keeps it, up to its share; what is over goes to nobody until it has been let go
  // of.
  std::map<topic_partition, std::pair<std::int32_t, std::string>> had;
  for (const auto& m : members) {
    byte_view bytes = as_bytes(m.metadata.value);
    std::int16_t version = 0;
    std::int32_t topics = 0, user_data = 0, generation = -1;
    std::string name;
    member::partition_set owned;
    bool good = get(bytes, version) && get(bytes, topics);
    for (; good && topics > 0; --topics) good = get_text(bytes, name);
    good = good && get(bytes, user_data) && user_data <= 0 && version >= 2 && read_partitions(bytes, owned) &&
           get(bytes, generation);
    if (!good) continue;
    for (const auto& p : owned) {
      auto [known, is_first] = had.try_emplace(p, generation, m.member_id);
      if (!is_first && generation > known->second.first) known->second = {generation, m.member_id};
    }
  }
  std::size_t least = all.size() / order.size(), more = all.size() % order.size();
  std::vector<topic_partition> free;
  std::map<std::string, std::size_t> room;
  std::size_t n = 0;
  for (const auto& [key, id] : order) room[id] = least + (n++ < more ? 1 : 0);
  for (const auto& p : all) {
    auto owner = had.find(p);
    if (owner == had.end())
      free.push_back(p);
    else if (auto& left = room[owner->second.second]; left > 0)
      --left, out[owner->second.second].insert(p);
  }
  for (const auto& [key, id] : order)
    for (auto& left = room[id]; left > 0 && !free.empty(); --left) {
      out[id].insert(free.back());
      free.pop_back();
    }
  return out;
}
}  // namespace yaks::sim
