// DescribeGroups (15): classic groups with their members.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct describe_groups_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_groups;
  static constexpr versions valid{0, 6}, flexible = since(5);

  std::vector<std::string_view> groups;
  bool include_authorized_operations = false;

  static constexpr void describe(auto& m, auto& field) {
    field("Groups", m.groups);
    field("IncludeAuthorizedOperations", m.include_authorized_operations, {.in = since(3)});
  }
  bool operator==(const describe_groups_request&) const = default;
};

struct describe_groups_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_groups;
  static constexpr versions valid{0, 6}, flexible = since(5);

  struct group {
    static constexpr bool is_described = true;

    struct member {
      static constexpr bool is_described = true;

      std::string member_id;
      std::optional<std::string> group_instance_id;
      std::string client_id;
      std::string client_host;
      octets member_metadata;
      octets member_assignment;

      static constexpr void describe(auto& m, auto& field) {
        field("MemberId", m.member_id);
        field("GroupInstanceId", m.group_instance_id, {.in = since(4)});
        field("ClientId", m.client_id);
        field("ClientHost", m.client_host);
        field("MemberMetadata", m.member_metadata);
        field("MemberAssignment", m.member_assignment);
      }
      bool operator==(const member&) const = default;
    };

    wire::error_code error_code = wire::error_code::none;
    std::optional<std::string> error_message;
    std::string group_id;
    std::string group_state;
    std::string protocol_type;
    std::string protocol_data;
    std::vector<member> members;
    std::int32_t authorized_operations = std::numeric_limits<std::int32_t>::min();

    static constexpr void describe(auto& m, auto& field) {
      field("ErrorCode", m.error_code);
      field("ErrorMessage", m.error_message, {.in = since(6)});
      field("GroupId", m.group_id);
      field("GroupState", m.group_state);
      field("ProtocolType", m.protocol_type);
      field("ProtocolData", m.protocol_data);
      field("Members", m.members);
      field("AuthorizedOperations", m.authorized_operations, {.in = since(3)});
    }
    bool operator==(const group&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<group> groups;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms, {.in = since(1)});
    field("Groups", m.groups);
  }
  bool operator==(const describe_groups_response&) const = default;
};

}  // namespace yaks::wire
