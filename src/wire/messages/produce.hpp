// Produce (0): record batches to append, at most one per partition (KIP-98). With acks = 0 there is no response.
//
// From version 13 on topics are named by id (KIP-516). base_offset is the offset of the batch's first record, of the
// first attempt where the batch is a duplicate; log_append_time_ms is -1 unless the topic keeps append times.
// record_errors says which records are at fault (KIP-467). current_leader and node_endpoints go with "not the leader"
// (KIP-951).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct produce_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::produce;
  static constexpr versions valid{3, 13}, flexible = since(9);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      std::int32_t index = 0;
      std::optional<blob> records;

      static constexpr void describe(auto& m, auto& field) {
        field("Index", m.index);
        field("Records", m.records);
      }
      bool operator==(const partition_entry&) const = default;
    };

    std::string_view name;
    uuid topic_id;
    std::vector<partition_entry> partition_data;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name, {.in = until(12)});
      field("TopicId", m.topic_id, {.in = since(13)});
      field("PartitionData", m.partition_data);
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::optional<std::string_view> transactional_id;
  std::int16_t acks = 0;
  std::int32_t timeout_ms = 0;
  std::vector<topic_entry> topic_data;

  static constexpr void describe(auto& m, auto& field) {
    field("TransactionalId", m.transactional_id);
    field("Acks", m.acks);
    field("TimeoutMs", m.timeout_ms);
    field("TopicData", m.topic_data);
  }
  bool operator==(const produce_request&) const = default;
};

struct produce_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::produce;
  static constexpr versions valid{3, 13}, flexible = since(9);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      struct record_error {
        static constexpr bool is_described = true;

        std::int32_t batch_index = 0;
        std::optional<std::string> batch_index_error_message;

        static constexpr void describe(auto& m, auto& field) {
          field("BatchIndex", m.batch_index);
          field("BatchIndexErrorMessage", m.batch_index_error_message);
        }
        bool operator==(const record_error&) const = default;
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

      std::int32_t index = 0;
      wire::error_code error_code = wire::error_code::none;
      std::int64_t base_offset = 0;
      std::int64_t log_append_time_ms = -1;
      std::int64_t log_start_offset = -1;
      std::vector<record_error> record_errors;
      std::optional<std::string> error_message;
      leader_and_epoch current_leader;

      static constexpr void describe(auto& m, auto& field) {
        field("Index", m.index);
        field("ErrorCode", m.error_code);
        field("BaseOffset", m.base_offset);
        field("LogAppendTimeMs", m.log_append_time_ms);
        field("LogStartOffset", m.log_start_offset, {.in = since(5)});
        field("RecordErrors", m.record_errors, {.in = since(8)});
        field("ErrorMessage", m.error_message, {.in = since(8)});
        field("CurrentLeader", m.current_leader, {.in = since(10), .tag = 0});
      }
      bool operator==(const partition_entry&) const = default;
    };

    std::string name;
    uuid topic_id;
    std::vector<partition_entry> partition_responses;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name, {.in = until(12)});
      field("TopicId", m.topic_id, {.in = since(13)});
      field("PartitionResponses", m.partition_responses);
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

  std::vector<topic_entry> responses;
  std::int32_t throttle_time_ms = 0;
  std::vector<node_endpoint> node_endpoints;

  static constexpr void describe(auto& m, auto& field) {
    field("Responses", m.responses);
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("NodeEndpoints", m.node_endpoints, {.in = since(10), .tag = 0});
  }
  bool operator==(const produce_response&) const = default;
};

}  // namespace yaks::wire
