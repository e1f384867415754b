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
enum class part : std::uint64_t { counters = 1, agents = 2, brokers = 3, objects = 4, topic = 5, group = 6, expiries = 7, group_configs = 20 };

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
    out.number(s.digest_);
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
  s.digest_ = s.recompute_digest();
  if (s.digest_ != digest) throw log_format_error("a snapshot of the metadata does not have the digest that was written into it");
  return s;
}
}  // namespace yaks::metadata
