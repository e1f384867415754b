// The settings of topics and groups: Kafka's names, types, defaults and rules, in one table each, and what the values
// mean to the code that acts on them. What is set explicitly is stored; the rest has these defaults. Tools such as
// Connect read all of them back, so all of them are listed.
#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace yaks {
// Kafka's numbers (DescribeConfigs).
enum class config_type : std::int8_t {
  boolean = 1,
  string = 2,
  integer = 3,
  short_integer = 4,
  long_integer = 5,
  real = 6,
  list = 7
};

enum class config_effect : std::int8_t {
  acts,       // a member of topic_settings or group_settings, and somebody acts on it
  explained,  // accepted so that tools work; the documentation says why nothing needs to be done
};

struct resource_config {
  std::string_view name;
  config_type type;
  std::string_view default_value;  // "": the agent's own setting
  std::string_view broker_name;    // of the broker setting that it overrides, for synonyms; "": none
  std::string_view allowed;  // values separated by commas, or "min..max" and perhaps "|" and one more number, or ""
  config_effect effect;
  std::string_view documentation;
};

std::span<const resource_config> topic_configs();  // sorted by name
std::span<const resource_config> group_configs();  // likewise
const resource_config* find_topic_config(std::string_view name);
const resource_config* find_group_config(std::string_view name);

using config_values = std::map<std::string, std::string, std::less<>>;

// A value that may be set as it is kept and shown: Kafka forgives spaces around values, a plus before numbers and TRUE, and
// clients that read settings back do not.
std::string normal_config_value(const resource_config& config, std::string_view value);

// Nothing where the value may be set; else a sentence that says why not.
std::optional<std::string> reject_topic_config(std::string_view name, std::string_view value);
std::optional<std::string> reject_group_config(std::string_view name, std::string_view value);
// The same for values that contradict each other, each of them good.
std::optional<std::string> reject_topic_configs(const config_values& set);
std::optional<std::string> reject_group_configs(const config_values& set);

// What settings mean. Never fails: a value that is none (of a newer version, say) counts as the default.
struct topic_settings {
  std::optional<std::uint32_t> message_bytes_max;  // nothing: the agent's
  std::optional<std::int64_t> flush_interval_ms;   // nothing: the agent's
  std::optional<std::int8_t> compression;  // codec number of record batches (0: none); nothing: as the producer sent
  int gzip_level = -1, lz4_level = 9, zstd_level = 3;
  bool is_log_append_time = false;
  std::int64_t timestamp_before_max_ms = std::numeric_limits<std::int64_t>::max(), timestamp_after_max_ms = 3'600'000;
  bool deletes = true;                                            // by retention: cleanup.policy names "delete"
  bool compacts = false;                                          // records need keys: cleanup.policy names "compact"
  std::int64_t retention_ms = 604'800'000, retention_bytes = -1;  // of each partition; -1: no limit

  static topic_settings of(const config_values& set);  // of({}) equals a fresh one
  bool operator==(const topic_settings&) const = default;
};

struct group_settings {
  std::int32_t consumer_session_timeout_ms = 45'000, consumer_heartbeat_interval_ms = 5'000;

  static group_settings of(const config_values* set);  // null: nothing is set
};
}  // namespace yaks
