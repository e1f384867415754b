// The bytes of one range, ready to be served: base offsets and leader epochs are already those of the log, so that a
// fetch sends slices of it and copies nothing.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.hpp"
#include "model/ids.hpp"

namespace yaks {
class cached_range {
 public:
  struct batch {
    offset base_offset;
    std::uint32_t record_count = 0;
    std::uint32_t bytes = 0;
    timestamp_ms max_timestamp = no_timestamp;
    std::uint32_t segment = 0;     // which of segments()
    std::uint32_t in_segment = 0;  // where in it, in bytes
    offset end_offset() const { return base_offset + record_count; }
  };

  // Walks the batches in the segments (each batch lies within one), and writes their offsets, from `base_offset` on,
  // into the bytes: the caller must be the only one who uses them. Null where the bytes are not whole batches with
  // right checksums. `verify` is false for bytes whose checksums were verified when they arrived from a producer.
  static std::shared_ptr<const cached_range> make(std::vector<shared_bytes> segments, offset base_offset, bool verify);

  const std::vector<batch>& batches() const { return batches_; }
  std::size_t bytes() const { return bytes_; }
  const std::vector<shared_bytes>& segments() const { return segments_; }
  // What it keeps in memory beside the bytes that its segments pin.
  std::size_t index_bytes() const;
  // All that it keeps in memory: a slice of a chunk keeps the whole chunk.
  std::size_t charge() const;
  // Index of the batch that holds `at`, or batches().size().
  std::size_t find(offset at) const;
  shared_bytes batch_bytes(std::size_t index) const;
  // Appends slices that show batches [first, last): neighbours in one segment are one slice.
  void append_slices(std::size_t first, std::size_t last, std::vector<shared_bytes>& out) const;

 private:
  std::vector<shared_bytes> segments_;
  std::vector<batch> batches_;
  std::size_t bytes_ = 0;
};
}  // namespace yaks
