// What every store counts about its calls: how many by operation and outcome, and how long they took.
#pragma once
#include <array>
#include <optional>

#include "metadata/log_store.hpp"
#include "metrics/registry.hpp"

namespace yaks::metastores {
enum class operation { append, read, notify };

class call_metrics {
 public:
  explicit call_metrics(metrics::registry& registry);
  // One call that took `took`; nullopt means that it was done.
  void count(operation what, duration took, std::optional<metadata::log_error> error);
  metrics::counter& reconnects() { return *reconnects_; }

 private:
  static constexpr std::size_t operations = 3, outcomes = 6;  // done, and one per log_error
  std::array<std::array<metrics::counter*, outcomes>, operations> calls_{};
  std::array<metrics::histogram*, operations> seconds_{};
  metrics::counter* reconnects_;
};
}  // namespace yaks::metastores
