// ConsumerGroupDescribe (69): groups of the consumer protocol with their members (KIP-848).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct consumer_group_describe_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::consumer_group_describe;
  static constexpr versions valid{0, 1}, flexible = since(0);

  std::vector<std::string_view> group_ids;
  bool include_authorized_operations = false;

  static constexpr void describe(auto& m, auto& field) {
    field("GroupIds", m.group_ids);
    field("IncludeAuthorizedOperations", m.include_authorized_operations);
  }
  bool operator==(const consumer_group_describe_request&) const = default;
};

struct consumer_group_describe_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::consumer_group_describe;
  static constexpr versions valid{0, 1}, flexible = since(0);

  struct topic {
    static constexpr bool is_described = true;

    uuid topic_id;
    std::string topic_name;
    std::vector<std::int32_t> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("TopicId", m.topic_id);
      field("TopicName", m.topic_name);
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

  struct group {
    static constexpr bool is_described = true;

    struct member {
      static constexpr bool is_described = true;

      std::string member_id;
      std::optional<std::string> instance_id;
      std::optional<std::string> rack_id;
      std::int32_t member_epoch = 0;
      std::string client_id;
      std::string client_host;
      std::vector<std::string> subscribed_topic_names;
      std::optional<std::string> subscribed_topic_regex;
      assigned assignment;
      assigned target_assignment;
      std::int8_t member_type = -1;

      static constexpr void describe(auto& m, auto& field) {
        field("MemberId", m.member_id);
        field("InstanceId", m.instance_id);
        field("RackId", m.rack_id);
        field("MemberEpoch", m.member_epoch);
        field("ClientId", m.client_id);
        field("ClientHost", m.client_host);
        field("SubscribedTopicNames", m.subscribed_topic_names);
        field("SubscribedTopicRegex", m.subscribed_topic_regex);
        field("Assignment", m.assignment);
        field("TargetAssignment", m.target_assignment);
        field("MemberType", m.member_type, {.in = since(1)});
      }
      bool operator==(const member&) const = default;
    };

    wire::error_code error_code = wire::error_code::none;
    std::optional<std::string> error_message;
    std::string group_id;
    std::string group_state;
    std::int32_t group_epoch = 0;
    std::int32_t assignment_epoch = 0;
    std::string assignor_name;
    std::vector<member> members;
    std::int32_t authorized_operations = std::numeric_limits<std::int32_t>::min();

    static constexpr void describe(auto& m, auto& field) {
      field("ErrorCode", m.error_code);
      field("ErrorMessage", m.error_message);
      field("GroupId", m.group_id);
      field("GroupState", m.group_state);
      field("GroupEpoch", m.group_epoch);
      field("AssignmentEpoch", m.assignment_epoch);
      field("AssignorName", m.assignor_name);
      field("Members", m.members);
      field("AuthorizedOperations", m.authorized_operations);
    }
    bool operator==(const group&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<group> groups;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("Groups", m.groups);
  }
  bool operator==(const consumer_group_describe_response&) const = default;
};

}  // namespace yaks::wire
