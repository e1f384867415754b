// Ranges whose records have the time at which they were stored (message.timestamp.type = LogAppendTime). The objects have the
// batches as their producers sent them; whoever hands them out sets the attribute, the time and the checksum in their headers.
//
// A range says so in the highest bit of its batch count: topics may change their minds, ranges do not. All batches of a range were
// committed by one entry, so its max timestamp is the time of each of them.
#pragma once
#include <optional>

#include "metadata/state.hpp"

namespace yaks::metadata {
inline constexpr std::uint32_t has_append_time = 1u << 31;

inline std::uint32_t batches_of(const range& r) { return r.batch_count & ~has_append_time; }
inline std::optional<timestamp_ms> append_time_of(const range& r) {
  if ((r.batch_count & has_append_time) == 0) return std::nullopt;
  return r.max_timestamp;
}
}  // namespace yaks::metadata
