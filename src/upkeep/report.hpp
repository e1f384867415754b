// What is stored, and what will be deleted when and why: for `yaks storage`. Reads the newest snapshot and the log after it, the
// index's sums and, where asked to, a list of the whole bucket (one LIST per 1,000 objects). Changes nothing.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "metadata/metastore.hpp"
#include "objects/object_store.hpp"
#include "runtime/runtime.hpp"

namespace yaks::upkeep {
struct report_settings {
  std::string key_prefix;
  duration grace = 60s;
  bool lists_bucket = false;
  std::size_t deletions_max = 100'000;  // objects that are looked at one by one
};

struct storage_report {
  struct topic_line {
    std::string name;
    std::uint64_t partitions = 0, records = 0, bytes = 0;
  };
  using sum = metadata::object_totals::sum;
  log_sequence at;  // of the log
  timestamp_ms time;
  std::vector<topic_line> topics;
  sum live;                         // a range of the index or of the state lies in it
  std::uint64_t gone_in_live_bytes = 0;  // of these: of records that are gone, and share an object with some that are not
  sum merged;                       // of these: made of ranges of others
  sum due;                          // nothing refers to it: the next delete takes it
  sum within_grace;                 // the same, but for the grace
  sum held_by_agents;               // an agent has not reported to have read the log so far
  timestamp_ms oldest_waiting = no_timestamp;  // since when the one of these that waits longest has waited
  std::vector<std::string> slow_agents;        // who holds the last kind up: host:port, and how far it is
  std::uint64_t trims_owed = 0, topics_owed = 0, objects_owed = 0, merges_owed = 0;  // what the index has not followed in yet
  bool is_listed = false;
  sum orphaned;  // in the bucket, older than any upload may take, and never committed: the next pass of the sweeper takes it
  sum young;     // in the bucket, and perhaps about to be committed
  struct size_class {
    std::uint64_t below = 0;  // bytes; 0: no limit
    sum objects;
  };
  std::vector<size_class> sizes;  // of the objects in the bucket, footers included
  std::vector<std::string> deletions;  // keys of what is due or orphaned
};

// A sentence where a store was away.
awaitable<result<storage_report, std::string>> make_storage_report(runtime& rt, metadata::metastore& store, object_store& objects,
                                                                   report_settings settings);
std::string as_table(const storage_report& report);
std::string as_json(const storage_report& report);
}  // namespace yaks::upkeep
