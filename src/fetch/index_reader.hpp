// Ranges that the state no longer holds, from the index in the metastore. What was read is kept, up to a number of
// ranges, least recently used out first: a backfill asks once per chunk of about a hundred ranges. On the agent's
// executor only.
#pragma once
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "base/result.hpp"
#include "fetch/range_reader.hpp"
#include "metadata/range_index.hpp"
#include "metadata/replica.hpp"
#include "metrics/registry.hpp"
#include "runtime/runtime.hpp"

namespace yaks::fetch {
class index_reader {
 public:
  using ranges = std::vector<located_range>;
  // Metastores differ in how, and agree in what: nothing here is an error of the client.
  enum class problem { away, damaged };

  index_reader(metadata::range_index& index, const metadata::replica& log, std::size_t ranges_max,
               metrics::registry& metrics);
  // Hands out consecutive ranges from the one that holds `from` on, until `take` answers false or the state begins; fewer
  // where the store went away meanwhile. None when the index does not hold `from`. Answers the end of the last one.
  awaitable<result<offset, problem>> each(topic_partition where, offset from,
                                          std::function<bool(const located_range&)> take);
  // The ranges of the first chunk from `from` on that has a timestamp of at least `target`; empty when there is none.
  awaitable<result<ranges, problem>> first_at_or_after(topic_partition where, offset from, timestamp_ms target);
  // Of the first chunk with the largest timestamp of those that reach beyond `from`; empty when nothing is in the index.
  awaitable<result<ranges, problem>> with_largest_timestamp(topic_partition where, offset from);
  std::size_t held() const { return held_; }

 private:
  // A partition's chunks change only with its index generation.
  using key = std::tuple<topic_partition, std::uint32_t, offset>;  // where the chunk begins
  struct chunk {
    key at;
    std::shared_ptr<const ranges> what;
  };
  awaitable<result<std::shared_ptr<const ranges>, problem>> chunk_at(topic_partition where, offset at);
  std::shared_ptr<const ranges> known(topic_partition where, std::uint32_t generation, offset at);
  void remember(key at, std::shared_ptr<const ranges> what);

  metadata::range_index& index_;
  const metadata::replica& log_;
  std::size_t ranges_max_, held_ = 0;
  std::list<chunk> recent_;  // most recently used first
  std::map<key, std::list<chunk>::iterator> chunks_;
  metrics::counter &lookups_, &hits_, &failures_;
};
}  // namespace yaks::fetch
