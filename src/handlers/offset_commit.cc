#include <algorithm>
#include <utility>

#include "handlers/groups.hpp"
#include "handlers/handlers.hpp"
#include "handlers/topics.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;
constexpr std::size_t metadata_bytes_max = 4096;  // offset.metadata.max.bytes

const metadata::topic* find(const services& s, const wire::offset_commit_request::topic_entry& t, std::int16_t version) {
  return version >= 10 ? s.log.current().find_topic(topic_id(t.topic_id)) : s.log.current().find_topic(t.name);
}

error_code code_of(metadata::apply_error error, std::int16_t version) {
  switch (error) {
    case metadata::apply_error::none: return error_code::none;
    case metadata::apply_error::unknown_topic: return version >= 10 ? error_code::unknown_topic_id : error_code::unknown_topic_or_partition;
    case metadata::apply_error::unknown_partition: return error_code::unknown_topic_or_partition;
    case metadata::apply_error::topic_exists:
    case metadata::apply_error::invalid_partitions:
    case metadata::apply_error::out_of_order_sequence:
    case metadata::apply_error::invalid_producer_epoch:
    case metadata::apply_error::commit_too_late:
    case metadata::apply_error::offset_out_of_range:
    case metadata::apply_error::wrong_term:
    case metadata::apply_error::format_not_known:
    case metadata::apply_error::ranges_changed:
    case metadata::apply_error::withheld: break;  // outcomes of other commands
  }
  return error_code::unknown_server_error;
}
}  // namespace

awaitable<wire::offset_commit_response> offset_commit(services& s, const wire::offset_commit_request& request,
                                                      const request_context& context) {
  bool names_unknown = std::ranges::any_of(request.topics, [&](const auto& t) {
    const auto* topic = find(s, t, context.version);
    return !topic || std::ranges::any_of(t.partitions, [&](const auto& p) {
      return p.partition_index < 0 || std::size_t(p.partition_index) >= topic->partitions.size();
    });
  });
  bool is_current = !names_unknown || co_await s.log.barrier_since(context.arrived);

  // A member of the consumer protocol says its epoch where others say their generation, from version 9 on.
  auto group_error = error_code::none;
  if (const auto* g = s.log.current().groups().find(request.group_id); g && g->consumer && context.version < 9)
    if (auto m = g->consumer->members.find(request.member_id); m != g->consumer->members.end() && !m->second.is_classic())
      group_error = error_code::unsupported_version;

  wire::offset_commit_response answer;
  metadata::commit_group_offsets command{.group = std::string(request.group_id),
                                         .offsets = {},
                                         .member = std::string(request.member_id),
                                         .instance = owned(request.group_instance_id),
                                         .generation = request.generation_id_or_member_epoch,
                                         .retention_ms = request.retention_time_ms};
  std::vector<std::pair<std::size_t, std::size_t>> places;
  for (const auto& t : request.topics) {
    auto& topic_answer = answer.topics.emplace_back();
    topic_answer.name = t.name;
    topic_answer.topic_id = t.topic_id;
    const auto* topic = find(s, t, context.version);
    for (const auto& p : t.partitions) {
      auto& out = topic_answer.partitions.emplace_back();
      out.partition_index = p.partition_index;
      if (group_error != error_code::none) {
        out.error_code = group_error;
      } else if (!is_current && (!topic || p.partition_index < 0 || std::size_t(p.partition_index) >= topic->partitions.size())) {
        out.error_code = error_code::coordinator_not_available;
      } else if (!topic) {
        out.error_code = context.version >= 10 ? error_code::unknown_topic_id : error_code::unknown_topic_or_partition;
      } else if (p.partition_index < 0 || std::size_t(p.partition_index) >= topic->partitions.size()) {
        out.error_code = error_code::unknown_topic_or_partition;
      } else if (p.committed_metadata && p.committed_metadata->size() > metadata_bytes_max) {
        out.error_code = error_code::offset_metadata_too_large;
      } else {
        places.emplace_back(answer.topics.size() - 1, topic_answer.partitions.size() - 1);
        command.offsets.push_back({.topic = topic->id,
                                   .partition = partition_index(p.partition_index),
                                   .committed = offset(p.committed_offset),
                                   .leader_epoch = p.committed_leader_epoch,
                                   .metadata = std::string(p.committed_metadata.value_or(""))});
      }
    }
  }
  while (!command.offsets.empty()) {
    auto outcomes = co_await submit_until(s, std::vector{command}, context.arrived + patience, metadata::pace::unhurried);
    auto asked = std::exchange(places, {});
    auto offsets = std::exchange(command.offsets, {});
    if (!outcomes) {
      for (auto [topic, partition] : asked)
        answer.topics[topic].partitions[partition].error_code = error_code::coordinator_not_available;
      break;
    }
    const auto& outcome = outcomes->front();
    auto group_code = outcome ? code_of(outcome->error) : error_code::none;
    if (group_code == error_code::group_id_not_found && context.version < 9) group_code = error_code::illegal_generation;
    if (outcome && group_code == error_code::none && !request.member_id.empty()) (void)s.groups.heard(request.group_id, request.member_id);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      const auto& t = request.topics[asked[i].first];
      auto& out = answer.topics[asked[i].first].partitions[asked[i].second];
      if (group_code != error_code::none) out.error_code = group_code;
      else if (outcome) out.error_code = code_of(outcome->errors[i], context.version);
      else out.error_code = outcome.error() == metadata::submit_error::too_large ? error_code::invalid_commit_offset_size
                                                                                  : error_code::coordinator_not_available;
      if (group_code != error_code::none || !outcome || context.version >= 10 || !has_newer_topic(s, t.name, outcome->errors[i])) continue;
      const auto* newer = find(s, t, context.version);
      if (std::size_t(out.partition_index) >= newer->partitions.size()) continue;
      places.push_back(asked[i]);
      offsets[i].topic = newer->id;
      command.offsets.push_back(std::move(offsets[i]));
    }
  }
  co_return answer;
}
}  // namespace yaks::handlers
