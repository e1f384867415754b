// A chunk of the index: about a hundred consecutive ranges of one partition as bytes, written once and never changed.
//
//   per range: uvarint record count, batch count, zigzag Δ object number, zigzag Δ position, uvarint bytes, zigzag Δ max timestamp
//
// A range begins where the one before it ends; the first begins at the chunk's base offset. Deltas of the first range are from
// the chunk's first object, position 0 and timestamp 0. About 9 bytes a range.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "metadata/state.hpp"

namespace yaks::metadata {
// The ranges are consecutive, and there is one.
std::string encode_ranges(std::span<const range> ranges);
// Nothing where the bytes are no chunk.
std::optional<std::vector<range>> decode_ranges(offset base, object_number first_object, byte_view bytes);

// What becomes of chunks when their ranges of [from, to) lie one after the other in another object, from `position` on: all of a range
// is as it was but where it lies. `chunks` are those of a partition that reach into [from, to), in order; together they are cut anew,
// so that small ones become few. Nothing where they do not hold exactly `bytes` bytes in whole ranges of [from, to).
inline constexpr std::size_t ranges_per_chunk_max = 100;
std::optional<std::vector<std::vector<range>>> merged_chunks(std::span<const std::vector<range>> chunks, offset from, offset to,
                                                             object_number into, std::uint64_t position, std::uint64_t bytes);
}  // namespace yaks::metadata
