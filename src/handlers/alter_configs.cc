// AlterConfigs names all settings that a resource is to have, IncrementalAlterConfigs single changes. Both become the
// same command: the difference to what is set now. (Two agents that append to the same list at the same time may lose
// one of the two, as two tools that read and write may.)
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "handlers/handlers.hpp"
#include "handlers/topics.hpp"
#include "model/topic_config.hpp"
#include "model/topic_name.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;

enum class operation : std::int8_t { set = 0, remove = 1, append = 2, subtract = 3 };  // Kafka's numbers

struct change {
  std::string_view name;
  operation what = operation::set;
  std::optional<std::string_view> value;
};

struct wanted_changes {
  std::int8_t resource_type = 0;
  std::string_view resource_name;
  bool replaces_all = false;
  std::vector<change> changes;
};

// Of a request, in its order: one for each resource.
struct verdict {
  error_code code = error_code::none;
  std::optional<std::string> text;
  verdict() = default;
  verdict(error_code c, std::string t) : code(c), text(std::move(t)) {}
};

// The settings of topics or of groups: their table and rules.
struct config_kind {
  const resource_config* (*find)(std::string_view name);
  std::optional<std::string> (*reject)(std::string_view name, std::string_view value);
  std::optional<std::string> (*reject_all)(const config_values& set);
};
constexpr config_kind of_topics{find_topic_config, reject_topic_config, reject_topic_configs};
constexpr config_kind of_groups{find_group_config, reject_group_config, reject_group_configs};

std::vector<std::string> items_of(std::string_view list) {
  std::vector<std::string> items;
  while (!list.empty()) {
    auto comma = std::min(list.find(','), list.size());
    auto item = list.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return items;
}

// One change of a list: a value that holds already is not added twice.
std::string changed_list(std::string_view now, std::string_view value, operation what) {
  auto items = items_of(now);
  for (auto& item : items_of(value))
    if (what == operation::subtract)
      std::erase(items, item);
    else if (std::ranges::find(items, item) == items.end())
      items.push_back(std::move(item));
  return fmt::format("{}", fmt::join(items, ","));
}

// What is to be stored; `difference` is empty where nothing changes.
result<std::vector<metadata::config_value>, verdict> difference(const config_kind& kind, const config_values& now,
                                                                const wanted_changes& wanted) {
  config_values after = wanted.replaces_all ? config_values() : now;
  std::set<std::string_view> named;
  for (const auto& c : wanted.changes) {
    if (!named.insert(c.name).second)
      return failure(
          verdict(error_code::invalid_request, fmt::format("Error due to duplicate config keys: {}", c.name)));
    if (c.what == operation::remove) {
      if (auto found = after.find(c.name); found != after.end()) after.erase(found);
      continue;
    }
    if (!c.value)
      return failure(verdict(error_code::invalid_request, fmt::format("Null value not supported for : {}", c.name)));
    const auto* config = kind.find(c.name);
    std::string value(*c.value);
    switch (c.what) {
      case operation::set:
      case operation::remove:
        break;
      case operation::append:
      case operation::subtract: {
        if (config && config->type != config_type::list)
          return failure(verdict(error_code::invalid_config,
                                 fmt::format("Can't {} to key {} because its type is not LIST.",
                                             c.what == operation::append ? "APPEND" : "SUBTRACT", c.name)));
        auto set = after.find(c.name);
        std::string_view before = set != after.end() ? std::string_view(set->second)
                                  : config           ? config->default_value
                                                     : "";
        value = changed_list(before, value, c.what);
        break;
      }
      default:
        return failure(verdict(error_code::invalid_request, fmt::format("Unknown config operation {}", int(c.what))));
    }
    if (auto why = kind.reject(c.name, value)) return failure(verdict(error_code::invalid_config, std::move(*why)));
    after[std::string(c.name)] = normal_config_value(*config, value);
  }
  if (auto why = kind.reject_all(after)) return failure(verdict(error_code::invalid_config, std::move(*why)));
  std::vector<metadata::config_value> changes;
  for (const auto& [name, value] : after)
    if (auto found = now.find(name); found == now.end() || found->second != value) changes.push_back({name, value});
  for (const auto& [name, value] : now)
    if (!after.contains(name)) changes.push_back({name, std::nullopt});
  return changes;
}

// Agents take their settings from their environment; nothing of theirs changes while they run.
verdict verdict_on_broker(const services& s, const wanted_changes& wanted) {
  if (!wanted.resource_name.empty() && wanted.resource_name != std::to_string(s.members.self().value()))
    return {error_code::invalid_request,
            fmt::format("Unexpected broker id, expected {} or empty string, but received {}", s.members.self().value(),
                        wanted.resource_name)};
  if (wanted.changes.empty()) return {};
  std::vector<std::string_view> names;
  for (const auto& c : wanted.changes) names.push_back(c.name);
  return {error_code::invalid_request,
          fmt::format("Cannot update these configs dynamically: {}. They come from each agent's environment.",
                      fmt::join(names, ", "))};
}

awaitable<std::vector<verdict>> alter(services& s, std::vector<wanted_changes> all, bool only_validate,
                                      time_point arrived) {
  bool is_current = co_await s.log.barrier_since(arrived);
  std::map<std::pair<std::int8_t, std::string_view>, int> times_named;
  for (const auto& w : all) ++times_named[{w.resource_type, w.resource_name}];
  std::vector<verdict> verdicts(all.size());
  std::vector<metadata::alter_topic_configs> for_topics;
  std::vector<metadata::alter_group_configs> for_groups;
  std::vector<std::size_t> places_of_topics, places_of_groups;
  auto judge = [&](std::size_t i) {
    const auto& w = all[i];
    auto& out = verdicts[i];
    if (times_named[{w.resource_type, w.resource_name}] > 1) {
      out = {error_code::invalid_request, "Each resource must appear at most once."};
    } else if (w.resource_type == std::int8_t(resource_type::broker)) {
      out = verdict_on_broker(s, w);
    } else if (w.resource_type == std::int8_t(resource_type::topic)) {
      const auto* topic = s.log.current().find_topic(w.resource_name);
      if (!is_current) {
        out = {error_code::request_timed_out, "the metadata log cannot be read at the moment"};
      } else if (!is_valid_topic_name(w.resource_name)) {
        out = {error_code::invalid_topic_exception, fmt::format("'{}' is no name of a topic", w.resource_name)};
      } else if (!topic) {
        out = {error_code::unknown_topic_or_partition, fmt::format("The topic '{}' does not exist.", w.resource_name)};
      } else if (auto changes = difference(of_topics, topic->configs, w); !changes) {
        out = std::move(changes.error());
      } else if (!changes->empty()) {
        places_of_topics.push_back(i);
        for_topics.push_back({topic->id, std::move(*changes)});
      }
    } else if (w.resource_type == std::int8_t(resource_type::group)) {
      const auto* set = s.log.current().find_group_configs(w.resource_name);
      if (!is_current) {
        out = {error_code::request_timed_out, "the metadata log cannot be read at the moment"};
      } else if (w.resource_name.empty()) {
        out = {error_code::invalid_request, "Default group resources are not allowed."};
      } else if (auto changes = difference(of_groups, set ? *set : config_values(), w); !changes) {
        out = std::move(changes.error());
      } else if (!changes->empty()) {
        places_of_groups.push_back(i);
        for_groups.push_back({std::string(w.resource_name), std::move(*changes)});
      }
    } else {
      out = {error_code::invalid_request, "only the settings of topics and groups can be changed here"};
    }
  };
  for (std::size_t i = 0; i < all.size(); ++i) judge(i);
  if (only_validate) co_return verdicts;
  auto deadline = arrived + patience;
  while (!for_topics.empty()) {
    auto places = std::exchange(places_of_topics, {});
    auto outcomes = co_await submit_until(s, std::exchange(for_topics, {}), deadline);
    for (std::size_t n = 0; n < places.size(); ++n) {
      auto i = places[n];
      verdicts[i].code = outcomes ? code_of((*outcomes)[n]) : error_code::request_timed_out;
      if (!outcomes || !(*outcomes)[n] || !has_newer_topic(s, all[i].resource_name, (*outcomes)[n]->error)) continue;
      verdicts[i] = {};
      judge(i);  // what changes is another matter where another topic has been set up
    }
  }
  if (!for_groups.empty()) {
    auto outcomes = co_await submit_until(s, std::move(for_groups), deadline);
    for (std::size_t n = 0; n < places_of_groups.size(); ++n)
      verdicts[places_of_groups[n]].code = outcomes ? code_of((*outcomes)[n]) : error_code::request_timed_out;
  }
  co_return verdicts;
}

template <class Response>
Response answer_of(const std::vector<verdict>& verdicts, const auto& resources) {
  Response answer;
  for (std::size_t i = 0; i < verdicts.size(); ++i)
    answer.responses.push_back({.error_code = verdicts[i].code,
                                .error_message = verdicts[i].text,
                                .resource_type = resources[i].resource_type,
                                .resource_name = std::string(resources[i].resource_name)});
  return answer;
}
}  // namespace

awaitable<wire::alter_configs_response> alter_configs(services& s, const wire::alter_configs_request& request,
                                                      const request_context& context) {
  std::vector<wanted_changes> all;
  for (const auto& r : request.resources) {
    auto& w = all.emplace_back(wanted_changes{r.resource_type, r.resource_name, true, {}});
    for (const auto& c : r.configs) w.changes.push_back({c.name, operation::set, c.value});
  }
  auto verdicts = co_await alter(s, std::move(all), request.validate_only, context.arrived);
  co_return answer_of<wire::alter_configs_response>(verdicts, request.resources);
}

awaitable<wire::incremental_alter_configs_response> incremental_alter_configs(
    services& s, const wire::incremental_alter_configs_request& request, const request_context& context) {
  std::vector<wanted_changes> all;
  for (const auto& r : request.resources) {
    auto& w = all.emplace_back(wanted_changes{r.resource_type, r.resource_name, false, {}});
    for (const auto& c : r.configs) w.changes.push_back({c.name, operation(c.config_operation), c.value});
  }
  auto verdicts = co_await alter(s, std::move(all), request.validate_only, context.arrived);
  co_return answer_of<wire::incremental_alter_configs_response>(verdicts, request.resources);
}

// Topics, the broker at this address, and the groups for which something is set.
awaitable<wire::list_config_resources_response> list_config_resources(
    services& s, const wire::list_config_resources_request& request, const request_context& context) {
  wire::list_config_resources_response answer;
  if (context.version == 0) co_return answer;  // asks for client metrics: nobody receives them here (KIP-714)
  std::set<std::int8_t> wanted(request.resource_types.begin(), request.resource_types.end());
  constexpr std::int8_t broker_logger = 8;
  const std::set<std::int8_t> known{std::int8_t(resource_type::topic), std::int8_t(resource_type::broker),
                                    broker_logger, std::int8_t(resource_type::client_metrics),
                                    std::int8_t(resource_type::group)};
  if (wanted.empty()) wanted = known;
  if (!std::ranges::includes(known, wanted)) {
    answer.error_code = error_code::unsupported_version;
    co_return answer;
  }
  bool is_current = co_await s.log.barrier_since(context.arrived);
  if (!is_current) {
    answer.error_code = error_code::request_timed_out;
    co_return answer;
  }
  auto add = [&](resource_type type, std::string name) {
    answer.config_resources.push_back({std::move(name), std::int8_t(type)});
  };
  if (wanted.contains(std::int8_t(resource_type::topic)))
    for (const auto& [name, topic] : s.log.current().topics_by_name()) add(resource_type::topic, name);
  if (wanted.contains(std::int8_t(resource_type::broker)))
    add(resource_type::broker, std::to_string(s.members.self().value()));
  if (wanted.contains(std::int8_t(resource_type::group)))
    for (const auto& [name, set] : s.log.current().group_configs()) add(resource_type::group, name);
  co_return answer;
}
}  // namespace yaks::handlers
