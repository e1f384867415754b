// Any bytes as a chunk of the index. What decodes is a list of consecutive ranges, and the same when it is encoded and decoded
// again.
//
//   8 bytes base offset, 8 bytes number of the first object (both big-endian), then the chunk
#include "base/check.hpp"
#include "base/endian.hpp"
#include "metadata/range_chunk.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace yaks;
  using namespace yaks::metadata;
  byte_view bytes = std::as_bytes(std::span(data, size));
  if (bytes.size() < 16) return 0;
  // An offset beyond this takes an exbibyte of records to reach.
  offset base(load_big_endian<std::int64_t>(bytes.data()) & 0x0fff'ffff'ffff'ffff);
  object_number first = load_big_endian<std::uint64_t>(bytes.data() + 8);
  auto ranges = decode_ranges(base, first, bytes.subspan(16));
  if (!ranges) return 0;
  auto next = base;
  for (const auto& r : *ranges) {
    YAKS_CHECK(r.base_offset == next && r.record_count > 0, "ranges are consecutive, and none is empty");
    next = r.end_offset();
  }
  auto encoded = encode_ranges(*ranges);
  YAKS_CHECK(decode_ranges(base, ranges->front().object, as_bytes(encoded)) == ranges, "a chunk is its ranges");
  return 0;
}
