// Fetch (1): record batches from given offsets on; held until min_bytes or max_wait_ms (KIP-74 for the byte limits,
// KIP-227 for sessions, KIP-98 for isolation and aborted transactions, KIP-516 for topic ids from version 13 on).
//
// Version 3 is version 4 without isolation level, last stable offset and aborted transactions. Kafka 4 dropped it;
// segmentio/kafka-go up to 0.4 cannot do without.
//
// `records` is empty, not null, when there is nothing to send: that is what brokers answer and what clients have been
// tried with.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct fetch_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::fetch;
  static constexpr versions valid{3, 18}, flexible = since(12);

  struct replica {
    static constexpr bool is_described = true;

    std::int32_t replica_id = -1;
    std::int64_t replica_epoch = -1;

    static constexpr void describe(auto& m, auto& field) {
      field("ReplicaId", m.replica_id);
      field("ReplicaEpoch", m.replica_epoch);
    }
    bool operator==(const replica&) const = default;
  };

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      std::int32_t partition = 0;
      std::int32_t current_leader_epoch = -1;
      std::int64_t fetch_offset = 0;
      std::int32_t last_fetched_epoch = -1;
      std::int64_t log_start_offset = -1;
      std::int32_t partition_max_bytes = 0;
      uuid replica_directory_id;
      std::int64_t high_watermark = std::numeric_limits<std::int64_t>::max();

      static constexpr void describe(auto& m, auto& field) {
        field("Partition", m.partition);
        field("CurrentLeaderEpoch", m.current_leader_epoch, {.in = since(9)});
        field("FetchOffset", m.fetch_offset);
        field("LastFetchedEpoch", m.last_fetched_epoch, {.in = since(12)});
        field("LogStartOffset", m.log_start_offset, {.in = since(5)});
        field("PartitionMaxBytes", m.partition_max_bytes);
        field("ReplicaDirectoryId", m.replica_directory_id, {.in = since(17), .tag = 0});
        field("HighWatermark", m.high_watermark, {.in = since(18), .tag = 1});
      }
      bool operator==(const partition_entry&) const = default;
    };

    std::string_view topic;
    uuid topic_id;
    std::vector<partition_entry> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("Topic", m.topic, {.in = until(12)});
      field("TopicId", m.topic_id, {.in = since(13)});
      field("Partitions", m.partitions);
    }
    bool operator==(const topic_entry&) const = default;
  };

  struct forgotten_topic {
    static constexpr bool is_described = true;

    std::string_view topic;
    uuid topic_id;
    std::vector<std::int32_t> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("Topic", m.topic, {.in = until(12)});
      field("TopicId", m.topic_id, {.in = since(13)});
      field("Partitions", m.partitions);
    }
    bool operator==(const forgotten_topic&) const = default;
  };

  std::optional<std::string_view> cluster_id;
  std::int32_t replica_id = -1;
  replica replica_state;
  std::int32_t max_wait_ms = 0;
  std::int32_t min_bytes = 0;
  std::int32_t max_bytes = std::numeric_limits<std::int32_t>::max();
  std::int8_t isolation_level = 0;
  std::int32_t session_id = 0;
  std::int32_t session_epoch = -1;
  std::vector<topic_entry> topics;
  std::vector<forgotten_topic> forgotten_topics_data;
  std::string_view rack_id;

  static constexpr void describe(auto& m, auto& field) {
    field("ClusterId", m.cluster_id, {.in = since(12), .tag = 0});
    field("ReplicaId", m.replica_id, {.in = until(14)});
    field("ReplicaState", m.replica_state, {.in = since(15), .tag = 1});
    field("MaxWaitMs", m.max_wait_ms);
    field("MinBytes", m.min_bytes);
    field("MaxBytes", m.max_bytes);
    field("IsolationLevel", m.isolation_level, {.in = since(4)});
    field("SessionId", m.session_id, {.in = since(7)});
    field("SessionEpoch", m.session_epoch, {.in = since(7)});
    field("Topics", m.topics);
    field("ForgottenTopicsData", m.forgotten_topics_data, {.in = since(7)});
    field("RackId", m.rack_id, {.in = since(11)});
  }
  bool operator==(const fetch_request&) const = default;
};

struct fetch_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::fetch;
  static constexpr versions valid{3, 18}, flexible = since(12);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      struct epoch_and_end_offset {
        static constexpr bool is_described = true;

        std::int32_t epoch = -1;
        std::int64_t end_offset = -1;

        static constexpr void describe(auto& m, auto& field) {
          field("Epoch", m.epoch);
          field("EndOffset", m.end_offset);
        }
        bool operator==(const epoch_and_end_offset&) const = default;
      };

      struct leader_and_epoch {
        static constexpr bool is_described = true;

        std::int32_t leader_id = -1;
        std::int32_t leader_epoch = -1;

        static constexpr void describe(auto& m, auto& field) {
          field("LeaderId", m.leader_id);
          field("LeaderEpoch", m.leader_epoch);
        }
        bool operator==(const leader_and_epoch&) const = default;
      };

      struct end_offset_and_epoch {
        static constexpr bool is_described = true;

        std::int64_t end_offset = -1;
        std::int32_t epoch = -1;

        static constexpr void describe(auto& m, auto& field) {
          field("EndOffset", m.end_offset);
          field("Epoch", m.epoch);
        }
        bool operator==(const end_offset_and_epoch&) const = default;
      };

      struct aborted_transaction {
        static constexpr bool is_described = true;

        std::int64_t producer_id = 0;
        std::int64_t first_offset = 0;

        static constexpr void describe(auto& m, auto& field) {
          field("ProducerId", m.producer_id);
          field("FirstOffset", m.first_offset);
        }
        bool operator==(const aborted_transaction&) const = default;
      };

      std::int32_t partition_index = 0;
      wire::error_code error_code = wire::error_code::none;
      std::int64_t high_watermark = 0;
      std::int64_t last_stable_offset = -1;
      std::int64_t log_start_offset = -1;
      epoch_and_end_offset diverging_epoch;
      leader_and_epoch current_leader;
      end_offset_and_epoch snapshot_id;
      std::optional<std::vector<aborted_transaction>> aborted_transactions;
      std::int32_t preferred_read_replica = -1;
      std::optional<record_segments> records = record_segments{};

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionIndex", m.partition_index);
        field("ErrorCode", m.error_code);
        field("HighWatermark", m.high_watermark);
        field("LastStableOffset", m.last_stable_offset, {.in = since(4)});
        field("LogStartOffset", m.log_start_offset, {.in = since(5)});
        field("DivergingEpoch", m.diverging_epoch, {.in = since(12), .tag = 0});
        field("CurrentLeader", m.current_leader, {.in = since(12), .tag = 1});
        field("SnapshotId", m.snapshot_id, {.in = since(12), .tag = 2});
        field("AbortedTransactions", m.aborted_transactions, {.in = since(4)});
        field("PreferredReadReplica", m.preferred_read_replica, {.in = since(11)});
        field("Records", m.records);
      }
      bool operator==(const partition_entry&) const = default;
    };

    std::string topic;
    uuid topic_id;
    std::vector<partition_entry> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("Topic", m.topic, {.in = until(12)});
      field("TopicId", m.topic_id, {.in = since(13)});
      field("Partitions", m.partitions);
    }
    bool operator==(const topic_entry&) const = default;
  };

  struct node_endpoint {
    static constexpr bool is_described = true;

    std::int32_t node_id = 0;
    std::string host;
    std::int32_t port = 0;
    std::optional<std::string> rack;

    static constexpr void describe(auto& m, auto& field) {
      field("NodeId", m.node_id);
      field("Host", m.host);
      field("Port", m.port);
      field("Rack", m.rack);
    }
    bool operator==(const node_endpoint&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  wire::error_code error_code = wire::error_code::none;
  std::int32_t session_id = 0;
  std::vector<topic_entry> responses;
  std::vector<node_endpoint> node_endpoints;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("ErrorCode", m.error_code, {.in = since(7)});
    field("SessionId", m.session_id, {.in = since(7)});
    field("Responses", m.responses);
    field("NodeEndpoints", m.node_endpoints, {.in = since(16), .tag = 0});
  }
  bool operator==(const fetch_response&) const = default;
};

}  // namespace yaks::wire
