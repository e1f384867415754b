// FindCoordinator (10): who coordinates a group (key_type 0), a transactional id (1) or a share group (2). From version
// 4 on several keys per request, each with its own error (KIP-699).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct find_coordinator_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::find_coordinator;
  static constexpr versions valid{0, 6}, flexible = since(3);

  std::string_view key;
  std::int8_t key_type = 0;
  std::vector<std::string_view> coordinator_keys;

  static constexpr void describe(auto& m, auto& field) {
    field("Key", m.key, {.in = until(3)});
    field("KeyType", m.key_type, {.in = since(1)});
    field("CoordinatorKeys", m.coordinator_keys, {.in = since(4)});
  }
  bool operator==(const find_coordinator_request&) const = default;
};

struct find_coordinator_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::find_coordinator;
  static constexpr versions valid{0, 6}, flexible = since(3);

  struct coordinator {
    static constexpr bool is_described = true;

    std::string key;
    std::int32_t node_id = 0;
    std::string host;
    std::int32_t port = 0;
    wire::error_code error_code = wire::error_code::none;
    std::optional<std::string> error_message;

    static constexpr void describe(auto& m, auto& field) {
      field("Key", m.key);
      field("NodeId", m.node_id);
      field("Host", m.host);
      field("Port", m.port);
      field("ErrorCode", m.error_code);
      field("ErrorMessage", m.error_message);
    }
    bool operator==(const coordinator&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  wire::error_code error_code = wire::error_code::none;
  std::optional<std::string> error_message;
  std::int32_t node_id = 0;
  std::string host;
  std::int32_t port = 0;
  std::vector<coordinator> coordinators;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms, {.in = since(1)});
    field("ErrorCode", m.error_code, {.in = until(3)});
    field("ErrorMessage", m.error_message, {.in = {1, 3}});
    field("NodeId", m.node_id, {.in = until(3)});
    field("Host", m.host, {.in = until(3)});
    field("Port", m.port, {.in = until(3)});
    field("Coordinators", m.coordinators, {.in = since(4)});
  }
  bool operator==(const find_coordinator_response&) const = default;
};

}  // namespace yaks::wire
