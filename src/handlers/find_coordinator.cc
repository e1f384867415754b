#include <spdlog/spdlog.h>

#include "base/printable.hpp"
#include "handlers/handlers.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;
enum class key_type : std::int8_t { group = 0, transaction = 1, share = 2 };

struct verdict {
  error_code code = error_code::none;
  std::optional<std::string> text;
};
// Every agent serves every group: that each group has a favourite one keeps its members together.
//
// A transactional producer asks here first. UNSUPPORTED_VERSION would be the honest code, and librdkafka asks again every half
// second for ever when it gets it; TRANSACTIONAL_ID_AUTHORIZATION_FAILED makes every client fail at once and show the text.
verdict judge(std::int8_t type, const request_context& context, std::string_view key) {
  switch (key_type(type)) {
    case key_type::group: return {};
    case key_type::transaction:
      spdlog::warn("client {} asked for the coordinator of transactional id {}: transactions are not supported", printable(context.client_id),
                   printable(key));
      return {error_code::transactional_id_authorization_failed, "transactions are not supported by this server"};
    case key_type::share: return {error_code::unsupported_version, "share groups are not supported"};
  }
  return {error_code::invalid_request, "unknown type of coordinator"};
}
}  // namespace

wire::find_coordinator_response find_coordinator(services& s, const wire::find_coordinator_request& request,
                                                 const request_context& context) {
  wire::find_coordinator_response answer;
  auto near = membership::within_zone(s.members.brokers(), membership::zone_of_client(context.client_id));
  auto fill = [&](std::string_view key, auto& out) {
    auto v = judge(request.key_type, context, key);
    out.error_code = v.code;
    out.error_message = v.text;
    out.node_id = out.port = -1;
    if (v.code != error_code::none) return;
    const auto& chosen = membership::favourite(near, membership::routing_key(key));
    out.node_id = chosen.id.value();
    out.host = chosen.host;
    out.port = chosen.port;
  };
  if (context.version < 4) {
    fill(request.key, answer);
    return answer;
  }
  for (auto key : request.coordinator_keys) {
    auto& c = answer.coordinators.emplace_back();
    c.key = key;
    fill(key, c);
  }
  return answer;
}
}  // namespace yaks::handlers
