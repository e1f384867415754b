#include "metastores/call_metrics.hpp"

#include <string>

namespace yaks::metastores {
namespace {
constexpr std::array<const char*, 3> operation_names{"append", "read", "notify"};
constexpr std::array<const char*, 6> outcome_names{"ok", "unavailable", "unknown", "trimmed", "diverged", "refused"};

std::size_t index_of(std::optional<metadata::log_error> error) {
  if (!error) return 0;
  switch (*error) {
    case metadata::log_error::unavailable:
      return 1;
    case metadata::log_error::unknown:
      return 2;
    case metadata::log_error::trimmed:
      return 3;
    case metadata::log_error::diverged:
      return 4;
    case metadata::log_error::old_term:
      return 1;  // index writes are not counted here
    case metadata::log_error::refused:
      return 5;
  }
  return 1;
}
}  // namespace

call_metrics::call_metrics(metrics::registry& registry)
    : reconnects_(&registry.add_counter("yaks_metastore_reconnects_total",
                                        "Connections to the metastore that had to be made again.")) {
  for (std::size_t o = 0; o < operations; ++o) {
    for (std::size_t r = 0; r < outcomes; ++r)
      calls_[o][r] =
          &registry.add_counter("yaks_metastore_calls_total", "Calls to the metastore by operation and outcome.",
                                {{"operation", operation_names[o]}, {"outcome", outcome_names[r]}});
    seconds_[o] = &registry.add_histogram("yaks_metastore_call_duration_seconds", "Duration of calls to the metastore.",
                                          metrics::latency_seconds_buckets(), {{"operation", operation_names[o]}});
  }
}

void call_metrics::count(operation what, duration took, std::optional<metadata::log_error> error) {
  auto o = std::size_t(what);
  calls_[o][index_of(error)]->add();
  seconds_[o]->observe(std::chrono::duration<double>(took).count());
}
}  // namespace yaks::metastores
