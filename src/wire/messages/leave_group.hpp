// LeaveGroup (13): members go at once. From version 3 on several, also named by their instance id alone (KIP-345).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct leave_group_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::leave_group;
  static constexpr versions valid{0, 5}, flexible = since(4);

  struct member {
    static constexpr bool is_described = true;

    std::string_view member_id;
    std::optional<std::string_view> group_instance_id;
    std::optional<std::string_view> reason;

    static constexpr void describe(auto& m, auto& field) {
      field("MemberId", m.member_id, {.in = since(3)});
      field("GroupInstanceId", m.group_instance_id, {.in = since(3)});
      field("Reason", m.reason, {.in = since(5)});
    }
    bool operator==(const member&) const = default;
  };

  std::string_view group_id;
  std::string_view member_id;
  std::vector<member> members;

  static constexpr void describe(auto& m, auto& field) {
    field("GroupId", m.group_id);
    field("MemberId", m.member_id, {.in = until(2)});
    field("Members", m.members, {.in = since(3)});
  }
  bool operator==(const leave_group_request&) const = default;
};

struct leave_group_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::leave_group;
  static constexpr versions valid{0, 5}, flexible = since(4);

  struct member {
    static constexpr bool is_described = true;

    std::string member_id;
    std::optional<std::string> group_instance_id;
    wire::error_code error_code = wire::error_code::none;

    static constexpr void describe(auto& m, auto& field) {
      field("MemberId", m.member_id, {.in = since(3)});
      field("GroupInstanceId", m.group_instance_id, {.in = since(3)});
      field("ErrorCode", m.error_code, {.in = since(3)});
    }
    bool operator==(const member&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  wire::error_code error_code = wire::error_code::none;
  std::vector<member> members;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms, {.in = since(1)});
    field("ErrorCode", m.error_code);
    field("Members", m.members, {.in = since(3)});
  }
  bool operator==(const leave_group_response&) const = default;
};

}  // namespace yaks::wire
