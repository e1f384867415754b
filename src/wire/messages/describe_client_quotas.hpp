// DescribeClientQuotas (48): quotas of users and clients (KIP-546). match_type: 0 exact, 1 default, 2 any.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct describe_client_quotas_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_client_quotas;
  static constexpr versions valid{0, 1}, flexible = since(1);

  struct component {
    static constexpr bool is_described = true;

    std::string_view entity_type;
    std::int8_t match_type = 0;
    std::optional<std::string_view> match;

    static constexpr void describe(auto& m, auto& field) {
      field("EntityType", m.entity_type);
      field("MatchType", m.match_type);
      field("Match", m.match);
    }
    bool operator==(const component&) const = default;
  };

  std::vector<component> components;
  bool strict = false;

  static constexpr void describe(auto& m, auto& field) {
    field("Components", m.components);
    field("Strict", m.strict);
  }
  bool operator==(const describe_client_quotas_request&) const = default;
};

struct describe_client_quotas_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_client_quotas;
  static constexpr versions valid{0, 1}, flexible = since(1);

  struct entry {
    static constexpr bool is_described = true;

    struct entity_part {
      static constexpr bool is_described = true;

      std::string entity_type;
      std::optional<std::string> entity_name;

      static constexpr void describe(auto& m, auto& field) {
        field("EntityType", m.entity_type);
        field("EntityName", m.entity_name);
      }
      bool operator==(const entity_part&) const = default;
    };

    struct value_entry {
      static constexpr bool is_described = true;

      std::string key;
      double value = 0;

      static constexpr void describe(auto& m, auto& field) {
        field("Key", m.key);
        field("Value", m.value);
      }
      bool operator==(const value_entry&) const = default;
    };

    std::vector<entity_part> entity;
    std::vector<value_entry> values;

    static constexpr void describe(auto& m, auto& field) {
      field("Entity", m.entity);
      field("Values", m.values);
    }
    bool operator==(const entry&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  wire::error_code error_code = wire::error_code::none;
  std::optional<std::string> error_message;
  std::optional<std::vector<entry>> entries;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("ErrorCode", m.error_code);
    field("ErrorMessage", m.error_message);
    field("Entries", m.entries);
  }
  bool operator==(const describe_client_quotas_response&) const = default;
};

}  // namespace yaks::wire
