#include "records/validate.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "records/record.hpp"

namespace yaks::records {
namespace {
std::unexpected<validation_failure> refuse(batch_fault fault) {
  return failure(validation_failure{fault, std::string(text_of(fault)), std::nullopt});
}
template <class... Values>
std::unexpected<validation_failure> refuse(batch_fault fault, fmt::format_string<Values...> format,
                                           Values&&... values) {
  return failure(validation_failure{
      fault, fmt::format("{}: {}", text_of(fault), fmt::format(format, std::forward<Values>(values)...)),
      std::nullopt});
}
std::unexpected<validation_failure> refuse_record(batch_fault fault, std::int32_t index) {
  return failure(validation_failure{fault, fmt::format("{}: record {} of the batch", text_of(fault), index), index});
}

// The largest timestamp of the records.
result<timestamp_ms, validation_failure> validate_records(const batch_view& batch, const produce_rules& rules) {
  record_reader reader(batch.body());
  record_view record;
  timestamp_ms max = no_timestamp;
  const timestamp_ms base = batch.base_timestamp();
  const std::int32_t count = batch.record_count();
  std::int32_t index = 0;
  for (; index < count && reader.next(record); ++index) {
    if (record.offset_delta != index) return refuse_record(batch_fault::wrong_offset_delta, index);
    if (rules.requires_keys && !record.key) return refuse_record(batch_fault::missing_key, index);
    timestamp_ms timestamp = record.timestamp(base);
    if (timestamp != no_timestamp && (timestamp < rules.timestamp_min || timestamp > rules.timestamp_max))
      return refuse_record(batch_fault::timestamp_out_of_range, index);
    max = std::max(max, timestamp);
  }
  if (reader.broken()) return refuse_record(batch_fault::broken_record, index);
  if (index < count)
    return refuse(batch_fault::wrong_record_count, "{} records where the header says {}", index, count);
  if (!reader.at_end()) return refuse(batch_fault::wrong_record_count, "bytes follow the last of {} records", count);
  return max;
}

// What can be said of compressed records without decompressing them.
result<timestamp_ms, validation_failure> validate_compressed(const batch_view& batch, const produce_rules& rules) {
  if (batch.body().empty()) return refuse(batch_fault::wrong_record_count, "there is nothing to decompress");
  timestamp_ms max = std::max(batch.max_timestamp(), batch.base_timestamp());
  if (max != no_timestamp && (max < rules.timestamp_min || max > rules.timestamp_max))
    return refuse(batch_fault::timestamp_out_of_range, "the batch's max timestamp is {}", max.value());
  return max;
}
}  // namespace

result<batch_info, validation_failure> validate_produced(byte_view record_set, const produce_rules& rules) {
  auto parsed = batch_view::parse(record_set);
  if (!parsed) return refuse(parsed.error());
  const batch_view batch = *parsed;

  auto compression = batch.compression();
  if (compression == compression_type::zstd && !rules.allows_zstd) return refuse(batch_fault::zstd_too_early);
  if (batch.size_bytes() < record_set.size()) {
    // Kafka drops an incomplete second batch and acknowledges the first; a client that sends one is better told.
    bool another = batch_view::parse(record_set.subspan(batch.size_bytes())).has_value();
    return refuse(another ? batch_fault::several_batches : batch_fault::trailing_bytes);
  }
  if (batch.base_offset() != offset(0))
    return refuse(batch_fault::base_offset_not_zero, "it is {}", batch.base_offset().value());
  if (batch.size_bytes() > rules.batch_bytes_max)
    return refuse(batch_fault::batch_too_large, "{} bytes, at most {}", batch.size_bytes(), rules.batch_bytes_max);
  if (!batch.crc_matches()) return refuse(batch_fault::wrong_crc, "stored {:#010x}", batch.crc());
  if (!compression)
    return refuse(batch_fault::unknown_compression, "code {}", batch.attributes() & attribute_compression);

  const std::int32_t count = batch.record_count();
  if (count <= 0 || batch.last_offset_delta() != count - 1)
    return refuse(batch_fault::wrong_offset_range, "{} records, last offset delta {}", count,
                  batch.last_offset_delta());
  if (batch.is_control()) return refuse(batch_fault::control_batch);
  const bool has_producer = batch.producer() > no_producer;
  if (has_producer && (batch.base_sequence() < 0 || batch.producer_epoch() < 0))
    return refuse(batch_fault::missing_sequence, "producer id {}, epoch {}, base sequence {}", batch.producer().value(),
                  batch.producer_epoch(), batch.base_sequence());
  if (batch.is_log_append_time()) return refuse(batch_fault::log_append_time);

  auto max_timestamp =
      *compression == compression_type::none ? validate_records(batch, rules) : validate_compressed(batch, rules);
  if (!max_timestamp) return failure(std::move(max_timestamp.error()));

  batch_info info;
  info.bytes = std::uint32_t(batch.size_bytes());
  info.record_count = std::uint32_t(count);
  info.max_timestamp = *max_timestamp;
  if (has_producer) {
    info.producer = batch.producer();
    info.producer_epoch = batch.producer_epoch();
    info.base_sequence = batch.base_sequence();
  }
  info.is_transactional = batch.is_transactional();
  info.compression = *compression;
  info.crc32c = batch.crc_of_all_bytes();
  return info;
}
}  // namespace yaks::records
