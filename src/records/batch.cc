#include "records/batch.hpp"

#include <algorithm>
#include <array>

#include "base/check.hpp"

namespace yaks::records {
std::string_view name_of(compression_type type) {
  switch (type) {
    case compression_type::none:
      return "none";
    case compression_type::gzip:
      return "gzip";
    case compression_type::snappy:
      return "snappy";
    case compression_type::lz4:
      return "lz4";
    case compression_type::zstd:
      return "zstd";
  }
}

std::string_view text_of(batch_fault fault) {
  switch (fault) {
    case batch_fault::no_batch:
      return "there is no record batch";
    case batch_fault::truncated:
      return "the record batch is cut short";
    case batch_fault::length_too_small:
      return "the record batch's length has no room for its header";
    case batch_fault::old_magic:
      return "only record batches with magic 2 are supported";
    case batch_fault::unknown_magic:
      return "the record batch's magic is unknown";
    case batch_fault::zstd_too_early:
      return "zstd needs Produce version 7 or newer";
    case batch_fault::unknown_compression:
      return "the compression type is unknown";
    case batch_fault::several_batches:
      return "there is more than one record batch";
    case batch_fault::trailing_bytes:
      return "bytes follow the record batch";
    case batch_fault::base_offset_not_zero:
      return "the base offset of a produced record batch must be 0";
    case batch_fault::batch_too_large:
      return "the record batch is larger than the topic allows";
    case batch_fault::wrong_crc:
      return "the checksum does not match";
    case batch_fault::wrong_offset_range:
      return "record count and last offset delta do not fit";
    case batch_fault::control_batch:
      return "clients may not write control batches";
    case batch_fault::missing_sequence:
      return "a producer id needs an epoch and a base sequence";
    case batch_fault::broken_record:
      return "the lengths inside a record do not fit";
    case batch_fault::wrong_offset_delta:
      return "the records are not numbered from 0 upwards";
    case batch_fault::wrong_record_count:
      return "the record count does not match the records";
    case batch_fault::missing_key:
      return "records of a compacted topic need a key";
    case batch_fault::log_append_time:
      return "producers may not set log append time";
    case batch_fault::timestamp_out_of_range:
      return "the timestamp is out of the range that the topic allows";
    case batch_fault::broken_compression:
      return "the records do not decompress";
    case batch_fault::decompressed_too_large:
      return "the decompressed records are too large";
  }
}

result<batch_view, batch_fault> batch_view::parse(byte_view front) {
  if (front.empty()) return failure(batch_fault::no_batch);
  if (front.size() < batch_length_overhead) return failure(batch_fault::truncated);
  auto length = load_big_endian<std::int32_t>(front.data() + layout::length);
  // A batch of the old formats may be shorter than our header: say what it is before how long it is. Kafka's smallest
  // message has 14 bytes after the length.
  constexpr std::int32_t smallest_old_message = 14;
  if (length < smallest_old_message) return failure(batch_fault::length_too_small);
  if (front.size() <= layout::magic) return failure(batch_fault::truncated);
  auto magic = std::to_integer<std::int8_t>(front[layout::magic]);
  if (magic < 0 || magic > 2) return failure(batch_fault::unknown_magic);
  std::size_t size = std::size_t(length) + batch_length_overhead;
  if (size > front.size()) return failure(batch_fault::truncated);
  if (magic < 2) return failure(batch_fault::old_magic);
  if (size < batch_header_bytes) return failure(batch_fault::length_too_small);
  return batch_view(front.first(size));
}

std::optional<compression_type> batch_view::compression() const {
  auto code = attributes() & attribute_compression;
  if (code > int(compression_type::zstd)) return std::nullopt;
  return compression_type(code);
}

std::uint32_t batch_view::crc_of_all_bytes() const {
  return crc32c_combine(crc32c(bytes_.first(batch_unchecked_bytes)), crc(), bytes_.size() - batch_unchecked_bytes);
}

std::optional<batch_view> batch_reader::next() {
  if (fault_ || position_ == all_.size()) return std::nullopt;
  auto batch = batch_view::parse(all_.subspan(position_));
  if (!batch) {
    fault_ = batch.error();
    return std::nullopt;
  }
  position_ += batch->size_bytes();
  return *batch;
}

void set_base_offset(mutable_byte_view batch, offset base) {
  YAKS_CHECK(batch.size() >= batch_header_bytes, "a batch has a whole header");
  store_big_endian(batch.data() + layout::base_offset, base.value());
}

void set_leader_epoch(mutable_byte_view batch, std::int32_t epoch) {
  YAKS_CHECK(batch.size() >= batch_header_bytes, "a batch has a whole header");
  store_big_endian(batch.data() + layout::leader_epoch, epoch);
}

namespace {
void set_timestamp(mutable_byte_view batch, std::int16_t attributes, timestamp_ms max) {
  constexpr std::size_t end = layout::max_timestamp + sizeof(std::int64_t);
  std::array<std::byte, end - batch_unchecked_bytes> change;
  std::byte* checked = batch.data() + batch_unchecked_bytes;
  std::copy_n(checked, change.size(), change.begin());
  store_big_endian(batch.data() + layout::attributes, attributes);
  store_big_endian(batch.data() + layout::max_timestamp, max.value());
  for (std::size_t i = 0; i < change.size(); ++i) change[i] ^= checked[i];

  std::byte* crc = batch.data() + layout::crc;
  store_big_endian(crc, crc32c_after_change(load_big_endian<std::uint32_t>(crc), change, batch.size() - end));
}

std::int16_t checked_attributes(mutable_byte_view batch) {
  auto view = batch_view::parse(batch);
  YAKS_CHECK(view && view->size_bytes() == batch.size(), "a whole batch and nothing else");
  return view->attributes();
}
}  // namespace

void set_max_timestamp(mutable_byte_view batch, timestamp_ms max) {
  set_timestamp(batch, checked_attributes(batch), max);
}

void set_log_append_time(mutable_byte_view batch, timestamp_ms append_time) {
  set_timestamp(batch, std::int16_t(checked_attributes(batch) | attribute_log_append_time), append_time);
}
}  // namespace yaks::records
