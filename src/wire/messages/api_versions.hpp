// ApiVersions (18): what an agent speaks, asked first on every connection, before authentication (KIP-35, KIP-511).
//
// A client that asks in a version newer than ours is answered in version 0 with unsupported_version and our ranges, and
// asks again. The features are trusted by clients only when finalized_features_epoch >= 0; versions below 4 must leave
// out supported features whose first version is 0 (KIP-584).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct api_versions_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::api_versions;
  static constexpr versions valid{0, 4}, flexible = since(3);

  std::string_view client_software_name;
  std::string_view client_software_version;

  static constexpr void describe(auto& m, auto& field) {
    field("ClientSoftwareName", m.client_software_name, {.in = since(3)});
    field("ClientSoftwareVersion", m.client_software_version, {.in = since(3)});
  }
  bool operator==(const api_versions_request&) const = default;
};

struct api_versions_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::api_versions;
  static constexpr versions valid{0, 4}, flexible = since(3);

  struct api_range {
    static constexpr bool is_described = true;

    std::int16_t api_key = 0;
    std::int16_t min_version = 0;
    std::int16_t max_version = 0;

    static constexpr void describe(auto& m, auto& field) {
      field("ApiKey", m.api_key);
      field("MinVersion", m.min_version);
      field("MaxVersion", m.max_version);
    }
    bool operator==(const api_range&) const = default;
  };

  struct supported_feature {
    static constexpr bool is_described = true;

    std::string name;
    std::int16_t min_version = 0;
    std::int16_t max_version = 0;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name);
      field("MinVersion", m.min_version);
      field("MaxVersion", m.max_version);
    }
    bool operator==(const supported_feature&) const = default;
  };

  struct finalized_feature {
    static constexpr bool is_described = true;

    std::string name;
    std::int16_t max_version_level = 0;
    std::int16_t min_version_level = 0;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name);
      field("MaxVersionLevel", m.max_version_level);
      field("MinVersionLevel", m.min_version_level);
    }
    bool operator==(const finalized_feature&) const = default;
  };

  wire::error_code error_code = wire::error_code::none;
  std::vector<api_range> api_keys;
  std::int32_t throttle_time_ms = 0;
  std::vector<supported_feature> supported_features;
  std::int64_t finalized_features_epoch = -1;
  std::vector<finalized_feature> finalized_features;
  bool zk_migration_ready = false;

  static constexpr void describe(auto& m, auto& field) {
    field("ErrorCode", m.error_code);
    field("ApiKeys", m.api_keys);
    field("ThrottleTimeMs", m.throttle_time_ms, {.in = since(1)});
    field("SupportedFeatures", m.supported_features, {.in = since(3), .tag = 0});
    field("FinalizedFeaturesEpoch", m.finalized_features_epoch, {.in = since(3), .tag = 1});
    field("FinalizedFeatures", m.finalized_features, {.in = since(3), .tag = 2});
    field("ZkMigrationReady", m.zk_migration_ready, {.in = since(3), .tag = 3});
  }
  bool operator==(const api_versions_response&) const = default;
};

}  // namespace yaks::wire
