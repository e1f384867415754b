// Heartbeat (12): a member of a classic group lives, and learns whether the group rebalances.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct heartbeat_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::heartbeat;
  static constexpr versions valid{0, 4}, flexible = since(4);

  std::string_view group_id;
  std::int32_t generation_id = 0;
  std::string_view member_id;
  std::optional<std::string_view> group_instance_id;

  static constexpr void describe(auto& m, auto& field) {
    field("GroupId", m.group_id);
    field("GenerationId", m.generation_id);
    field("MemberId", m.member_id);
    field("GroupInstanceId", m.group_instance_id, {.in = since(3)});
  }
  bool operator==(const heartbeat_request&) const = default;
};

struct heartbeat_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::heartbeat;
  static constexpr versions valid{0, 4}, flexible = since(4);

  std::int32_t throttle_time_ms = 0;
  wire::error_code error_code = wire::error_code::none;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms, {.in = since(1)});
    field("ErrorCode", m.error_code);
  }
  bool operator==(const heartbeat_response&) const = default;
};

}  // namespace yaks::wire
