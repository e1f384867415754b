// AlterPartitionReassignments (45): moves replicas (KIP-455); replicas = null cancels.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct alter_partition_reassignments_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::alter_partition_reassignments;
  static constexpr versions valid{0, 1}, flexible = since(0);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      std::int32_t partition_index = 0;
      std::optional<std::vector<std::int32_t>> replicas;

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionIndex", m.partition_index);
        field("Replicas", m.replicas);
      }
      bool operator==(const partition_entry&) const = default;
    };

    std::string_view name;
    std::vector<partition_entry> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name);
      field("Partitions", m.partitions);
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::int32_t timeout_ms = 60000;
  bool allow_replication_factor_change = true;
  std::vector<topic_entry> topics;

  static constexpr void describe(auto& m, auto& field) {
    field("TimeoutMs", m.timeout_ms);
    field("AllowReplicationFactorChange", m.allow_replication_factor_change, {.in = since(1)});
    field("Topics", m.topics);
  }
  bool operator==(const alter_partition_reassignments_request&) const = default;
};

struct alter_partition_reassignments_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::alter_partition_reassignments;
  static constexpr versions valid{0, 1}, flexible = since(0);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      std::int32_t partition_index = 0;
      wire::error_code error_code = wire::error_code::none;
      std::optional<std::string> error_message;

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionIndex", m.partition_index);
        field("ErrorCode", m.error_code);
        field("ErrorMessage", m.error_message);
      }
      bool operator==(const partition_entry&) const = default;
    };

    std::string name;
    std::vector<partition_entry> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name);
      field("Partitions", m.partitions);
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  bool allow_replication_factor_change = true;
  wire::error_code error_code = wire::error_code::none;
  std::optional<std::string> error_message;
  std::vector<topic_entry> responses;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("AllowReplicationFactorChange", m.allow_replication_factor_change, {.in = since(1)});
    field("ErrorCode", m.error_code);
    field("ErrorMessage", m.error_message);
    field("Responses", m.responses);
  }
  bool operator==(const alter_partition_reassignments_response&) const = default;
};

}  // namespace yaks::wire
