#include <algorithm>
#include <cctype>

#include "handlers/groups.hpp"
#include "handlers/handlers.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;

bool is_same(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}
bool passes(const std::vector<std::string_view>& filter, std::string_view value) {
  return filter.empty() || std::ranges::any_of(filter, [&](auto wanted) { return is_same(wanted, value); });
}
}  // namespace

awaitable<wire::list_groups_response> list_groups(services& s, const wire::list_groups_request& request,
                                                  const request_context& context) {
  wire::list_groups_response answer;
  if (!co_await s.log.barrier_since(context.arrived)) {
    answer.error_code = error_code::coordinator_not_available;
    co_return answer;
  }
  const auto& state = s.log.current();
  auto list = [&](const std::string& id, std::string_view protocol_type, std::string_view phase, std::string_view type) {
    if (passes(request.states_filter, phase) && passes(request.types_filter, type))
      answer.groups.push_back({.group_id = id, .protocol_type = std::string(protocol_type), .group_state = std::string(phase), .group_type = std::string(type)});
  };
  for (const auto& [id, g] : state.groups().all()) list(id, g.protocol_type, g.phase_name(), g.type_name());
  for (const auto& [id, offsets] : state.group_offsets())
    if (!state.groups().find(id)) list(id, "", name(metadata::group_phase::empty), "classic");
  co_return answer;
}
}  // namespace yaks::handlers
