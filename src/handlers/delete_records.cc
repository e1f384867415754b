#include <map>

#include "handlers/handlers.hpp"
#include "handlers/topics.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;
using partition_answer = wire::delete_records_response::topic_entry::partition_entry;

error_code code_of_move(const result<metadata::log_start_outcome, metadata::submit_error>& outcome) {
  if (!outcome) return error_code::not_leader_or_follower;  // surely not done: trying again is right
  switch (outcome->error) {
    case metadata::apply_error::none:
      return error_code::none;
    case metadata::apply_error::unknown_topic:
    case metadata::apply_error::unknown_partition:
      return error_code::unknown_topic_or_partition;
    case metadata::apply_error::offset_out_of_range:
      return error_code::offset_out_of_range;
    case metadata::apply_error::topic_exists:
    case metadata::apply_error::invalid_partitions:
    case metadata::apply_error::out_of_order_sequence:
    case metadata::apply_error::invalid_producer_epoch:
    case metadata::apply_error::commit_too_late:
    case metadata::apply_error::withheld:
    case metadata::apply_error::wrong_term:
    case metadata::apply_error::format_not_known:
    case metadata::apply_error::ranges_changed:
      break;  // outcomes of other commands
  }
  return error_code::unknown_server_error;
}
}  // namespace

awaitable<wire::delete_records_response> delete_records(services& s, const wire::delete_records_request& request,
                                                        const request_context& context) {
  bool is_current = co_await s.log.barrier_since(context.arrived);
  wire::delete_records_response answer;
  std::vector<metadata::move_log_start> commands;
  std::vector<std::pair<std::size_t, std::size_t>> places;
  for (const auto& t : request.topics) {
    auto& topic_answer = answer.topics.emplace_back();
    topic_answer.name = t.name;
    const auto* topic = s.log.current().find_topic(t.name);
    for (const auto& p : t.partitions) {
      auto& out = topic_answer.partitions.emplace_back();
      out.partition_index = p.partition_index;
      out.low_watermark = -1;
      const auto* here =
          topic ? s.log.current().find_partition({topic->id, partition_index(p.partition_index)}) : nullptr;
      if (!here) {
        out.error_code = is_current ? error_code::unknown_topic_or_partition : error_code::request_timed_out;
      } else if (topic->settings.compacts && !topic->settings.deletes) {
        out.error_code = error_code::policy_violation;  // the newest value of a key must stay
      } else {
        places.emplace_back(answer.topics.size() - 1, topic_answer.partitions.size() - 1);
        commands.push_back({topic->id, partition_index(p.partition_index), offset(p.offset)});
      }
    }
  }
  if (commands.empty()) co_return answer;
  auto outcomes = co_await submit_until(s, std::move(commands), answer_by(context, request.timeout_ms));
  for (std::size_t i = 0; i < places.size(); ++i) {
    auto& out = answer.topics[places[i].first].partitions[places[i].second];
    out.error_code = outcomes ? code_of_move((*outcomes)[i]) : error_code::request_timed_out;
    // Not deleted there: the offset may have been meant for the one before.
    if (outcomes && (*outcomes)[i] && has_newer_topic(s, answer.topics[places[i].first].name, (*outcomes)[i]->error))
      out.error_code = error_code::not_leader_or_follower;
    if (out.error_code == error_code::none) out.low_watermark = (*outcomes)[i]->log_start.value();
  }
  co_return answer;
}
}  // namespace yaks::handlers
