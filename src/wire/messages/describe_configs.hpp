// DescribeConfigs (32): settings of topics (resource_type 2) and brokers (4), KIP-133. configuration_keys = null asks
// for all. config_source: 1 topic, 2 dynamic broker, 3 dynamic default broker, 4 static broker, 5 default (KIP-226).
// config_type: 0 unknown, 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9 password (KIP-569).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct describe_configs_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_configs;
  static constexpr versions valid{1, 4}, flexible = since(4);

  struct resource {
    static constexpr bool is_described = true;

    std::int8_t resource_type = 0;
    std::string_view resource_name;
    std::optional<std::vector<std::string_view>> configuration_keys;

    static constexpr void describe(auto& m, auto& field) {
      field("ResourceType", m.resource_type);
      field("ResourceName", m.resource_name);
      field("ConfigurationKeys", m.configuration_keys);
    }
    bool operator==(const resource&) const = default;
  };

  std::vector<resource> resources;
  bool include_synonyms = false;
  bool include_documentation = false;

  static constexpr void describe(auto& m, auto& field) {
    field("Resources", m.resources);
    field("IncludeSynonyms", m.include_synonyms);
    field("IncludeDocumentation", m.include_documentation, {.in = since(3)});
  }
  bool operator==(const describe_configs_request&) const = default;
};

struct describe_configs_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_configs;
  static constexpr versions valid{1, 4}, flexible = since(4);

  struct resource {
    static constexpr bool is_described = true;

    struct config_entry {
      static constexpr bool is_described = true;

      struct synonym {
        static constexpr bool is_described = true;

        std::string name;
        std::optional<std::string> value;
        std::int8_t source = 0;

        static constexpr void describe(auto& m, auto& field) {
          field("Name", m.name);
          field("Value", m.value);
          field("Source", m.source);
        }
        bool operator==(const synonym&) const = default;
      };

      std::string name;
      std::optional<std::string> value;
      bool read_only = false;
      std::int8_t config_source = -1;
      bool is_sensitive = false;
      std::vector<synonym> synonyms;
      std::int8_t config_type = 0;
      std::optional<std::string> documentation;

      static constexpr void describe(auto& m, auto& field) {
        field("Name", m.name);
        field("Value", m.value);
        field("ReadOnly", m.read_only);
        field("ConfigSource", m.config_source);
        field("IsSensitive", m.is_sensitive);
        field("Synonyms", m.synonyms);
        field("ConfigType", m.config_type, {.in = since(3)});
        field("Documentation", m.documentation, {.in = since(3)});
      }
      bool operator==(const config_entry&) const = default;
    };

    wire::error_code error_code = wire::error_code::none;
    std::optional<std::string> error_message;
    std::int8_t resource_type = 0;
    std::string resource_name;
    std::vector<config_entry> configs;

    static constexpr void describe(auto& m, auto& field) {
      field("ErrorCode", m.error_code);
      field("ErrorMessage", m.error_message);
      field("ResourceType", m.resource_type);
      field("ResourceName", m.resource_name);
      field("Configs", m.configs);
    }
    bool operator==(const resource&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<resource> results;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("Results", m.results);
  }
  bool operator==(const describe_configs_response&) const = default;
};

}  // namespace yaks::wire
