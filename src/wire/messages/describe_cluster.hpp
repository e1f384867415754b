// DescribeCluster (60): cluster id, controller and brokers (KIP-700). endpoint_type: 1 brokers, 2 controllers
// (KIP-919).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct describe_cluster_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_cluster;
  static constexpr versions valid{0, 2}, flexible = since(0);

  bool include_cluster_authorized_operations = false;
  std::int8_t endpoint_type = 1;
  bool include_fenced_brokers = false;

  static constexpr void describe(auto& m, auto& field) {
    field("IncludeClusterAuthorizedOperations", m.include_cluster_authorized_operations);
    field("EndpointType", m.endpoint_type, {.in = since(1)});
    field("IncludeFencedBrokers", m.include_fenced_brokers, {.in = since(2)});
  }
  bool operator==(const describe_cluster_request&) const = default;
};

struct describe_cluster_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_cluster;
  static constexpr versions valid{0, 2}, flexible = since(0);

  struct broker {
    static constexpr bool is_described = true;

    std::int32_t broker_id = 0;
    std::string host;
    std::int32_t port = 0;
    std::optional<std::string> rack;
    bool is_fenced = false;

    static constexpr void describe(auto& m, auto& field) {
      field("BrokerId", m.broker_id);
      field("Host", m.host);
      field("Port", m.port);
      field("Rack", m.rack);
      field("IsFenced", m.is_fenced, {.in = since(2)});
    }
    bool operator==(const broker&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  wire::error_code error_code = wire::error_code::none;
  std::optional<std::string> error_message;
  std::int8_t endpoint_type = 1;
  std::string cluster_id;
  std::int32_t controller_id = -1;
  std::vector<broker> brokers;
  std::int32_t cluster_authorized_operations = std::numeric_limits<std::int32_t>::min();

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("ErrorCode", m.error_code);
    field("ErrorMessage", m.error_message);
    field("EndpointType", m.endpoint_type, {.in = since(1)});
    field("ClusterId", m.cluster_id);
    field("ControllerId", m.controller_id);
    field("Brokers", m.brokers);
    field("ClusterAuthorizedOperations", m.cluster_authorized_operations);
  }
  bool operator==(const describe_cluster_response&) const = default;
};

}  // namespace yaks::wire
