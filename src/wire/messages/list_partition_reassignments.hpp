// ListPartitionReassignments (46): replicas that are being moved (KIP-455). topics = null asks for all.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct list_partition_reassignments_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::list_partition_reassignments;
  static constexpr versions valid{0, 0}, flexible = since(0);

  struct topic_entry {
    static constexpr bool is_described = true;

    std::string_view name;
    std::vector<std::int32_t> partition_indexes;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name);
      field("PartitionIndexes", m.partition_indexes);
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::int32_t timeout_ms = 60000;
  std::optional<std::vector<topic_entry>> topics;

  static constexpr void describe(auto& m, auto& field) {
    field("TimeoutMs", m.timeout_ms);
    field("Topics", m.topics);
  }
  bool operator==(const list_partition_reassignments_request&) const = default;
};

struct list_partition_reassignments_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::list_partition_reassignments;
  static constexpr versions valid{0, 0}, flexible = since(0);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      std::int32_t partition_index = 0;
      std::vector<std::int32_t> replicas;
      std::vector<std::int32_t> adding_replicas;
      std::vector<std::int32_t> removing_replicas;

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionIndex", m.partition_index);
        field("Replicas", m.replicas);
        field("AddingReplicas", m.adding_replicas);
        field("RemovingReplicas", m.removing_replicas);
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
  wire::error_code error_code = wire::error_code::none;
  std::optional<std::string> error_message;
  std::vector<topic_entry> topics;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("ErrorCode", m.error_code);
    field("ErrorMessage", m.error_message);
    field("Topics", m.topics);
  }
  bool operator==(const list_partition_reassignments_response&) const = default;
};

}  // namespace yaks::wire
