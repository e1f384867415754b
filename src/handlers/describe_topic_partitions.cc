#include <algorithm>
#include <set>

#include "handlers/authorized_operations.hpp"
#include "handlers/handlers.hpp"
#include "model/topic_name.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;
using response = wire::describe_topic_partitions_response;
constexpr std::int32_t partitions_per_answer_max = 2000;  // Kafka's max.request.partition.size.limit
}  // namespace

awaitable<response> describe_topic_partitions(services& s, const wire::describe_topic_partitions_request& request,
                                              const request_context& context) {
  bool is_current = co_await s.log.barrier_since(context.arrived);
  response answer;
  auto near = membership::within_zone(s.members.brokers(), membership::zone_of_client(context.client_id));
  const bool wants_all = request.topics.empty();
  std::set<std::string_view> names;
  if (wants_all)
    for (const auto& [name, topic] : s.log.current().topics_by_name()) names.insert(name);
  for (const auto& t : request.topics) names.insert(t.name);
  if (request.cursor) names.erase(names.begin(), names.lower_bound(request.cursor->topic_name));

  auto left = std::clamp(request.response_partition_limit, 1, partitions_per_answer_max);
  for (auto name : names) {
    std::int32_t first = request.cursor && request.cursor->topic_name == name ? request.cursor->partition_index : 0;
    if (left == 0) {
      answer.next_cursor = {std::string(name), first};
      break;
    }
    const auto* topic = s.log.current().find_topic(name);
    auto& out = answer.topics.emplace_back();
    out.name = name;
    if (!topic) {
      out.error_code = !is_valid_topic_name(name) ? error_code::invalid_topic_exception
                       : is_current               ? error_code::unknown_topic_or_partition
                                                  : error_code::leader_not_available;
      continue;
    }
    out.topic_id = topic->id.value();
    out.topic_authorized_operations = all_topic_operations;
    auto partitions = std::int32_t(topic->partitions.size());
    auto i = std::max(first, 0);
    for (; i < partitions && left > 0; ++i, --left) {
      auto& p = out.partitions.emplace_back();
      p.partition_index = i;
      p.leader_id = membership::favourite(near, membership::routing_key({topic->id, partition_index(i)})).id.value();
      p.leader_epoch = leader_epoch;
      p.replica_nodes = p.isr_nodes = {p.leader_id};
      p.eligible_leader_replicas.emplace();
      p.last_known_elr.emplace();
    }
    if (i < partitions) {
      answer.next_cursor = {std::string(name), i};
      break;
    }
  }
  co_return answer;
}
}  // namespace yaks::handlers
