// DescribeTopicPartitions (75): partitions of topics, page by page (KIP-966). Topics come sorted by name; the cursor
// names the first partition of the next page.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct describe_topic_partitions_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_topic_partitions;
  static constexpr versions valid{0, 0}, flexible = since(0);

  struct topic_entry {
    static constexpr bool is_described = true;

    std::string_view name;

    static constexpr void describe(auto& m, auto& field) { field("Name", m.name); }
    bool operator==(const topic_entry&) const = default;
  };

  struct cursor_position {
    static constexpr bool is_described = true;

    std::string_view topic_name;
    std::int32_t partition_index = 0;

    static constexpr void describe(auto& m, auto& field) {
      field("TopicName", m.topic_name);
      field("PartitionIndex", m.partition_index);
    }
    bool operator==(const cursor_position&) const = default;
  };

  std::vector<topic_entry> topics;
  std::int32_t response_partition_limit = 2000;
  std::optional<cursor_position> cursor;

  static constexpr void describe(auto& m, auto& field) {
    field("Topics", m.topics);
    field("ResponsePartitionLimit", m.response_partition_limit);
    field("Cursor", m.cursor);
  }
  bool operator==(const describe_topic_partitions_request&) const = default;
};

struct describe_topic_partitions_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_topic_partitions;
  static constexpr versions valid{0, 0}, flexible = since(0);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      wire::error_code error_code = wire::error_code::none;
      std::int32_t partition_index = 0;
      std::int32_t leader_id = 0;
      std::int32_t leader_epoch = -1;
      std::vector<std::int32_t> replica_nodes;
      std::vector<std::int32_t> isr_nodes;
      std::optional<std::vector<std::int32_t>> eligible_leader_replicas;
      std::optional<std::vector<std::int32_t>> last_known_elr;
      std::vector<std::int32_t> offline_replicas;

      static constexpr void describe(auto& m, auto& field) {
        field("ErrorCode", m.error_code);
        field("PartitionIndex", m.partition_index);
        field("LeaderId", m.leader_id);
        field("LeaderEpoch", m.leader_epoch);
        field("ReplicaNodes", m.replica_nodes);
        field("IsrNodes", m.isr_nodes);
        field("EligibleLeaderReplicas", m.eligible_leader_replicas);
        field("LastKnownElr", m.last_known_elr);
        field("OfflineReplicas", m.offline_replicas);
      }
      bool operator==(const partition_entry&) const = default;
    };

    wire::error_code error_code = wire::error_code::none;
    std::optional<std::string> name;
    uuid topic_id;
    bool is_internal = false;
    std::vector<partition_entry> partitions;
    std::int32_t topic_authorized_operations = std::numeric_limits<std::int32_t>::min();

    static constexpr void describe(auto& m, auto& field) {
      field("ErrorCode", m.error_code);
      field("Name", m.name);
      field("TopicId", m.topic_id);
      field("IsInternal", m.is_internal);
      field("Partitions", m.partitions);
      field("TopicAuthorizedOperations", m.topic_authorized_operations);
    }
    bool operator==(const topic_entry&) const = default;
  };

  struct cursor_position {
    static constexpr bool is_described = true;

    std::string topic_name;
    std::int32_t partition_index = 0;

    static constexpr void describe(auto& m, auto& field) {
      field("TopicName", m.topic_name);
      field("PartitionIndex", m.partition_index);
    }
    bool operator==(const cursor_position&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<topic_entry> topics;
  std::optional<cursor_position> next_cursor;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("Topics", m.topics);
    field("NextCursor", m.next_cursor);
  }
  bool operator==(const describe_topic_partitions_response&) const = default;
};

}  // namespace yaks::wire
