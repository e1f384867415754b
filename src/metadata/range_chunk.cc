#include "metadata/range_chunk.hpp"

#include "base/check.hpp"
#include "metadata/fields.hpp"

namespace yaks::metadata {
std::string encode_ranges(std::span<const range> ranges) {
  YAKS_CHECK(!ranges.empty(), "an empty chunk says nothing");
  std::string bytes;
  fields::out out{bytes};
  auto object = std::int64_t(ranges.front().object);
  std::int64_t position = 0, time = 0;
  auto next = ranges.front().base_offset;
  for (const auto& r : ranges) {
    YAKS_CHECK(r.base_offset == next, "the ranges of a chunk are consecutive");
    out.number(r.record_count);
    out.number(r.batch_count);
    out.delta(object, std::int64_t(r.object));
    out.delta(position, r.position);
    out.number(r.bytes);
    out.delta(time, r.max_timestamp.value());
    next = r.end_offset();
  }
  return bytes;
}

std::optional<std::vector<range>> decode_ranges(offset base, object_number first_object, byte_view bytes) {
  std::vector<range> ranges;
  auto object = std::int64_t(first_object);
  std::int64_t position = 0, time = 0;
  try {
    for (fields::in in{bytes}; !in.left.empty();) {
      range r;
      r.base_offset = base;
      r.record_count = in.narrow<std::uint32_t>();
      r.batch_count = in.narrow<std::uint32_t>();
      r.object = object_number(in.delta(object));
      auto at = in.delta(position);
      if (!std::in_range<std::uint32_t>(at) || r.record_count == 0) return std::nullopt;
      r.position = std::uint32_t(at);
      r.bytes = in.narrow<std::uint32_t>();
      r.max_timestamp = timestamp_ms(in.delta(time));
      base = r.end_offset();
      ranges.push_back(r);
    }
  } catch (const log_format_error&) {
    return std::nullopt;
  }
  if (ranges.empty()) return std::nullopt;
  return ranges;
}
}  // namespace yaks::metadata
