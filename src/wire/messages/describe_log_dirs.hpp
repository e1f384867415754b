// DescribeLogDirs (35): bytes per partition (KIP-113, KIP-827 for the totals). topics = null asks for all; version 3
// brought an error of the whole answer.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct describe_log_dirs_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_log_dirs;
  static constexpr versions valid{1, 4}, flexible = since(2);

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

  std::optional<std::vector<topic_entry>> topics;

  static constexpr void describe(auto& m, auto& field) { field("Topics", m.topics); }
  bool operator==(const describe_log_dirs_request&) const = default;
};

struct describe_log_dirs_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::describe_log_dirs;
  static constexpr versions valid{1, 4}, flexible = since(2);

  struct directory {
    static constexpr bool is_described = true;

    struct topic_entry {
      static constexpr bool is_described = true;

      struct partition_entry {
        static constexpr bool is_described = true;

        std::int32_t partition_index = 0;
        std::int64_t partition_size = 0;
        std::int64_t offset_lag = 0;
        bool is_future_key = false;

        static constexpr void describe(auto& m, auto& field) {
          field("PartitionIndex", m.partition_index);
          field("PartitionSize", m.partition_size);
          field("OffsetLag", m.offset_lag);
          field("IsFutureKey", m.is_future_key);
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

    wire::error_code error_code = wire::error_code::none;
    std::string log_dir;
    std::vector<topic_entry> topics;
    std::int64_t total_bytes = -1;
    std::int64_t usable_bytes = -1;

    static constexpr void describe(auto& m, auto& field) {
      field("ErrorCode", m.error_code);
      field("LogDir", m.log_dir);
      field("Topics", m.topics);
      field("TotalBytes", m.total_bytes, {.in = since(4)});
      field("UsableBytes", m.usable_bytes, {.in = since(4)});
    }
    bool operator==(const directory&) const = default;
  };

  std::int32_t throttle_time_ms = 0;
  wire::error_code error_code = wire::error_code::none;
  std::vector<directory> results;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("ErrorCode", m.error_code, {.in = since(3)});
    field("Results", m.results);
  }
  bool operator==(const describe_log_dirs_response&) const = default;
};

}  // namespace yaks::wire
