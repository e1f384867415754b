// ElectLeaders (43): elects leaders of partitions (KIP-460). election_type: 0 preferred, 1 unclean; topic_partitions =
// null asks for all.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct elect_leaders_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::elect_leaders;
  static constexpr versions valid{0, 2}, flexible = since(2);

  struct topic_entry {
    static constexpr bool is_described = true;

    std::string_view topic;
    std::vector<std::int32_t> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("Topic", m.topic);
      field("Partitions", m.partitions);
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::int8_t election_type = 0;
  std::optional<std::vector<topic_entry>> topic_partitions;
  std::int32_t timeout_ms = 60000;

  static constexpr void describe(auto& m, auto& field) {
    field("ElectionType", m.election_type, {.in = since(1)});
    field("TopicPartitions", m.topic_partitions);
    field("TimeoutMs", m.timeout_ms);
  }
  bool operator==(const elect_leaders_request&) const = default;
};

struct elect_leaders_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::elect_leaders;
  static constexpr versions valid{0, 2}, flexible = since(2);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      std::int32_t partition_id = 0;
      wire::error_code error_code = wire::error_code::none;
      std::optional<std::string> error_message;

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionId", m.partition_id);
        field("ErrorCode", m.error_code);
        field("ErrorMessage", m.error_message);
      }
      bool operator==(const partition_entry&) const = default;
    };

    std::string topic;
    std::vector<partition_entry> partition_result;

    static constexpr void describe(auto& m, auto& field) {
      field("Topic", m.topic);
      field("PartitionResult", m.partition_result);
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  wire::error_code error_code = wire::error_code::none;
  std::vector<topic_entry> replica_election_results;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("ErrorCode", m.error_code, {.in = since(1)});
    field("ReplicaElectionResults", m.replica_election_results);
  }
  bool operator==(const elect_leaders_response&) const = default;
};

}  // namespace yaks::wire
