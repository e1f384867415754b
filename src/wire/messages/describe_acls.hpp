// DescribeAcls (29): access rules that match a filter (KIP-140, KIP-290 for pattern types).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct describe_acls_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_acls;
  static constexpr versions valid{1, 3}, flexible = since(2);

  std::int8_t resource_type_filter = 0;
  std::optional<std::string_view> resource_name_filter;
  std::int8_t pattern_type_filter = 3;
  std::optional<std::string_view> principal_filter;
  std::optional<std::string_view> host_filter;
  std::int8_t operation = 0;
  std::int8_t permission_type = 0;

  static constexpr void describe(auto& m, auto& field) {
    field("ResourceTypeFilter", m.resource_type_filter);
    field("ResourceNameFilter", m.resource_name_filter);
    field("PatternTypeFilter", m.pattern_type_filter);
    field("PrincipalFilter", m.principal_filter);
    field("HostFilter", m.host_filter);
    field("Operation", m.operation);
    field("PermissionType", m.permission_type);
  }
  bool operator==(const describe_acls_request&) const = default;
};

struct describe_acls_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_acls;
  static constexpr versions valid{1, 3}, flexible = since(2);

  struct resource {
    static constexpr bool is_described = true;

    struct acl {
      static constexpr bool is_described = true;

      std::string principal;
      std::string host;
      std::int8_t operation = 0;
      std::int8_t permission_type = 0;

      static constexpr void describe(auto& m, auto& field) {
        field("Principal", m.principal);
        field("Host", m.host);
        field("Operation", m.operation);
        field("PermissionType", m.permission_type);
      }
      bool operator==(const acl&) const = default;
    };

    std::int8_t resource_type = 0;
    std::string resource_name;
    std::int8_t pattern_type = 3;
    std::vector<acl> acls;

    static constexpr void describe(auto& m, auto& field) {
      field("ResourceType", m.resource_type);
      field("ResourceName", m.resource_name);
      field("PatternType", m.pattern_type);
      field("Acls", m.acls);
    }
    bool operator==(const resource&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  wire::error_code error_code = wire::error_code::none;
  std::optional<std::string> error_message;
  std::vector<resource> resources;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("ErrorCode", m.error_code);
    field("ErrorMessage", m.error_message);
    field("Resources", m.resources);
  }
  bool operator==(const describe_acls_response&) const = default;
};

}  // namespace yaks::wire
