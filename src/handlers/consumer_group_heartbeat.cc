#include <fmt/format.h>

#include <algorithm>

#include "handlers/groups.hpp"
#include "handlers/handlers.hpp"
#include "metadata/assignors.hpp"
#include "model/topic_config.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;
using heartbeat_request = wire::consumer_group_heartbeat_request;
constexpr std::int32_t joins = 0, leaves_for_now = -2;

struct refusal {
  error_code code;
  std::string text;
};

std::optional<refusal> check(const heartbeat_request& r, std::int16_t version) {
  auto invalid = [](std::string text) { return refusal{error_code::invalid_request, std::move(text)}; };
  if (r.group_id.empty()) return invalid("GroupId can't be empty.");
  if (r.member_id.empty() && (version >= 1 || r.member_epoch != joins)) return invalid("MemberId can't be empty.");
  if (r.instance_id && r.instance_id->empty()) return invalid("InstanceId can't be empty.");
  if (r.rack_id && r.rack_id->empty()) return invalid("RackId can't be empty.");
  if (r.member_epoch < leaves_for_now) return invalid("MemberEpoch is invalid.");
  if (r.member_epoch == leaves_for_now && !r.instance_id) return invalid("InstanceId can't be null.");
  if (r.member_epoch == joins) {
    if (r.rebalance_timeout_ms < 0) return invalid("RebalanceTimeoutMs must be provided in first request.");
    if (!r.topic_partitions || !r.topic_partitions->empty()) return invalid("TopicPartitions must be empty when (re-)joining.");
    if (!r.subscribed_topic_names && !r.subscribed_topic_regex)
      return invalid("Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
  }
  if (r.server_assignor && std::ranges::find(metadata::assignor_names, *r.server_assignor) == std::end(metadata::assignor_names))
    return refusal{error_code::unsupported_assignor, fmt::format("ServerAssignor {} is not supported. Supported assignors: uniform, range.", *r.server_assignor)};
  return std::nullopt;
}

std::size_t bytes_of(const heartbeat_request& r) {
  std::size_t bytes = r.subscribed_topic_regex.value_or("").size();
  if (r.subscribed_topic_names)
    for (auto name : *r.subscribed_topic_names) bytes += name.size() + 8;
  if (r.topic_partitions)
    for (const auto& t : *r.topic_partitions) bytes += 20 * t.partitions.size();
  return bytes;
}

std::vector<wire::consumer_group_heartbeat_response::topic> by_topic(const std::vector<topic_partition>& partitions) {
  std::vector<wire::consumer_group_heartbeat_response::topic> topics;
  for (const auto& p : partitions) {  // sorted by topic
    if (topics.empty() || topics.back().topic_id != p.topic.value()) topics.push_back({.topic_id = p.topic.value(), .partitions = {}});
    topics.back().partitions.push_back(p.partition.value());
  }
  return topics;
}
}  // namespace

// At rest this costs no more than a look at the state; whatever changes something, or may, is a command.
awaitable<wire::consumer_group_heartbeat_response> consumer_group_heartbeat(services& s, const heartbeat_request& request,
                                                                            const request_context& context) {
  wire::consumer_group_heartbeat_response answer;
  auto refuse = [&](refusal why) {
    answer.error_code = why.code;
    answer.error_message = std::move(why.text);
    return answer;
  };
  if (auto why = check(request, context.version)) co_return refuse(std::move(*why));
  if (bytes_of(request) > member_bytes_max) co_return refuse({error_code::message_too_large, "The subscription is too large."});
  auto settings = group_settings::of(s.log.current().find_group_configs(request.group_id));
  auto high = s.rt.random(), low = s.rt.random();
  metadata::consumer_heartbeat command{
      .group = std::string(request.group_id),
      .member = request.member_id.empty() ? uuid::v4(high, low).kafka_text() : std::string(request.member_id),
      .epoch = request.member_epoch,
      .instance = owned(request.instance_id),
      .rack = owned(request.rack_id),
      .rebalance_timeout_ms = request.rebalance_timeout_ms,
      .topics = {},
      .regex = owned(request.subscribed_topic_regex),
      .regex_matches = {},
      .assignor = owned(request.server_assignor),
      .owned = {},
      .client_id = std::string(context.client_id),
      .client_host = context.client_host,
      .session_timeout_ms = settings.consumer_session_timeout_ms,
      .members_max = s.groups.settings().members_max};
  if (request.subscribed_topic_names) command.topics.emplace(request.subscribed_topic_names->begin(), request.subscribed_topic_names->end());
  if (request.topic_partitions) {
    command.owned.emplace();
    for (const auto& t : *request.topic_partitions)
      for (auto index : t.partitions) command.owned->push_back({topic_id(t.topic_id), partition_index(index)});
  }
  const auto* known_regex = s.log.current().groups().regex_of(request.group_id, request.member_id);
  if (auto pattern = command.regex ? *command.regex : known_regex ? *known_regex : ""; !pattern.empty()) {
    command.regex_matches = s.groups.patterns().matches(pattern, s.log.current());
    if (!command.regex_matches)
      co_return refuse({error_code::invalid_regular_expression, fmt::format("SubscribedTopicRegex `{}` is not a valid regular expression.", pattern)});
  }
  auto outcome = s.log.is_fresh() ? s.log.current().groups().at_rest(command, s.log.self(), s.log.current()) : std::nullopt;
  if (outcome && s.groups.heard(request.group_id, request.member_id)) {
  } else {
    std::vector<metadata::consumer_heartbeat> commands;
    commands.push_back(std::move(command));
    auto outcomes = co_await submit_until(s, std::move(commands), context.arrived + patience);
    if (!outcomes || !outcomes->front()) co_return refuse({error_code::coordinator_not_available, "The metadata log cannot be written at the moment."});
    outcome = std::move(*outcomes->front());
  }
  answer.error_code = code_of(outcome->error);
  if (answer.error_code != error_code::none) {
    answer.error_message = std::string(text_of(outcome->error));
    co_return answer;
  }
  answer.member_id = outcome->member;
  answer.member_epoch = outcome->epoch;
  answer.heartbeat_interval_ms = settings.consumer_heartbeat_interval_ms;
  if (outcome->has_assignment) answer.assignment.emplace().topic_partitions = by_topic(outcome->assignment);
  co_return answer;
}
}  // namespace yaks::handlers
