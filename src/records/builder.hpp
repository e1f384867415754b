// Makes record batches: for tests, simulated clients, and the batches that brokers write themselves.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "model/ids.hpp"
#include "records/batch.hpp"
#include "records/record.hpp"

namespace yaks::records {
struct batch_settings {
  compression_type compression = compression_type::none;
  producer_id producer = no_producer;
  std::int16_t producer_epoch = -1;
  std::int32_t base_sequence = -1;
  bool is_transactional = false;
  bool is_control = false;
  offset base_offset{0};           // as clients send
  std::int32_t leader_epoch = -1;  // as clients send
};

class batch_builder {
 public:
  explicit batch_builder(const batch_settings& settings = {}) : settings_(settings) {}
  // Appends a record with the next offset delta; copies what it is given.
  batch_builder& add(timestamp_ms timestamp, std::optional<std::string_view> key, std::optional<std::string_view> value,
                     std::span<const record_header> headers = {});
  std::int32_t record_count() const { return count_; }
  // Of the records so far, before compression.
  std::size_t plain_bytes() const { return body_.size(); }
  // The whole batch, checksum included. There must be a record.
  std::vector<std::byte> build() const;

 private:
  batch_settings settings_;
  std::vector<std::byte> body_;
  std::int32_t count_ = 0;
  timestamp_ms base_timestamp_ = no_timestamp;
  timestamp_ms max_timestamp_ = no_timestamp;
};

// Computes the checksum anew, after something was changed by hand.
void reseal(mutable_byte_view batch);
}  // namespace yaks::records
