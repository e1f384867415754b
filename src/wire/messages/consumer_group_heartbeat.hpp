// ConsumerGroupHeartbeat (68): the one request of a member of the consumer protocol (KIP-848): joins, leaves, says what it
// subscribes to and owns, and learns what it is assigned. Null: unchanged since the last one.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct consumer_group_heartbeat_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::consumer_group_heartbeat;
  static constexpr versions valid{0, 1}, flexible = since(0);

  struct topic {
    static constexpr bool is_described = true;

    uuid topic_id;
    std::vector<std::int32_t> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("TopicId", m.topic_id);
      field("Partitions", m.partitions);
    }
    bool operator==(const topic&) const = default;
  };

  std::string_view group_id;
  std::string_view member_id;
  std::int32_t member_epoch = 0;
  std::optional<std::string_view> instance_id;
  std::optional<std::string_view> rack_id;
  std::int32_t rebalance_timeout_ms = -1;
  std::optional<std::vector<std::string_view>> subscribed_topic_names;
  std::optional<std::string_view> subscribed_topic_regex;
  std::optional<std::string_view> server_assignor;
  std::optional<std::vector<topic>> topic_partitions;

  static constexpr void describe(auto& m, auto& field) {
    field("GroupId", m.group_id);
    field("MemberId", m.member_id);
    field("MemberEpoch", m.member_epoch);
    field("InstanceId", m.instance_id);
    field("RackId", m.rack_id);
    field("RebalanceTimeoutMs", m.rebalance_timeout_ms);
    field("SubscribedTopicNames", m.subscribed_topic_names);
    field("SubscribedTopicRegex", m.subscribed_topic_regex, {.in = since(1)});
    field("ServerAssignor", m.server_assignor);
    field("TopicPartitions", m.topic_partitions);
  }
  bool operator==(const consumer_group_heartbeat_request&) const = default;
};

struct consumer_group_heartbeat_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::consumer_group_heartbeat;
  static constexpr versions valid{0, 1}, flexible = since(0);

  struct topic {
    static constexpr bool is_described = true;

    uuid topic_id;
    std::vector<std::int32_t> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("TopicId", m.topic_id);
      field("Partitions", m.partitions);
    }
    bool operator==(const topic&) const = default;
  };

  struct assigned {
    static constexpr bool is_described = true;

    std::vector<topic> topic_partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("TopicPartitions", m.topic_partitions);
    }
    bool operator==(const assigned&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  wire::error_code error_code = wire::error_code::none;
  std::optional<std::string> error_message;
  std::optional<std::string> member_id;
  std::int32_t member_epoch = 0;
  std::int32_t heartbeat_interval_ms = 0;
  std::optional<assigned> assignment;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("ErrorCode", m.error_code);
    field("ErrorMessage", m.error_message);
    field("MemberId", m.member_id);
    field("MemberEpoch", m.member_epoch);
    field("HeartbeatIntervalMs", m.heartbeat_interval_ms);
    field("Assignment", m.assignment);
  }
  bool operator==(const consumer_group_heartbeat_response&) const = default;
};

}  // namespace yaks::wire
