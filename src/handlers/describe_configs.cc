#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "handlers/handlers.hpp"
#include "handlers/pieces.hpp"
#include "handlers/topics.hpp"
#include "model/topic_config.hpp"
#include "model/topic_name.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;
using resource_request = wire::describe_configs_request::resource;
using resource_answer = wire::describe_configs_response::resource;
using config_entry = resource_answer::config_entry;

bool is_wanted(const resource_request& asked, std::string_view name) {
  return !asked.configuration_keys ||
         std::ranges::find(*asked.configuration_keys, name) != asked.configuration_keys->end();
}

void add(resource_answer& answer, const wire::describe_configs_request& request, config_entry entry,
         std::string_view documentation) {
  if (request.include_documentation) entry.documentation = documentation;
  if (!request.include_synonyms) entry.synonyms.clear();
  answer.configs.push_back(std::move(entry));
}

// All that a topic or group may have, with what is set for this one: its own value first among the synonyms.
void describe(const services& s, resource_answer& answer, const wire::describe_configs_request& request,
              const resource_request& asked, std::span<const resource_config> table, const config_values& set,
              config_source source) {
  for (const auto& config : table) {
    if (!is_wanted(asked, config.name)) continue;
    auto found = set.find(config.name);
    bool is_set = found != set.end();
    std::string fallback = default_of(s.broker, config);
    config_entry entry;
    entry.name = config.name;
    entry.value = is_set ? found->second : fallback;
    entry.config_source = std::int8_t(is_set ? source : default_source(s.broker, config));
    entry.config_type = std::int8_t(config.type);
    if (is_set) entry.synonyms.push_back({entry.name, entry.value, std::int8_t(source)});
    if (!config.broker_name.empty())
      entry.synonyms.push_back(
          {std::string(config.broker_name), fallback, std::int8_t(default_source(s.broker, config))});
    add(answer, request, std::move(entry), config.documentation);
  }
}

// The agent's own settings under Kafka's names, and what holds for topics and groups that do not say otherwise. Nothing
// of it changes while the agent runs.
void describe_broker(const services& s, resource_answer& answer, const wire::describe_configs_request& request,
                     const resource_request& asked) {
  struct known {
    config_type type;
    std::string value;
    std::string_view documentation;
    config_source source = config_source::static_broker;
  };
  std::map<std::string_view, known> all{
      {"advertised.listeners",
       {config_type::list, fmt::format("PLAINTEXT://{}:{}", s.broker.advertised_host, s.broker.advertised_port),
        "Where clients reach this agent (YAKS_ADVERTISED_HOST, YAKS_ADVERTISED_PORT)."}},
      {"auto.create.topics.enable",
       {config_type::boolean, s.broker.auto_create_topics ? "true" : "false",
        "Whether asking for a topic that does not exist creates it (YAKS_AUTO_CREATE_TOPICS)."}},
      {"broker.id",
       {config_type::integer, std::to_string(s.members.self().value()),
        "The smallest YAKS_NODE_ID of those who share this address."}},
      {"broker.rack", {config_type::string, s.broker.zone, "YAKS_ZONE."}},
      {"default.replication.factor",
       {config_type::integer, "1", "There are no replicas: the object store and the database keep the data.",
        config_source::default_value}},
      {"delete.topic.enable", {config_type::boolean, "true", "Topics can be deleted.", config_source::default_value}},
      {"node.id", {config_type::integer, std::to_string(s.members.self().value()), "As broker.id."}},
      {"num.partitions",
       {config_type::integer, std::to_string(s.broker.default_partitions), "YAKS_DEFAULT_PARTITIONS."}},
      {"offsets.topic.replication.factor",
       {config_type::short_integer, "1", "Committed offsets are metadata: there is no such topic.",
        config_source::default_value}},
      {"process.roles",
       {config_type::list, "broker,controller", "Every agent does what brokers and controllers do.",
        config_source::default_value}},
  };
  for (auto table : {topic_configs(), group_configs()})
    for (const auto& config : table)
      if (!config.broker_name.empty())
        all.emplace(config.broker_name, known{config.type, default_of(s.broker, config), config.documentation,
                                              default_source(s.broker, config)});
  for (const auto& [name, k] : all) {
    if (!is_wanted(asked, name)) continue;
    config_entry entry;
    entry.name = name;
    entry.value = k.value;
    entry.read_only = true;
    entry.config_source = std::int8_t(k.source);
    entry.config_type = std::int8_t(k.type);
    entry.synonyms.push_back({entry.name, entry.value, entry.config_source});
    add(answer, request, std::move(entry), k.documentation);
  }
}

void refuse(resource_answer& out, error_code code, std::string text) {
  out.error_code = code;
  out.error_message = std::move(text);
}
}  // namespace

awaitable<wire::describe_configs_response> describe_configs(services& s, const wire::describe_configs_request& request,
                                                            const request_context& context) {
  bool is_current = co_await s.log.barrier_since(context.arrived);
  wire::describe_configs_response answer;
  // All of one resource's settings once: with their documentation they are a thousand times as long as its name.
  std::set<std::pair<std::int8_t, std::string_view>> answered;
  pieces made(s);
  for (const auto& asked : request.resources) {
    constexpr std::size_t cost = 40;  // as many settings as partitions
    co_await made.next(cost);
    if (!asked.configuration_keys && !answered.emplace(asked.resource_type, asked.resource_name).second) continue;
    auto& out = answer.results.emplace_back();
    out.resource_type = asked.resource_type;
    out.resource_name = asked.resource_name;
    if (asked.resource_type == std::int8_t(resource_type::topic)) {
      if (const auto* topic = s.log.current().find_topic(asked.resource_name))
        describe(s, out, request, asked, topic_configs(), topic->configs, config_source::topic);
      else if (!is_current)
        refuse(out, error_code::request_timed_out, "the metadata log cannot be read at the moment");
      else if (!is_valid_topic_name(asked.resource_name))
        refuse(out, error_code::invalid_topic_exception,
               fmt::format("'{}' is no name of a topic", asked.resource_name));
      else
        refuse(out, error_code::unknown_topic_or_partition,
               fmt::format("The topic '{}' does not exist.", asked.resource_name));
    } else if (asked.resource_type == std::int8_t(resource_type::group)) {
      // As in Kafka, also for a group that nobody has seen yet: its settings can be made before it.
      const auto* set = s.log.current().find_group_configs(asked.resource_name);
      if (asked.resource_name.empty())
        refuse(out, error_code::invalid_request, "Group name must not be empty");
      else if (!is_current)
        refuse(out, error_code::request_timed_out, "the metadata log cannot be read at the moment");
      else
        describe(s, out, request, asked, group_configs(), set ? *set : config_values(), config_source::group);
    } else if (asked.resource_type == std::int8_t(resource_type::broker)) {
      // "" asks for the defaults of all brokers that can be changed at run time: there are none.
      if (asked.resource_name == std::to_string(s.members.self().value()))
        describe_broker(s, out, request, asked);
      else if (!asked.resource_name.empty())
        refuse(out, error_code::invalid_request,
               fmt::format("Unexpected broker id, expected {} or empty string, but received {}",
                           s.members.self().value(), asked.resource_name));
    } else {
      refuse(out, error_code::invalid_request, "only topics, groups and brokers have settings here");
    }
  }
  co_return answer;
}
}  // namespace yaks::handlers
