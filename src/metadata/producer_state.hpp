// What a partition remembers of one idempotent producer, and the check of its sequences (KIP-98; the window of five
// batches is Kafka's, and what clients keep in flight at most).
#pragma once
#include <array>
#include <cstdint>
#include <limits>

#include "metadata/commands.hpp"

namespace yaks::metadata {
// Sequences count records, 0 to 2147483647, then 0 again.
constexpr std::int32_t advance_sequence(std::int32_t sequence, std::uint32_t records) {
  return std::int32_t((std::uint64_t(sequence) + records) & 0x7fffffff);
}

class producer_state {
 public:
  struct stored_batch {
    std::int32_t first_sequence = 0, last_sequence = 0;
    offset base_offset;
    timestamp_ms append_time;
    bool operator==(const stored_batch&) const = default;
  };
  static constexpr std::size_t window = 5;

  std::int16_t epoch() const { return epoch_; }
  timestamp_ms last_write() const { return last_write_; }
  std::size_t batches() const { return count_; }
  const stored_batch& batch(std::size_t i) const { return batches_[i]; }  // oldest first

  // What the batch is to this producer: new (none, base_offset unset), a duplicate, or an error. Changes nothing. A
  // producer that the partition does not know may begin with any sequence: its state may have expired.
  batch_outcome check(const batch_commit& batch) const;
  // Remembers a batch that check() found new.
  void add(const batch_commit& batch, offset base_offset, timestamp_ms append_time);

 private:
  friend class snapshot_codec;
  std::int16_t epoch_ = -1;
  std::uint8_t count_ = 0;
  timestamp_ms last_write_ = no_timestamp;
  std::array<stored_batch, window> batches_{};
};
}  // namespace yaks::metadata
