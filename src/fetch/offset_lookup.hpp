// ListOffsets by timestamp, exact to the record: which range, which batch, then which record inside it.
#pragma once
#include <cstdint>
#include <optional>

#include "base/result.hpp"
#include "fetch/byte_budget.hpp"
#include "fetch/index_reader.hpp"
#include "fetch/range_reader.hpp"
#include "metadata/replica.hpp"

namespace yaks::fetch {
struct found_offset {
  offset at{-1};  // -1: no such record
  timestamp_ms timestamp = no_timestamp;
};

class offset_lookup {
 public:
  offset_lookup(runtime& rt, metadata::replica& log, range_reader& reader, index_reader& index, byte_budget& memory)
      : rt_(rt), log_(log), reader_(reader), index_(index), memory_(memory) {}
  // The first record from `from` on whose timestamp is not before `target`.
  awaitable<result<found_offset, object_error>> first_at_or_after(topic_partition where, timestamp_ms target, offset from = offset(0));
  // The first record that has the largest timestamp of all (KIP-734).
  awaitable<result<found_offset, object_error>> largest_timestamp(topic_partition where);

 private:
  // What a batch may decompress to while it is searched.
  static constexpr std::size_t decompressed_bytes_max = std::size_t(128) << 20;
  awaitable<result<range_reader::entry, object_error>> read(located_range range);
  // The range in which the search goes on; nothing where there is none.
  awaitable<result<std::optional<located_range>, object_error>> next_range(topic_partition where, offset from,
                                                                           timestamp_ms target);
  runtime& rt_;
  metadata::replica& log_;
  range_reader& reader_;
  index_reader& index_;
  byte_budget& memory_;
};
}  // namespace yaks::fetch
