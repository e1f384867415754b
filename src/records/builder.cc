#include "records/builder.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "records/compression.hpp"

namespace yaks::records {
namespace {
using bytes = std::vector<std::byte>;

void append_varint(bytes& to, std::int64_t value) {
  std::byte encoded[varint_bytes_max];
  std::size_t size = store_uvarint(encoded, zigzag(value));
  to.insert(to.end(), encoded, encoded + size);
}
void append_nullable(bytes& to, std::optional<byte_view> value) {
  append_varint(to, value ? std::int64_t(value->size()) : -1);
  if (value) to.insert(to.end(), value->begin(), value->end());
}
std::optional<byte_view> to_bytes(std::optional<std::string_view> text) {
  if (!text) return std::nullopt;
  return as_bytes(*text);
}
}  // namespace

batch_builder& batch_builder::add(timestamp_ms timestamp, std::optional<std::string_view> key,
                                  std::optional<std::string_view> value, std::span<const record_header> headers) {
  if (count_ == 0) base_timestamp_ = max_timestamp_ = timestamp;
  max_timestamp_ = std::max(max_timestamp_, timestamp);
  bytes record;
  record.push_back(std::byte(0));  // attributes
  // Wraps around like record_view::timestamp(), which undoes it.
  append_varint(record, std::int64_t(std::uint64_t(timestamp.value()) - std::uint64_t(base_timestamp_.value())));
  append_varint(record, count_++);
  append_nullable(record, to_bytes(key));
  append_nullable(record, to_bytes(value));
  append_varint(record, std::int64_t(headers.size()));
  for (const auto& header : headers) {
    append_nullable(record, as_bytes(header.key));
    append_nullable(record, header.value);
  }
  append_varint(body_, std::int64_t(record.size()));
  body_.insert(body_.end(), record.begin(), record.end());
  return *this;
}

std::vector<std::byte> batch_builder::build() const {
  YAKS_CHECK(count_ > 0, "a batch has records");
  shared_bytes compressed;
  byte_view body(body_);
  if (settings_.compression != compression_type::none) {
    compressed = compress(settings_.compression, body);
    body = compressed.view();
  }
  std::int16_t attributes = std::int16_t(settings_.compression);
  if (settings_.is_transactional) attributes |= attribute_transactional;
  if (settings_.is_control) attributes |= attribute_control;

  bytes batch(batch_header_bytes + body.size());
  std::byte* at = batch.data();
  store_big_endian(at + layout::base_offset, settings_.base_offset.value());
  store_big_endian(at + layout::length, std::int32_t(batch.size() - batch_length_overhead));
  store_big_endian(at + layout::leader_epoch, settings_.leader_epoch);
  at[layout::magic] = std::byte(2);
  store_big_endian(at + layout::attributes, attributes);
  store_big_endian(at + layout::last_offset_delta, count_ - 1);
  store_big_endian(at + layout::base_timestamp, base_timestamp_.value());
  store_big_endian(at + layout::max_timestamp, max_timestamp_.value());
  store_big_endian(at + layout::producer_id, settings_.producer.value());
  store_big_endian(at + layout::producer_epoch, settings_.producer_epoch);
  store_big_endian(at + layout::base_sequence, settings_.base_sequence);
  store_big_endian(at + layout::record_count, count_);
  std::ranges::copy(body, batch.begin() + batch_header_bytes);
  reseal(batch);
  return batch;
}

void reseal(mutable_byte_view batch) {
  YAKS_CHECK(batch.size() >= batch_header_bytes, "a batch has a whole header");
  store_big_endian(batch.data() + layout::crc, crc32c(byte_view(batch).subspan(batch_unchecked_bytes)));
}
}  // namespace yaks::records
