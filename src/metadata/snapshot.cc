#include "metadata/snapshot.hpp"

#include <fmt/format.h>

#include "base/endian.hpp"
#include "metadata/digest.hpp"
#include "metadata/fields.hpp"
#include "records/crc32c.hpp"

namespace yaks::metadata {
namespace {
constexpr std::string_view magic = "YAKSSNP1";
// Numbers are for ever.
enum class part : std::uint64_t { counters = 1, agents = 2, brokers = 3, objects = 4, topic = 5, group = 6, expiries = 7, groups = 8, group_configs = 20, upkeep = 30, merges = 31, format = 40 };

void add(std::string& to, part kind, const std::string& body) {
  fields::out out{to};
  out.number(std::uint64_t(kind) << 1 | 1);
  out.text(body);
}

void put(fields::out& out, const append_id& id) {
  out.id(id.writer.value());
  out.number(id.number);
}
append_id get_append_id(fields::in& in) {
  append_id id;
  id.writer = incarnation(in.id());
  id.number = in.number();
  return id;
}

void put(fields::out& out, const member_home& home) {
  out.id(home.agent.value());
  out.number(home.epoch);
}
member_home get_home(fields::in& in) {
  member_home home;
  home.agent = incarnation(in.id());
  home.epoch = in.number();
  return home;
}

void put(fields::out& out, const std::set<topic_partition>& partitions) {
  out.number(partitions.size());
  for (const auto& p : partitions) {
    out.id(p.topic.value());
    out.signed_number(p.partition.value());
  }
}
void get(fields::in& in, std::set<topic_partition>& partitions) {
  for (auto n = in.count(17); n > 0; --n) {
    topic_partition p;
    p.topic = topic_id(in.id());
    p.partition = partition_index(in.narrow<std::int32_t>());
    partitions.insert(p);
  }
}
void put(fields::out& out, const std::vector<std::string>& names) {
  out.number(names.size());
  for (const auto& name : names) out.text(name);
}
void get(fields::in& in, std::vector<std::string>& names) {
  names.resize(in.count(1));
  for (auto& name : names) name = in.text();
}

void put(fields::out& out, const consumer_group& g) {
  out.signed_number(g.epoch);
  out.signed_number(g.target_epoch);
  out.text(g.assignor);
  out.number(g.topics_sum);
  out.number(g.members.size());
  for (const auto& [id, m] : g.members) {
    out.text(id);
    out.optional_text(m.instance);
    out.optional_text(m.rack);
    out.text(m.client_id);
    out.text(m.client_host);
    out.signed_number(m.session_timeout_ms);
    out.signed_number(m.rebalance_timeout_ms);
    put(out, m.topics);
    out.text(m.regex);
    out.text(m.assignor);
    out.signed_number(m.epoch);
    out.signed_number(m.previous_epoch);
    out.number(std::uint64_t(m.phase));
    put(out, m.assigned);
    put(out, m.revoking);
    out.signed_number(m.revoke_by.value());
    put(out, m.home);
    out.number(m.classic.size());
    for (const auto& p : m.classic) {
      out.text(p.name);
      out.text(p.metadata);
    }
  }
  out.number(g.target.size());
  for (const auto& [id, target] : g.target) {
    out.text(id);
    put(out, target);
  }
  out.number(g.regexes.size());
  for (const auto& [regex, matches] : g.regexes) {
    out.text(regex);
    put(out, matches);
  }
}
void get(fields::in& in, consumer_group& g) {
  g.epoch = in.narrow<std::int32_t>();
  g.target_epoch = in.narrow<std::int32_t>();
  g.assignor = in.text();
  g.topics_sum = in.number();
  for (auto n = in.count(36); n > 0; --n) {
    auto id = in.text();
    auto& m = g.members[id];
    m.instance = in.optional_text();
    m.rack = in.optional_text();
    m.client_id = in.text();
    m.client_host = in.text();
    m.session_timeout_ms = in.narrow<std::int32_t>();
    m.rebalance_timeout_ms = in.narrow<std::int32_t>();
    get(in, m.topics);
    m.regex = in.text();
    m.assignor = in.text();
    m.epoch = in.narrow<std::int32_t>();
    m.previous_epoch = in.narrow<std::int32_t>();
    auto phase = in.number();
    if (phase > std::uint64_t(reconcile_phase::unreleased)) fields::in::broken();
    m.phase = reconcile_phase(phase);
    get(in, m.assigned);
    get(in, m.revoking);
    m.revoke_by = timestamp_ms(in.signed_number());
    m.home = get_home(in);
    m.classic.resize(in.count(2));
    for (auto& p : m.classic) {
      p.name = in.text();
      p.metadata = in.text();
    }
    m.content = content_hash(m);
    for (const auto* set : {&m.assigned, &m.revoking})
      for (const auto& p : *set) g.owners[p] = id;
  }
  for (auto n = in.count(2); n > 0; --n) {
    auto id = in.text();
    get(in, g.target[id]);
  }
  for (auto n = in.count(2); n > 0; --n) {
    auto regex = in.text();
    get(in, g.regexes[regex]);
  }
}

void put(fields::out& out, const std::string& name, const group& g) {
  out.text(name);
  out.number(std::uint64_t(g.phase));
  out.signed_number(g.generation);
  out.text(g.protocol_type);
  out.optional_text(g.protocol);
  out.text(g.leader);
  out.signed_number(g.since.value());
  out.number(std::uint64_t(g.was_empty) | std::uint64_t(g.member_added) << 1);
  out.number(g.initial_delay_ms);
  out.signed_number(g.delay_left_ms);
  out.number(std::uint64_t(g.timer_kind));
  out.number(g.timer);
  out.signed_number(g.deadline.value());
  out.number(g.members.size());
  for (const auto& [id, m] : g.members) {
    out.text(id);
    out.optional_text(m.instance);
    out.text(m.client_id);
    out.text(m.client_host);
    out.signed_number(m.session_timeout_ms);
    out.signed_number(m.rebalance_timeout_ms);
    out.number(m.protocols.size());
    for (const auto& p : m.protocols) {
      out.text(p.name);
      out.text(p.metadata);
    }
    out.text(m.assignment);
    put(out, m.home);
    out.number(m.join_request);
    out.number(m.sync_request);
    out.number(m.has_synced);
  }
  out.number(g.pending.size());
  for (const auto& [id, p] : g.pending) {
    out.text(id);
    out.signed_number(p.session_timeout_ms);
    put(out, p.home);
  }
  out.number(g.consumer.has_value());
  if (g.consumer) put(out, *g.consumer);
}

// Behind the groups, of those members that have such epochs.
void put(fields::out& out, const std::string& name, const std::string& member, const std::map<topic_partition, std::int32_t>& since) {
  out.text(name);
  out.text(member);
  out.number(since.size());
  for (const auto& [p, epoch] : since) {
    out.id(p.topic.value());
    out.signed_number(p.partition.value());
    out.signed_number(epoch);
  }
}

void get(fields::in& in, group& g) {
  auto phase = in.number();
  if (phase > std::uint64_t(group_phase::stable)) fields::in::broken();
  g.phase = group_phase(phase);
  g.generation = in.narrow<std::int32_t>();
  g.protocol_type = in.text();
  g.protocol = in.optional_text();
  g.leader = in.text();
  g.since = timestamp_ms(in.signed_number());
  auto flags = in.number();
  g.was_empty = (flags & 1) != 0;
  g.member_added = (flags & 2) != 0;
  g.initial_delay_ms = in.narrow<std::uint32_t>();
  g.delay_left_ms = in.signed_number();
  auto kind = in.number();
  if (kind > std::uint64_t(group_timer_kind::revoke)) fields::in::broken();
  g.timer_kind = group_timer_kind(kind);
  g.timer = in.number();
  g.deadline = timestamp_ms(in.signed_number());
  for (auto n = in.count(27); n > 0; --n) {
    auto& m = g.members[in.text()];
    m.instance = in.optional_text();
    m.client_id = in.text();
    m.client_host = in.text();
    m.session_timeout_ms = in.narrow<std::int32_t>();
    m.rebalance_timeout_ms = in.narrow<std::int32_t>();
    m.protocols.resize(in.count(2));
    for (auto& p : m.protocols) {
      p.name = in.text();
      p.metadata = in.text();
    }
    m.assignment = in.text();
    m.home = get_home(in);
    m.join_request = in.number();
    m.sync_request = in.number();
    m.has_synced = in.number() != 0;
    m.content = content_hash(m);
  }
  for (auto n = in.count(19); n > 0; --n) {
    auto& p = g.pending[in.text()];
    p.session_timeout_ms = in.narrow<std::int32_t>();
    p.home = get_home(in);
  }
  if (in.number() != 0) get(in, g.consumer.emplace());
}
}  // namespace

shared_bytes snapshot_codec::encode(const state& s) {
  std::string all(magic), body;
  auto section = [&](part kind, auto&& write) {
    body.clear();
    fields::out out{body};
    write(out);
    add(all, kind, body);
  };
  section(part::counters, [&](fields::out& out) {
    out.number(std::uint64_t(s.position_.sequence.value()));
    put(out, s.position_.id);
    out.signed_number(s.time_.value());
    out.number(s.next_object_);
    out.signed_number(s.next_producer_id_.value());
    out.number(s.digest());
  });
  section(part::agents, [&](fields::out& out) {
    out.number(s.agents_.size());
    for (const auto& [id, a] : s.agents_) {
      out.id(id.value());
      out.number(a.last_number);
      out.signed_number(a.registered_at.value());
      // As in the log, so that a registration's fields are known in one place.
      auto registration = encode_section(command(a.registration));
      out.text(registration);
    }
    out.number(s.comings_and_goings_.size());
    for (const auto& [key, last] : s.comings_and_goings_) {
      out.signed_number(key.first.value());
      out.number(key.second);
      out.number(std::uint64_t(last.value()));
    }
  });
  section(part::brokers, [&](fields::out& out) {
    out.number(s.brokers_.size());
    for (const auto& [address, id] : s.brokers_) {
      out.text(address.first);
      out.number(address.second);
      out.signed_number(id.value());
    }
  });
  section(part::objects, [&](fields::out& out) {
    out.number(s.objects_.size());
    std::int64_t number = 0;
    for (const auto& [n, o] : s.objects_) {
      out.delta(number, std::int64_t(n));
      out.id(o.id.value());
      out.number(o.bytes);
      out.number(o.ranges);
    }
  });
  for (const auto& [name, t] : s.topics_by_name_)
    section(part::topic, [&, topic = t](fields::out& out) {
      out.id(topic->id.value());
      out.text(topic->name);
      out.signed_number(topic->created.value());
      out.number(topic->configs.size());
      for (const auto& [config, value] : topic->configs) {
        out.text(config);
        out.text(value);
      }
      out.number(topic->partitions.size());
      for (const auto& p : topic->partitions) {
        out.number(std::uint64_t(p.log_start.value()));
        out.number(std::uint64_t(p.high_watermark.value()));
        out.number(p.bytes);
        out.number(p.index_generation);
        out.number(p.ranges.size());
        std::int64_t base = 0, object = 0, position = 0, time = 0;
        for (const auto& r : p.ranges) {
          out.delta(base, r.base_offset.value());
          out.delta(object, std::int64_t(r.object));
          out.delta(position, r.position);
          out.number(r.bytes);
          out.number(r.record_count);
          out.number(r.batch_count);
          out.delta(time, r.max_timestamp.value());
        }
        out.number(p.producers.size());
        for (const auto& [id, known] : p.producers) {
          out.signed_number(id.value());
          out.signed_number(known.epoch_);
          out.signed_number(known.last_write_.value());
          out.number(known.count_);
          for (std::size_t i = 0; i < known.count_; ++i) {
            const auto& b = known.batches_[i];
            out.signed_number(b.first_sequence);
            out.signed_number(b.last_sequence);
            out.signed_number(b.base_offset.value());
            out.signed_number(b.append_time.value());
          }
        }
      }
    });
  for (const auto& [group, offsets] : s.group_offsets_)
    section(part::group, [&, &name = group, &committed = offsets](fields::out& out) {
      out.text(name);
      out.number(committed.size());
      for (const auto& [at, o] : committed) {
        out.id(at.topic.value());
        out.signed_number(at.partition.value());
        out.signed_number(o.committed.value());
        out.signed_number(o.leader_epoch);
        out.text(o.metadata);
        out.signed_number(o.committed_at.value());
      }
      for (const auto& [at, o] : committed) out.signed_number(o.expires.value());
    });
  section(part::groups, [&](fields::out& out) {
    out.number(s.groups_.last_number_);
    out.number(s.groups_.groups_.size());
    for (const auto& [group, g] : s.groups_.groups_) put(out, group, g);
    for (const auto& [group, g] : s.groups_.groups_)
      if (g.consumer)
        for (const auto& [id, m] : g.consumer->members)
          if (!m.since.empty()) put(out, group, id, m.since);
  });
  if (!s.group_configs_.empty())
    section(part::group_configs, [&](fields::out& out) {
      out.number(s.group_configs_.size());
      for (const auto& [group, set] : s.group_configs_) {
        out.text(group);
        out.number(set.size());
        for (const auto& [config, value] : set) {
          out.text(config);
          out.text(value);
        }
      }
    });
  if (s.format_ != oldest_log_format) section(part::format, [&](fields::out& out) { out.number(s.format_); });
  section(part::upkeep, [&](fields::out& out) {
    out.number(s.upkeep_.number);
    out.id(s.upkeep_.holder.value());
    out.signed_number(s.upkeep_.swept_before.value());
    out.number(s.released_.size());
    std::int64_t number = 0;
    for (const auto& [n, o] : s.released_) {
      out.delta(number, std::int64_t(n));
      out.id(o.id.value());
      out.number(o.bytes);
    }
    out.number(s.trims_.size());
    for (const auto& [where, to] : s.trims_) {
      out.id(where.topic.value());
      out.signed_number(where.partition.value());
      out.signed_number(to.value());
    }
    out.number(s.drops_.size());
    for (auto id : s.drops_) out.id(id.value());
    std::vector<std::pair<topic_partition, offset>> held;
    for (const auto& [name, t] : s.topics_by_name_)
      for (std::size_t i = 0; i < t->partitions.size(); ++i)
        if (t->partitions[i].held_from > offset(0)) held.push_back({{t->id, partition_index(std::int32_t(i))}, t->partitions[i].held_from});
    out.number(held.size());
    for (const auto& [where, from] : held) {
      out.id(where.topic.value());
      out.signed_number(where.partition.value());
      out.signed_number(from.value());
    }
  });
  if (!s.merges_.empty())
    section(part::merges, [&](fields::out& out) {
      out.number(s.merges_.size());
      std::int64_t number = 0;
      for (const auto& [n, parts] : s.merges_) {
        out.delta(number, std::int64_t(n));
        // As in the log, so that its fields are known in one place.
        auto as_command = encode_section(command(merge_object{.term = 0, .object = {}, .object_bytes = 0, .parts = parts}));
        out.text(as_command);
      }
    });
  section(part::expiries, [&](fields::out& out) {
    out.number(s.expiries_.size());
    for (const auto& e : s.expiries_) {
      out.signed_number(e.last_write.value());
      out.id(e.where.topic.value());
      out.signed_number(e.where.partition.value());
      out.signed_number(e.producer.value());
    }
  });
  std::byte crc[4];
  store_big_endian(crc, records::crc32c(as_bytes(all)));
  all.append(reinterpret_cast<const char*>(crc), sizeof crc);
  return shared_bytes::copy_of(as_bytes(all));
}

state snapshot_codec::decode(byte_view bytes) {
  if (bytes.size() < magic.size() + 4 || as_text(bytes.first(magic.size())) != magic)
    throw log_format_error("these bytes are no snapshot of the metadata, or one of a newer version of yaks");
  auto crc = load_big_endian<std::uint32_t>(bytes.data() + bytes.size() - 4);
  bytes = bytes.first(bytes.size() - 4);
  if (records::crc32c(bytes) != crc) throw log_format_error("a snapshot of the metadata is damaged: its checksum does not match");
  state s;
  std::uint64_t digest = 0;
  fields::in in{bytes.subspan(magic.size())};
  while (!in.left.empty()) {
    auto kind = in.number();
    fields::in from{in.bytes(in.number())};
    switch (part(kind >> 1)) {
      case part::counters:
        s.position_.sequence = log_sequence(std::int64_t(from.number()));
        s.position_.id = get_append_id(from);
        s.time_ = timestamp_ms(from.signed_number());
        s.next_object_ = from.number();
        s.next_producer_id_ = producer_id(from.signed_number());
        digest = from.number();
        continue;
      case part::agents:
        for (auto n = from.count(18); n > 0; --n) {
          incarnation id(from.id());
          agent a;
          a.last_number = from.number();
          a.registered_at = timestamp_ms(from.signed_number());
          entry_writer entry;
          entry.add_section(from.text());
          auto commands = decode_entry(entry.take().view());
          auto* registration = commands.size() == 1 ? std::get_if<register_agent>(&commands.front()) : nullptr;
          if (!registration) fields::in::broken();
          a.registration = std::move(*registration);
          s.agents_.emplace(id, std::move(a));
        }
        for (auto n = from.count(3); n > 0; --n) {
          node_id node(from.narrow<std::int32_t>());
          auto thread = from.narrow<std::uint32_t>();
          s.comings_and_goings_[{node, thread}] = log_sequence(std::int64_t(from.number()));
        }
        continue;
      case part::brokers:
        for (auto n = from.count(3); n > 0; --n) {
          auto host = from.text();
          auto port = from.narrow<std::uint16_t>();
          s.brokers_[{std::move(host), port}] = node_id(from.narrow<std::int32_t>());
        }
        continue;
      case part::objects: {
        std::int64_t number = 0;
        for (auto n = from.count(19); n > 0; --n) {
          auto& o = s.objects_[object_number(from.delta(number))];
          o.id = object_id(from.id());
          o.bytes = from.number();
          o.ranges = from.narrow<std::uint32_t>();
        }
        continue;
      }
      case part::topic: {
        auto t = std::make_unique<topic>();
        t->id = topic_id(from.id());
        t->name = from.text();
        t->created = timestamp_ms(from.signed_number());
        for (auto n = from.count(2); n > 0; --n) {
          auto config = from.text();
          t->configs[std::move(config)] = from.text();
        }
        t->settings = topic_settings::of(t->configs);
        t->partitions.resize(from.count(6));
        for (auto& p : t->partitions) {
          p.log_start = offset(std::int64_t(from.number()));
          p.high_watermark = offset(std::int64_t(from.number()));
          p.bytes = from.number();
          p.index_generation = from.narrow<std::uint32_t>();
          p.ranges.resize(from.count(7));
          std::int64_t base = 0, object = 0, position = 0, time = 0;
          for (auto& r : p.ranges) {
            r.base_offset = offset(from.delta(base));
            r.object = object_number(from.delta(object));
            r.position = std::uint32_t(from.delta(position));
            r.bytes = from.narrow<std::uint32_t>();
            r.record_count = from.narrow<std::uint32_t>();
            r.batch_count = from.narrow<std::uint32_t>();
            r.max_timestamp = timestamp_ms(from.delta(time));
          }
          for (auto n = from.count(4); n > 0; --n) {
            producer_id id(from.signed_number());
            auto& known = p.producers[id];
            known.epoch_ = from.narrow<std::int16_t>();
            known.last_write_ = timestamp_ms(from.signed_number());
            auto count = from.number();
            if (count > producer_state::window) fields::in::broken();
            known.count_ = std::uint8_t(count);
            for (std::size_t i = 0; i < count; ++i) {
              auto& b = known.batches_[i];
              b.first_sequence = from.narrow<std::int32_t>();
              b.last_sequence = from.narrow<std::int32_t>();
              b.base_offset = offset(from.signed_number());
              b.append_time = timestamp_ms(from.signed_number());
            }
          }
        }
        if (s.topics_by_name_.contains(t->name) || s.topics_.contains(t->id)) fields::in::broken();
        s.topics_by_name_.emplace(t->name, t.get());
        auto id = t->id;
        s.topics_.emplace(id, std::move(t));
        continue;
      }
      case part::group: {
        auto& offsets = s.group_offsets_[from.text()];
        for (auto n = from.count(21); n > 0; --n) {
          topic_partition at;
          at.topic = topic_id(from.id());
          at.partition = partition_index(from.narrow<std::int32_t>());
          auto& o = offsets[at];
          o.committed = offset(from.signed_number());
          o.leader_epoch = from.narrow<std::int32_t>();
          o.metadata = from.text();
          o.committed_at = timestamp_ms(from.signed_number());
        }
        if (!from.left.empty())  // written before commits could expire by themselves
          for (auto& [at, o] : offsets) o.expires = timestamp_ms(from.signed_number());
        continue;
      }
      case part::group_configs:
        for (auto n = from.count(2); n > 0; --n) {
          auto& set = s.group_configs_[from.text()];
          for (auto configs = from.count(2); configs > 0; --configs) {
            auto config = from.text();
            set[std::move(config)] = from.text();
          }
        }
        continue;
      case part::groups:
        s.groups_.last_number_ = from.number();
        for (auto n = from.count(20); n > 0; --n) {
          auto name = from.text();
          get(from, s.groups_.groups_[name]);
        }
        while (!from.left.empty()) {
          auto g = s.groups_.groups_.find(from.text());
          auto id = from.text();
          if (g == s.groups_.groups_.end() || !g->second.consumer) fields::in::broken();
          auto m = g->second.consumer->members.find(id);
          if (m == g->second.consumer->members.end()) fields::in::broken();
          for (auto n = from.count(18); n > 0; --n) {
            topic_partition p;
            p.topic = topic_id(from.id());
            p.partition = partition_index(from.narrow<std::int32_t>());
            m->second.since[p] = from.narrow<std::int32_t>();
          }
          m->second.content = content_hash(m->second);
        }
        for (const auto& [name, g] : s.groups_.groups_) {
          s.groups_.index(name, g);
          s.groups_.digest_ += hash_of(name, g);
        }
        continue;
      case part::format:
        s.format_ = from.narrow<std::uint32_t>();
        continue;
      case part::upkeep: {
        s.upkeep_.number = from.number();
        s.upkeep_.holder = incarnation(from.id());
        s.upkeep_.swept_before = timestamp_ms(from.signed_number());
        std::int64_t number = 0;
        for (auto n = from.count(18); n > 0; --n) {
          auto& o = s.released_[object_number(from.delta(number))];
          o.id = object_id(from.id());
          o.bytes = from.number();
        }
        for (auto n = from.count(18); n > 0; --n) {
          topic_partition where;
          where.topic = topic_id(from.id());
          where.partition = partition_index(from.narrow<std::int32_t>());
          s.trims_[where] = offset(from.signed_number());
        }
        for (auto n = from.count(16); n > 0; --n) s.drops_.insert(topic_id(from.id()));
        for (auto n = from.count(18); n > 0; --n) {  // topics come before this part
          auto t = s.topics_.find(topic_id(from.id()));
          auto partition = from.narrow<std::int32_t>();
          if (t == s.topics_.end() || partition < 0 || std::size_t(partition) >= t->second->partitions.size()) fields::in::broken();
          t->second->partitions[std::size_t(partition)].held_from = offset(from.signed_number());
        }
        continue;
      }
      case part::merges: {
        std::int64_t number = 0;
        for (auto n = from.count(2); n > 0; --n) {
          auto merged = object_number(from.delta(number));
          entry_writer entry;
          entry.add_section(from.text());
          auto commands = decode_entry(entry.take().view());
          auto* merge = commands.size() == 1 ? std::get_if<merge_object>(&commands.front()) : nullptr;
          if (!merge) fields::in::broken();
          s.merges_.emplace(merged, std::move(merge->parts));
        }
        continue;
      }
      case part::expiries:
        for (auto n = from.count(19); n > 0; --n) {
          state::expiry e;
          e.last_write = timestamp_ms(from.signed_number());
          e.where.topic = topic_id(from.id());
          e.where.partition = partition_index(from.narrow<std::int32_t>());
          e.producer = producer_id(from.signed_number());
          s.expiries_.push_back(e);
        }
        continue;
    }
    if ((kind & 1) != 0)
      throw log_format_error(fmt::format("a snapshot of the metadata has a part (kind {}) that this version of yaks does not "
                                         "know: run a newer yaks", kind >> 1));
  }
  s.digest_ = s.recompute_digest() - s.groups_.digest();
  if (s.digest() != digest) throw log_format_error("a snapshot of the metadata does not have the digest that was written into it");
  return s;
}
}  // namespace yaks::metadata
