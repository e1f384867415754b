#include "model/topic_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/check.hpp"
#include "model/config_tables.hpp"

namespace yaks {
namespace {
using enum config_type;
using enum config_effect;
constexpr std::string_view no_segments = "Accepted without effect: there are no segment files to shape or to flush.";
constexpr std::string_view no_replicas = "Accepted without effect: there are no replicas.";
constexpr std::string_view not_compacted =
    "Accepted without effect for now: topics with cleanup.policy=compact are not compacted yet.";

constexpr resource_config topics[] = {
    {"cleanup.policy", list, "delete", "log.cleanup.policy", "delete,compact", acts,
     "What happens to old records. \"delete\" drops them by retention.ms and retention.bytes. \"compact\" makes every "
     "record need a "
     "key and keeps all of them: such a topic is never cut by retention, unless \"delete\" is named too, and is not "
     "compacted yet. "
     "An empty list keeps all records."},
    {"compression.gzip.level", integer, "-1", "compression.gzip.level", "1..9|-1", acts,
     "How hard batches are compressed where compression.type is gzip; -1: the codec's default."},
    {"compression.lz4.level", integer, "9", "compression.lz4.level", "1..17", acts,
     "How hard batches are compressed where compression.type is lz4."},
    {"compression.type", string, "producer", "compression.type", "producer,uncompressed,gzip,snappy,lz4,zstd", acts,
     "How batches are stored. \"producer\" keeps them as they were sent, which costs nothing; with anything else a "
     "batch that is "
     "compressed differently is compressed again by the agent that takes it."},
    {"compression.zstd.level", integer, "3", "compression.zstd.level", "-131072..22", acts,
     "How hard batches are compressed where compression.type is zstd."},
    {"delete.retention.ms", long_integer, "86400000", "log.cleaner.delete.retention.ms", "0..9223372036854775807",
     explained, not_compacted},
    {"file.delete.delay.ms", long_integer, "60000", "log.segment.delete.delay.ms", "0..9223372036854775807", explained,
     no_segments},
    {"flush.messages", long_integer, "9223372036854775807", "log.flush.interval.messages", "1..9223372036854775807",
     explained, "Accepted without effect: an acknowledged record is in the object store already."},
    {"flush.ms", long_integer, "9223372036854775807", "log.flush.interval.ms", "0..9223372036854775807", explained,
     "Accepted without effect: an acknowledged record is in the object store already. How long a record waits to be "
     "written is "
     "yaks.flush.interval.ms."},
    {"follower.replication.throttled.replicas", list, "", "", "", explained, no_replicas},
    {"index.interval.bytes", integer, "4096", "log.index.interval.bytes", "0..2147483647", explained, no_segments},
    {"leader.replication.throttled.replicas", list, "", "", "", explained, no_replicas},
    {"local.retention.bytes", long_integer, "-2", "log.local.retention.bytes", "-2..9223372036854775807", explained,
     "Accepted without effect: agents keep nothing locally."},
    {"local.retention.ms", long_integer, "-2", "log.local.retention.ms", "-2..9223372036854775807", explained,
     "Accepted without effect: agents keep nothing locally."},
    {"max.compaction.lag.ms", long_integer, "9223372036854775807", "log.cleaner.max.compaction.lag.ms",
     "1..9223372036854775807", explained, not_compacted},
    {"max.message.bytes", integer, "", "message.max.bytes", "0..2147483647", acts,
     "The largest record batch that the topic takes, in bytes, compressed as it was sent."},
    {"message.timestamp.after.max.ms", long_integer, "3600000", "log.message.timestamp.after.max.ms",
     "0..9223372036854775807", acts,
     "How far after the agent's clock a record's timestamp may lie. Not looked at with LogAppendTime."},
    {"message.timestamp.before.max.ms", long_integer, "9223372036854775807", "log.message.timestamp.before.max.ms",
     "0..9223372036854775807", acts,
     "How far before the agent's clock a record's timestamp may lie. Not looked at with LogAppendTime."},
    {"message.timestamp.type", string, "CreateTime", "log.message.timestamp.type", "CreateTime,LogAppendTime", acts,
     "Whether records keep the timestamps of their producers (CreateTime) or get the time at which they were stored "
     "(LogAppendTime)."},
    {"min.cleanable.dirty.ratio", real, "0.5", "log.cleaner.min.cleanable.ratio", "0..1", explained, not_compacted},
    {"min.compaction.lag.ms", long_integer, "0", "log.cleaner.min.compaction.lag.ms", "0..9223372036854775807",
     explained, not_compacted},
    {"min.insync.replicas", integer, "1", "min.insync.replicas", "1..2147483647", explained,
     "Accepted, and always met: there are no replicas to wait for, an acknowledged record is as durable as the object "
     "store and "
     "the database."},
    {"preallocate", boolean, "false", "log.preallocate", "true,false", explained, no_segments},
    {"remote.log.copy.disable", boolean, "false", "", "false", explained,
     "Only \"false\": every record is in the object store already."},
    {"remote.log.delete.on.disable", boolean, "false", "", "false", explained,
     "Only \"false\": every record is in the object store already."},
    {"remote.storage.enable", boolean, "false", "", "false", explained,
     "Only \"false\": every record is in the object store already."},
    {"retention.bytes", long_integer, "-1", "log.retention.bytes", "-9223372036854775808..9223372036854775807", acts,
     "How many bytes each partition keeps; the oldest records beyond go. Below 0: no limit."},
    {"retention.ms", long_integer, "604800000", "log.retention.ms", "-1..9223372036854775807", acts,
     "How long records are kept. -1: for ever."},
    {"segment.bytes", integer, "1073741824", "log.segment.bytes", "1048576..2147483647", explained, no_segments},
    {"segment.index.bytes", integer, "10485760", "log.index.size.max.bytes", "4..2147483647", explained, no_segments},
    {"segment.jitter.ms", long_integer, "0", "log.roll.jitter.ms", "0..9223372036854775807", explained, no_segments},
    {"segment.ms", long_integer, "604800000", "log.roll.ms", "1..9223372036854775807", explained, no_segments},
    {"unclean.leader.election.enable", boolean, "false", "unclean.leader.election.enable", "true,false", explained,
     "Accepted without effect: there are no replicas to elect a leader from."},
    {"yaks.flush.interval.ms", integer, "", "yaks.flush.interval.ms", "1..60000", acts,
     "How long a record of this topic waits at most before it is written to the object store, if the budget of small "
     "objects "
     "(YAKS_FLUSH_INTERVAL_MS) does not let it be written earlier. Below that setting: faster, and more PUTs; above "
     "it: the topic's "
     "records alone cause no object before the time is up."},
};

// The bounds are those that Kafka's brokers have by default (group.consumer.min.session.timeout.ms and so on).
constexpr resource_config groups[] = {
    {"consumer.heartbeat.interval.ms", integer, "5000", "group.consumer.heartbeat.interval.ms", "5000..15000", acts,
     "How often members of the group heartbeat, with the consumer protocol."},
    {"consumer.session.timeout.ms", integer, "45000", "group.consumer.session.timeout.ms", "45000..60000", acts,
     "Without a heartbeat for so long a member is out, with the consumer protocol."},
};

template <class Number>
std::optional<Number> parse(std::string_view text) {
  Number n{};
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);  // as in Java
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

std::string_view trimmed(std::string_view s) {
  while (s.starts_with(' ')) s.remove_prefix(1);
  while (s.ends_with(' ')) s.remove_suffix(1);
  return s;
}

std::string in_lower_case(std::string_view s) {
  std::string lower(s);
  std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  return lower;
}

std::string_view type_name(config_type type) {
  switch (type) {
    case boolean:
      return "true or false";
    case string:
      return "a string";
    case integer:
      return "an integer";
    case short_integer:
      return "a short integer";
    case long_integer:
      return "a long integer";
    case real:
      return "a number";
    case list:
      return "a list";
  }
  return "?";
}

// Calls `each` with the items of a list, until it answers false.
template <class Each>
bool all_items(std::string_view list, Each&& each) {
  while (!list.empty()) {
    auto comma = std::min(list.find(','), list.size());
    if (!each(trimmed(list.substr(0, comma)))) return false;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return true;
}

bool is_one_of(std::string_view value, std::string_view allowed) {
  return !all_items(allowed, [&](std::string_view item) { return item != value; });
}

// Of "min..max" and "min..max|other".
bool is_in_range(std::int64_t n, std::string_view allowed) {
  auto dots = allowed.find("..");
  auto bar = std::min(allowed.find('|'), allowed.size());
  if (bar < allowed.size() && n == parse<std::int64_t>(allowed.substr(bar + 1))) return true;
  return n >= *parse<std::int64_t>(allowed.substr(0, dots)) &&
         n <= *parse<std::int64_t>(allowed.substr(dots + 2, bar - dots - 2));
}

// "0:1", the only lists without a fixed set of items.
bool is_partition_and_broker(std::string_view item) {
  auto colon = std::min(item.find(':'), item.size());
  auto is_number = [](std::string_view digits) {
    return !digits.empty() && digits.find_first_not_of("0123456789") == digits.npos;
  };
  return colon < item.size() && is_number(item.substr(0, colon)) && is_number(item.substr(colon + 1));
}

const resource_config* find(std::span<const resource_config> table, std::string_view name) {
  auto found = std::ranges::lower_bound(table, name, {}, &resource_config::name);
  return found != table.end() && found->name == name ? &*found : nullptr;
}

// Why a value may not be set, as the end of a sentence.
std::optional<std::string> fault_of(const resource_config& config, std::string_view value) {
  switch (config.type) {
    case integer:
    case short_integer:
    case long_integer: {
      auto n = parse<std::int64_t>(trimmed(value));
      if (!n) return fmt::format("not {}", type_name(config.type));
      if (!is_in_range(*n, config.allowed)) return fmt::format("must be in {}", config.allowed);
      return std::nullopt;
    }
    case real: {
      auto n = parse<double>(trimmed(value));
      if (!n) return "not a number";
      if (!(*n >= 0 && *n <= 1)) return "must be between 0 and 1";
      return std::nullopt;
    }
    case list: {
      if (trimmed(value).empty()) return std::nullopt;
      if (config.allowed.empty())
        return trimmed(value) == "*" || all_items(value, is_partition_and_broker)
                   ? std::nullopt
                   : std::optional<std::string>("must be * or [partitionId]:[brokerId],[partitionId]:[brokerId],...");
      if (!all_items(value, [&](std::string_view item) { return is_one_of(item, config.allowed); }))
        return fmt::format("must name only of: {}", config.allowed);
      return std::nullopt;
    }
    case boolean: {
      if (!is_one_of(in_lower_case(trimmed(value)), config.allowed))
        return fmt::format("must be one of: {}", config.allowed);
      return std::nullopt;
    }
    case string:
      if (!config.allowed.empty() && !is_one_of(trimmed(value), config.allowed))
        return fmt::format("must be one of: {}", config.allowed);
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<std::string> reject(const resource_config& config, std::string_view value) {
  auto fault = fault_of(config, value);
  if (!fault) return std::nullopt;
  return fmt::format("Invalid value {} for configuration {}: {}", value, config.name, *fault);
}

// What was set and is a value, else the default, else nothing.
std::optional<std::string_view> value_of(std::span<const resource_config> table, const config_values& set,
                                         std::string_view name) {
  const auto* config = find(table, name);
  YAKS_CHECK(config, "only settings of the table are asked for");
  if (auto found = set.find(name); found != set.end() && !fault_of(*config, found->second))
    return trimmed(found->second);
  if (config->default_value.empty()) return std::nullopt;
  return config->default_value;
}

std::optional<std::int64_t> number_of(std::span<const resource_config> table, const config_values& set,
                                      std::string_view name) {
  auto text = value_of(table, set, name);
  return text ? parse<std::int64_t>(*text) : std::nullopt;
}

std::optional<std::int8_t> codec_of(std::string_view name) {
  constexpr std::string_view codecs[] = {"uncompressed", "gzip", "snappy", "lz4", "zstd"};
  auto found = std::ranges::find(codecs, name);
  if (found == std::end(codecs)) return std::nullopt;
  return std::int8_t(found - std::begin(codecs));
}
}  // namespace

std::span<const resource_config> topic_configs() {
  return topics;
}
std::span<const resource_config> group_configs() {
  return groups;
}
const resource_config* find_topic_config(std::string_view name) {
  return find(topics, name);
}
const resource_config* find_group_config(std::string_view name) {
  return find(groups, name);
}

std::string normal_config_value(const resource_config& config, std::string_view value) {
  value = trimmed(value);
  switch (config.type) {
    case boolean:
      return in_lower_case(value);
    case integer:
    case short_integer:
    case long_integer:
    case real:
      if (value.starts_with('+')) value.remove_prefix(1);
      return std::string(value);
    case list: {
      std::string items;
      all_items(value, [&](std::string_view item) {
        if (!items.empty()) items += ',';
        items += item;
        return true;
      });
      return items;
    }
    case string:
      return std::string(value);
  }
  return std::string(value);
}

std::optional<std::string> reject_topic_config(std::string_view name, std::string_view value) {
  const auto* config = find_topic_config(name);
  if (!config) return fmt::format("Unknown topic config name: {}", name);
  return reject(*config, value);
}

std::optional<std::string> reject_group_config(std::string_view name, std::string_view value) {
  const auto* config = find_group_config(name);
  if (!config) return fmt::format("Unknown group config name: {}", name);
  return reject(*config, value);
}

std::optional<std::string> reject_topic_configs(const config_values& set) {
  auto least = *number_of(topics, set, "min.compaction.lag.ms"),
       most = *number_of(topics, set, "max.compaction.lag.ms");
  if (least <= most) return std::nullopt;
  return fmt::format("conflict topic config setting min.compaction.lag.ms ({}) > max.compaction.lag.ms ({})", least,
                     most);
}

std::optional<std::string> reject_group_configs(const config_values& set) {
  auto s = group_settings::of(&set);
  if (s.consumer_session_timeout_ms > s.consumer_heartbeat_interval_ms) return std::nullopt;
  return "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms";
}

std::string configs_as_markdown() {
  std::string text;
  for (auto [title, table] : {std::pair{"topic", topic_configs()}, {"group", group_configs()}}) {
    text += fmt::format("| {} setting | default | values | |\n|---|---|---|---|\n", title);
    for (const auto& c : table) {
      std::string allowed(c.allowed);
      for (std::size_t at = 0; (at = allowed.find('|', at)) != allowed.npos; at += 4) allowed.replace(at, 1, " or ");
      for (std::size_t at = 0; (at = allowed.find(',', at)) != allowed.npos; at += 2) allowed.replace(at, 1, ", ");
      text +=
          fmt::format("| `{}` | {} | {} | {} |\n", c.name,
                      c.default_value.empty() ? "" : fmt::format("`{}`", c.default_value), allowed, c.documentation);
    }
    text += "\n";
  }
  text.pop_back();
  return text;
}

topic_settings topic_settings::of(const config_values& set) {
  auto number = [&](std::string_view name) { return number_of(topics, set, name); };
  auto text = [&](std::string_view name) { return *value_of(topics, set, name); };
  topic_settings s;
  if (auto bytes = number("max.message.bytes")) s.message_bytes_max = std::uint32_t(*bytes);
  s.flush_interval_ms = number("yaks.flush.interval.ms");
  s.compression = codec_of(text("compression.type"));
  s.gzip_level = int(*number("compression.gzip.level"));
  s.lz4_level = int(*number("compression.lz4.level"));
  s.zstd_level = int(*number("compression.zstd.level"));
  s.is_log_append_time = text("message.timestamp.type") == "LogAppendTime";
  s.timestamp_before_max_ms = *number("message.timestamp.before.max.ms");
  s.timestamp_after_max_ms = *number("message.timestamp.after.max.ms");
  s.deletes = is_one_of("delete", text("cleanup.policy"));
  s.compacts = is_one_of("compact", text("cleanup.policy"));
  s.retention_ms = *number("retention.ms");
  s.retention_bytes = std::max<std::int64_t>(*number("retention.bytes"), -1);
  return s;
}

group_settings group_settings::of(const config_values* set) {
  static const config_values none;
  auto number = [&](std::string_view name) { return std::int32_t(*number_of(groups, set ? *set : none, name)); };
  return {.consumer_session_timeout_ms = number("consumer.session.timeout.ms"),
          .consumer_heartbeat_interval_ms = number("consumer.heartbeat.interval.ms")};
}
}  // namespace yaks
