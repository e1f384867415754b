// ListConfigResources (74): names of what has settings (KIP-1142). Version 0 was called ListClientMetricsResources and
// lists those only. Resource types: 2 topic, 4 broker, 16 client metrics, 32 group; an empty list asks for all.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct list_config_resources_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::list_config_resources;
  static constexpr versions valid{0, 1}, flexible = since(0);

  std::vector<std::int8_t> resource_types;

  static constexpr void describe(auto& m, auto& field) { field("ResourceTypes", m.resource_types, {.in = since(1)}); }
  bool operator==(const list_config_resources_request&) const = default;
};

struct list_config_resources_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::list_config_resources;
  static constexpr versions valid{0, 1}, flexible = since(0);

  struct resource {
    static constexpr bool is_described = true;

    std::string resource_name;
    std::int8_t resource_type = 16;

    static constexpr void describe(auto& m, auto& field) {
      field("ResourceName", m.resource_name);
      field("ResourceType", m.resource_type, {.in = since(1)});
    }
    bool operator==(const resource&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  wire::error_code error_code = wire::error_code::none;
  std::vector<resource> config_resources;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("ErrorCode", m.error_code);
    field("ConfigResources", m.config_resources);
  }
  bool operator==(const list_config_resources_response&) const = default;
};

}  // namespace yaks::wire
