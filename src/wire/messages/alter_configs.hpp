// AlterConfigs (33): replaces all settings of each resource by those named (KIP-133). Resource and config types:
// describe_configs.hpp.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct alter_configs_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::alter_configs;
  static constexpr versions valid{0, 2}, flexible = since(2);

  struct resource {
    static constexpr bool is_described = true;

    struct config {
      static constexpr bool is_described = true;

      std::string_view name;
      std::optional<std::string_view> value;

      static constexpr void describe(auto& m, auto& field) {
        field("Name", m.name);
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
  bool operator==(const alter_configs_request&) const = default;
};

struct alter_configs_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::alter_configs;
  static constexpr versions valid{0, 2}, flexible = since(2);

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
  bool operator==(const alter_configs_response&) const = default;
};

}  // namespace yaks::wire
