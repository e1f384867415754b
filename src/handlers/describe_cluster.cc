#include "handlers/authorized_operations.hpp"
#include "handlers/handlers.hpp"

namespace yaks::handlers {
wire::describe_cluster_response describe_cluster(services& s, const wire::describe_cluster_request& request, const request_context&) {
  wire::describe_cluster_response answer;
  answer.endpoint_type = request.endpoint_type;
  constexpr std::int8_t brokers = 1, controllers = 2;
  if (request.endpoint_type != brokers) {
    answer.error_code = request.endpoint_type == controllers ? wire::error_code::mismatched_endpoint_type
                                                             : wire::error_code::unsupported_endpoint_type;
    answer.error_message = "this endpoint is a broker's";
    return answer;
  }
  answer.cluster_id = s.broker.cluster_id;
  answer.controller_id = s.members.self().value();  // any agent does what a controller does
  for (const auto& b : s.members.brokers()) {
    auto& out = answer.brokers.emplace_back();
    out.broker_id = b.id.value();
    out.host = b.host;
    out.port = b.port;
    if (!b.zone.empty()) out.rack = b.zone;
  }
  if (request.include_cluster_authorized_operations) answer.cluster_authorized_operations = all_cluster_operations;
  return answer;
}
}  // namespace yaks::handlers
