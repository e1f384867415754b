// Which neighbouring ranges of a partition become one object. Pure: from what the index says to windows, no clock and
// no store.
//
// A *run* is what one read brings: ranges that lie one after the other in one object. A window is worth merging where
// it has many runs and is large or old enough; runs that are a quarter of an object long stay as they are. Ranges of a
// *sparse* object, most of which is kept for nobody, are moved whatever their length, so that the object can go.
//
// How often a byte is written again: once when its window is full, or old; after that only in a window that is four
// times as large as the merged run that it lies in, so that runs grow fast and stop growing at a quarter of an object.
// The merger bounds the sum.
#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "metadata/range_index.hpp"
#include "model/ids.hpp"

namespace yaks::upkeep {
struct merge_limits {
  std::uint64_t object_bytes = 64 << 20;  // YAKS_MERGE_OBJECT_BYTES
  std::size_t runs_min = 8;               // YAKS_MERGE_MIN_RUNS
  std::int64_t age_ms =
      3'600'000;            // YAKS_MERGE_AGE_MS: what is younger waits for more, until there is a whole object of it
  double live_ratio = 0.5;  // YAKS_MERGE_LIVE_RATIO
};

// What else is known of the ranges that a plan is made for.
struct merge_outlook {
  timestamp_ms now;
  std::int64_t retention_ms = -1;  // of their topic; -1: for ever
  bool goes_by_bytes = false;      // they are in the older half of what retention.bytes keeps
  bool is_end = true;              // nothing follows them in the index
};

struct merge_window {
  offset from, to;
  std::vector<metadata::range> ranges;
  std::uint64_t bytes = 0;
  std::uint64_t merged_bytes = 0;  // of them, those that were merged before
  std::size_t runs = 0;
  bool is_sparse = false;  // some of them keep a sparse object
};

struct merge_plan {
  std::vector<merge_window> windows;  // to be merged now, ascending
  // Where to go on: nothing before it is worth another look but for the sake of sparse objects. Not beyond the first
  // window.
  offset next;
  timestamp_ms look_again = no_timestamp;  // then what waits is old enough; no_timestamp: nothing waits
};

// `ranges` are consecutive, and `objects` has every object that they lie in.
merge_plan plan_merges(std::span<const metadata::range> ranges,
                       const std::map<metadata::object_number, metadata::object_use>& objects,
                       const merge_limits& limits, const merge_outlook& outlook);
}  // namespace yaks::upkeep
