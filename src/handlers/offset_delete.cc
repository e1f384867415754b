#include "handlers/groups.hpp"
#include "handlers/handlers.hpp"

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
  std::vector<metadata::remove_group_data> commands;
  commands.push_back(std::move(command));
  auto outcomes = co_await submit_until(s, std::move(commands), context.arrived + patience);
  if (!outcomes || !outcomes->front()) {
    answer.error_code = error_code::coordinator_not_available;
    answer.topics.clear();
    co_return answer;
  }
  const auto& done = *outcomes->front();
  answer.error_code = code_of(done.error);
  if (done.error != metadata::group_error::none) {
    answer.topics.clear();
    co_return answer;
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    auto& out = answer.topics[places[i].first].partitions[places[i].second];
    if (done.subscribed[i]) out.error_code = error_code::group_subscribed_to_topic;
    else if (done.errors[i] != metadata::apply_error::none) out.error_code = error_code::unknown_topic_or_partition;
  }
  co_return answer;
}
}  // namespace yaks::handlers
