// CreatePartitions (37): grows topics to `count` partitions (KIP-195). assignments = null leaves the placement to the
// broker.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct create_partitions_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::create_partitions;
  static constexpr versions valid{0, 3}, flexible = since(2);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct replica_assignment {
      static constexpr bool is_described = true;

      std::vector<std::int32_t> broker_ids;

      static constexpr void describe(auto& m, auto& field) { field("BrokerIds", m.broker_ids); }
      bool operator==(const replica_assignment&) const = default;
    };

    std::string_view name;
    std::int32_t count = 0;
    std::optional<std::vector<replica_assignment>> assignments;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name);
      field("Count", m.count);
      field("Assignments", m.assignments);
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::vector<topic_entry> topics;
  std::int32_t timeout_ms = 0;
  bool validate_only = false;

  static constexpr void describe(auto& m, auto& field) {
    field("Topics", m.topics);
    field("TimeoutMs", m.timeout_ms);
    field("ValidateOnly", m.validate_only);
  }
  bool operator==(const create_partitions_request&) const = default;
};

struct create_partitions_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::create_partitions;
  static constexpr versions valid{0, 3}, flexible = since(2);

  struct topic_entry {
    static constexpr bool is_described = true;

    std::string name;
    wire::error_code error_code = wire::error_code::none;
    std::optional<std::string> error_message;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name);
      field("ErrorCode", m.error_code);
      field("ErrorMessage", m.error_message);
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<topic_entry> results;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("Results", m.results);
  }
  bool operator==(const create_partitions_response&) const = default;
};

}  // namespace yaks::wire
