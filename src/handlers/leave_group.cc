#include "handlers/groups.hpp"
#include "handlers/handlers.hpp"

namespace yaks::handlers {
using wire::error_code;

awaitable<wire::leave_group_response> leave_group(services& s, const wire::leave_group_request& request,
                                                  const request_context& context) {
  wire::leave_group_response answer;
  if (request.group_id.empty()) {
    answer.error_code = error_code::invalid_group_id;
    co_return answer;
  }
  metadata::leave_group command{.group = std::string(request.group_id), .members = {}};
  if (context.version < 3) command.members.push_back({std::string(request.member_id), std::nullopt});
  for (const auto& m : request.members) command.members.push_back({std::string(m.member_id), owned(m.group_instance_id)});
  std::vector<metadata::leave_group> commands;
  commands.push_back(std::move(command));
  auto outcomes = co_await submit_until(s, std::move(commands), context.arrived + patience);
  if (!outcomes || !outcomes->front()) {
    answer.error_code = error_code::coordinator_not_available;
    co_return answer;
  }
  const auto& left = *outcomes->front();
  answer.error_code = code_of(left.error);
  if (answer.error_code != error_code::none) co_return answer;
  if (context.version < 3) {
    answer.error_code = code_of(left.members.front());
    co_return answer;
  }
  for (std::size_t i = 0; i < request.members.size(); ++i)
    answer.members.push_back({.member_id = std::string(request.members[i].member_id),
                              .group_instance_id = owned(request.members[i].group_instance_id),
                              .error_code = code_of(left.members[i])});
  co_return answer;
}
}  // namespace yaks::handlers
