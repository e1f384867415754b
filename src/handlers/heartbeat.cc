#include "handlers/groups.hpp"
#include "handlers/handlers.hpp"

namespace yaks::handlers {
using wire::error_code;
using metadata::group_error;

// Costs nothing but this agent's memory, unless the member comes from another agent: then it moves here.
awaitable<wire::heartbeat_response> heartbeat(services& s, const wire::heartbeat_request& request, const request_context& context) {
  wire::heartbeat_response answer;
  if (request.group_id.empty()) {
    answer.error_code = error_code::invalid_group_id;
    co_return answer;
  }
  auto check = [&] {
    return s.log.current().groups().check(request.group_id, request.member_id, request.group_instance_id, request.generation_id);
  };
  auto is_member = [](group_error e) { return e == group_error::none || e == group_error::rebalance_in_progress; };
  auto verdict = check();
  // It may have joined through another agent, whose entries have not come here yet.
  if (!s.log.is_fresh() || (!is_member(verdict) && !co_await s.log.barrier_since(context.arrived))) {
    answer.error_code = error_code::coordinator_not_available;
    co_return answer;
  }
  verdict = check();
  if (is_member(verdict) && !s.groups.heard(request.group_id, request.member_id)) {
    std::vector<metadata::move_home> commands;
    commands.push_back({std::string(request.group_id), std::string(request.member_id)});
    auto moved = co_await submit_until(s, std::move(commands), context.arrived + patience);
    if (!moved || !moved->front()) {
      answer.error_code = error_code::coordinator_not_available;
      co_return answer;
    }
    verdict = check();
  }
  answer.error_code = code_of(verdict);
  co_return answer;
}
}  // namespace yaks::handlers
