// CreateTopics (19). -1 partitions or replicas ask for the default (KIP-464). From version 5 on the configuration that
// the topic got is echoed (KIP-525), null when the client may not see it, with topic_config_error_code as the reason.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct create_topics_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::create_topics;
  static constexpr versions valid{2, 7}, flexible = since(5);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct replica_assignment {
      static constexpr bool is_described = true;

      std::int32_t partition_index = 0;
      std::vector<std::int32_t> broker_ids;

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionIndex", m.partition_index);
        field("BrokerIds", m.broker_ids);
      }
      bool operator==(const replica_assignment&) const = default;
    };

    struct config_entry {
      static constexpr bool is_described = true;

      std::string_view name;
      std::optional<std::string_view> value;

      static constexpr void describe(auto& m, auto& field) {
        field("Name", m.name);
        field("Value", m.value);
      }
      bool operator==(const config_entry&) const = default;
    };

    std::string_view name;
    std::int32_t num_partitions = 0;
    std::int16_t replication_factor = 0;
    std::vector<replica_assignment> assignments;
    std::vector<config_entry> configs;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name);
      field("NumPartitions", m.num_partitions);
      field("ReplicationFactor", m.replication_factor);
      field("Assignments", m.assignments);
      field("Configs", m.configs);
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::vector<topic_entry> topics;
  std::int32_t timeout_ms = 60000;
  bool validate_only = false;

  static constexpr void describe(auto& m, auto& field) {
    field("Topics", m.topics);
    field("timeoutMs", m.timeout_ms);
    field("validateOnly", m.validate_only);
  }
  bool operator==(const create_topics_request&) const = default;
};

struct create_topics_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::create_topics;
  static constexpr versions valid{2, 7}, flexible = since(5);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct config_entry {
      static constexpr bool is_described = true;

      std::string name;
      std::optional<std::string> value;
      bool read_only = false;
      std::int8_t config_source = -1;
      bool is_sensitive = false;

      static constexpr void describe(auto& m, auto& field) {
        field("Name", m.name);
        field("Value", m.value);
        field("ReadOnly", m.read_only);
        field("ConfigSource", m.config_source);
        field("IsSensitive", m.is_sensitive);
      }
      bool operator==(const config_entry&) const = default;
    };

    std::string name;
    uuid topic_id;
    wire::error_code error_code = wire::error_code::none;
    std::optional<std::string> error_message;
    wire::error_code topic_config_error_code = wire::error_code::none;
    std::int32_t num_partitions = -1;
    std::int16_t replication_factor = -1;
    std::optional<std::vector<config_entry>> configs;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name);
      field("TopicId", m.topic_id, {.in = since(7)});
      field("ErrorCode", m.error_code);
      field("ErrorMessage", m.error_message);
      field("TopicConfigErrorCode", m.topic_config_error_code, {.in = since(5), .tag = 0});
      field("NumPartitions", m.num_partitions, {.in = since(5)});
      field("ReplicationFactor", m.replication_factor, {.in = since(5)});
      field("Configs", m.configs, {.in = since(5)});
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<topic_entry> topics;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("Topics", m.topics);
  }
  bool operator==(const create_topics_response&) const = default;
};

}  // namespace yaks::wire
