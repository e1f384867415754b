// IncrementalAlterConfigs (44): changes single settings (KIP-339). config_operation: 0 set, 1 delete, 2 append to a
// list, 3 subtract from a list. Resource types: describe_configs.hpp.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct incremental_alter_configs_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::incremental_alter_configs;
  static constexpr versions valid{0, 1}, flexible = since(1);

  struct resource {
    static constexpr bool is_described = true;

    struct config {
      static constexpr bool is_described = true;

      std::string_view name;
      std::int8_t config_operation = 0;
      std::optional<std::string_view> value;

      static constexpr void describe(auto& m, auto& field) {
        field("Name", m.name);
        field("ConfigOperation", m.config_operation);
        field("Value", m.value);
      }
      bool operator==(const config&) const = default;
    };

    std::int8_t resource_type = 0;
    std::string_view resource_name;
    std::vector<config> configs;

    static constexpr void describe(auto& m, auto& field) {
      field("ResourceType", m.resource_type);
      field("ResourceName", m.resource_name);
      field("Configs", m.configs);
    }
    bool operator==(const resource&) const = default;
  };

  std::vector<resource> resources;
  bool validate_only = false;

  static constexpr void describe(auto& m, auto& field) {
    field("Resources", m.resources);
    field("ValidateOnly", m.validate_only);
  }
  bool operator==(const incremental_alter_configs_request&) const = default;
};

struct incremental_alter_configs_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::incremental_alter_configs;
  static constexpr versions valid{0, 1}, flexible = since(1);

  struct resource {
    static constexpr bool is_described = true;

    wire::error_code error_code = wire::error_code::none;
    std::optional<std::string> error_message;
    std::int8_t resource_type = 0;
    std::string resource_name;

    static constexpr void describe(auto& m, auto& field) {
      field("ErrorCode", m.error_code);
      field("ErrorMessage", m.error_message);
      field("ResourceType", m.resource_type);
      field("ResourceName", m.resource_name);
    }
    bool operator==(const resource&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<resource> responses;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("Responses", m.responses);
  }
  bool operator==(const incremental_alter_configs_response&) const = default;
};

}  // namespace yaks::wire
