#include "metadata/digest.hpp"

#include "base/endian.hpp"

namespace yaks::metadata {
item_hash& item_hash::id(const uuid& u) {
  return number(load_big_endian<std::uint64_t>(u.bytes.data()))
      .number(load_big_endian<std::uint64_t>(u.bytes.data() + 8));
}

namespace {
item_hash at_partition(std::string_view kind, topic_partition at) {
  return item_hash(kind).id(at.topic.value()).number(std::int64_t(at.partition.value()));
}
}  // namespace

std::uint64_t hash_of(const topic& t) {
  item_hash h("topic");
  h.id(t.id.value()).text(t.name).number(t.created.value()).number(std::uint64_t(t.partitions.size()));
  for (const auto& [name, value] : t.configs) h.text(name).text(value);
  return h.value();
}

std::uint64_t hash_of(topic_partition at, const partition& p) {
  auto h = at_partition("partition", at);
  h.number(p.log_start.value()).number(p.high_watermark.value()).number(p.bytes).number(std::uint64_t(p.index_generation));
  // Not where it never moved: digests of snapshots that were made before there was such a thing hold on.
  if (p.held_from > offset(0)) h.number(p.held_from.value());
  return h.value();
}

std::uint64_t hash_of(topic_partition at, const range& r) {
  return at_partition("range", at)
      .number(r.base_offset.value())
      .number(r.object)
      .number(std::uint64_t(r.position) << 32 | r.bytes)
      .number(std::uint64_t(r.record_count) << 32 | r.batch_count)
      .number(r.max_timestamp.value())
      .value();
}

std::uint64_t hash_of(topic_partition at, producer_id id, const producer_state& p) {
  auto h = at_partition("producer", at);
  h.number(id.value()).number(std::int64_t(p.epoch())).number(p.last_write().value());
  for (std::size_t i = 0; i < p.batches(); ++i) {
    const auto& b = p.batch(i);
    h.number(std::int64_t(b.first_sequence)).number(std::int64_t(b.last_sequence)).number(b.base_offset.value());
    h.number(b.append_time.value());
  }
  return h.value();
}

std::uint64_t hash_of(object_number number, const object& o) {
  return item_hash("object").number(number).id(o.id.value()).number(o.bytes).number(std::uint64_t(o.ranges)).value();
}

std::uint64_t hash_of_released(object_number number, const object& o) {
  return item_hash("released object").number(number).id(o.id.value()).number(o.bytes).value();
}

std::uint64_t hash_of_trim(topic_partition at, offset to) {
  return at_partition("trim", at).number(to.value()).value();
}

std::uint64_t hash_of_drop(topic_id id) {
  return item_hash("drop").id(id.value()).value();
}

std::uint64_t hash_of_format(std::uint32_t enabled) {
  return enabled == oldest_log_format ? 0 : item_hash("format").number(std::uint64_t(enabled)).value();
}

std::uint64_t hash_of_merge(object_number number, const std::vector<merged_part>& parts) {
  item_hash h("merge");
  h.number(number);
  for (const auto& p : parts)
    h.id(p.topic.value())
        .number(std::int64_t(p.partition.value()))
        .number(std::uint64_t(p.generation))
        .number(p.from.value())
        .number(p.to.value())
        .number(p.position)
        .number(p.bytes);
  return h.value();
}

std::uint64_t hash_of(const upkeep_term& t) {
  if (t == upkeep_term{}) return 0;
  return item_hash("upkeep").number(t.number).id(t.holder.value()).number(t.swept_before.value()).value();
}

std::uint64_t hash_of(std::string_view group, topic_partition at, const committed_offset& o) {
  return at_partition("committed offset", at)
      .text(group)
      .number(o.committed.value())
      .number(std::int64_t(o.leader_epoch))
      .text(o.metadata)
      .number(o.committed_at.value())
      .number(o.expires.value())
      .value();
}

std::uint64_t hash_of(std::string_view group, const config_values& set) {
  item_hash h("group settings");
  h.text(group);
  for (const auto& [name, value] : set) h.text(name).text(value);
  return h.value();
}

std::uint64_t hash_of(incarnation id, const agent& a) {
  const auto& r = a.registration;
  return item_hash("agent")
      .id(id.value())
      .number(std::int64_t(r.node.value()))
      .number(std::uint64_t(r.thread))
      .number(std::uint64_t(r.format_max))
      .number(r.upload_deadline_ms)
      .text(r.version)
      .text(r.host)
      .number(std::uint64_t(r.port))
      .text(r.zone)
      .number(r.as_of.value())
      .text(r.cache_host)
      .number(std::uint64_t(r.cache_port))
      .number(a.last_number)
      .number(a.registered_at.value())
      .value();
}

std::uint64_t hash_of(std::pair<node_id, std::uint32_t> agent_thread, log_sequence came_or_went) {
  return item_hash("coming and going")
      .number(std::int64_t(agent_thread.first.value()))
      .number(std::uint64_t(agent_thread.second))
      .number(came_or_went.value())
      .value();
}

std::uint64_t hash_of(const std::pair<std::string, std::uint16_t>& address, node_id broker) {
  return item_hash("broker").text(address.first).number(std::uint64_t(address.second)).number(std::int64_t(broker.value())).value();
}

std::uint64_t hash_of_counters(producer_id next_producer, object_number next_object) {
  return item_hash("counters").number(next_producer.value()).number(next_object).value();
}
}  // namespace yaks::metadata
