// OffsetForLeaderEpoch (23): where a leader epoch ended, so that a consumer notices that its log was cut (KIP-320).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct offset_for_leader_epoch_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::offset_for_leader_epoch;
  static constexpr versions valid{2, 4}, flexible = since(4);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      std::int32_t partition = 0;
      std::int32_t current_leader_epoch = -1;
      std::int32_t leader_epoch = 0;

      static constexpr void describe(auto& m, auto& field) {
        field("Partition", m.partition);
        field("CurrentLeaderEpoch", m.current_leader_epoch);
        field("LeaderEpoch", m.leader_epoch);
      }
      bool operator==(const partition_entry&) const = default;
    };

    std::string_view topic;
    std::vector<partition_entry> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("Topic", m.topic);
      field("Partitions", m.partitions);
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::int32_t replica_id = -2;
  std::vector<topic_entry> topics;

  static constexpr void describe(auto& m, auto& field) {
    field("ReplicaId", m.replica_id, {.in = since(3)});
    field("Topics", m.topics);
  }
  bool operator==(const offset_for_leader_epoch_request&) const = default;
};

struct offset_for_leader_epoch_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::offset_for_leader_epoch;
  static constexpr versions valid{2, 4}, flexible = since(4);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      wire::error_code error_code = wire::error_code::none;
      std::int32_t partition = 0;
      std::int32_t leader_epoch = -1;
      std::int64_t end_offset = -1;

      static constexpr void describe(auto& m, auto& field) {
        field("ErrorCode", m.error_code);
        field("Partition", m.partition);
        field("LeaderEpoch", m.leader_epoch);
        field("EndOffset", m.end_offset);
      }
      bool operator==(const partition_entry&) const = default;
    };

    std::string topic;
    std::vector<partition_entry> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("Topic", m.topic);
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
  bool operator==(const offset_for_leader_epoch_response&) const = default;
};

}  // namespace yaks::wire
