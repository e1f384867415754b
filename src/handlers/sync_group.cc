#include "handlers/groups.hpp"
#include "handlers/handlers.hpp"

namespace yaks::handlers {
using wire::error_code;

awaitable<wire::sync_group_response> sync_group(services& s, const wire::sync_group_request& request,
                                                const request_context& context) {
  wire::sync_group_response answer;
  // From version 5 on they are not optional (KIP-559).
  if (context.version >= 5 && (!request.protocol_type || !request.protocol_name)) {
    answer.error_code = error_code::inconsistent_group_protocol;
    co_return answer;
  }
  if (request.group_id.empty()) {
    answer.error_code = error_code::invalid_group_id;
    co_return answer;
  }
  metadata::sync_group command{.group = std::string(request.group_id),
                               .member = std::string(request.member_id),
                               .instance = owned(request.group_instance_id),
                               .generation = request.generation_id,
                               .protocol_type = owned(request.protocol_type),
                               .protocol = owned(request.protocol_name),
                               .assignments = {}};
  std::size_t bytes = 0;
  for (const auto& a : request.assignments) {
    bytes += a.member_id.size() + a.assignment.value.size() + 16;
    command.assignments.push_back({std::string(a.member_id), std::string(a.assignment.value)});
  }
  // One entry of the log carries all of them.
  if (bytes > metadata::entry_bytes_max - 4096) {
    answer.error_code = error_code::message_too_large;
    co_return answer;
  }
  auto synced = co_await s.groups.sync(std::move(command), context.arrived + patience);
  if (!synced) {
    answer.error_code = error_code::coordinator_not_available;
    co_return answer;
  }
  answer.error_code = code_of(synced->error);
  if (synced->error != metadata::group_error::none) co_return answer;
  answer.protocol_type = synced->protocol_type;
  answer.protocol_name = synced->protocol;
  answer.assignment.value = std::move(synced->assignment);
  co_return answer;
}
}  // namespace yaks::handlers
