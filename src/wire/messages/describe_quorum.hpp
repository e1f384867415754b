// DescribeQuorum (55): who keeps the metadata log, and how far each of them is (KIP-595, KIP-853).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct describe_quorum_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_quorum;
  static constexpr versions valid{0, 2}, flexible = since(0);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      std::int32_t partition_index = 0;

      static constexpr void describe(auto& m, auto& field) { field("PartitionIndex", m.partition_index); }
      bool operator==(const partition_entry&) const = default;
    };

    std::string_view topic_name;
    std::vector<partition_entry> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("TopicName", m.topic_name);
      field("Partitions", m.partitions);
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::vector<topic_entry> topics;

  static constexpr void describe(auto& m, auto& field) { field("Topics", m.topics); }
  bool operator==(const describe_quorum_request&) const = default;
};

struct describe_quorum_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_quorum;
  static constexpr versions valid{0, 2}, flexible = since(0);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      struct replica {
        static constexpr bool is_described = true;

        std::int32_t replica_id = 0;
        uuid replica_directory_id;
        std::int64_t log_end_offset = 0;
        std::int64_t last_fetch_timestamp = -1;
        std::int64_t last_caught_up_timestamp = -1;

        static constexpr void describe(auto& m, auto& field) {
          field("ReplicaId", m.replica_id);
          field("ReplicaDirectoryId", m.replica_directory_id, {.in = since(2)});
          field("LogEndOffset", m.log_end_offset);
          field("LastFetchTimestamp", m.last_fetch_timestamp, {.in = since(1)});
          field("LastCaughtUpTimestamp", m.last_caught_up_timestamp, {.in = since(1)});
        }
        bool operator==(const replica&) const = default;
      };

      std::int32_t partition_index = 0;
      wire::error_code error_code = wire::error_code::none;
      std::optional<std::string> error_message;
      std::int32_t leader_id = 0;
      std::int32_t leader_epoch = 0;
      std::int64_t high_watermark = 0;
      std::vector<replica> current_voters;
      std::vector<replica> observers;

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionIndex", m.partition_index);
        field("ErrorCode", m.error_code);
        field("ErrorMessage", m.error_message, {.in = since(2)});
        field("LeaderId", m.leader_id);
        field("LeaderEpoch", m.leader_epoch);
        field("HighWatermark", m.high_watermark);
        field("CurrentVoters", m.current_voters);
        field("Observers", m.observers);
      }
      bool operator==(const partition_entry&) const = default;
    };

    std::string topic_name;
    std::vector<partition_entry> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("TopicName", m.topic_name);
      field("Partitions", m.partitions);
    }
    bool operator==(const topic_entry&) const = default;
  };

  struct node {
    static constexpr bool is_described = true;

    struct listener {
      static constexpr bool is_described = true;

      std::string name;
      std::string host;
      std::uint16_t port = 0;

      static constexpr void describe(auto& m, auto& field) {
        field("Name", m.name, {.in = since(2)});
        field("Host", m.host, {.in = since(2)});
        field("Port", m.port, {.in = since(2)});
      }
      bool operator==(const listener&) const = default;
    };

    std::int32_t node_id = 0;
    std::vector<listener> listeners;

    static constexpr void describe(auto& m, auto& field) {
      field("NodeId", m.node_id, {.in = since(2)});
      field("Listeners", m.listeners, {.in = since(2)});
    }
    bool operator==(const node&) const = default;
  };

  wire::error_code error_code = wire::error_code::none;
  std::optional<std::string> error_message;
  std::vector<topic_entry> topics;
  std::vector<node> nodes;

  static constexpr void describe(auto& m, auto& field) {
    field("ErrorCode", m.error_code);
    field("ErrorMessage", m.error_message, {.in = since(2)});
    field("Topics", m.topics);
    field("Nodes", m.nodes, {.in = since(2)});
  }
  bool operator==(const describe_quorum_response&) const = default;
};

}  // namespace yaks::wire
