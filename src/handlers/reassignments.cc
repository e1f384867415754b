// What a system without replicas says of moving replicas and electing leaders: nothing is under way, nothing is needed, and
// nothing can be moved.
#include <fmt/format.h>

#include "handlers/handlers.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;

bool exists(const services& s, std::string_view topic, std::int32_t index) {
  const auto* found = s.log.current().find_topic(topic);
  return found && index >= 0 && std::size_t(index) < found->partitions.size();
}
}  // namespace

wire::list_partition_reassignments_response list_partition_reassignments(
    services&, const wire::list_partition_reassignments_request&, const request_context&) {
  return {};
}

awaitable<wire::alter_partition_reassignments_response> alter_partition_reassignments(
    services& s, const wire::alter_partition_reassignments_request& request, const request_context& context) {
  bool is_current = co_await s.log.barrier_since(context.arrived);
  wire::alter_partition_reassignments_response answer;
  answer.allow_replication_factor_change = request.allow_replication_factor_change;
  for (const auto& t : request.topics) {
    auto& topic_answer = answer.responses.emplace_back();
    topic_answer.name = t.name;
    for (const auto& p : t.partitions) {
      auto& out = topic_answer.partitions.emplace_back();
      out.partition_index = p.partition_index;
      auto refuse = [&](error_code code, std::string text) {
        out.error_code = code;
        out.error_message = std::move(text);
      };
      if (!exists(s, t.name, p.partition_index))
        is_current ? refuse(error_code::unknown_topic_or_partition, "This server does not host this topic-partition.")
                   : refuse(error_code::request_timed_out, "the metadata log cannot be read at the moment");
      else if (!p.replicas)
        refuse(error_code::no_reassignment_in_progress, "No partition reassignment is in progress.");
      else
        refuse(error_code::invalid_replica_assignment,
               "there are no replicas: every agent serves every partition, and the object store keeps its records");
    }
  }
  co_return answer;
}

awaitable<wire::elect_leaders_response> elect_leaders(services& s, const wire::elect_leaders_request& request,
                                                      const request_context& context) {
  wire::elect_leaders_response answer;
  if (request.election_type < 0 || request.election_type > 1) {
    answer.error_code = error_code::invalid_request;
    co_return answer;
  }
  // Of all partitions Kafka names those only that needed an election.
  if (!request.topic_partitions) co_return answer;
  bool is_current = co_await s.log.barrier_since(context.arrived);
  for (const auto& t : *request.topic_partitions) {
    auto& topic_answer = answer.replica_election_results.emplace_back();
    topic_answer.topic = t.topic;
    for (auto index : t.partitions) {
      auto& out = topic_answer.partition_result.emplace_back();
      out.partition_id = index;
      if (exists(s, t.topic, index)) {
        out.error_code = error_code::election_not_needed;
        out.error_message = "every agent is the leader of every partition";
      } else {
        out.error_code = is_current ? error_code::unknown_topic_or_partition : error_code::request_timed_out;
        out.error_message =
            is_current ? "This server does not host this topic-partition." : "the metadata log cannot be read at the moment";
      }
    }
  }
  co_return answer;
}
}  // namespace yaks::handlers
