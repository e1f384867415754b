// Which record of a batch a timestamp means, for ListOffsets: exact to the record (KIP-79, KIP-734).
#pragma once
#include <cstddef>
#include <optional>

#include "base/result.hpp"
#include "model/ids.hpp"
#include "records/batch.hpp"

namespace yaks::records {
struct found_record {
  offset at;
  timestamp_ms timestamp;
  bool operator==(const found_record&) const = default;
};

// The first record of the batch with an offset of at least `not_before` and a timestamp of at least `target`. `base` is
// the batch's first offset, whatever its header says. Reads the records themselves, decompressing them into at most
// `decompressed_bytes_max`; any thread, for a compressed batch best not the serving one. Faults: those of
// plain_body::open, broken_record, wrong_record_count.
result<std::optional<found_record>, batch_fault> find_timestamp(const batch_view& batch, offset base,
                                                                timestamp_ms target, offset not_before,
                                                                std::size_t decompressed_bytes_max);

// The largest timestamp of the batch's records from `not_before` on, and the first record that has it.
result<std::optional<found_record>, batch_fault> find_max_timestamp(const batch_view& batch, offset base,
                                                                    offset not_before,
                                                                    std::size_t decompressed_bytes_max);
}  // namespace yaks::records
