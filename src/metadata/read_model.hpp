// Tables for people's SQL: the latest values of topics, partitions and committed offsets, a few seconds old. Nothing in yaks reads
// them. Kept by the metastore, written by upkeep/read_model.hpp.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "metadata/log_store.hpp"
#include "metadata/state.hpp"
#include "model/ids.hpp"
#include "runtime/runtime.hpp"

namespace yaks::metadata {
struct topic_row {
  topic_id id;
  std::string name;
  timestamp_ms created;
  std::int64_t partitions = 0;
  std::string configs;  // what was set, as a JSON object
  bool operator==(const topic_row&) const = default;
};

struct partition_row {
  topic_partition where;
  offset log_start, high_watermark;
  std::uint64_t bytes = 0;
  bool operator==(const partition_row&) const = default;
};

struct offset_row {
  topic_partition where;
  committed_offset what;
  bool operator==(const offset_row&) const = default;
};

struct group_rows {
  std::string name;
  std::vector<offset_row> offsets;  // all of them: others are deleted
};

// All text is valid UTF-8 without U+0000.
struct read_model_write {
  log_sequence as_of;  // of the state that the rows were made from
  std::vector<topic_row> topics;
  std::vector<partition_row> partitions;
  std::vector<group_rows> groups;
  std::vector<topic_id> deleted;
};

class read_model {
 public:
  virtual ~read_model() = default;
  // All or nothing. False: nothing, because what is there is of a later sequence.
  virtual awaitable<result<bool, log_error>> write(read_model_write what) = 0;
  // What is there, so that a writer who begins can delete what is not any more.
  struct known {
    std::set<topic_id> topics;
    std::set<std::string> groups;
  };
  virtual awaitable<result<known, log_error>> read_known() = 0;
};
}  // namespace yaks::metadata
