#include <algorithm>
#include <set>

#include "handlers/handlers.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;

// What a negative timestamp asks for, and since which version of the API.
struct special {
  std::int64_t timestamp;
  std::int16_t since;
};
constexpr special latest{-1, 0}, earliest{-2, 0}, largest{-3, 7}, earliest_local{-4, 8}, latest_tiered{-5, 9},
    earliest_pending_upload{-6, 11};

bool is_known_special(std::int64_t timestamp, std::int16_t version) {
  for (auto s : {latest, earliest, largest, earliest_local, latest_tiered, earliest_pending_upload})
    if (s.timestamp == timestamp) return version >= s.since;
  return false;
}

error_code code_of(object_error error) {
  switch (error) {
    case object_error::not_found:
    case object_error::unavailable:
    case object_error::slow_down:
    case object_error::unknown:
    case object_error::corrupt:
    case object_error::denied: return error_code::kafka_storage_error;
  }
  return error_code::unknown_server_error;
}
}  // namespace

awaitable<wire::list_offsets_response> list_offsets(services& s, const wire::list_offsets_request& request,
                                                    const request_context& context) {
  // "The end is here", "no such record" and "it begins here" skip what lies elsewhere: not from a state older than the question.
  // Also the beginning: it moves, and the name may be another topic's by now.
  bool known = s.log.is_fresh() && co_await s.log.barrier_since(context.arrived);
  std::set<std::pair<std::string_view, std::int32_t>> seen, twice;
  for (const auto& t : request.topics)
    for (const auto& p : t.partitions)
      if (!seen.emplace(t.name, p.partition_index).second) twice.emplace(t.name, p.partition_index);

  wire::list_offsets_response answer;
  for (const auto& t : request.topics) {
    auto& topic_answer = answer.topics.emplace_back();
    topic_answer.name = t.name;
    for (const auto& p : t.partitions) {
      wire::list_offsets_response::topic_entry::partition_entry out;
      out.partition_index = p.partition_index;
      const auto* topic = s.log.current().find_topic(t.name);  // anew: a search may have waited
      const auto* here = topic ? s.log.current().find_partition({topic->id, partition_index(p.partition_index)}) : nullptr;
      if (!known) {
        out.error_code = error_code::kafka_storage_error;
      } else if (twice.contains({t.name, p.partition_index})) {
        out.error_code = error_code::invalid_request;
      } else if (!here) {
        out.error_code = error_code::unknown_topic_or_partition;
      } else if (p.current_leader_epoch > leader_epoch) {
        out.error_code = error_code::unknown_leader_epoch;
      } else if (p.timestamp < 0 && !is_known_special(p.timestamp, context.version)) {
        out.error_code = error_code::unsupported_version;
      } else if (p.timestamp == latest.timestamp) {
        out.offset = request.isolation_level == 1 ? here->last_stable_offset().value() : here->high_watermark.value();
        out.leader_epoch = leader_epoch;
      } else if (p.timestamp == earliest.timestamp || p.timestamp == earliest_local.timestamp) {
        out.offset = here->log_start.value();
        out.leader_epoch = leader_epoch;
      } else if (p.timestamp == latest_tiered.timestamp || p.timestamp == earliest_pending_upload.timestamp) {
        // There are no tiers: nothing was tiered, and nothing waits to be.
      } else {
        topic_partition where{topic->id, partition_index(p.partition_index)};
        auto found = p.timestamp == largest.timestamp
                         ? co_await s.lookup.largest_timestamp(where)
                         : co_await s.lookup.first_at_or_after(where, timestamp_ms(p.timestamp));
        if (!found) {
          out.error_code = code_of(found.error());
        } else if (found->at.value() >= 0) {
          out.offset = found->at.value();
          out.timestamp = found->timestamp.value();
          out.leader_epoch = leader_epoch;
        }
      }
      topic_answer.partitions.push_back(out);
    }
  }
  co_return answer;
}
}  // namespace yaks::handlers
