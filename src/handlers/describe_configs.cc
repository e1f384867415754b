#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>
#include <utility>

#include "handlers/handlers.hpp"
#include "handlers/topics.hpp"
#include "model/topic_config.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;
using resource_answer = wire::describe_configs_response::resource;
using config_entry = resource_answer::config_entry;
enum class resource_type : std::int8_t { topic = 2, broker = 4 };

bool is_wanted(const wire::describe_configs_request::resource& asked, std::string_view name) {
  return !asked.configuration_keys || std::ranges::find(*asked.configuration_keys, name) != asked.configuration_keys->end();
}

void add(resource_answer& answer, const wire::describe_configs_request& request, config_entry entry, std::string_view documentation) {
  if (request.include_documentation) entry.documentation = documentation;
  if (!request.include_synonyms) entry.synonyms.clear();
  answer.configs.push_back(std::move(entry));
}

void describe_topic(const services& s, resource_answer& answer, const wire::describe_configs_request& request,
                    const wire::describe_configs_request::resource& asked, const metadata::topic& topic) {
  for (const auto& config : topic_configs()) {
    if (!is_wanted(asked, config.name)) continue;
    auto set = topic.configs.find(config.name);
    bool is_set = set != topic.configs.end();
    std::string fallback = default_of(s.broker, config);
    config_entry entry;
    entry.name = config.name;
    entry.value = is_set ? set->second : fallback;
    entry.config_source = std::int8_t(is_set ? config_source::topic : default_source(config));
    entry.config_type = std::int8_t(config.type);
    if (is_set) entry.synonyms.push_back({entry.name, entry.value, std::int8_t(config_source::topic)});
    entry.synonyms.push_back({std::string(config.broker_name), fallback, std::int8_t(default_source(config))});
    add(answer, request, std::move(entry), config.documentation);
  }
}

void describe_broker(const services& s, resource_answer& answer, const wire::describe_configs_request& request,
                     const wire::describe_configs_request::resource& asked) {
  struct known {
    std::string_view name;
    config_type type;
    std::string value;
    std::string_view documentation;
  };
  const known all[] = {
      {"advertised.listeners", config_type::list, fmt::format("PLAINTEXT://{}:{}", s.broker.advertised_host, s.broker.advertised_port),
       "Where clients reach this agent (YAKS_ADVERTISED_HOST, YAKS_ADVERTISED_PORT)."},
      {"auto.create.topics.enable", config_type::boolean, s.broker.auto_create_topics ? "true" : "false",
       "Whether asking for a topic that does not exist creates it (YAKS_AUTO_CREATE_TOPICS)."},
      {"broker.id", config_type::integer, std::to_string(s.members.self().value()), "The smallest YAKS_NODE_ID of those who share this address."},
      {"broker.rack", config_type::string, s.broker.zone, "YAKS_ZONE."},
      {"default.replication.factor", config_type::integer, "1", "There are no replicas: the object store and the database keep the data."},
      {"message.max.bytes", config_type::integer, std::to_string(s.broker.message_bytes_max),
       "The largest record batch, where the topic does not say (YAKS_MAX_MESSAGE_BYTES)."},
      {"num.partitions", config_type::integer, std::to_string(s.broker.default_partitions), "YAKS_DEFAULT_PARTITIONS."},
      {"offsets.topic.replication.factor", config_type::short_integer, "1", "Committed offsets are metadata: there is no such topic."},
  };
  for (const auto& k : all) {
    if (!is_wanted(asked, k.name)) continue;
    config_entry entry;
    entry.name = k.name;
    entry.value = k.value;
    entry.read_only = true;
    entry.config_source = std::int8_t(config_source::static_broker);
    entry.config_type = std::int8_t(k.type);
    entry.synonyms.push_back({entry.name, entry.value, entry.config_source});
    add(answer, request, std::move(entry), k.documentation);
  }
}
}  // namespace

awaitable<wire::describe_configs_response> describe_configs(services& s, const wire::describe_configs_request& request,
                                                            const request_context& context) {
  bool is_current = co_await s.log.barrier_since(context.arrived);
  wire::describe_configs_response answer;
  // All of one resource's settings once: with their documentation they are a thousand times as long as its name.
  std::set<std::pair<std::int8_t, std::string_view>> answered;
  for (const auto& asked : request.resources) {
    if (!asked.configuration_keys && !answered.emplace(asked.resource_type, asked.resource_name).second) continue;
    auto& out = answer.results.emplace_back();
    out.resource_type = asked.resource_type;
    out.resource_name = asked.resource_name;
    if (asked.resource_type == std::int8_t(resource_type::topic)) {
      if (const auto* topic = s.log.current().find_topic(asked.resource_name)) {
        describe_topic(s, out, request, asked, *topic);
      } else if (!is_current) {
        out.error_code = error_code::request_timed_out;
        out.error_message = "the metadata log cannot be read at the moment";
      } else {
        out.error_code = error_code::unknown_topic_or_partition;
        out.error_message = fmt::format("The topic '{}' does not exist.", asked.resource_name);
      }
    } else if (asked.resource_type == std::int8_t(resource_type::broker)) {
      // "" asks for the defaults of all brokers that can be changed at run time: there are none.
      if (asked.resource_name == std::to_string(s.members.self().value())) {
        describe_broker(s, out, request, asked);
      } else if (!asked.resource_name.empty()) {
        out.error_code = error_code::invalid_request;
        out.error_message = fmt::format("Unexpected broker id, expected {} or empty string, but received {}",
                                        s.members.self().value(), asked.resource_name);
      }
    } else {
      out.error_code = error_code::invalid_request;
      out.error_message = "only topics and brokers have settings here";
    }
  }
  co_return answer;
}
}  // namespace yaks::handlers
