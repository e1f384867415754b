#include "cache/cached_range.hpp"

#include <algorithm>
#include <limits>

#include "records/batch.hpp"

namespace yaks {
std::shared_ptr<const cached_range> cached_range::make(std::vector<shared_bytes> segments, offset base_offset,
                                                       bool verify) {
  auto made = std::make_shared<cached_range>();
  made->segments_ = std::move(segments);
  for (std::uint32_t i = 0; i < made->segments_.size(); ++i) {
    const auto& segment = made->segments_[i];
    records::batch_reader reader(segment.view());
    for (auto at = reader.position(); auto batch = reader.next(); at = reader.position()) {
      if (verify && !batch->crc_matches()) return nullptr;
      // A checksum may be right and a count none that was ever accepted: offsets never go back, nor beyond what they count in.
      if (batch->last_offset_delta() < 0 || batch->last_offset_delta() == std::numeric_limits<std::int32_t>::max()) return nullptr;
      auto bytes = segment.slice(at, batch->size_bytes()).writable();
      records::set_base_offset(bytes, base_offset);
      records::set_leader_epoch(bytes, leader_epoch);
      made->batches_.push_back({.base_offset = base_offset,
                                .record_count = std::uint32_t(batch->last_offset_delta() + 1),
                                .bytes = std::uint32_t(batch->size_bytes()),
                                .max_timestamp = batch->max_timestamp(),
                                .segment = i,
                                .in_segment = std::uint32_t(at)});
      base_offset += batch->last_offset_delta() + 1;
    }
    if (reader.fault() || reader.position() != segment.size()) return nullptr;
    made->bytes_ += segment.size();
  }
  return made;
}

std::size_t cached_range::index_bytes() const {
  return batches_.size() * sizeof(batch) + segments_.size() * sizeof(shared_bytes) + sizeof(cached_range);
}

std::size_t cached_range::charge() const {
  std::size_t bytes = index_bytes();
  for (auto s = segments_.begin(); s != segments_.end(); ++s)
    if (std::none_of(segments_.begin(), s,
                     [&](const shared_bytes& earlier) { return earlier.pinned() == s->pinned(); }))
      bytes += s->pinned_bytes();
  return bytes;
}

std::size_t cached_range::find(offset at) const {
  auto after = std::upper_bound(batches_.begin(), batches_.end(), at,
                                [](offset wanted, const batch& b) { return wanted < b.end_offset(); });
  if (after == batches_.end() || at < after->base_offset) return batches_.size();
  return std::size_t(after - batches_.begin());
}

shared_bytes cached_range::batch_bytes(std::size_t index) const {
  const auto& b = batches_[index];
  return segments_[b.segment].slice(b.in_segment, b.bytes);
}

void cached_range::append_slices(std::size_t first, std::size_t last, std::vector<shared_bytes>& out) const {
  while (first < last) {
    const auto& from = batches_[first];
    std::size_t bytes = 0;
    for (; first < last && batches_[first].segment == from.segment; ++first) bytes += batches_[first].bytes;
    out.push_back(segments_[from.segment].slice(from.in_segment, bytes));
  }
}
}  // namespace yaks
