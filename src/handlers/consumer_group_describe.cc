#include <fmt/format.h>

#include "handlers/authorized_operations.hpp"
#include "handlers/groups.hpp"
#include "handlers/handlers.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;
enum class member_type : std::int8_t { classic = 0, consumer = 1 };

std::vector<wire::consumer_group_describe_response::topic> by_topic(const metadata::state& state, const std::set<topic_partition>& partitions) {
  std::vector<wire::consumer_group_describe_response::topic> topics;
  const metadata::topic* last = nullptr;
  for (const auto& p : partitions) {
    const auto* t = state.find_topic(p.topic);
    if (!t) continue;  // deleted: its members learn it at their next heartbeat
    if (t != last) topics.push_back({.topic_id = t->id.value(), .topic_name = t->name, .partitions = {}});
    last = t;
    topics.back().partitions.push_back(p.partition.value());
  }
  return topics;
}
}  // namespace

awaitable<wire::consumer_group_describe_response> consumer_group_describe(services& s, const wire::consumer_group_describe_request& request,
                                                                          const request_context& context) {
  wire::consumer_group_describe_response answer;
  bool known = co_await s.log.barrier_since(context.arrived);
  const auto& state = s.log.current();
  for (auto id : request.group_ids) {
    auto& out = answer.groups.emplace_back();
    out.group_id = id;
    if (id.empty()) {
      out.error_code = error_code::invalid_group_id;
      continue;
    }
    if (!known) {
      out.error_code = error_code::coordinator_not_available;
      continue;
    }
    const auto* all = state.groups().find(id);
    if (!all || !all->consumer) {
      out.error_code = error_code::group_id_not_found;
      out.error_message = all || state.find_group_offsets(id) ? fmt::format("Group {} is not a consumer group.", id) : fmt::format("Group {} not found.", id);
      continue;
    }
    const auto& g = *all->consumer;
    out.group_state = g.phase();
    out.group_epoch = g.epoch;
    out.assignment_epoch = g.target_epoch;
    out.assignor_name = g.assignor;
    if (request.include_authorized_operations) out.authorized_operations = all_group_operations;
    for (const auto& [member_id, m] : g.members) {
      auto& member = out.members.emplace_back();
      member.member_id = member_id;
      member.instance_id = m.instance;
      member.rack_id = m.rack;
      member.member_epoch = m.epoch;
      member.client_id = m.client_id;
      member.client_host = m.client_host;
      member.subscribed_topic_names = m.topics;
      if (!m.regex.empty()) member.subscribed_topic_regex = m.regex;
      member.assignment.topic_partitions = by_topic(state, m.assigned);
      if (auto target = g.target.find(member_id); target != g.target.end()) member.target_assignment.topic_partitions = by_topic(state, target->second);
      member.member_type = std::int8_t(m.is_classic() ? member_type::classic : member_type::consumer);
    }
  }
  co_return answer;
}
}  // namespace yaks::handlers
