#include <algorithm>
#include <chrono>

#include "base/uuid.hpp"
#include "handlers/groups.hpp"
#include "handlers/handlers.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;

error_code check(const services& s, const wire::join_group_request& request) {
  if (request.group_id.empty()) return error_code::invalid_group_id;
  auto timeout = std::chrono::milliseconds(request.session_timeout_ms);
  if (timeout < s.groups.settings().session_timeout_min || timeout > s.groups.settings().session_timeout_max)
    return error_code::invalid_session_timeout;
  std::size_t bytes = 0;
  for (const auto& p : request.protocols) bytes += p.name.size() + p.metadata.value.size();
  return bytes > member_bytes_max ? error_code::message_too_large : error_code::none;
}
}  // namespace

awaitable<wire::join_group_response> join_group(services& s, const wire::join_group_request& request,
                                                const request_context& context) {
  wire::join_group_response answer;
  answer.member_id = request.member_id;
  answer.error_code = check(s, request);
  if (answer.error_code != error_code::none) co_return answer;
  auto high = s.rt.random(), low = s.rt.random();
  auto stem = request.group_instance_id.value_or(context.client_id);
  metadata::join_group command{.group = std::string(request.group_id),
                               .member = std::string(request.member_id),
                               .new_member = std::string(stem) + "-" + uuid::v4(high, low).text(),
                               .instance = owned(request.group_instance_id),
                               .client_id = std::string(context.client_id),
                               .client_host = std::string(context.client_host),
                               .session_timeout_ms = request.session_timeout_ms,
                               .rebalance_timeout_ms =
                                   context.version == 0 ? request.session_timeout_ms : std::max(request.rebalance_timeout_ms, 0),
                               .protocol_type = std::string(request.protocol_type),
                               .protocols = {},
                               .needs_member_id = context.version >= 4,
                               .can_skip_assignment = context.version >= 9};
  for (const auto& p : request.protocols) command.protocols.push_back({std::string(p.name), std::string(p.metadata.value)});
  auto joined = co_await s.groups.join(std::move(command), context.arrived + patience);
  if (!joined) {
    answer.error_code = error_code::coordinator_not_available;
    co_return answer;
  }
  answer.error_code = code_of(joined->error);
  answer.member_id = joined->member;
  if (joined->error != metadata::group_error::none) co_return answer;
  answer.generation_id = joined->generation;
  answer.protocol_type = joined->protocol_type;
  answer.protocol_name = joined->protocol;
  answer.leader = joined->leader;
  answer.skip_assignment = joined->skip_assignment;
  if (joined->members)
    for (const auto& m : *joined->members) answer.members.push_back({m.member, m.instance, {m.metadata}});
  co_return answer;
}
}  // namespace yaks::handlers
