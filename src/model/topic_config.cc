#include "model/topic_config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/check.hpp"

namespace yaks {
namespace {
using enum config_type;
constexpr topic_config table[] = {
    {"cleanup.policy", list, "delete", "log.cleanup.policy", "delete,compact",
     "What happens to old records: \"delete\" drops them by retention; \"compact\" is accepted, and nothing is compacted yet."},
    {"compression.type", string, "producer", "compression.type", "producer,uncompressed,gzip,snappy,lz4,zstd",
     "Batches are kept as the producer sent them, whatever is set here."},
    {"delete.retention.ms", long_integer, "86400000", "log.cleaner.delete.retention.ms", "0..9223372036854775807",
     "How long the marker of a deleted key stays in a compacted topic."},
    {"file.delete.delay.ms", long_integer, "60000", "log.segment.delete.delay.ms", "0..9223372036854775807",
     "Has no effect: there are no segment files."},
    {"flush.messages", long_integer, "9223372036854775807", "log.flush.interval.messages", "1..9223372036854775807",
     "Has no effect: every acknowledged record is in the object store."},
    {"flush.ms", long_integer, "9223372036854775807", "log.flush.interval.ms", "0..9223372036854775807",
     "Has no effect: every acknowledged record is in the object store."},
    {"follower.replication.throttled.replicas", list, "", "follower.replication.throttled.replicas", "",
     "Has no effect: there are no replicas."},
    {"index.interval.bytes", integer, "4096", "log.index.interval.bytes", "0..2147483647",
     "Has no effect: there are no segment files."},
    {"leader.replication.throttled.replicas", list, "", "leader.replication.throttled.replicas", "",
     "Has no effect: there are no replicas."},
    {"local.retention.bytes", long_integer, "-2", "log.local.retention.bytes", "-2..9223372036854775807",
     "Has no effect: nothing is kept locally."},
    {"local.retention.ms", long_integer, "-2", "log.local.retention.ms", "-2..9223372036854775807",
     "Has no effect: nothing is kept locally."},
    {"max.compaction.lag.ms", long_integer, "9223372036854775807", "log.cleaner.max.compaction.lag.ms",
     "1..9223372036854775807", "How long a record may stay uncompacted in a compacted topic."},
    {"max.message.bytes", integer, "1048588", "message.max.bytes", "0..2147483647",
     "The largest record batch that the topic takes, in bytes."},
    {"message.timestamp.after.max.ms", long_integer, "3600000", "log.message.timestamp.after.max.ms",
     "0..9223372036854775807", "How far in the future a record's timestamp may lie."},
    {"message.timestamp.before.max.ms", long_integer, "9223372036854775807", "log.message.timestamp.before.max.ms",
     "0..9223372036854775807", "How far in the past a record's timestamp may lie."},
    {"message.timestamp.type", string, "CreateTime", "log.message.timestamp.type", "CreateTime",
     "Records keep the timestamps that their producers gave them."},
    {"min.cleanable.dirty.ratio", real, "0.5", "log.cleaner.min.cleanable.ratio", "0..1",
     "How much of a compacted topic must be uncompacted before it is compacted."},
    {"min.compaction.lag.ms", long_integer, "0", "log.cleaner.min.compaction.lag.ms", "0..9223372036854775807",
     "How long a record stays uncompacted at least in a compacted topic."},
    {"min.insync.replicas", integer, "1", "min.insync.replicas", "1..2147483647",
     "Accepted, and always met: an acknowledged record is as durable as the object store and the database."},
    {"preallocate", boolean, "false", "log.preallocate", "true,false", "Has no effect: there are no segment files."},
    {"remote.storage.enable", boolean, "false", "remote.storage.enable", "false",
     "Every record is in the object store already."},
    {"retention.bytes", long_integer, "-1", "log.retention.bytes", "-1..9223372036854775807",
     "How many bytes each partition keeps; -1: no limit. Stored; not enforced yet."},
    {"retention.ms", long_integer, "604800000", "log.retention.ms", "-1..9223372036854775807",
     "How long records are kept; -1: for ever. Stored; not enforced yet."},
    {"segment.bytes", integer, "1073741824", "log.segment.bytes", "14..2147483647",
     "Has no effect: there are no segment files."},
    {"segment.index.bytes", integer, "10485760", "log.index.size.max.bytes", "4..2147483647",
     "Has no effect: there are no segment files."},
    {"segment.jitter.ms", long_integer, "0", "log.roll.jitter.ms", "0..9223372036854775807",
     "Has no effect: there are no segment files."},
    {"segment.ms", long_integer, "604800000", "log.roll.ms", "1..9223372036854775807",
     "Has no effect: there are no segment files."},
    {"unclean.leader.election.enable", boolean, "false", "unclean.leader.election.enable", "true,false",
     "Has no effect: there are no replicas to elect."},
};

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t n = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

std::string_view type_name(config_type type) {
  switch (type) {
    case boolean: return "true or false";
    case string: return "a string";
    case integer: return "an integer";
    case short_integer: return "a short integer";
    case long_integer: return "a long integer";
    case real: return "a number";
    case list: return "a list";
  }
  return "?";
}

bool is_one_of(std::string_view value, std::string_view allowed) {
  while (!allowed.empty()) {
    auto comma = std::min(allowed.find(','), allowed.size());
    if (allowed.substr(0, comma) == value) return true;
    allowed.remove_prefix(std::min(comma + 1, allowed.size()));
  }
  return false;
}
}  // namespace

std::span<const topic_config> topic_configs() { return table; }

const topic_config* find_topic_config(std::string_view name) {
  auto found = std::lower_bound(std::begin(table), std::end(table), name,
                                [](const topic_config& c, std::string_view wanted) { return c.name < wanted; });
  return found != std::end(table) && found->name == name ? found : nullptr;
}

std::optional<std::string> reject_topic_config(std::string_view name, std::string_view value) {
  const auto* config = find_topic_config(name);
  if (!config) return fmt::format("Unknown topic config name: {}", name);
  auto refuse = [&](std::string_view why) {
    return fmt::format("Invalid value {} for configuration {}: {}", value, name, why);
  };
  switch (config->type) {
    case integer:
    case short_integer:
    case long_integer: {
      auto n = parse_number(value);
      if (!n) return refuse(fmt::format("not {}", type_name(config->type)));
      auto dots = config->allowed.find("..");
      auto least = *parse_number(config->allowed.substr(0, dots)), most = *parse_number(config->allowed.substr(dots + 2));
      if (*n < least) return refuse(fmt::format("must be at least {}", least));
      if (*n > most) return refuse(fmt::format("must be no more than {}", most));
      return std::nullopt;
    }
    case real: {
      double n = 0;
      auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
      if (error != std::errc() || end != value.data() + value.size()) return refuse("not a number");
      if (!(n >= 0 && n <= 1)) return refuse("must be between 0 and 1");
      return std::nullopt;
    }
    case list: {
      if (config->allowed.empty()) return std::nullopt;
      if (value.empty()) return refuse(fmt::format("must name at least one of: {}", config->allowed));
      for (std::string_view rest = value; !rest.empty();) {
        auto comma = std::min(rest.find(','), rest.size());
        auto item = rest.substr(0, comma);
        while (item.starts_with(' ')) item.remove_prefix(1);
        while (item.ends_with(' ')) item.remove_suffix(1);
        if (!is_one_of(item, config->allowed)) return refuse(fmt::format("must be one of: {}", config->allowed));
        rest.remove_prefix(std::min(comma + 1, rest.size()));
      }
      return std::nullopt;
    }
    case boolean:
    case string:
      if (!config->allowed.empty() && !is_one_of(value, config->allowed))
        return refuse(fmt::format("must be one of: {}", config->allowed));
      return std::nullopt;
  }
  return std::nullopt;
}

std::string_view effective(const topic_config_values& set, std::string_view name) {
  if (auto found = set.find(name); found != set.end()) return found->second;
  const auto* config = find_topic_config(name);
  YAKS_CHECK(config, "only settings of the table are asked for");
  return config->default_value;
}

std::int64_t effective_number(const topic_config_values& set, std::string_view name) {
  auto n = parse_number(effective(set, name));
  YAKS_CHECK(n, "values were checked before they were stored");
  return *n;
}
}  // namespace yaks
