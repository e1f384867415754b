// What a produced partition's bytes must be before they may be stored: checked in place, copied nowhere.
#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "model/ids.hpp"
#include "records/batch.hpp"

namespace yaks::records {
struct produce_rules {
  // `max.message.bytes`: of the whole batch.
  std::uint32_t batch_bytes_max = 1048588;
  // Produce below version 7 predates it (KIP-110).
  bool allows_zstd = true;
  // The topic is compacted.
  bool requires_keys = false;
  // What `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms` mean now. Leave as it is where the
  // topic has log append time. Records without a timestamp (-1) pass.
  timestamp_ms timestamp_min{std::numeric_limits<std::int64_t>::min()};
  timestamp_ms timestamp_max{std::numeric_limits<std::int64_t>::max()};
};

// What the metadata log needs to know of a batch.
struct batch_info {
  std::uint32_t bytes = 0;
  std::uint32_t record_count = 0;
  // Of the records themselves where they are uncompressed, else what the header says, or the base timestamp where that
  // is later. It can differ from the header's, which some clients leave unset.
  timestamp_ms max_timestamp = no_timestamp;
  producer_id producer = no_producer;  // no_producer: the next two are -1
  std::int16_t producer_epoch = -1;
  std::int32_t base_sequence = -1;
  bool is_transactional = false;
  compression_type compression = compression_type::none;
  // Of all the batch's bytes as they are now: for combining an object's.
  std::uint32_t crc32c = 0;
  bool operator==(const batch_info&) const = default;
};

struct validation_failure {
  batch_fault fault;
  // For people and for the answer's error message.
  std::string text;
  // Which record of the batch, where it is about one (KIP-467).
  std::optional<std::int32_t> record_index;
};

// Accepts exactly one batch of version 2 that a client may write. The order of the checks is Kafka's, so what is wrong
// in several ways gets Kafka's code. Uncompressed records are all walked. Compressed ones are not decompressed: their
// records are as trustworthy as their producer, and `requires_keys` and the timestamp of each do not reach them.
result<batch_info, validation_failure> validate_produced(byte_view record_set, const produce_rules& rules);
}  // namespace yaks::records
