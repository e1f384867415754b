#include "records/timestamp_search.hpp"

#include <algorithm>

#include "records/compression.hpp"
#include "records/record.hpp"

namespace yaks::records {
namespace {
// Calls visit(found_record) for each record in order until it answers false.
template <class Visit>
std::optional<batch_fault> visit_records(const batch_view& batch, offset base, std::size_t decompressed_bytes_max,
                                         Visit visit) {
  auto body = plain_body::open(batch, decompressed_bytes_max);
  if (!body) return body.error();
  record_reader reader(body->bytes());
  record_view record;
  for (std::int32_t left = batch.record_count(); left > 0; --left) {
    if (!reader.next(record)) return reader.broken() ? batch_fault::broken_record : batch_fault::wrong_record_count;
    if (!visit(found_record{base + record.offset_delta, record.timestamp(batch.base_timestamp())})) return std::nullopt;
  }
  return std::nullopt;
}

// The record that stands for a batch whose records all have its max timestamp: the first that counts.
std::optional<found_record> first_from(const batch_view& batch, offset base, offset not_before) {
  offset first = std::max(base, not_before);
  if (first > base + batch.last_offset_delta()) return std::nullopt;
  return found_record{first, batch.max_timestamp()};
}
}  // namespace

result<std::optional<found_record>, batch_fault> find_timestamp(const batch_view& batch, offset base,
                                                                timestamp_ms target, offset not_before,
                                                                std::size_t decompressed_bytes_max) {
  if (batch.is_log_append_time()) {
    if (batch.max_timestamp() < target) return std::nullopt;
    return first_from(batch, base, not_before);
  }
  std::optional<found_record> found;
  auto fault = visit_records(batch, base, decompressed_bytes_max, [&](const found_record& record) {
    if (record.at < not_before || record.timestamp < target) return true;
    found = record;
    return false;
  });
  if (fault) return failure(*fault);
  return found;
}

result<std::optional<found_record>, batch_fault> find_max_timestamp(const batch_view& batch, offset base,
                                                                    offset not_before,
                                                                    std::size_t decompressed_bytes_max) {
  if (batch.is_log_append_time()) return first_from(batch, base, not_before);
  std::optional<found_record> found;
  auto fault = visit_records(batch, base, decompressed_bytes_max, [&](const found_record& record) {
    if (record.at >= not_before && (!found || record.timestamp > found->timestamp)) found = record;
    return true;
  });
  if (fault) return failure(*fault);
  return found;
}
}  // namespace yaks::records
