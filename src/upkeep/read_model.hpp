// Keeps the tables for people's SQL up to date (metadata/read_model.hpp).
//
// One agent does it (members::is_first), every few seconds and at most `rows_max` rows at a time, whatever the load: the latest
// values of what has changed, never a row per entry. Who begins compares everything once. On the agent's executor only.
#pragma once
#include <cstddef>
#include <set>
#include <string>

#include "membership/members.hpp"
#include "metadata/metastore.hpp"
#include "metadata/replica.hpp"
#include "metrics/registry.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"

namespace yaks::upkeep {
struct read_model_settings {
  duration interval = 5s;        // YAKS_READ_MODEL_INTERVAL_MS; 0: never
  std::size_t rows_max = 10'000;  // in one write; a group is never divided
};

class read_model_writer {
 public:
  read_model_writer(runtime& rt, metadata::metastore& store, metadata::replica& log, const membership::members& members,
                    read_model_settings settings, metrics::registry& metrics);
  awaitable<void> run();
  // What an entry changed.
  void applied(const metadata::changes& changes);
  // Everything is to be compared. False where the store was away.
  awaitable<bool> begin();
  // One write of what has changed. Answers its rows; nothing where it was not done.
  awaitable<std::optional<std::size_t>> run_once();
  bool has_work() const;

 private:
  struct dirty {
    std::set<topic_id> topics, deleted;
    std::set<topic_partition> partitions;
    std::set<std::string> groups;
  };
  void forget();
  void look_around(std::size_t rows);
  std::size_t take_into(metadata::read_model_write& write, dirty& taken);
  void give_back(dirty taken);

  runtime& rt_;
  metadata::metastore& store_;
  metadata::replica& log_;
  const membership::members& members_;
  read_model_settings settings_;
  dirty dirty_;
  bool has_begun_ = false;
  std::optional<std::string> comparing_;  // the topic where the comparison of everything goes on
  std::size_t comparing_partition_ = 0;
  event changed_;
  metrics::counter &rows_, &failures_;
  metrics::histogram& seconds_;
};
}  // namespace yaks::upkeep
