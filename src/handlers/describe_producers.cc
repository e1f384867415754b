#include <algorithm>
#include <map>
#include <set>

#include "handlers/handlers.hpp"

namespace yaks::handlers {
using wire::error_code;

awaitable<wire::describe_producers_response> describe_producers(services& s,
                                                                const wire::describe_producers_request& request,
                                                                const request_context& context) {
  bool is_current = co_await s.log.barrier_since(context.arrived);
  wire::describe_producers_response answer;
  std::set<std::pair<std::string_view, std::int32_t>> answered;  // an answer is longer than what asks for it
  for (const auto& t : request.topics) {
    auto& topic_answer = answer.topics.emplace_back();
    topic_answer.name = t.name;
    const auto* topic = s.log.current().find_topic(t.name);
    for (auto index : t.partition_indexes) {
      if (!answered.emplace(t.name, index).second) continue;
      auto& out = topic_answer.partitions.emplace_back();
      out.partition_index = index;
      const auto* here = topic ? s.log.current().find_partition({topic->id, partition_index(index)}) : nullptr;
      if (!here) {
        out.error_code = is_current ? error_code::unknown_topic_or_partition : error_code::not_leader_or_follower;
        continue;
      }
      for (const auto& [id, known] : here->producers) {
        auto batches = known.batches();
        out.active_producers.push_back(
            {.producer_id = id.value(),
             .producer_epoch = known.epoch(),
             .last_sequence = batches == 0 ? -1 : known.batch(batches - 1).last_sequence,
             .last_timestamp = known.last_write().value(),
             .coordinator_epoch = -1,  // that of a transaction
             .current_txn_start_offset = -1});
      }
      std::ranges::sort(out.active_producers, {}, [](const auto& p) { return p.producer_id; });
    }
  }
  co_return answer;
}
}  // namespace yaks::handlers
