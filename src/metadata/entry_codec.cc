#include "metadata/entry_codec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <utility>

#include "metadata/fields.hpp"

namespace yaks::metadata {
namespace {
// The kinds of sections. Numbers are for ever: a command that is dropped leaves a hole.
enum class section : std::uint64_t {
  register_agent = 1,
  fence_agent = 2,
  create_topic = 3,
  delete_topic = 4,
  create_partitions = 5,
  alter_topic_configs = 6,
  commit_object = 7,
  allocate_producer_ids = 8,
  commit_group_offsets = 9,
  advance_index = 10,
  join_group = 11,
  sync_group = 12,
  leave_group = 13,
  move_home = 14,
  expire_member = 15,
  fire_group_timer = 16,
  remove_group_data = 17,
  consumer_heartbeat = 18,
  alter_group_configs = 20,
  move_log_start = 21,
  take_upkeep = 30,
  trim_partitions = 31,
  settle_upkeep = 32,
  sweep = 33,
  merge_object = 34,
  enable_format = 40,
};
inline constexpr std::uint64_t location_object = 0;  // 1 is kept for bytes that travel in the entry itself

using fields::in;
using fields::out;

section kind_of(const register_agent&) {
  return section::register_agent;
}
section kind_of(const fence_agent&) {
  return section::fence_agent;
}
section kind_of(const create_topic&) {
  return section::create_topic;
}
section kind_of(const delete_topic&) {
  return section::delete_topic;
}
section kind_of(const create_partitions&) {
  return section::create_partitions;
}
section kind_of(const alter_topic_configs&) {
  return section::alter_topic_configs;
}
section kind_of(const commit_object&) {
  return section::commit_object;
}
section kind_of(const allocate_producer_ids&) {
  return section::allocate_producer_ids;
}
section kind_of(const commit_group_offsets&) {
  return section::commit_group_offsets;
}
section kind_of(const advance_index&) {
  return section::advance_index;
}
section kind_of(const alter_group_configs&) {
  return section::alter_group_configs;
}
section kind_of(const move_log_start&) {
  return section::move_log_start;
}
section kind_of(const take_upkeep&) {
  return section::take_upkeep;
}
section kind_of(const trim_partitions&) {
  return section::trim_partitions;
}
section kind_of(const settle_upkeep&) {
  return section::settle_upkeep;
}
section kind_of(const enable_format&) {
  return section::enable_format;
}
section kind_of(const sweep&) {
  return section::sweep;
}
section kind_of(const merge_object&) {
  return section::merge_object;
}

section kind_of(const join_group&) {
  return section::join_group;
}
section kind_of(const sync_group&) {
  return section::sync_group;
}
section kind_of(const leave_group&) {
  return section::leave_group;
}
section kind_of(const move_home&) {
  return section::move_home;
}
section kind_of(const expire_member&) {
  return section::expire_member;
}
section kind_of(const fire_group_timer&) {
  return section::fire_group_timer;
}
section kind_of(const remove_group_data&) {
  return section::remove_group_data;
}

section kind_of(const consumer_heartbeat&) {
  return section::consumer_heartbeat;
}

void put(out& to, const register_agent& c) {
  to.signed_number(c.node.value());
  to.number(c.thread);
  to.number(c.format_max);
  to.signed_number(c.upload_deadline_ms);
  to.text(c.version);
  to.text(c.host);
  to.number(c.port);
  to.text(c.zone);
  to.number(std::uint64_t(c.as_of.value()));
  if (c.cache_port == 0 && c.cache_host.empty()) return;
  to.text(c.cache_host);
  to.number(c.cache_port);
}
void get(in& from, register_agent& c) {
  c.node = node_id(from.narrow<std::int32_t>());
  c.thread = from.narrow<std::uint32_t>();
  c.format_max = from.narrow<std::uint32_t>();
  c.upload_deadline_ms = from.signed_number();
  c.version = from.text();
  c.host = from.text();
  c.port = from.narrow<std::uint16_t>();
  c.zone = from.text();
  c.as_of = log_sequence(std::int64_t(from.number()));
  if (from.left.empty()) return;
  c.cache_host = from.text();
  c.cache_port = from.narrow<std::uint16_t>();
}

void put(out& to, const fence_agent& c) {
  to.id(c.which.value());
}
void get(in& from, fence_agent& c) {
  c.which = incarnation(from.id());
}

void put(out& to, const create_topic& c) {
  to.id(c.id.value());
  to.text(c.name);
  to.number(std::uint32_t(c.partitions));
  to.configs(c.configs);
}
void get(in& from, create_topic& c) {
  c.id = topic_id(from.id());
  c.name = from.text();
  c.partitions = from.natural();
  c.configs = from.configs();
}

void put(out& to, const delete_topic& c) {
  to.id(c.id.value());
}
void get(in& from, delete_topic& c) {
  c.id = topic_id(from.id());
}

void put(out& to, const create_partitions& c) {
  to.id(c.id.value());
  to.number(std::uint32_t(c.total));
}
void get(in& from, create_partitions& c) {
  c.id = topic_id(from.id());
  c.total = from.natural();
}

void put(out& to, const alter_topic_configs& c) {
  to.id(c.id.value());
  to.configs(c.changes);
}
void get(in& from, alter_topic_configs& c) {
  c.id = topic_id(from.id());
  c.changes = from.configs();
}

void put(out& to, const commit_object& c) {
  to.number(location_object);
  to.id(c.object.value());
  to.number(c.object_bytes);
  std::int64_t time = 0;
  for (const auto& t : c.topics)
    for (const auto& p : t.partitions)
      for (const auto& b : p.batches)
        if (time == 0) time = b.max_timestamp.value();
  to.signed_number(time);
  std::int64_t producer = 0;
  to.number(c.topics.size());
  for (const auto& t : c.topics) {
    to.id(t.topic.value());
    to.number(t.partitions.size());
    std::int64_t partition = 0;
    for (const auto& p : t.partitions) {
      to.delta(partition, p.partition.value());
      to.number(p.batches.size());
      for (const auto& b : p.batches) {
        bool has_producer = b.producer != no_producer;
        to.number(std::uint64_t(b.bytes) << 1 | has_producer);
        to.number(b.record_count);
        to.delta(time, b.max_timestamp.value());
        if (!has_producer) continue;
        to.delta(producer, b.producer.value());
        to.signed_number(b.producer_epoch);
        to.signed_number(b.base_sequence);
      }
    }
  }
}
void get(in& from, commit_object& c) {
  if (from.number() != location_object)
    throw log_format_error("the metadata log holds batches at a kind of place that this version of yaks does not know");
  c.object = object_id(from.id());
  c.object_bytes = from.number();
  std::int64_t time = from.signed_number(), producer = 0;
  c.topics.resize(from.count(17));
  for (auto& t : c.topics) {
    t.topic = topic_id(from.id());
    t.partitions.resize(from.count(2));
    std::int64_t partition = 0;
    for (auto& p : t.partitions) {
      if (!std::in_range<std::int32_t>(from.delta(partition))) in::broken();
      p.partition = partition_index(std::int32_t(partition));
      p.batches.resize(from.count(3));
      for (auto& b : p.batches) {
        auto bytes = from.number();
        if (!std::in_range<std::uint32_t>(bytes >> 1)) in::broken();
        b.bytes = std::uint32_t(bytes >> 1);
        b.record_count = from.narrow<std::uint32_t>();
        b.max_timestamp = timestamp_ms(from.delta(time));
        if ((bytes & 1) == 0) continue;
        b.producer = producer_id(from.delta(producer));
        b.producer_epoch = from.narrow<std::int16_t>();
        b.base_sequence = from.narrow<std::int32_t>();
      }
    }
  }
}

void put(out& to, const allocate_producer_ids& c) {
  to.number(c.count);
}
void get(in& from, allocate_producer_ids& c) {
  c.count = from.narrow<std::uint32_t>();
}

void put(out& to, const commit_group_offsets& c) {
  to.text(c.group);
  to.number(c.offsets.size());
  for (const auto& o : c.offsets) {
    to.id(o.topic.value());
    to.number(std::uint32_t(o.partition.value()));
    to.signed_number(o.committed.value());
    to.signed_number(o.leader_epoch);
    to.text(o.metadata);
  }
  if (c.member.empty() && !c.instance && c.generation == -1 && c.retention_ms == -1) return;
  to.text(c.member);
  to.optional_text(c.instance);
  to.signed_number(c.generation);
  to.signed_number(c.retention_ms);
}
void get(in& from, commit_group_offsets& c) {
  c.group = from.text();
  c.offsets.resize(from.count(20));
  for (auto& o : c.offsets) {
    o.topic = topic_id(from.id());
    o.partition = partition_index(from.natural());
    o.committed = offset(from.signed_number());
    o.leader_epoch = from.narrow<std::int32_t>();
    o.metadata = from.text();
  }
  if (from.left.empty()) return;  // from outside of a group
  c.member = from.text();
  c.instance = from.optional_text();
  c.generation = from.narrow<std::int32_t>();
  c.retention_ms = from.signed_number();
}

void put(out& to, const join_group& c) {
  to.text(c.group);
  to.text(c.member);
  to.text(c.new_member);
  to.optional_text(c.instance);
  to.text(c.client_id);
  to.text(c.client_host);
  to.signed_number(c.session_timeout_ms);
  to.signed_number(c.rebalance_timeout_ms);
  to.text(c.protocol_type);
  to.number(c.protocols.size());
  for (const auto& p : c.protocols) {
    to.text(p.name);
    to.text(p.metadata);
  }
  to.number(std::uint64_t(c.needs_member_id) | std::uint64_t(c.can_skip_assignment) << 1);
  to.number(c.request);
  to.number(c.initial_delay_ms);
  to.number(c.members_max);
}
void get(in& from, join_group& c) {
  c.group = from.text();
  c.member = from.text();
  c.new_member = from.text();
  c.instance = from.optional_text();
  c.client_id = from.text();
  c.client_host = from.text();
  c.session_timeout_ms = from.narrow<std::int32_t>();
  c.rebalance_timeout_ms = from.narrow<std::int32_t>();
  c.protocol_type = from.text();
  c.protocols.resize(from.count(2));
  for (auto& p : c.protocols) {
    p.name = from.text();
    p.metadata = from.text();
  }
  auto flags = from.number();
  c.needs_member_id = (flags & 1) != 0;
  c.can_skip_assignment = (flags & 2) != 0;
  c.request = from.number();
  c.initial_delay_ms = from.narrow<std::uint32_t>();
  c.members_max = from.narrow<std::uint32_t>();
}

void put(out& to, const sync_group& c) {
  to.text(c.group);
  to.text(c.member);
  to.optional_text(c.instance);
  to.signed_number(c.generation);
  to.optional_text(c.protocol_type);
  to.optional_text(c.protocol);
  to.number(c.assignments.size());
  for (const auto& a : c.assignments) {
    to.text(a.member);
    to.text(a.assignment);
  }
  to.number(c.request);
}
void get(in& from, sync_group& c) {
  c.group = from.text();
  c.member = from.text();
  c.instance = from.optional_text();
  c.generation = from.narrow<std::int32_t>();
  c.protocol_type = from.optional_text();
  c.protocol = from.optional_text();
  c.assignments.resize(from.count(2));
  for (auto& a : c.assignments) {
    a.member = from.text();
    a.assignment = from.text();
  }
  c.request = from.number();
}

void put(out& to, const leave_group& c) {
  to.text(c.group);
  to.number(c.members.size());
  for (const auto& m : c.members) {
    to.text(m.member);
    to.optional_text(m.instance);
  }
}
void get(in& from, leave_group& c) {
  c.group = from.text();
  c.members.resize(from.count(2));
  for (auto& m : c.members) {
    m.member = from.text();
    m.instance = from.optional_text();
  }
}

void put(out& to, const move_home& c) {
  to.text(c.group);
  to.text(c.member);
}
void get(in& from, move_home& c) {
  c.group = from.text();
  c.member = from.text();
}

void put(out& to, const expire_member& c) {
  to.text(c.group);
  to.text(c.member);
  to.number(c.home_epoch);
}
void get(in& from, expire_member& c) {
  c.group = from.text();
  c.member = from.text();
  c.home_epoch = from.number();
}

void put(out& to, const fire_group_timer& c) {
  to.text(c.group);
  to.number(c.timer);
}
void get(in& from, fire_group_timer& c) {
  c.group = from.text();
  c.timer = from.number();
}

void put(out& to, const remove_group_data& c) {
  to.text(c.group);
  to.number(std::uint64_t(c.what));
  to.number(c.partitions.size());
  for (const auto& p : c.partitions) {
    to.id(p.topic.value());
    to.signed_number(p.partition.value());
  }
  to.signed_number(c.retention_ms);
}
void get(in& from, remove_group_data& c) {
  c.group = from.text();
  auto what = from.number();
  if (what > std::uint64_t(group_removal::expired)) in::broken();
  c.what = group_removal(what);
  c.partitions.resize(from.count(17));
  for (auto& p : c.partitions) {
    p.topic = topic_id(from.id());
    p.partition = partition_index(from.narrow<std::int32_t>());
  }
  c.retention_ms = from.signed_number();
}

void put(out& to, const consumer_heartbeat& c) {
  to.text(c.group);
  to.text(c.member);
  to.signed_number(c.epoch);
  to.optional_text(c.instance);
  to.optional_text(c.rack);
  to.signed_number(c.rebalance_timeout_ms);
  auto names = [&](const std::optional<std::vector<std::string>>& list) {
    to.number(list ? list->size() + 1 : 0);
    if (list)
      for (const auto& name : *list) to.text(name);
  };
  names(c.topics);
  to.optional_text(c.regex);
  names(c.regex_matches);
  to.optional_text(c.assignor);
  to.number(c.owned ? c.owned->size() + 1 : 0);
  if (c.owned)
    for (const auto& p : *c.owned) {
      to.id(p.topic.value());
      to.signed_number(p.partition.value());
    }
  to.text(c.client_id);
  to.text(c.client_host);
  to.signed_number(c.session_timeout_ms);
  to.number(c.members_max);
}
void get(in& from, consumer_heartbeat& c) {
  c.group = from.text();
  c.member = from.text();
  c.epoch = from.narrow<std::int32_t>();
  c.instance = from.optional_text();
  c.rack = from.optional_text();
  c.rebalance_timeout_ms = from.narrow<std::int32_t>();
  // One more than there are; 0 where there is no list.
  auto names = [&]() -> std::optional<std::vector<std::string>> {
    auto n = from.number();
    if (n == 0) return std::nullopt;
    if (n - 1 > from.left.size()) in::broken();
    std::vector<std::string> list(std::size_t(n - 1));
    for (auto& name : list) name = from.text();
    return list;
  };
  c.topics = names();
  c.regex = from.optional_text();
  c.regex_matches = names();
  c.assignor = from.optional_text();
  if (auto n = from.number(); n > 0) {
    if (n - 1 > from.left.size() / 17) in::broken();
    c.owned.emplace(std::size_t(n - 1));
    for (auto& p : *c.owned) {
      p.topic = topic_id(from.id());
      p.partition = partition_index(from.narrow<std::int32_t>());
    }
  }
  c.client_id = from.text();
  c.client_host = from.text();
  c.session_timeout_ms = from.narrow<std::int32_t>();
  c.members_max = from.narrow<std::uint32_t>();
}

void put(out& to, const advance_index& c) {
  to.number(c.partitions.size());
  for (const auto& p : c.partitions) {
    to.id(p.topic.value());
    to.signed_number(p.partition.value());
    to.number(p.generation);
    to.signed_number(p.end.value());
  }
}
void get(in& from, advance_index& c) {
  c.partitions.resize(from.count(19));
  for (auto& p : c.partitions) {
    p.topic = topic_id(from.id());
    p.partition = partition_index(from.narrow<std::int32_t>());
    p.generation = from.narrow<std::uint32_t>();
    p.end = offset(from.signed_number());
  }
}

void put(out& to, const alter_group_configs& c) {
  to.text(c.group);
  to.configs(c.changes);
}
void get(in& from, alter_group_configs& c) {
  c.group = from.text();
  c.changes = from.configs();
}

void put(out& to, const move_log_start& c) {
  to.id(c.topic.value());
  to.signed_number(c.partition.value());
  to.signed_number(c.to.value());
}
void get(in& from, move_log_start& c) {
  c.topic = topic_id(from.id());
  c.partition = partition_index(from.narrow<std::int32_t>());
  c.to = offset(from.signed_number());
}

void put(out& to, const take_upkeep& c) {
  to.number(c.after);
}
void get(in& from, take_upkeep& c) {
  c.after = from.number();
}

void put(out& to, const trim_partitions& c) {
  to.number(c.term);
  to.number(c.partitions.size());
  for (const auto& p : c.partitions) {
    to.id(p.topic.value());
    to.signed_number(p.partition.value());
    std::int64_t at = 0;
    to.delta(at, p.from.value());
    to.delta(at, p.to.value());
    to.delta(at, p.index_end.value());
    to.number(p.index_bytes);
  }
}
void get(in& from, trim_partitions& c) {
  c.term = from.number();
  c.partitions.resize(from.count(21));
  for (auto& p : c.partitions) {
    p.topic = topic_id(from.id());
    p.partition = partition_index(from.narrow<std::int32_t>());
    std::int64_t at = 0;
    p.from = offset(from.delta(at));
    p.to = offset(from.delta(at));
    p.index_end = offset(from.delta(at));
    p.index_bytes = from.number();
  }
}

void put(out& to, const settle_upkeep& c) {
  to.number(c.term);
  to.number(c.trims.size());
  for (const auto& [where, end] : c.trims) {
    to.id(where.topic.value());
    to.signed_number(where.partition.value());
    to.signed_number(end.value());
  }
  to.number(c.drops.size());
  for (auto id : c.drops) to.id(id.value());
  to.number(c.objects.size());
  std::int64_t number = 0;
  for (auto o : c.objects) to.delta(number, std::int64_t(o));
  if (c.merges.empty()) return;
  to.number(c.merges.size());
  number = 0;
  for (auto o : c.merges) to.delta(number, std::int64_t(o));
}
void get(in& from, settle_upkeep& c) {
  c.term = from.number();
  c.trims.resize(from.count(18));
  for (auto& [where, end] : c.trims) {
    where.topic = topic_id(from.id());
    where.partition = partition_index(from.narrow<std::int32_t>());
    end = offset(from.signed_number());
  }
  c.drops.resize(from.count(16));
  for (auto& id : c.drops) id = topic_id(from.id());
  c.objects.resize(from.count(1));
  std::int64_t number = 0;
  for (auto& o : c.objects) o = std::uint64_t(from.delta(number));
  if (from.left.empty()) return;
  c.merges.resize(from.count(1));
  number = 0;
  for (auto& o : c.merges) o = std::uint64_t(from.delta(number));
}

void put(out& to, const std::vector<merged_part>& parts) {
  to.number(parts.size());
  for (const auto& p : parts) {
    to.id(p.topic.value());
    to.signed_number(p.partition.value());
    to.number(p.generation);
    std::int64_t at = 0;
    to.delta(at, p.from.value());
    to.delta(at, p.to.value());
    to.number(p.position);
    to.number(p.bytes);
  }
}
void get(in& from, std::vector<merged_part>& parts) {
  parts.resize(from.count(22));
  for (auto& p : parts) {
    p.topic = topic_id(from.id());
    p.partition = partition_index(from.narrow<std::int32_t>());
    p.generation = from.narrow<std::uint32_t>();
    std::int64_t at = 0;
    p.from = offset(from.delta(at));
    p.to = offset(from.delta(at));
    p.position = from.number();
    p.bytes = from.number();
  }
}
void put(out& to, const merge_object& c) {
  to.number(c.term);
  to.id(c.object.value());
  to.number(c.object_bytes);
  put(to, c.parts);
}
void get(in& from, merge_object& c) {
  c.term = from.number();
  c.object = object_id(from.id());
  c.object_bytes = from.number();
  get(from, c.parts);
}

void put(out& to, const sweep& c) {
  to.signed_number(c.before.value());
}
void get(in& from, sweep& c) {
  c.before = timestamp_ms(from.signed_number());
}

void put(out& to, const enable_format& c) {
  to.number(c.format);
}
void get(in& from, enable_format& c) {
  c.format = from.narrow<std::uint32_t>();
}

template <class Command>
command get_command(in from) {
  Command c;
  get(from, c);
  return c;
}
}  // namespace

entry_writer::entry_writer() {
  buffer_.push_back(char(entry_format));
}

void entry_writer::add(const command& c) {
  add_section(encode_section(c));
}

void entry_writer::add_section(std::string_view section) {
  buffer_.append(section);
  ++commands_;
}

shared_bytes entry_writer::take() {
  return shared_bytes::copy_of(as_bytes(buffer_));
}

std::string encode_section(const command& c) {
  std::string body, section;
  out fields{body}, to{section};
  auto kind = std::visit([&](const auto& known) { return put(fields, known), kind_of(known); }, c);
  section.reserve(body.size() + 2 * varint_bytes_max);
  to.number(std::uint64_t(kind) << 1 | 1);
  to.text(body);
  return section;
}

std::vector<command> decode_entry(byte_view payload) {
  in from{payload};
  auto format = std::to_integer<int>(from.bytes(1)[0]);
  if (format != entry_format)
    throw log_format_error(fmt::format(
        "the metadata log holds an entry of format {}, and this version of yaks reads format {}: run a newer yaks",
        format, entry_format));
  std::vector<command> commands;
  while (!from.left.empty()) {
    auto kind = from.number();
    in body{from.bytes(from.number())};
    switch (section(kind >> 1)) {
      case section::register_agent:
        commands.push_back(get_command<register_agent>(body));
        continue;
      case section::fence_agent:
        commands.push_back(get_command<fence_agent>(body));
        continue;
      case section::create_topic:
        commands.push_back(get_command<create_topic>(body));
        continue;
      case section::delete_topic:
        commands.push_back(get_command<delete_topic>(body));
        continue;
      case section::create_partitions:
        commands.push_back(get_command<create_partitions>(body));
        continue;
      case section::alter_topic_configs:
        commands.push_back(get_command<alter_topic_configs>(body));
        continue;
      case section::commit_object:
        commands.push_back(get_command<commit_object>(body));
        continue;
      case section::allocate_producer_ids:
        commands.push_back(get_command<allocate_producer_ids>(body));
        continue;
      case section::commit_group_offsets:
        commands.push_back(get_command<commit_group_offsets>(body));
        continue;
      case section::advance_index:
        commands.push_back(get_command<advance_index>(body));
        continue;
      case section::alter_group_configs:
        commands.push_back(get_command<alter_group_configs>(body));
        continue;
      case section::move_log_start:
        commands.push_back(get_command<move_log_start>(body));
        continue;
      case section::join_group:
        commands.push_back(get_command<join_group>(body));
        continue;
      case section::sync_group:
        commands.push_back(get_command<sync_group>(body));
        continue;
      case section::leave_group:
        commands.push_back(get_command<leave_group>(body));
        continue;
      case section::move_home:
        commands.push_back(get_command<move_home>(body));
        continue;
      case section::expire_member:
        commands.push_back(get_command<expire_member>(body));
        continue;
      case section::fire_group_timer:
        commands.push_back(get_command<fire_group_timer>(body));
        continue;
      case section::consumer_heartbeat:
        commands.push_back(get_command<consumer_heartbeat>(body));
        continue;
      case section::remove_group_data:
        commands.push_back(get_command<remove_group_data>(body));
        continue;
      case section::take_upkeep:
        commands.push_back(get_command<take_upkeep>(body));
        continue;
      case section::trim_partitions:
        commands.push_back(get_command<trim_partitions>(body));
        continue;
      case section::settle_upkeep:
        commands.push_back(get_command<settle_upkeep>(body));
        continue;
      case section::merge_object:
        commands.push_back(get_command<merge_object>(body));
        continue;
      case section::sweep:
        commands.push_back(get_command<sweep>(body));
        continue;
      case section::enable_format:
        commands.push_back(get_command<enable_format>(body));
        continue;
    }
    if ((kind & 1) != 0)
      throw log_format_error(fmt::format(
          "the metadata log holds a command (kind {}) that this version of yaks does not know: run a newer yaks",
          kind >> 1));
  }
  return commands;
}
}  // namespace yaks::metadata
