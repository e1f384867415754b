// ListGroups (16): all groups, filtered by state (KIP-518) and type (KIP-848).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct list_groups_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::list_groups;
  static constexpr versions valid{0, 5}, flexible = since(3);

  std::vector<std::string_view> states_filter;
  std::vector<std::string_view> types_filter;

  static constexpr void describe(auto& m, auto& field) {
    field("StatesFilter", m.states_filter, {.in = since(4)});
    field("TypesFilter", m.types_filter, {.in = since(5)});
  }
  bool operator==(const list_groups_request&) const = default;
};

struct list_groups_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::list_groups;
  static constexpr versions valid{0, 5}, flexible = since(3);

  struct group {
    static constexpr bool is_described = true;

    std::string group_id;
    std::string protocol_type;
    std::string group_state;
    std::string group_type;

    static constexpr void describe(auto& m, auto& field) {
      field("GroupId", m.group_id);
      field("ProtocolType", m.protocol_type);
      field("GroupState", m.group_state, {.in = since(4)});
      field("GroupType", m.group_type, {.in = since(5)});
    }
    bool operator==(const group&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  wire::error_code error_code = wire::error_code::none;
  std::vector<group> groups;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms, {.in = since(1)});
    field("ErrorCode", m.error_code);
    field("Groups", m.groups);
  }
  bool operator==(const list_groups_response&) const = default;
};

}  // namespace yaks::wire
