// Metadata (3): brokers, topics and partitions.
//
// topics: null asks for all; empty asks for none from version 1 on, and for all in version 0, where there is no null.
// From version 10 on a topic may be named by its id instead (KIP-516). Each requested topic is answered, with an error
// where it is unknown. Authorized operations are a bit field, the smallest int32 when they were not asked for
// (KIP-430).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct metadata_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::metadata;
  static constexpr versions valid{0, 13}, flexible = since(9);

  struct topic_entry {
    static constexpr bool is_described = true;

    uuid topic_id;
    std::optional<std::string_view> name;

    static constexpr void describe(auto& m, auto& field) {
      field("TopicId", m.topic_id, {.in = since(10)});
      field("Name", m.name, {.null = since(10)});
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::optional<std::vector<topic_entry>> topics;
  bool allow_auto_topic_creation = true;
  bool include_cluster_authorized_operations = false;
  bool include_topic_authorized_operations = false;

  static constexpr void describe(auto& m, auto& field) {
    field("Topics", m.topics, {.null = since(1)});
    field("AllowAutoTopicCreation", m.allow_auto_topic_creation, {.in = since(4)});
    field("IncludeClusterAuthorizedOperations", m.include_cluster_authorized_operations, {.in = {8, 10}});
    field("IncludeTopicAuthorizedOperations", m.include_topic_authorized_operations, {.in = since(8)});
  }
  bool operator==(const metadata_request&) const = default;
};

struct metadata_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::metadata;
  static constexpr versions valid{0, 13}, flexible = since(9);

  struct broker {
    static constexpr bool is_described = true;

    std::int32_t node_id = 0;
    std::string host;
    std::int32_t port = 0;
    std::optional<std::string> rack;

    static constexpr void describe(auto& m, auto& field) {
      field("NodeId", m.node_id);
      field("Host", m.host);
      field("Port", m.port);
      field("Rack", m.rack, {.in = since(1)});
    }
    bool operator==(const broker&) const = default;
  };

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
      std::vector<std::int32_t> offline_replicas;

      static constexpr void describe(auto& m, auto& field) {
        field("ErrorCode", m.error_code);
        field("PartitionIndex", m.partition_index);
        field("LeaderId", m.leader_id);
        field("LeaderEpoch", m.leader_epoch, {.in = since(7)});
        field("ReplicaNodes", m.replica_nodes);
        field("IsrNodes", m.isr_nodes);
        field("OfflineReplicas", m.offline_replicas, {.in = since(5)});
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
      field("Name", m.name, {.null = since(12)});
      field("TopicId", m.topic_id, {.in = since(10)});
      field("IsInternal", m.is_internal, {.in = since(1)});
      field("Partitions", m.partitions);
      field("TopicAuthorizedOperations", m.topic_authorized_operations, {.in = since(8)});
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<broker> brokers;
  std::optional<std::string> cluster_id;
  std::int32_t controller_id = -1;
  std::vector<topic_entry> topics;
  std::int32_t cluster_authorized_operations = std::numeric_limits<std::int32_t>::min();
  wire::error_code error_code = wire::error_code::none;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms, {.in = since(3)});
    field("Brokers", m.brokers);
    field("ClusterId", m.cluster_id, {.in = since(2)});
    field("ControllerId", m.controller_id, {.in = since(1)});
    field("Topics", m.topics);
    field("ClusterAuthorizedOperations", m.cluster_authorized_operations, {.in = {8, 10}});
    field("ErrorCode", m.error_code, {.in = since(13)});
  }
  bool operator==(const metadata_response&) const = default;
};

}  // namespace yaks::wire
