// DescribeProducers (61): the idempotent and transactional producers that partitions remember (KIP-664).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct describe_producers_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_producers;
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

  std::vector<topic_entry> topics;

  static constexpr void describe(auto& m, auto& field) { field("Topics", m.topics); }
  bool operator==(const describe_producers_request&) const = default;
};

struct describe_producers_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_producers;
  static constexpr versions valid{0, 0}, flexible = since(0);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      struct producer {
        static constexpr bool is_described = true;

        std::int64_t producer_id = 0;
        std::int32_t producer_epoch = 0;
        std::int32_t last_sequence = -1;
        std::int64_t last_timestamp = -1;
        std::int32_t coordinator_epoch = 0;
        std::int64_t current_txn_start_offset = -1;

        static constexpr void describe(auto& m, auto& field) {
          field("ProducerId", m.producer_id);
          field("ProducerEpoch", m.producer_epoch);
          field("LastSequence", m.last_sequence);
          field("LastTimestamp", m.last_timestamp);
          field("CoordinatorEpoch", m.coordinator_epoch);
          field("CurrentTxnStartOffset", m.current_txn_start_offset);
        }
        bool operator==(const producer&) const = default;
      };

      std::int32_t partition_index = 0;
      wire::error_code error_code = wire::error_code::none;
      std::optional<std::string> error_message;
      std::vector<producer> active_producers;

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionIndex", m.partition_index);
        field("ErrorCode", m.error_code);
        field("ErrorMessage", m.error_message);
        field("ActiveProducers", m.active_producers);
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
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("Topics", m.topics);
  }
  bool operator==(const describe_producers_response&) const = default;
};

}  // namespace yaks::wire
