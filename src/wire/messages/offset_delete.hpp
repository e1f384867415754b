// OffsetDelete (47): committed offsets of topics that the group does not read any more (KIP-496).
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct offset_delete_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::offset_delete;
  static constexpr versions valid{0, 0}, flexible = never;

  struct topic {
    static constexpr bool is_described = true;

    struct partition {
      static constexpr bool is_described = true;

      std::int32_t partition_index = 0;

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionIndex", m.partition_index);
      }
      bool operator==(const partition&) const = default;
    };

    std::string_view name;
    std::vector<partition> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name);
      field("Partitions", m.partitions);
    }
    bool operator==(const topic&) const = default;
  };

  std::string_view group_id;
  std::vector<topic> topics;

  static constexpr void describe(auto& m, auto& field) {
    field("GroupId", m.group_id);
    field("Topics", m.topics);
  }
  bool operator==(const offset_delete_request&) const = default;
};

struct offset_delete_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::offset_delete;
  static constexpr versions valid{0, 0}, flexible = never;

  struct topic {
    static constexpr bool is_described = true;

    struct partition {
      static constexpr bool is_described = true;

      std::int32_t partition_index = 0;
      wire::error_code error_code = wire::error_code::none;

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionIndex", m.partition_index);
        field("ErrorCode", m.error_code);
      }
      bool operator==(const partition&) const = default;
    };

    std::string name;
    std::vector<partition> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name);
      field("Partitions", m.partitions);
    }
    bool operator==(const topic&) const = default;
  };

  wire::error_code error_code = wire::error_code::none;
  std::int32_t throttle_time_ms = 0;
  std::vector<topic> topics;

  static constexpr void describe(auto& m, auto& field) {
    field("ErrorCode", m.error_code);
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("Topics", m.topics);
  }
  bool operator==(const offset_delete_response&) const = default;
};

}  // namespace yaks::wire
