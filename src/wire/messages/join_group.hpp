// JoinGroup (11): a member asks to take part in the next generation of a classic group, and is answered when that begins. The
// protocols' metadata is the business of the members alone.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct join_group_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::join_group;
  static constexpr versions valid{0, 9}, flexible = since(6);

  struct protocol {
    static constexpr bool is_described = true;

    std::string_view name;
    octets_view metadata;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name);
      field("Metadata", m.metadata);
    }
    bool operator==(const protocol&) const = default;
  };

  std::string_view group_id;
  std::int32_t session_timeout_ms = 0;
  std::int32_t rebalance_timeout_ms = -1;
  std::string_view member_id;
  std::optional<std::string_view> group_instance_id;
  std::string_view protocol_type;
  std::vector<protocol> protocols;
  std::optional<std::string_view> reason;

  static constexpr void describe(auto& m, auto& field) {
    field("GroupId", m.group_id);
    field("SessionTimeoutMs", m.session_timeout_ms);
    field("RebalanceTimeoutMs", m.rebalance_timeout_ms, {.in = since(1)});
    field("MemberId", m.member_id);
    field("GroupInstanceId", m.group_instance_id, {.in = since(5)});
    field("ProtocolType", m.protocol_type);
    field("Protocols", m.protocols);
    field("Reason", m.reason, {.in = since(8)});
  }
  bool operator==(const join_group_request&) const = default;
};

struct join_group_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::join_group;
  static constexpr versions valid{0, 9}, flexible = since(6);

  struct member {
    static constexpr bool is_described = true;

    std::string member_id;
    std::optional<std::string> group_instance_id;
    octets metadata;

    static constexpr void describe(auto& m, auto& field) {
      field("MemberId", m.member_id);
      field("GroupInstanceId", m.group_instance_id, {.in = since(5)});
      field("Metadata", m.metadata);
    }
    bool operator==(const member&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  wire::error_code error_code = wire::error_code::none;
  std::int32_t generation_id = -1;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  std::string leader;
  bool skip_assignment = false;
  std::string member_id;
  std::vector<member> members;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms, {.in = since(2)});
    field("ErrorCode", m.error_code);
    field("GenerationId", m.generation_id);
    field("ProtocolType", m.protocol_type, {.in = since(7)});
    field("ProtocolName", m.protocol_name, {.null = since(7)});
    field("Leader", m.leader);
    field("SkipAssignment", m.skip_assignment, {.in = since(9)});
    field("MemberId", m.member_id);
    field("Members", m.members);
  }
  bool operator==(const join_group_response&) const = default;
};

}  // namespace yaks::wire
