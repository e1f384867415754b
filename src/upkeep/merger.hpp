// Makes long objects of many short ranges, so that reading history takes few requests, and moves what is left in
// objects that are kept for little else (merge_plan.hpp says which).
//
//   1. windows of ranges are read from the index, neighbouring partitions together: they lie next to each other in the
//   objects
//   2. their bytes are read, checked against their checksums, and put as one new object, as they are
//   3. merge_object is appended: it names what it replaces, and is void where that has changed; then the object is an
//   orphan
//   4. the reclaimer moves the ranges in the index, and the objects of before go when nobody can be reading them
//
// A crash anywhere leaves an orphan at most, which the sweeper finds. Batches keep their bytes; what is set when they
// are read (offsets, append times) is set as before. The memory of one object is needed, and a few GETs'.
//
// What it writes is bounded twice: by bytes per second, and by a ratio of what was merged for the first time. On the
// agent's executor only.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "metadata/metastore.hpp"
#include "metadata/replica.hpp"
#include "metrics/registry.hpp"
#include "objects/object_store.hpp"
#include "runtime/runtime.hpp"
#include "upkeep/merge_plan.hpp"
#include "upkeep/retention.hpp"
#include "upkeep/term.hpp"

namespace yaks::upkeep {
struct merger_settings {
  std::string key_prefix;                     // of objects, "" or ending in '/'
  duration interval = 60s;                    // YAKS_MERGE_INTERVAL_MS: how often each partition is looked at
  std::uint64_t bytes_per_second = 32 << 20;  // YAKS_MERGE_BYTES_PER_SECOND; 0: never
  double write_ratio = 1.2;  // YAKS_MERGE_WRITE_RATIO: bytes written, of those merged for the first time
  merge_limits limits;
  duration whole_look = 6h;                    // everything is looked at anew, for the sake of sparse objects
  std::size_t partitions_at_once = 5000;       // between two breaths: about a millisecond
  std::size_t chunks_at_once = 20;             // read from the index
  std::size_t ranges_max = 20'000;             // of one window
  std::uint64_t get_bytes_max = 8 << 20;       // of one GET
  std::uint64_t get_gap_bytes_max = 64 << 10;  // read and thrown away, to spare one
  std::size_t gets_at_once = 4;
  duration patience = 60s;  // of a call to the object store, and for the index to follow
};

class merger {
 public:
  merger(runtime& rt, metadata::metastore& store, metadata::replica& log, object_store& objects, term& office,
         std::function<retention_limits(const metadata::topic&)> limits, merger_settings settings,
         metrics::registry& metrics);
  awaitable<void> run();
  // One look at every partition. Answers how many objects were made; nothing where a store was away or the term is
  // over.
  awaitable<std::optional<std::size_t>> run_once();
  std::uint64_t objects_made() const { return std::uint64_t(made_objects_.value()); }

 private:
  // What is known of a partition since the last look.
  struct place {
    offset next;
    timestamp_ms look_again{0};       // by its age; before that only where a whole object may have come together
    std::uint64_t waiting_bytes = 0;  // that may be merged one day
    std::uint64_t bytes_seen = 0;     // of the partition, at the last look
  };
  struct candidate {
    topic_partition where;
    std::uint32_t generation = 0;
    merge_window window;
    std::map<metadata::object_number, object_id> objects;
  };
  struct piece {  // of the new object
    std::size_t part = 0;
    const metadata::range* range = nullptr;
    shared_bytes bytes;
    std::uint32_t crc32c = 0;
  };
  struct reading;  // what the GETs of one merge share
  bool is_due(topic_partition where, const metadata::partition& p) const;
  // The first window of the partition that is to be merged now, or none; `failed` where the index could not be asked.
  awaitable<result<std::optional<candidate>, metadata::log_error>> look(topic_partition where);
  // False: nothing came of this partition's turn, for a store was away.
  awaitable<bool> visit(topic_partition where);
  awaitable<bool> flush();
  awaitable<bool> merge(std::vector<candidate> parts);
  awaitable<bool> read_all(std::vector<piece>& pieces, const std::vector<candidate>& parts);
  std::uint64_t full_bytes() const { return settings_.limits.object_bytes - settings_.limits.object_bytes / 4; }
  awaitable<void> read_some(reading& all);
  awaitable<bool> until_settled();

  runtime& rt_;
  metadata::metastore& store_;
  metadata::replica& log_;
  object_store& objects_;
  term& office_;
  std::function<retention_limits(const metadata::topic&)> limits_;
  merger_settings settings_;
  std::unordered_map<topic_partition, place> places_;
  std::vector<candidate> batch_;
  std::uint64_t batch_bytes_ = 0;
  double credit_;  // bytes that may be written again
  time_point next_write_{}, next_whole_look_{};
  std::size_t made_ = 0;
  metrics::counter &made_objects_, &bytes_, &rewritten_bytes_, &ranges_, &reads_, &void_, &failures_;
};
}  // namespace yaks::upkeep
