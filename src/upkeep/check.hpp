// A checker for tests and simulations: may anything have been deleted, or be forgotten, that must not? Compares the state at the
// head of the log, the index and the bucket as they are at one moment. Slow: it looks at everything.
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "metadata/state.hpp"
#include "model/ids.hpp"

namespace yaks::upkeep {
struct index_image {
  std::map<topic_partition, std::vector<std::vector<metadata::range>>> chunks;  // of a partition in order
  std::vector<std::tuple<metadata::object_number, object_id, std::uint64_t>> objects;  // number, name, ranges counted in it
};

struct findings {
  std::vector<std::string> violations;  // sentences; empty where all is well
  // Objects of the bucket that nothing refers to: fine for a while, and none are left when everything has been at rest for long.
  std::set<object_id> unreferenced;
};

// `is_current`: the state is that of the log's head. Of an older one, only what it refers to is looked for.
findings check_objects(const metadata::state& state, const index_image& index, const std::set<object_id>& bucket, bool is_current = true);
}  // namespace yaks::upkeep
