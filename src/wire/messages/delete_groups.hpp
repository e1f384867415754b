// DeleteGroups (42): empty groups go, with what they have committed (KIP-229).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct delete_groups_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::delete_groups;
  static constexpr versions valid{0, 2}, flexible = since(2);

  std::vector<std::string_view> groups_names;

  static constexpr void describe(auto& m, auto& field) {
    field("GroupsNames", m.groups_names);
  }
  bool operator==(const delete_groups_request&) const = default;
};

struct delete_groups_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::delete_groups;
  static constexpr versions valid{0, 2}, flexible = since(2);

  struct result_entry {
    static constexpr bool is_described = true;

    std::string group_id;
    wire::error_code error_code = wire::error_code::none;

    static constexpr void describe(auto& m, auto& field) {
      field("GroupId", m.group_id);
      field("ErrorCode", m.error_code);
    }
    bool operator==(const result_entry&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<result_entry> results;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("Results", m.results);
  }
  bool operator==(const delete_groups_response&) const = default;
};

}  // namespace yaks::wire
