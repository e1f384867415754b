#include "handlers/handlers.hpp"

namespace yaks::handlers {
using wire::error_code;

// There is one epoch, and it has not ended: it ends where the log does. An end that is too low would tell a consumer that
// records it has read are gone, so it is never that of an old state.
awaitable<wire::offset_for_leader_epoch_response> offset_for_leader_epoch(
    services& s, const wire::offset_for_leader_epoch_request& request, const request_context& context) {
  bool is_current = co_await s.log.barrier_since(context.arrived);
  wire::offset_for_leader_epoch_response answer;
  for (const auto& t : request.topics) {
    auto& topic_answer = answer.topics.emplace_back();
    topic_answer.topic = t.topic;
    const auto* topic = s.log.current().find_topic(t.topic);
    for (const auto& p : t.partitions) {
      auto& out = topic_answer.partitions.emplace_back();
      out.partition = p.partition;
      const auto* here = topic ? s.log.current().find_partition({topic->id, partition_index(p.partition)}) : nullptr;
      if (!is_current) {
        out.error_code = error_code::kafka_storage_error;  // retriable
      } else if (!here) {
        out.error_code = error_code::unknown_topic_or_partition;
      } else if (p.current_leader_epoch > leader_epoch) {
        out.error_code = error_code::unknown_leader_epoch;
      } else if (p.leader_epoch == leader_epoch) {
        out.leader_epoch = leader_epoch;
        out.end_offset = here->high_watermark.value();
      }
    }
  }
  co_return answer;
}
}  // namespace yaks::handlers
