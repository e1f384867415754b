#include "handlers/handlers.hpp"

namespace yaks::handlers {
using wire::error_code;

// The metadata log is kept by the metadata store, which sequences it: there are no votes. Whoever is asked is shown as the
// only voter, with what it has applied, so that tools have something true to print.
wire::describe_quorum_response describe_quorum(services& s, const wire::describe_quorum_request& request,
                                               const request_context&) {
  wire::describe_quorum_response answer;
  for (const auto& t : request.topics) {
    auto& topic_answer = answer.topics.emplace_back();
    topic_answer.topic_name = t.topic_name;
    for (const auto& p : t.partitions) {
      auto& out = topic_answer.partitions.emplace_back();
      out.partition_index = p.partition_index;
      if (t.topic_name != "__cluster_metadata" || p.partition_index != 0) {
        out.error_code = error_code::unknown_topic_or_partition;
        continue;
      }
      out.leader_id = s.members.self().value();
      out.leader_epoch = leader_epoch;
      out.high_watermark = s.log.current().position().sequence.value() + 1;
      out.current_voters.push_back({.replica_id = out.leader_id,
                                    .log_end_offset = out.high_watermark,
                                    .last_fetch_timestamp = s.log.log_time().value(),
                                    .last_caught_up_timestamp = s.log.log_time().value()});
    }
  }
  for (const auto& b : s.members.brokers())
    if (b.id == s.members.self()) answer.nodes.push_back({b.id.value(), {{"PLAINTEXT", b.host, b.port}}});
  return answer;
}
}  // namespace yaks::handlers
