// The index of byte ranges: what the state no longer holds. Kept by the metastore as chunks (range_chunk.hpp), written by the
// materializer, read by fetches below the state's tail, and by people with SQL.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "metadata/log_store.hpp"
#include "metadata/state.hpp"
#include "model/ids.hpp"
#include "runtime/runtime.hpp"

namespace yaks::metadata {
// Consecutive ranges of one partition, and where the objects that they lie in are.
struct index_chunk {
  topic_partition where;
  std::vector<range> ranges;
};

struct indexed_object {
  object_number number = 0;
  object_id id;
  std::uint64_t bytes = 0;
};

struct index_write {
  std::vector<index_chunk> chunks;      // of a partition in ascending order
  std::vector<indexed_object> objects;  // every object that the chunks name
};

// A range with the name of its object.
struct indexed_range {
  metadata::range range;
  object_id object;
};

class range_index {
 public:
  virtual ~range_index() = default;
  // Adds the chunks that begin where the index of their partition ends; others are left out, without an error: somebody else
  // has written them. All or nothing otherwise. Answers, per partition named, where its index ends now.
  virtual awaitable<result<std::vector<std::pair<topic_partition, offset>>, log_error>> add(index_write what) = 0;
  // The ranges of the chunk that holds `at`. Empty: the index does not hold it.
  virtual awaitable<result<std::vector<indexed_range>, log_error>> find(topic_partition where, offset at) = 0;
  // Of the first chunk, from the one that holds `from` on, that has a timestamp of at least `target`.
  virtual awaitable<result<std::vector<indexed_range>, log_error>> find_time(topic_partition where, offset from, timestamp_ms target) = 0;
  // Of the first chunk with the largest timestamp of all.
  virtual awaitable<result<std::vector<indexed_range>, log_error>> find_largest_time(topic_partition where) = 0;
  // Forgets a topic that is deleted. Again is fine.
  virtual awaitable<result<void, log_error>> drop(topic_id topic) = 0;
};
}  // namespace yaks::metadata
