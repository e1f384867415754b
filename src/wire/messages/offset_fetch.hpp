// OffsetFetch (9): a group's positions; -1 without error where there is none. topics = null asks for all of them.
// Version 8 asks for several groups (KIP-709) in `groups`; older ones use group_id and topics. require_stable waits for
// pending transactional offsets by error (KIP-447). Version 10 names topics by id.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct offset_fetch_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::offset_fetch;
  static constexpr versions valid{1, 10}, flexible = since(6);

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

  struct group_entry {
    static constexpr bool is_described = true;

    struct group_topic {
      static constexpr bool is_described = true;

      std::string_view name;
      uuid topic_id;
      std::vector<std::int32_t> partition_indexes;

      static constexpr void describe(auto& m, auto& field) {
        field("Name", m.name, {.in = until(9)});
        field("TopicId", m.topic_id, {.in = since(10)});
        field("PartitionIndexes", m.partition_indexes);
      }
      bool operator==(const group_topic&) const = default;
    };

    std::string_view group_id;
    std::optional<std::string_view> member_id;
    std::int32_t member_epoch = -1;
    std::optional<std::vector<group_topic>> topics;

    static constexpr void describe(auto& m, auto& field) {
      field("GroupId", m.group_id);
      field("MemberId", m.member_id, {.in = since(9)});
      field("MemberEpoch", m.member_epoch, {.in = since(9)});
      field("Topics", m.topics);
    }
    bool operator==(const group_entry&) const = default;
  };

  std::string_view group_id;
  std::optional<std::vector<topic_entry>> topics;
  std::vector<group_entry> groups;
  bool require_stable = false;

  static constexpr void describe(auto& m, auto& field) {
    field("GroupId", m.group_id, {.in = until(7)});
    field("Topics", m.topics, {.in = until(7), .null = {2, 7}});
    field("Groups", m.groups, {.in = since(8)});
    field("RequireStable", m.require_stable, {.in = since(7)});
  }
  bool operator==(const offset_fetch_request&) const = default;
};

struct offset_fetch_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::offset_fetch;
  static constexpr versions valid{1, 10}, flexible = since(6);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      std::int32_t partition_index = 0;
      std::int64_t committed_offset = 0;
      std::int32_t committed_leader_epoch = -1;
      std::optional<std::string> metadata;
      wire::error_code error_code = wire::error_code::none;

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionIndex", m.partition_index);
        field("CommittedOffset", m.committed_offset);
        field("CommittedLeaderEpoch", m.committed_leader_epoch, {.in = {5, 7}});
        field("Metadata", m.metadata);
        field("ErrorCode", m.error_code);
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

  struct group_entry {
    static constexpr bool is_described = true;

    struct group_topic {
      static constexpr bool is_described = true;

      struct group_partition {
        static constexpr bool is_described = true;

        std::int32_t partition_index = 0;
        std::int64_t committed_offset = 0;
        std::int32_t committed_leader_epoch = -1;
        std::optional<std::string> metadata;
        wire::error_code error_code = wire::error_code::none;

        static constexpr void describe(auto& m, auto& field) {
          field("PartitionIndex", m.partition_index);
          field("CommittedOffset", m.committed_offset);
          field("CommittedLeaderEpoch", m.committed_leader_epoch);
          field("Metadata", m.metadata);
          field("ErrorCode", m.error_code);
        }
        bool operator==(const group_partition&) const = default;
      };

      std::string name;
      uuid topic_id;
      std::vector<group_partition> partitions;

      static constexpr void describe(auto& m, auto& field) {
        field("Name", m.name, {.in = until(9)});
        field("TopicId", m.topic_id, {.in = since(10)});
        field("Partitions", m.partitions);
      }
      bool operator==(const group_topic&) const = default;
    };

    std::string group_id;
    std::vector<group_topic> topics;
    wire::error_code error_code = wire::error_code::none;

    static constexpr void describe(auto& m, auto& field) {
      field("GroupId", m.group_id);
      field("Topics", m.topics);
      field("ErrorCode", m.error_code);
    }
    bool operator==(const group_entry&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<topic_entry> topics;
  wire::error_code error_code = wire::error_code::none;
  std::vector<group_entry> groups;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms, {.in = since(3)});
    field("Topics", m.topics, {.in = until(7)});
    field("ErrorCode", m.error_code, {.in = {2, 7}});
    field("Groups", m.groups, {.in = since(8)});
  }
  bool operator==(const offset_fetch_response&) const = default;
};

}  // namespace yaks::wire
