// What an agent without users, rules and quotas says of them.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <map>

#include "base/printable.hpp"
#include "handlers/handlers.hpp"

namespace yaks::handlers {
using wire::error_code;

wire::describe_acls_response describe_acls(services&, const wire::describe_acls_request&, const request_context&) {
  wire::describe_acls_response answer;
  answer.error_code = error_code::security_disabled;
  answer.error_message = "No Authorizer is configured.";
  return answer;
}

// A client that is set up for SASL asks for it before all else. Kafka answers both so on a listener without SASL; where the API is not
// advertised, Java's clients ask for it all the same, again and again, until they time out.
wire::sasl_handshake_response sasl_handshake(services&, const wire::sasl_handshake_request& request, const request_context& context) {
  spdlog::info("{} ({}) wants to authenticate by {}; there is no SASL here", context.client_host, printable(context.client_id),
               printable(request.mechanism));
  return {.error_code = error_code::illegal_sasl_state, .mechanisms = {}};
}

wire::sasl_authenticate_response sasl_authenticate(services&, const wire::sasl_authenticate_request&, const request_context&) {
  return {.error_code = error_code::illegal_sasl_state,
          .error_message = "There is no SASL here: connect with security.protocol=PLAINTEXT.",
          .auth_bytes = {}};
}

wire::describe_client_quotas_response describe_client_quotas(services&, const wire::describe_client_quotas_request&,
                                                             const request_context&) {
  wire::describe_client_quotas_response answer;
  answer.entries.emplace();
  return answer;
}

wire::describe_user_scram_credentials_response describe_user_scram_credentials(
    services&, const wire::describe_user_scram_credentials_request& request, const request_context&) {
  wire::describe_user_scram_credentials_response answer;
  if (!request.users) return answer;
  std::map<std::string_view, int> times_named;
  for (const auto& u : *request.users) ++times_named[u.name];
  for (const auto& [name, times] : times_named) {
    auto& out = answer.results.emplace_back();
    out.user = name;
    out.error_code = times > 1 ? error_code::duplicate_resource : error_code::resource_not_found;
    out.error_message = times > 1 ? fmt::format("Cannot describe SCRAM credentials for the same user twice in a single request: {}", name)
                                  : fmt::format("Attempt to describe a user credential that does not exist: {}", name);
  }
  return answer;
}
}  // namespace yaks::handlers
