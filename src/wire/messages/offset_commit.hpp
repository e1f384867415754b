// OffsetCommit (8): stores a group's positions. Generation -1 with an empty member id is a consumer that assigns
// partitions itself. From version 9 on also members of the consumer protocol (KIP-848), from version 10 on topics by id
// (KIP-848).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct offset_commit_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::offset_commit;
  static constexpr versions valid{2, 10}, flexible = since(8);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      std::int32_t partition_index = 0;
      std::int64_t committed_offset = 0;
      std::int32_t committed_leader_epoch = -1;
      std::optional<std::string_view> committed_metadata;

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionIndex", m.partition_index);
        field("CommittedOffset", m.committed_offset);
        field("CommittedLeaderEpoch", m.committed_leader_epoch, {.in = since(6)});
        field("CommittedMetadata", m.committed_metadata);
      }
      bool operator==(const partition_entry&) const = default;
    };

    std::string_view name;
    uuid topic_id;
    std::vector<partition_entry> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name, {.in = until(9)});
      field("TopicId", m.topic_id, {.in = since(10)});
      field("Partitions", m.partitions);
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::string_view group_id;
  std::int32_t generation_id_or_member_epoch = -1;
  std::string_view member_id;
  std::optional<std::string_view> group_instance_id;
  std::int64_t retention_time_ms = -1;
  std::vector<topic_entry> topics;

  static constexpr void describe(auto& m, auto& field) {
    field("GroupId", m.group_id);
    field("GenerationIdOrMemberEpoch", m.generation_id_or_member_epoch);
    field("MemberId", m.member_id);
    field("GroupInstanceId", m.group_instance_id, {.in = since(7)});
    field("RetentionTimeMs", m.retention_time_ms, {.in = until(4)});
    field("Topics", m.topics);
  }
  bool operator==(const offset_commit_request&) const = default;
};

struct offset_commit_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::offset_commit;
  static constexpr versions valid{2, 10}, flexible = since(8);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      std::int32_t partition_index = 0;
      wire::error_code error_code = wire::error_code::none;

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionIndex", m.partition_index);
        field("ErrorCode", m.error_code);
      }
      bool operator==(const partition_entry&) const = default;
    };

    std::string name;
    uuid topic_id;
    std::vector<partition_entry> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name, {.in = until(9)});
      field("TopicId", m.topic_id, {.in = since(10)});
      field("Partitions", m.partitions);
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  std::vector<topic_entry> topics;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms, {.in = since(3)});
    field("Topics", m.topics);
  }
  bool operator==(const offset_commit_response&) const = default;
};

}  // namespace yaks::wire
