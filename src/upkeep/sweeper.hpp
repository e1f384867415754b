// Finds objects that were uploaded and never committed (an agent died in between, or gave up), by listing the bucket, and deletes
// them. Why none of them can come to life, or be one that somebody refers to:
//
//   1. sweep(T) is appended, and applied here: from that entry on no object with a name older than T is committed
//   2. the state as it is then names every such object that it holds; from here on these can only leave it, for the index
//   3. a page is listed; what is older than T, not named in 2, and not known to the index when it is asked after that, was never
//      committed, or was deleted already
//
// T is the log's clock minus the longest upload deadline of all registered agents and a margin, so that sweeping hinders nobody.
//
// One pass lists everything once, in 256 pieces, spread over the interval: a LIST per 1,000 objects and pass. A piece is held in
// memory, about 100 bytes per object. Snapshots that were stored and never recorded go in the same pass.
#pragma once
#include <optional>
#include <string>
#include <unordered_set>

#include "metadata/metastore.hpp"
#include "metadata/replica.hpp"
#include "metrics/registry.hpp"
#include "objects/object_store.hpp"
#include "runtime/runtime.hpp"
#include "upkeep/term.hpp"

namespace yaks::upkeep {
struct sweeper_settings {
  std::string key_prefix;    // of objects, "" or ending in '/'
  duration interval = 6h;    // YAKS_SWEEP_INTERVAL_MS: of a pass over the whole bucket; 0: never
  duration margin = 60s;     // beyond the upload deadline
  duration patience = 60s;   // of a call to the object store
  std::size_t keys_max = 1000;  // in one question or delete
};

class sweeper {
 public:
  sweeper(runtime& rt, metadata::metastore& store, metadata::replica& log, object_store& objects, term& office,
          sweeper_settings settings, metrics::registry& metrics);
  awaitable<void> run();
  static constexpr unsigned pieces = 256;
  // Steps 1 and 2. False where the log was away.
  awaitable<bool> begin();
  // Step 3 for one of the pieces. Answers how many objects were deleted; nothing where a store was away.
  awaitable<std::optional<std::size_t>> sweep_piece(unsigned piece);
  awaitable<bool> sweep_snapshots();

 private:
  runtime& rt_;
  metadata::metastore& store_;
  metadata::replica& log_;
  object_store& objects_;
  term& office_;
  sweeper_settings settings_;
  timestamp_ms before_{0};
  std::unordered_set<object_id> held_;  // by the state, of those before before_
  std::uint64_t orphans_in_pass_ = 0;
  metrics::counter &passes_, &lists_, &listed_, &deleted_, &deleted_bytes_, &failures_;
};
}  // namespace yaks::upkeep
