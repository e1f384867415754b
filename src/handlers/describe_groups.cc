#include <fmt/format.h>

#include "handlers/authorized_operations.hpp"
#include "handlers/groups.hpp"
#include "handlers/handlers.hpp"

namespace yaks::handlers {
using wire::error_code;

awaitable<wire::describe_groups_response> describe_groups(services& s, const wire::describe_groups_request& request,
                                                          const request_context& context) {
  wire::describe_groups_response answer;
  bool known = co_await s.log.barrier_since(context.arrived);
  for (auto id : request.groups) {
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
    if (request.include_authorized_operations) out.authorized_operations = all_group_operations;
    const auto* g = s.log.current().groups().find(id);
    if (!g && !s.log.current().find_group_offsets(id)) {
      out.group_state = "Dead";
      if (context.version >= 6) {  // KIP-1043
        out.error_code = error_code::group_id_not_found;
        out.error_message = fmt::format("Group {} not found.", id);
      }
      continue;
    }
    if (g && g->consumer) {  // ConsumerGroupDescribe shows those
      out.group_state = "Dead";
      if (context.version >= 6) {
        out.error_code = error_code::group_id_not_found;
        out.error_message = fmt::format("Group {} is not a classic group.", id);
      }
      continue;
    }
    if (!g) {  // offsets that were committed from outside
      out.group_state = name(metadata::group_phase::empty);
      continue;
    }
    out.group_state = name(g->phase);
    out.protocol_type = g->protocol_type;
    bool is_stable = g->phase == metadata::group_phase::stable;
    if (is_stable) out.protocol_data = g->protocol.value_or("");
    for (const auto& [member_id, m] : g->members) {
      auto& member = out.members.emplace_back();
      member.member_id = member_id;
      member.group_instance_id = m.instance;
      member.client_id = m.client_id;
      member.client_host = m.client_host;
      if (!is_stable) continue;  // what belongs to a generation is shown once it is complete
      const auto* metadata = g->protocol ? m.metadata(*g->protocol) : nullptr;
      if (metadata) member.member_metadata.value = *metadata;
      member.member_assignment.value = m.assignment;
    }
  }
  co_return answer;
}
}  // namespace yaks::handlers
