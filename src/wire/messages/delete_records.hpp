// DeleteRecords (21): moves the start of partitions up to an offset, -1: to the high watermark (KIP-107). low_watermark
// is the new start, -1 with an error.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct delete_records_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::delete_records;
  static constexpr versions valid{0, 2}, flexible = since(2);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      std::int32_t partition_index = 0;
      std::int64_t offset = 0;

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionIndex", m.partition_index);
        field("Offset", m.offset);
      }
      bool operator==(const partition_entry&) const = default;
    };

    std::string_view name;
    std::vector<partition_entry> partitions;

    static constexpr void describe(auto& m, auto& field) {
      field("Name", m.name);
      field("Partitions", m.partitions);
    }
    bool operator==(const topic_entry&) const = default;
  };

  std::vector<topic_entry> topics;
  std::int32_t timeout_ms = 0;

  static constexpr void describe(auto& m, auto& field) {
    field("Topics", m.topics);
    field("TimeoutMs", m.timeout_ms);
  }
  bool operator==(const delete_records_request&) const = default;
};

struct delete_records_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::delete_records;
  static constexpr versions valid{0, 2}, flexible = since(2);

  struct topic_entry {
    static constexpr bool is_described = true;

    struct partition_entry {
      static constexpr bool is_described = true;

      std::int32_t partition_index = 0;
      std::int64_t low_watermark = 0;
      wire::error_code error_code = wire::error_code::none;

      static constexpr void describe(auto& m, auto& field) {
        field("PartitionIndex", m.partition_index);
        field("LowWatermark", m.low_watermark);
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

  std::int32_t throttle_time_ms = 0;
  std::vector<topic_entry> topics;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("Topics", m.topics);
  }
  bool operator==(const delete_records_response&) const = default;
};

}  // namespace yaks::wire
