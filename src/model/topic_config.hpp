// The settings of a topic: Kafka's names, types, defaults and rules, in one table. What is set explicitly is stored with the
// topic; the rest has these defaults. Tools such as Connect read all of them back, so all of them are listed.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace yaks {
// Kafka's numbers (DescribeConfigs).
enum class config_type : std::int8_t { boolean = 1, string = 2, integer = 3, short_integer = 4, long_integer = 5, real = 6, list = 7 };

struct topic_config {
  std::string_view name;
  config_type type;
  std::string_view default_value;
  std::string_view broker_name;    // of the broker setting that it overrides, for synonyms
  std::string_view allowed;        // values separated by commas, or "min..max", or "" for any of its type
  std::string_view documentation;
};

std::span<const topic_config> topic_configs();  // sorted by name
const topic_config* find_topic_config(std::string_view name);
// Nothing where the value may be set; else a sentence that says why not.
std::optional<std::string> reject_topic_config(std::string_view name, std::string_view value);

using topic_config_values = std::map<std::string, std::string, std::less<>>;
// The value that holds: what was set, else the default.
std::string_view effective(const topic_config_values& set, std::string_view name);
std::int64_t effective_number(const topic_config_values& set, std::string_view name);
}  // namespace yaks
