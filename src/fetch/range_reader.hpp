// Brings ranges of objects into memory: block cache, else a ranged GET, which ranges that lie next to each other in one object
// share. However many ask for a range at the same time, it is read once.
//
// What arrives is checked against the batches' checksums. Bytes that do not match are read once more; then the range is
// `corrupt` to whoever asked, and the next one tries again.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "cache/block_cache.hpp"
#include "metadata/state.hpp"
#include "metrics/registry.hpp"
#include "objects/object_store.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::fetch {
// A range with the name of its object, so that it stays readable while the state moves on.
struct located_range {
  object_id object;
  metadata::range range;
  range_key key() const { return {object, range.position}; }
};

struct range_reader_settings {
  std::string key_prefix;
  duration get_deadline = 30s;
  // Ranges of one object share a GET when at most this much lies between them, up to so many bytes in all.
  std::uint32_t merge_gap_bytes_max = 64 << 10;
  std::uint32_t merged_bytes_max = 8 << 20;
};

class range_reader {
 public:
  range_reader(runtime& rt, object_store& objects, block_cache& cache, range_reader_settings settings,
               metrics::registry& metrics);
  ~range_reader();
  using entry = block_cache::entry;
  // Keeps the reader's GETs until cancelled; requests that come and go do not end them.
  awaitable<void> run();
  // What the cache has; null otherwise. For planning only: what is held while a fetch waits for memory would be beyond all
  // budgets.
  entry peek(const located_range& range) const { return cache_.peek(range.key()); }
  // One answer per range, in order: the range, or why it could not be read.
  awaitable<std::vector<result<entry, object_error>>> read(std::vector<located_range> ranges);

 private:
  struct load {  // shared by those who wait for it and the GET that fills it
    std::optional<result<entry, object_error>> answer;
    event answered;
  };
  awaitable<void> get(std::vector<located_range> ranges);
  awaitable<void> get_alone(located_range range);
  void settle(const located_range& range, result<entry, object_error> answer);
  static entry checked(const located_range& range, shared_bytes bytes);

  runtime& rt_;
  object_store& objects_;
  block_cache& cache_;
  range_reader_settings settings_;
  std::unordered_map<range_key, std::shared_ptr<load>> loads_;
  task_group tasks_;
  metrics::counter &downloads_, &downloaded_bytes_, &failures_, &corrupt_, &joined_;
  metrics::histogram& get_seconds_;
};
}  // namespace yaks::fetch
