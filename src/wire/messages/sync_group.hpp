// SyncGroup (14): the leader of a generation brings everybody's assignment, the others wait for theirs.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct sync_group_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::sync_group;
  static constexpr versions valid{0, 5}, flexible = since(4);

  struct assignment_entry {
    static constexpr bool is_described = true;

    std::string_view member_id;
    octets_view assignment;

    static constexpr void describe(auto& m, auto& field) {
      field("MemberId", m.member_id);
      field("Assignment", m.assignment);
    }
    bool operator==(const assignment_entry&) const = default;
  };

  std::string_view group_id;
  std::int32_t generation_id = 0;
  std::string_view member_id;
  std::optional<std::string_view> group_instance_id;
  std::optional<std::string_view> protocol_type;
  std::optional<std::string_view> protocol_name;
  std::vector<assignment_entry> assignments;

  static constexpr void describe(auto& m, auto& field) {
    field("GroupId", m.group_id);
    field("GenerationId", m.generation_id);
    field("MemberId", m.member_id);
    field("GroupInstanceId", m.group_instance_id, {.in = since(3)});
    field("ProtocolType", m.protocol_type, {.in = since(5)});
    field("ProtocolName", m.protocol_name, {.in = since(5)});
    field("Assignments", m.assignments);
  }
  bool operator==(const sync_group_request&) const = default;
};

struct sync_group_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::sync_group;
  static constexpr versions valid{0, 5}, flexible = since(4);

  std::int32_t throttle_time_ms = 0;
  wire::error_code error_code = wire::error_code::none;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  octets assignment;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms, {.in = since(1)});
    field("ErrorCode", m.error_code);
    field("ProtocolType", m.protocol_type, {.in = since(5)});
    field("ProtocolName", m.protocol_name, {.in = since(5)});
    field("Assignment", m.assignment);
  }
  bool operator==(const sync_group_response&) const = default;
};

}  // namespace yaks::wire
