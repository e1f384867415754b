#include <fmt/format.h>

#include <map>
#include <set>

#include "handlers/handlers.hpp"
#include "handlers/topics.hpp"
#include "model/topic_config.hpp"
#include "model/topic_name.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;
using topic_request = wire::create_topics_request::topic_entry;
using topic_answer = wire::create_topics_response::topic_entry;

// Of a request whose settings are good.
config_values settings_of(const topic_request& t) {
  config_values set;
  for (const auto& c : t.configs) set[std::string(c.name)] = normal_config_value(*find_topic_config(c.name), *c.value);
  return set;
}

struct refusal {
  error_code code;
  std::string text;
};

// What is wrong with the request itself, whatever topics there are; else the number of partitions.
result<std::int32_t, refusal> check(const services& s, const topic_request& t) {
  if (!is_valid_topic_name(t.name))
    return failure(refusal{error_code::invalid_topic_exception,
                           "a topic's name has 1 to 249 letters, digits, '.', '_' or '-', and is not '.' or '..'"});
  if (!t.assignments.empty()) {
    if (t.num_partitions != -1 || t.replication_factor != -1)
      return failure(refusal{error_code::invalid_request,
                             "with a replica assignment, the number of partitions and the replication factor must be -1"});
    std::vector<bool> named(t.assignments.size());
    for (const auto& a : t.assignments) {
      if (a.partition_index < 0 || std::size_t(a.partition_index) >= named.size() || named[std::size_t(a.partition_index)] || a.broker_ids.empty())
        return failure(refusal{error_code::invalid_replica_assignment,
                               "a replica assignment names each partition from 0 on once, with at least one broker"});
      named[std::size_t(a.partition_index)] = true;
      if (std::set<std::int32_t>(a.broker_ids.begin(), a.broker_ids.end()).size() != a.broker_ids.size())
        return failure(refusal{error_code::invalid_replica_assignment,
                               fmt::format("the assignment of partition {} names a broker twice", a.partition_index)});
    }
  } else {
    if (t.num_partitions == 0 || t.num_partitions < -1)
      return failure(refusal{error_code::invalid_partitions, "the number of partitions must be larger than 0, or -1 for the default"});
    if (t.replication_factor == 0 || t.replication_factor < -1)
      return failure(refusal{error_code::invalid_replication_factor, "the replication factor must be larger than 0, or -1 for the default"});
  }
  auto partitions = !t.assignments.empty()     ? std::int32_t(t.assignments.size())
                    : t.num_partitions == -1   ? s.broker.default_partitions
                                               : t.num_partitions;
  if (partitions > partitions_per_topic_max)
    return failure(refusal{error_code::invalid_partitions, fmt::format("a topic has at most {} partitions", partitions_per_topic_max)});
  for (const auto& c : t.configs) {
    if (!c.value) return failure(refusal{error_code::invalid_config, fmt::format("Null value not supported for topic configs: {}", c.name)});
    if (auto why = reject_topic_config(c.name, *c.value)) return failure(refusal{error_code::invalid_config, std::move(*why)});
  }
  if (auto why = reject_topic_configs(settings_of(t))) return failure(refusal{error_code::invalid_config, std::move(*why)});
  return partitions;
}

void describe(const services& s, topic_answer& answer, const topic_request& t, std::int32_t partitions) {
  answer.num_partitions = partitions;
  answer.replication_factor = 1;
  auto set = settings_of(t);
  answer.configs.emplace();
  for (const auto& config : topic_configs())
    answer.configs->push_back(
        {.name = std::string(config.name),
         .value = set.contains(config.name) ? set.find(config.name)->second : default_of(s.broker, config),
         .read_only = false,
         .config_source = std::int8_t(set.contains(config.name) ? config_source::topic : default_source(s.broker, config)),
         .is_sensitive = false});
}
}  // namespace

awaitable<wire::create_topics_response> create_topics(services& s, const wire::create_topics_request& request,
                                                      const request_context& context) {
  wire::create_topics_response answer;
  std::vector<metadata::create_topic> commands;
  std::vector<std::size_t> places;  // of each command's topic in the answer
  std::vector<std::int32_t> partitions;
  bool is_current = !request.validate_only || co_await s.log.barrier_since(context.arrived);
  std::map<std::string_view, int> times_named;
  for (const auto& t : request.topics) ++times_named[t.name];
  for (const auto& t : request.topics) {
    auto& out = answer.topics.emplace_back();
    out.name = t.name;
    if (times_named[t.name] > 1) {
      out.error_code = error_code::invalid_request;
      out.error_message = "the request names this topic more than once";
      continue;
    }
    auto checked = check(s, t);
    if (!checked) {
      out.error_code = checked.error().code;
      out.error_message = checked.error().text;
      continue;
    }
    if (request.validate_only) {
      if (!is_current) {
        out.error_code = error_code::request_timed_out;
        out.error_message = "the metadata log cannot be read at the moment";
      } else if (s.log.current().find_topic(t.name)) {
        out.error_code = error_code::topic_already_exists;
        out.error_message = fmt::format("Topic '{}' already exists.", t.name);
      } else {
        describe(s, out, t, *checked);
      }
      continue;
    }
    auto command = new_topic(s, t.name, *checked);
    for (auto& [name, value] : settings_of(t)) command.configs.push_back({name, value});
    out.topic_id = command.id.value();
    places.push_back(answer.topics.size() - 1);
    partitions.push_back(*checked);
    commands.push_back(std::move(command));
  }
  if (commands.empty()) co_return answer;
  auto outcomes = co_await submit_until(s, std::move(commands), answer_by(context, request.timeout_ms));
  if (!outcomes)
    for (auto i : places) {
      answer.topics[i].error_code = error_code::request_timed_out;
      answer.topics[i].topic_id = {};
    }
  for (std::size_t i = 0; outcomes && i < outcomes->size(); ++i) {
    auto& out = answer.topics[places[i]];
    out.error_code = code_of((*outcomes)[i]);
    if (out.error_code == error_code::none) {
      describe(s, out, request.topics[places[i]], partitions[i]);
      continue;
    }
    out.topic_id = {};
    if (out.error_code == error_code::topic_already_exists) out.error_message = fmt::format("Topic '{}' already exists.", out.name);
  }
  co_return answer;
}
}  // namespace yaks::handlers
