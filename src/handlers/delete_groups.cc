#include <set>

#include "handlers/groups.hpp"
#include "handlers/handlers.hpp"

namespace yaks::handlers {
using wire::error_code;

awaitable<wire::delete_groups_response> delete_groups(services& s, const wire::delete_groups_request& request,
                                                      const request_context& context) {
  wire::delete_groups_response answer;
  std::vector<metadata::remove_group_data> commands;
  std::set<std::string_view> named;
  for (auto id : request.groups_names) {
    if (!named.insert(id).second) continue;
    answer.results.push_back({.group_id = std::string(id)});
    commands.push_back({.group = std::string(id), .what = metadata::group_removal::group, .partitions = {}});
  }
  if (commands.empty()) co_return answer;
  auto outcomes = co_await submit_until(s, std::move(commands), context.arrived + patience);
  for (std::size_t i = 0; i < answer.results.size(); ++i)
    answer.results[i].error_code =
        outcomes && (*outcomes)[i] ? code_of((*outcomes)[i]->error) : error_code::coordinator_not_available;
  co_return answer;
}
}  // namespace yaks::handlers
