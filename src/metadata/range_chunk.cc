#include "metadata/range_chunk.hpp"

#include <limits>

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

std::optional<std::vector<std::vector<range>>> merged_chunks(std::span<const std::vector<range>> chunks, offset from, offset to,
                                                             object_number into, std::uint64_t position, std::uint64_t bytes) {
  std::vector<range> all;
  for (const auto& c : chunks) all.insert(all.end(), c.begin(), c.end());
  auto next = from;
  for (auto& r : all) {
    if (r.end_offset() <= from || r.base_offset >= to) continue;
    if (r.base_offset != next || r.end_offset() > to || r.bytes > bytes) return std::nullopt;
    next = r.end_offset();
    r.object = into;
    r.position = std::uint32_t(position);
    position += r.bytes;
    bytes -= r.bytes;
  }
  if (next != to || bytes != 0 || position > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  for (std::size_t i = 1; i < all.size(); ++i)
    if (all[i].base_offset != all[i - 1].end_offset()) return std::nullopt;
  // As even as can be: a rest of a few ranges would be a chunk for ever.
  std::vector<std::vector<range>> out;
  auto count = (all.size() + ranges_per_chunk_max - 1) / ranges_per_chunk_max;
  for (std::size_t i = 0; i < count; ++i)
    out.emplace_back(all.begin() + std::ptrdiff_t(all.size() * i / count), all.begin() + std::ptrdiff_t(all.size() * (i + 1) / count));
  return out;
}
}  // namespace yaks::metadata
