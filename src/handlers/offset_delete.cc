#include <utility>

#include "handlers/groups.hpp"
#include "handlers/handlers.hpp"
#include "handlers/topics.hpp"

namespace yaks::handlers {
using wire::error_code;

awaitable<wire::offset_delete_response> offset_delete(services& s, const wire::offset_delete_request& request,
                                                      const request_context& context) {
  wire::offset_delete_response answer;
  if (!co_await s.log.barrier_since(context.arrived)) {
    answer.error_code = error_code::coordinator_not_available;
    co_return answer;
  }
  metadata::remove_group_data command{.group = std::string(request.group_id), .what = metadata::group_removal::offsets, .partitions = {}};
  std::vector<std::pair<std::size_t, std::size_t>> places;
  for (const auto& t : request.topics) {
    auto& out = answer.topics.emplace_back();
    out.name = t.name;
    const auto* topic = s.log.current().find_topic(t.name);
    for (const auto& p : t.partitions) {
      bool exists = topic && p.partition_index >= 0 && std::size_t(p.partition_index) < topic->partitions.size();
      out.partitions.push_back(
          {.partition_index = p.partition_index, .error_code = exists ? error_code::none : error_code::unknown_topic_or_partition});
      if (!exists) continue;
      places.emplace_back(answer.topics.size() - 1, out.partitions.size() - 1);
      command.partitions.push_back({topic->id, partition_index(p.partition_index)});
    }
  }
  for (bool first = true; first || !places.empty(); first = false) {  // first: whether the group exists is to be said in any case
    auto outcomes = co_await submit_until(s, std::vector{command}, context.arrived + patience);
    answer.error_code = outcomes && outcomes->front() ? code_of(outcomes->front()->error) : error_code::coordinator_not_available;
    if (!first && answer.error_code == error_code::group_id_not_found) {  // what was left of it has been deleted
      answer.error_code = error_code::none;
      break;
    }
    if (answer.error_code != error_code::none) {
      answer.topics.clear();
      break;
    }
    const auto& done = *outcomes->front();
    auto asked = std::exchange(places, {});
    command.partitions.clear();
    for (std::size_t i = 0; i < asked.size(); ++i) {
      auto& t = answer.topics[asked[i].first];
      auto& out = t.partitions[asked[i].second];
      if (done.subscribed[i]) out.error_code = error_code::group_subscribed_to_topic;
      else if (done.errors[i] != metadata::apply_error::none) out.error_code = error_code::unknown_topic_or_partition;
      if (!has_newer_topic(s, t.name, done.errors[i])) continue;
      const auto* newer = s.log.current().find_topic(t.name);
      if (std::size_t(out.partition_index) >= newer->partitions.size()) continue;
      out.error_code = error_code::none;
      places.push_back(asked[i]);
      command.partitions.push_back({newer->id, partition_index(out.partition_index)});
    }
  }
  co_return answer;
}
}  // namespace yaks::handlers
