// What lies in each topic, counted in slices, so that a million partitions hold up nobody. On the agent's executor
// only.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "metadata/replica.hpp"
#include "runtime/runtime.hpp"

namespace yaks::console {
struct topic_row {
  std::string name;
  std::uint64_t partitions = 0, records = 0, bytes = 0;
};

class topic_survey {
 public:
  static constexpr std::size_t rows_max = 10'000;            // the largest; totals are of all
  static constexpr std::size_t partitions_a_slice = 20'000;  // less than a millisecond

  topic_survey(runtime& rt, const metadata::replica& log) : rt_(rt), log_(log) {}
  // Counts everything once. What the state changes meanwhile is in it or not.
  awaitable<void> take();
  bool is_taken() const { return taken_; }
  time_point taken_at() const { return taken_at_; }
  // {"topics":n,"partitions":n,"records":n,"bytes":n}, or null.
  std::string totals_json() const;
  // {"total":n,"matching":n,"topics":[["name",partitions,records,bytes],…]}: the largest `most` whose name contains
  // `filter`.
  std::string json(std::string_view filter, std::size_t most) const;

 private:
  runtime& rt_;
  const metadata::replica& log_;
  bool taken_ = false;
  time_point taken_at_{};
  std::vector<topic_row> rows_;  // the largest first
  topic_row all_;
  std::uint64_t topics_ = 0;
};
}  // namespace yaks::console
