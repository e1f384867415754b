// ListOffsets (2): the first offset whose record is not older than a timestamp. Special timestamps: -1 latest, -2
// earliest, -3 largest timestamp (version 7, KIP-734), -4 earliest local (8, KIP-405), -5 latest tiered (9, KIP-1005),
// -6 earliest pending upload (11, KIP-1023). Nothing found is offset -1 and timestamp -1.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct list_offsets_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::list_offsets;
  static constexpr versions valid{1, 11}, flexible = since(6);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      std::int32_t partition_index = 0;
      std::int32_t current_leader_epoch = -1;
      std::int64_t timestamp = 0;

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionIndex", m.partition_index);
        field("CurrentLeaderEpoch", m.current_leader_epoch, {.in = since(4)});
        field("Timestamp", m.timestamp);
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

  std::int32_t replica_id = 0;
  std::int8_t isolation_level = 0;
  std::vector<topic_entry> topics;
  std::int32_t timeout_ms = 0;

  static constexpr void describe(auto& m, auto& field) {
    field("ReplicaId", m.replica_id);
    field("IsolationLevel", m.isolation_level, {.in = since(2)});
    field("Topics", m.topics);
    field("TimeoutMs", m.timeout_ms, {.in = since(10)});
  }
  bool operator==(const list_offsets_request&) const = default;
};

struct list_offsets_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::list_offsets;
  static constexpr versions valid{1, 11}, flexible = since(6);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      std::int32_t partition_index = 0;
      wire::error_code error_code = wire::error_code::none;
      std::int64_t timestamp = -1;
      std::int64_t offset = -1;
      std::int32_t leader_epoch = -1;

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionIndex", m.partition_index);
        field("ErrorCode", m.error_code);
        field("Timestamp", m.timestamp);
        field("Offset", m.offset);
        field("LeaderEpoch", m.leader_epoch, {.in = since(4)});
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
  std::vector<topic_entry> topics;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms, {.in = since(2)});
    field("Topics", m.topics);
  }
  bool operator==(const list_offsets_response&) const = default;
};

}  // namespace yaks::wire
