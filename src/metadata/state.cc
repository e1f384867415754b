#include "metadata/state.hpp"

#include <algorithm>
#include <limits>

#include "base/check.hpp"
#include "base/mutation.hpp"
#include "metadata/append_time.hpp"
#include "metadata/digest.hpp"
#include "metadata/entry_codec.hpp"

namespace yaks::metadata {
std::vector<range>::const_iterator partition::find(offset at) const {
  auto after = std::upper_bound(ranges.begin(), ranges.end(), at,
                                [](offset wanted, const range& r) { return wanted < r.end_offset(); });
  if (after == ranges.end() || at < after->base_offset) return ranges.end();
  return after;
}

state::state() : digest_(hash_of_counters(next_producer_id_, next_object_) + hash_of(upkeep_) + hash_of_format(format_)) {}
state::state(state&&) = default;
state& state::operator=(state&&) = default;
state::~state() = default;

state::applied state::apply(const log_entry& entry) {
  YAKS_CHECK(entry.sequence == position_.sequence + 1, "entries are applied in order, each one once");
  auto commands = decode_entry(entry.payload.view());
  applied result;
  position_ = {entry.sequence, entry.id};
  time_ = std::max(time_, entry.time);
  writer_ = entry.id.writer;
  if (!may_write(entry, commands)) {
    result.is_void = true;
    return result;
  }
  producers_added_ = 0;
  result.outcomes.reserve(commands.size());
  for (const auto& c : commands)
    result.outcomes.push_back(
        std::visit([&](const auto& known_command) { return apply_command(known_command, result.changed); }, c));
  // The writer may have fenced itself in this very entry.
  if (auto known = agents_.find(writer_); known != agents_.end()) {
    digest_ -= hash_of(writer_, known->second);
    known->second.last_number = entry.id.number;
    digest_ += hash_of(writer_, known->second);
  }
  expire_producers();
  return result;
}

// ---- agents --------------------------------------------------------------------------------------------------------

bool state::may_write(const log_entry& entry, const std::vector<command>& commands) const {
  auto known = agents_.find(entry.id.writer);
  if (known != agents_.end()) return entry.id.number > known->second.last_number || mutated("entries applied twice");
  if (entry.id.number != 1 || commands.empty()) return false;
  const auto* registration = std::get_if<register_agent>(&commands.front());
  if (!registration || registration->format_max < format_) return false;
  auto last = comings_and_goings_.find({registration->node, registration->thread});
  return last == comings_and_goings_.end() || last->second <= registration->as_of;
}

void state::add_agent(incarnation id, agent a) {
  note_coming_or_going(a);
  digest_ += hash_of(id, a);
  agents_.emplace(id, std::move(a));
}

void state::remove_agent(incarnation id) {
  auto found = agents_.find(id);
  if (found == agents_.end()) return;
  note_coming_or_going(found->second);
  digest_ -= hash_of(id, found->second);
  agents_.erase(found);
}

void state::note_coming_or_going(const agent& a) {
  std::pair key{a.registration.node, a.registration.thread};
  auto [last, is_new] = comings_and_goings_.try_emplace(key);
  if (!is_new) digest_ -= hash_of(key, last->second);
  last->second = position_.sequence;
  digest_ += hash_of(key, last->second);
}

outcome state::apply_command(const register_agent& c, changes&) {
  std::vector<incarnation> earlier;
  for (const auto& [id, a] : agents_)
    if (id == writer_ || (a.registration.node == c.node && a.registration.thread == c.thread)) earlier.push_back(id);
  for (auto id : earlier) remove_agent(id);
  add_agent(writer_, agent{.registration = c, .last_number = 0, .registered_at = time_});
  std::pair address{c.host, c.port};
  auto [broker, is_new] = brokers_.try_emplace(address, c.node);
  if (!is_new) {
    digest_ -= hash_of(address, broker->second);
    broker->second = std::min(broker->second, c.node);
  }
  digest_ += hash_of(address, broker->second);
  return simple_outcome{};
}

outcome state::apply_command(const enable_format& c, changes&) {
  for (const auto& [id, a] : agents_)
    if (a.registration.format_max < c.format) return simple_outcome{apply_error::format_not_known};
  digest_ -= hash_of_format(format_);
  format_ = std::max(format_, c.format);
  digest_ += hash_of_format(format_);
  return simple_outcome{};
}

outcome state::apply_command(const fence_agent& c, changes&) {
  remove_agent(c.which);
  return simple_outcome{};
}

std::optional<node_id> state::broker_at(const std::string& host, std::uint16_t port) const {
  auto found = brokers_.find({host, port});
  if (found == brokers_.end()) return std::nullopt;
  return found->second;
}

// ---- topics --------------------------------------------------------------------------------------------------------

outcome state::apply_command(const create_topic& c, changes& changed) {
  if (topics_by_name_.contains(c.name) || topics_.contains(c.id)) return simple_outcome{apply_error::topic_exists};
  if (c.partitions < 1 || c.partitions > partitions_per_topic_max)
    return simple_outcome{apply_error::invalid_partitions};
  auto t =
      std::make_unique<topic>(topic{.id = c.id, .name = c.name, .created = time_, .configs = {}, .partitions = {}});
  for (const auto& config : c.configs)
    if (config.value) t->configs[config.name] = *config.value;
  t->settings = topic_settings::of(t->configs);
  t->partitions.resize(std::size_t(c.partitions));
  digest_ += hash_of(*t);
  for (std::int32_t i = 0; i < c.partitions; ++i)
    digest_ += hash_of({c.id, partition_index(i)}, t->partitions[std::size_t(i)]);
  topics_by_name_.emplace(c.name, t.get());
  topics_.emplace(c.id, std::move(t));
  changed.topics.push_back(c.id);
  return simple_outcome{};
}

outcome state::apply_command(const delete_topic& c, changes& changed) {
  auto found = topics_.find(c.id);
  if (found == topics_.end()) return simple_outcome{apply_error::unknown_topic};
  topic& t = *found->second;
  reference_counts references;
  for (std::size_t i = 0; i < t.partitions.size(); ++i) {
    const partition& p = t.partitions[i];
    topic_partition at{c.id, partition_index(std::int32_t(i))};
    digest_ -= hash_of(at, p);
    for (const auto& r : p.ranges) digest_ -= hash_of(at, r);
    for (const auto& [id, producer] : p.producers) digest_ -= hash_of(at, id, producer);
    for (const auto& r : p.ranges) ++references[r.object];
  }
  drop_references(references);
  forgive_trims(c.id);
  if (drops_.insert(c.id).second) digest_ += hash_of_drop(c.id);
  digest_ -= hash_of(t);
  for (auto group = group_offsets_.begin(); group != group_offsets_.end();) {
    auto& offsets = group->second;
    auto first = offsets.lower_bound({c.id, partition_index(0)});
    while (first != offsets.end() && first->first.topic == c.id) {
      digest_ -= hash_of(group->first, first->first, first->second);
      first = offsets.erase(first);
    }
    group = offsets.empty() ? group_offsets_.erase(group) : std::next(group);
  }
  topics_by_name_.erase(t.name);
  topics_.erase(found);
  changed.deleted.push_back(c.id);
  return simple_outcome{};
}

void state::drop_references(std::span<const range> ranges) {
  for (const auto& r : ranges) drop_references(r.object, 1);
}

// A topic has many ranges in each of few objects: together they take a fifth of the time. In whatever order; sums and maps
// come out the same.
void state::drop_references(const reference_counts& gone) {
  for (const auto& [number, ranges] : gone) drop_references(number, ranges);
}

void state::drop_references(object_number from, std::uint32_t ranges) {
  auto found = objects_.find(from);
  YAKS_CHECK(found != objects_.end() && found->second.ranges >= ranges, "a range refers to an object that is known");
  digest_ -= hash_of(found->first, found->second);
  found->second.ranges -= ranges;
  if (found->second.ranges > 0) {
    digest_ += hash_of(found->first, found->second);
  } else {  // the index may hold ranges of it: whether it can go is found out there
    digest_ += hash_of_released(found->first, found->second);
    released_.insert(objects_.extract(found));
  }
}

outcome state::apply_command(const create_partitions& c, changes& changed) {
  auto found = topics_.find(c.id);
  if (found == topics_.end()) return simple_outcome{apply_error::unknown_topic};
  topic& t = *found->second;
  auto before = std::int32_t(t.partitions.size());
  if (c.total <= before || c.total > partitions_per_topic_max) return simple_outcome{apply_error::invalid_partitions};
  digest_ -= hash_of(t);
  t.partitions.resize(std::size_t(c.total));
  digest_ += hash_of(t);
  for (auto i = before; i < c.total; ++i) digest_ += hash_of({c.id, partition_index(i)}, t.partitions[std::size_t(i)]);
  changed.topics.push_back(c.id);
  return simple_outcome{};
}

outcome state::apply_command(const alter_topic_configs& c, changes& changed) {
  auto found = topics_.find(c.id);
  if (found == topics_.end()) return simple_outcome{apply_error::unknown_topic};
  topic& t = *found->second;
  digest_ -= hash_of(t);
  for (const auto& change : c.changes)
    if (change.value)
      t.configs[change.name] = *change.value;
    else
      t.configs.erase(change.name);
  t.settings = topic_settings::of(t.configs);
  digest_ += hash_of(t);
  changed.topics.push_back(c.id);
  return simple_outcome{};
}

outcome state::apply_command(const move_log_start& c, changes& changed) {
  auto found = topics_.find(c.topic);
  if (found == topics_.end()) return log_start_outcome{apply_error::unknown_topic};
  auto& partitions = found->second->partitions;
  if (c.partition.value() < 0 || std::size_t(c.partition.value()) >= partitions.size())
    return log_start_outcome{apply_error::unknown_partition};
  partition& p = partitions[std::size_t(c.partition.value())];
  constexpr offset high_watermark{-1};
  if (c.to < high_watermark || c.to > p.high_watermark) return log_start_outcome{apply_error::offset_out_of_range};
  offset to = c.to == high_watermark ? p.high_watermark : c.to;
  if (to > p.log_start) {
    topic_partition at{c.topic, c.partition};
    digest_ -= hash_of(at, p);
    p.log_start = to;
    digest_ += hash_of(at, p);
    changed.advanced.push_back(at);
  }
  return log_start_outcome{apply_error::none, p.log_start};
}

// ---- batches -------------------------------------------------------------------------------------------------------

bool state::is_too_late(object_id name) const {
  timestamp_ms made(name.value().v7_unix_ms());
  auto writer = agents_.find(writer_);  // gone if this very entry fenced it before
  if (mutated("a late commit accepted")) return writer == agents_.end();
  return writer == agents_.end() || time_ - made > writer->second.registration.upload_deadline_ms || made < upkeep_.swept_before;
}

outcome state::apply_command(const commit_object& c, changes& changed) {
  commit_outcome out;
  bool too_late = is_too_late(c.object);
  std::uint64_t position = 0;
  std::size_t ranges = 0;
  object_number number = next_object_;
  for (const auto& t : c.topics) {
    auto found = topics_.find(t.topic);
    for (const auto& p : t.partitions) {
      apply_error error =
          too_late                 ? apply_error::commit_too_late
          : found == topics_.end() ? apply_error::unknown_topic
          : p.partition.value() < 0 || std::size_t(p.partition.value()) >= found->second->partitions.size()
              ? apply_error::unknown_partition
              : apply_error::none;
      if (error != apply_error::none) {
        out.batches.insert(out.batches.end(), p.batches.size(), batch_outcome{.error = error});
      } else {
        auto& into = found->second->partitions[std::size_t(p.partition.value())];
        auto before = into.high_watermark;
        ranges += commit_partition(t.topic, into, p, number, position, out);
        if (before < into.high_watermark) changed.advanced.push_back({t.topic, p.partition});
      }
      for (const auto& b : p.batches) position += b.bytes;
    }
  }
  if (ranges > 0) {  // an object of which nothing was accepted is an orphan: nobody refers to it
    digest_ -= hash_of_counters(next_producer_id_, next_object_);
    ++next_object_;
    digest_ += hash_of_counters(next_producer_id_, next_object_);
    object o{.id = c.object, .bytes = c.object_bytes, .ranges = std::uint32_t(ranges)};
    digest_ += hash_of(number, o);
    objects_.emplace(number, o);
  }
  return out;
}

// Accepts or rejects each batch by itself; adjacent accepted ones become one range, a rejected one splits it. Answers
// how many ranges came of it.
std::size_t state::commit_partition(topic_id id, partition& into, const partition_commit& commit, object_number object,
                                    std::uint64_t position, commit_outcome& out) {
  topic_partition at{id, commit.partition};
  bool takes_append_time = topics_.at(id)->settings.is_log_append_time;
  std::size_t ranges = 0;
  range open;  // empty while record_count is 0
  auto close_range = [&] {
    if (open.record_count == 0) return;
    digest_ += hash_of(at, open);
    into.ranges.push_back(open);
    open = {};
    ++ranges;
  };
  digest_ -= hash_of(at, into);
  for (const auto& b : commit.batches) {
    batch_outcome verdict;
    constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
    if (b.record_count == 0 || position + b.bytes > most) verdict.error = apply_error::withheld;
    auto producer = b.producer == no_producer ? into.producers.end() : into.producers.find(b.producer);
    if (verdict.error == apply_error::none && producer != into.producers.end() && !mutated("sequences unchecked"))
      verdict = producer->second.check(b);
    if (verdict.duplicate && mutated("duplicate answered with the end")) verdict.base_offset = into.high_watermark;
    if (verdict.error == apply_error::none && !verdict.duplicate) {
      verdict.base_offset = into.high_watermark;
      verdict.append_time = time_;
      // A batch's count is its sender's word, up to 2^31 - 1: three of them do not fit a range's sum.
      if (open.record_count > most - b.record_count) close_range();
      if (open.record_count == 0)
        open = {.base_offset = into.high_watermark,
                .object = object,
                .position = std::uint32_t(position),
                .batch_count = takes_append_time ? has_append_time : 0,
                .max_timestamp = takes_append_time ? time_ : b.max_timestamp};
      open.bytes += b.bytes;
      open.record_count += b.record_count;
      ++open.batch_count;
      if (!takes_append_time) open.max_timestamp = std::max(open.max_timestamp, b.max_timestamp);
      into.high_watermark += b.record_count;
      into.bytes += b.bytes;
      if (b.producer != no_producer) {
        if (producer == into.producers.end()) {
          producer = into.producers.emplace(b.producer, producer_state()).first;
          expiries_.push_back({time_, at, b.producer});
          ++producers_added_;
        } else {
          digest_ -= hash_of(at, b.producer, producer->second);
        }
        producer->second.add(b, verdict.base_offset, time_);
        digest_ += hash_of(at, b.producer, producer->second);
      }
    } else {
      close_range();
    }
    out.batches.push_back(verdict);
    position += b.bytes;
  }
  close_range();
  digest_ += hash_of(at, into);
  return ranges;
}

// A few per entry, the same ones everywhere: their order is that of the queue, their time that of the entries. More
// than the entry added, or entries that each bring many would let the queue grow for ever.
void state::expire_producers() {
  for (auto i = 8 + 2 * producers_added_; i > 0 && !expiries_.empty(); --i) {
    expiry oldest = expiries_.front();
    if (time_ - oldest.last_write < producer_expiration_ms) return;
    expiries_.pop_front();
    auto found = topics_.find(oldest.where.topic);
    if (found == topics_.end()) continue;
    // Ids of topics are never used again. A log that says otherwise must not end every agent that reads it.
    auto& partitions = found->second->partitions;
    if (std::size_t(oldest.where.partition.value()) >= partitions.size()) continue;
    auto& producers = partitions[std::size_t(oldest.where.partition.value())].producers;
    auto producer = producers.find(oldest.producer);
    if (producer == producers.end()) continue;
    if (time_ - producer->second.last_write() < producer_expiration_ms) {
      expiries_.push_back({producer->second.last_write(), oldest.where, oldest.producer});
    } else {
      digest_ -= hash_of(oldest.where, oldest.producer, producer->second);
      producers.erase(producer);
    }
  }
}

outcome state::apply_command(const allocate_producer_ids& c, changes&) {
  producer_ids_outcome out{.first = next_producer_id_, .count = c.count};
  digest_ -= hash_of_counters(next_producer_id_, next_object_);
  next_producer_id_ += c.count;
  digest_ += hash_of_counters(next_producer_id_, next_object_);
  return out;
}

// ---- groups --------------------------------------------------------------------------------------------------------

outcome state::apply_command(const commit_group_offsets& c, changes& changed) {
  group_offsets_outcome out;
  out.error = groups_.check(c);
  if (mutated("generation unchecked at offset commit") &&
      (out.error == group_error::illegal_generation || out.error == group_error::stale_member_epoch))
    out.error = group_error::none;
  if (out.error != group_error::none) return out;
  for (const auto& o : c.offsets) {
    auto found = topics_.find(o.topic);
    if (found == topics_.end()) {
      out.errors.push_back(apply_error::unknown_topic);
      continue;
    }
    if (o.partition.value() < 0 || std::size_t(o.partition.value()) >= found->second->partitions.size()) {
      out.errors.push_back(apply_error::unknown_partition);
      continue;
    }
    topic_partition at{o.topic, o.partition};
    auto& offsets = group_offsets_[c.group];
    auto [stored, is_new] = offsets.try_emplace(at);
    if (!is_new) digest_ -= hash_of(c.group, at, stored->second);
    stored->second = {o.committed, o.leader_epoch, o.metadata, time_,
                      c.retention_ms < 0 ? no_timestamp : time_ + c.retention_ms};
    digest_ += hash_of(c.group, at, stored->second);
    out.errors.push_back(apply_error::none);
  }
  changed.groups.push_back(c.group);
  return out;
}

outcome state::apply_command(const alter_group_configs& c, changes&) {
  auto found = group_configs_.find(c.group);
  if (found != group_configs_.end()) digest_ -= hash_of(c.group, found->second);
  config_values set = found != group_configs_.end() ? std::move(found->second) : config_values();
  for (const auto& change : c.changes)
    if (change.value)
      set[change.name] = *change.value;
    else
      set.erase(change.name);
  if (!set.empty()) {
    digest_ += hash_of(c.group, set);
    group_configs_[c.group] = std::move(set);
  } else if (found != group_configs_.end()) {
    group_configs_.erase(found);
  }
  return simple_outcome{};
}

outcome state::apply_command(const join_group& c, changes& changed) { return groups_.apply(c, moment(changed)); }
outcome state::apply_command(const sync_group& c, changes& changed) { return groups_.apply(c, moment(changed)); }
outcome state::apply_command(const leave_group& c, changes& changed) { return groups_.apply(c, moment(changed)); }
outcome state::apply_command(const move_home& c, changes& changed) { return groups_.apply(c, moment(changed)); }
outcome state::apply_command(const expire_member& c, changes& changed) { return groups_.apply(c, moment(changed)); }
outcome state::apply_command(const fire_group_timer& c, changes& changed) { return groups_.apply(c, moment(changed)); }

outcome state::apply_command(const consumer_heartbeat& c, changes& changed) { return groups_.apply(c, moment(changed)); }

outcome state::apply_command(const remove_group_data& c, changes& changed) {
  group_offsets_outcome out;
  changed.groups.push_back(c.group);
  const auto* g = groups_.find(c.group);
  const auto* offsets = find_group_offsets(c.group);
  if (!g && !offsets) {
    out.error = group_error::group_id_not_found;
    return out;
  }
  bool lives = g && !g->is_empty();
  switch (c.what) {
    case group_removal::group:
      if (lives) {
        out.error = group_error::non_empty_group;
        break;
      }
      while (const auto* left = find_group_offsets(c.group)) forget_offset(c.group, left->begin()->first);
      groups_.remove(c.group);
      break;
    case group_removal::offsets:
      if (lives && !g->is_of_consumers()) {
        out.error = group_error::non_empty_group;
        break;
      }
      for (auto at : c.partitions) {
        const auto* t = find_topic(at.topic);
        bool subscribed = lives && t && g->is_subscribed(t->name);
        out.subscribed.push_back(subscribed);
        out.errors.push_back(t ? apply_error::none : apply_error::unknown_topic);
        if (!subscribed) forget_offset(c.group, at);
      }
      break;
    case group_removal::expired: {
      auto expired = expired_of(c.group, c.retention_ms, time_);
      for (auto at : expired.offsets) forget_offset(c.group, at);
      if (expired.group) groups_.remove(c.group);
      break;
    }
  }
  return out;
}

void state::forget_offset(std::string_view group, topic_partition at) {
  auto offsets = group_offsets_.find(group);
  if (offsets == group_offsets_.end()) return;
  auto found = offsets->second.find(at);
  if (found == offsets->second.end()) return;
  digest_ -= hash_of(group, at, found->second);
  offsets->second.erase(found);
  if (offsets->second.empty()) group_offsets_.erase(offsets);
}

// As Kafka's OffsetExpirationConditionImpl: what a group of members has committed lives as long as the group has members and
// for the retention after that, but for topics that nobody in it reads any more; what was committed from outside of a group
// lives for the retention.
state::expired_data state::expired_of(std::string_view group, std::int64_t retention_ms, timestamp_ms now) const {
  expired_data out;
  const auto* g = groups_.find(group);
  const auto* offsets = find_group_offsets(group);
  bool is_simple = !g || g->protocol_type.empty();
  bool is_empty = !g || g->is_empty();
  if (offsets && (is_empty || g->consumer || (g->phase == group_phase::stable && g->is_of_consumers())))
    for (const auto& [at, o] : *offsets) {
      if (!is_empty) {
        const auto* t = find_topic(at.topic);
        if (!t || g->is_subscribed(t->name)) continue;
      }
      auto base = is_simple || !is_empty ? o.committed_at : g->since;
      auto expires = o.expires != no_timestamp ? o.expires : base + retention_ms;
      if (expires <= now) out.offsets.push_back(at);
    }
  out.group = g && is_empty && g->pending.empty() && (!offsets || out.offsets.size() == offsets->size());
  return out;
}

// ---- the index -----------------------------------------------------------------------------------------------------

outcome state::apply_command(const advance_index& c, changes&) {
  for (const auto& progress : c.partitions) {
    auto found = topics_.find(progress.topic);
    if (found == topics_.end() || progress.partition.value() < 0 ||
        std::size_t(progress.partition.value()) >= found->second->partitions.size())
      continue;  // deleted meanwhile
    auto& p = found->second->partitions[std::size_t(progress.partition.value())];
    if (p.index_generation != progress.generation) continue;
    auto last = p.ranges.begin();
    while (last != p.ranges.end() && last->end_offset() <= progress.end) ++last;
    topic_partition at{progress.topic, progress.partition};
    std::span<const range> leaving(p.ranges.begin(), last);
    for (const auto& r : leaving) digest_ -= hash_of(at, r);
    drop_references(leaving);
    p.ranges.erase(p.ranges.begin(), last);
    // At rest a partition has none: then nothing is kept for the next, however little it was.
    if (p.ranges.empty() || p.ranges.size() < p.ranges.capacity() / 4) p.ranges.shrink_to_fit();
  }
  return simple_outcome{};
}

// ---- upkeep --------------------------------------------------------------------------------------------------------

outcome state::apply_command(const take_upkeep& c, changes&) {
  if (c.after != upkeep_.number) return simple_outcome{apply_error::wrong_term};
  digest_ -= hash_of(upkeep_);
  ++upkeep_.number;
  upkeep_.holder = writer_;
  digest_ += hash_of(upkeep_);
  return simple_outcome{};
}

outcome state::apply_command(const trim_partitions& c, changes& changed) {
  if (c.term != upkeep_.number) return simple_outcome{apply_error::wrong_term};
  for (const auto& t : c.partitions) {
    topic_partition at{t.topic, t.partition};
    auto found = topics_.find(t.topic);
    if (found == topics_.end() || t.partition.value() < 0 || std::size_t(t.partition.value()) >= found->second->partitions.size())
      continue;
    if (trim(found->second->partitions[std::size_t(t.partition.value())], t)) changed.advanced.push_back(at);
  }
  return simple_outcome{};
}

bool state::trim(partition& p, const partition_trim& by) {
  if (by.from != p.held_from || by.to <= by.from || by.to > p.high_watermark) return false;
  // Ranges may have gone into the index since: then its bytes are others.
  if (by.index_end != std::min(by.to, p.state_begin())) return false;
  auto last = p.ranges.begin();
  while (last != p.ranges.end() && last->end_offset() <= by.to) ++last;
  if (by.to > p.state_begin() && (last == p.ranges.begin() || std::prev(last)->end_offset() != by.to)) return false;
  topic_partition at{by.topic, by.partition};
  std::span<const range> leaving(p.ranges.begin(), last);
  std::uint64_t bytes = by.index_bytes;
  digest_ -= hash_of(at, p);
  for (const auto& r : leaving) {
    bytes += r.bytes;
    digest_ -= hash_of(at, r);
  }
  drop_references(leaving);
  p.ranges.erase(p.ranges.begin(), last);
  if (p.ranges.size() < p.ranges.capacity() / 4) p.ranges.shrink_to_fit();
  p.bytes -= std::min(p.bytes, bytes);
  p.held_from = by.to;
  p.log_start = std::max(p.log_start, by.to);
  digest_ += hash_of(at, p);
  owe_trim(at, by.to);
  return true;
}

void state::owe_trim(topic_partition where, offset to) {
  auto [known, is_new] = trims_.try_emplace(where, to);
  if (!is_new) digest_ -= hash_of_trim(where, known->second);
  known->second = std::max(known->second, to);
  digest_ += hash_of_trim(where, known->second);
}

void state::forgive_trims(topic_id of) {
  for (auto t = trims_.lower_bound({of, partition_index(std::numeric_limits<std::int32_t>::min())});
       t != trims_.end() && t->first.topic == of; t = trims_.erase(t))
    digest_ -= hash_of_trim(t->first, t->second);
}

outcome state::apply_command(const settle_upkeep& c, changes&) {
  if (c.term != upkeep_.number) return simple_outcome{apply_error::wrong_term};
  for (const auto& [where, to] : c.trims) {
    auto found = trims_.find(where);
    if (found == trims_.end() || found->second > to) continue;  // it has moved on since
    digest_ -= hash_of_trim(where, found->second);
    trims_.erase(found);
  }
  for (auto id : c.drops)
    if (drops_.erase(id) > 0) digest_ -= hash_of_drop(id);
  for (auto number : c.objects)
    if (auto found = released_.find(number); found != released_.end()) {
      digest_ -= hash_of_released(number, found->second);
      released_.erase(found);
    }
  for (auto number : c.merges) settle_merge(number);
  return simple_outcome{};
}

// Its ranges lie in the index as those of `from` to `to` of each part, whatever is trimmed or deleted from here on: the index pays
// merges before trims and drops (upkeep/reclaimer.hpp).
outcome state::apply_command(const merge_object& c, changes&) {
  if (c.term != upkeep_.number) return simple_outcome{apply_error::wrong_term};
  if (is_too_late(c.object)) return simple_outcome{apply_error::commit_too_late};
  if (!may_merge(c)) return simple_outcome{apply_error::ranges_changed};
  auto number = next_object_;
  digest_ -= hash_of_counters(next_producer_id_, next_object_);
  ++next_object_;
  digest_ += hash_of_counters(next_producer_id_, next_object_);
  object o{.id = c.object, .bytes = c.object_bytes, .ranges = 1};
  digest_ += hash_of(number, o);
  objects_.emplace(number, o);
  digest_ += hash_of_merge(number, c.parts);
  merges_.emplace(number, c.parts);
  return simple_outcome{};
}

bool state::may_merge(const merge_object& c) const {
  if (c.parts.empty()) return false;
  std::set<topic_partition> named;
  for (const auto& [number, parts] : merges_)
    for (const auto& part : parts) named.insert({part.topic, part.partition});
  std::uint64_t next = 0;
  for (const auto& part : c.parts) {
    if (part.position != next || part.bytes == 0 || part.bytes > c.object_bytes - next) return false;
    next += part.bytes;
    if (next > std::numeric_limits<std::uint32_t>::max()) return false;
    topic_partition at{part.topic, part.partition};
    const auto* p = find_partition(at);
    if (!p || !named.insert(at).second || part.to <= part.from) return false;
    if (mutated("a stale merge applied")) continue;
    if (part.generation != p->index_generation || part.from < p->held_from || part.to > p->state_begin()) return false;
  }
  return true;
}

void state::settle_merge(object_number number) {
  auto merge = merges_.find(number);
  if (merge == merges_.end()) return;
  for (const auto& part : merge->second) {
    auto found = topics_.find(part.topic);
    if (found == topics_.end()) continue;  // deleted meanwhile
    topic_partition at{part.topic, part.partition};
    auto& p = found->second->partitions[std::size_t(part.partition.value())];
    digest_ -= hash_of(at, p);
    ++p.index_generation;  // what was read of the index before is not to be believed any more
    digest_ += hash_of(at, p);
  }
  digest_ -= hash_of_merge(number, merge->second);
  merges_.erase(merge);
  drop_references(number, 1);
}

outcome state::apply_command(const sweep& c, changes&) {
  digest_ -= hash_of(upkeep_);
  upkeep_.swept_before = std::max(upkeep_.swept_before, c.before);
  digest_ += hash_of(upkeep_);
  return simple_outcome{};
}

// ---- reads ---------------------------------------------------------------------------------------------------------

const topic* state::find_topic(topic_id id) const {
  auto found = topics_.find(id);
  return found == topics_.end() ? nullptr : found->second.get();
}

const topic* state::find_topic(std::string_view name) const {
  auto found = topics_by_name_.find(name);
  return found == topics_by_name_.end() ? nullptr : found->second;
}

const partition* state::find_partition(topic_partition which) const {
  const topic* t = find_topic(which.topic);
  if (!t || which.partition.value() < 0 || std::size_t(which.partition.value()) >= t->partitions.size()) return nullptr;
  return &t->partitions[std::size_t(which.partition.value())];
}

const object& state::find_object(object_number number) const {
  return objects_.at(number);
}

const std::map<topic_partition, committed_offset>* state::find_group_offsets(std::string_view group) const {
  auto found = group_offsets_.find(group);
  return found == group_offsets_.end() ? nullptr : &found->second;
}

std::vector<std::string> state::group_names() const {
  std::vector<std::string> names;
  names.reserve(group_offsets_.size());
  for (const auto& [name, offsets] : group_offsets_) names.push_back(name);
  return names;
}

const config_values* state::find_group_configs(std::string_view group) const {
  auto found = group_configs_.find(group);
  return found == group_configs_.end() ? nullptr : &found->second;
}

std::uint64_t state::recompute_digest() const {
  std::uint64_t sum = hash_of_counters(next_producer_id_, next_object_);
  for (const auto& [id, t] : topics_) {
    sum += hash_of(*t);
    for (std::size_t i = 0; i < t->partitions.size(); ++i) {
      topic_partition at{id, partition_index(std::int32_t(i))};
      const auto& p = t->partitions[i];
      sum += hash_of(at, p);
      for (const auto& r : p.ranges) sum += hash_of(at, r);
      for (const auto& [producer, known] : p.producers) sum += hash_of(at, producer, known);
    }
  }
  for (const auto& [number, o] : objects_) sum += hash_of(number, o);
  sum += hash_of(upkeep_) + hash_of_format(format_);
  for (const auto& [number, o] : released_) sum += hash_of_released(number, o);
  for (const auto& [where, to] : trims_) sum += hash_of_trim(where, to);
  for (auto id : drops_) sum += hash_of_drop(id);
  for (const auto& [number, parts] : merges_) sum += hash_of_merge(number, parts);
  for (const auto& [group, offsets] : group_offsets_)
    for (const auto& [at, o] : offsets) sum += hash_of(group, at, o);
  for (const auto& [group, set] : group_configs_) sum += hash_of(group, set);
  for (const auto& [id, a] : agents_) sum += hash_of(id, a);
  for (const auto& [address, broker] : brokers_) sum += hash_of(address, broker);
  for (const auto& [agent_thread, last] : comings_and_goings_) sum += hash_of(agent_thread, last);
  return sum + groups_.recompute_digest();
}
}  // namespace yaks::metadata
