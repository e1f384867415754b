// Record batch, version 2 (KIP-98): the unit that producers send, objects store and consumers get.
//
//     at  bytes
//      0    8   base offset             offset of the first record; 0 from a producer, set when it is served
//      8    4   length                  of all that follows this field: total - 12
//     12    4   partition leader epoch  -1 from a producer, set when it is served
//     16    1   magic                   2
//     17    4   crc                     CRC-32C of all that follows this field
//     21    2   attributes              0-2 compression, 3 log append time, 4 transactional, 5 control, 6 delete
//     horizon 23    4   last offset delta       of the last record, from the base offset 27    8   base timestamp of
//     the first record, ms; a delete horizon instead where bit 6 says so 35    8   max timestamp           of the
//     records, ms; of all of them where bit 3 says so 43    8   producer id             -1: none 51    2   producer
//     epoch 53    4   base sequence           of the first record, -1: none 57    4   record count 61        records,
//     compressed together where the attributes say so (see record.hpp)
//
// All big-endian. The first 21 bytes are outside the checksum, so offset and epoch are set without touching it.
//
// Views do not own: the bytes must outlive them. Any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.hpp"
#include "base/endian.hpp"
#include "base/result.hpp"
#include "model/ids.hpp"
#include "records/crc32c.hpp"

namespace yaks::records {
namespace layout {
inline constexpr std::size_t base_offset = 0, length = 8, leader_epoch = 12, magic = 16, crc = 17, attributes = 21,
                             last_offset_delta = 23, base_timestamp = 27, max_timestamp = 35, producer_id = 43,
                             producer_epoch = 51, base_sequence = 53, record_count = 57, records = 61;
}  // namespace layout

inline constexpr std::size_t batch_header_bytes = layout::records;
// What the length field does not count.
inline constexpr std::size_t batch_length_overhead = 12;
// What the checksum does not cover.
inline constexpr std::size_t batch_unchecked_bytes = layout::attributes;

inline constexpr std::int16_t attribute_compression = 0x07, attribute_log_append_time = 0x08,
                              attribute_transactional = 0x10, attribute_control = 0x20, attribute_delete_horizon = 0x40;

enum class compression_type : std::uint8_t { none, gzip, snappy, lz4, zstd };
std::string_view name_of(compression_type type);

// Everything that can be wrong with a batch, and the Kafka error code that Produce answers with for it. (The mapping
// itself is the Produce handler's; the codes are those of Kafka 4.3's ProduceRequest, UnifiedLog and LogValidator
// unless noted.)
enum class batch_fault : std::uint8_t {
  no_batch,                // INVALID_RECORD: nothing there
  truncated,               // INVALID_RECORD: the bytes end before the batch does
  length_too_small,        // CORRUPT_MESSAGE: the length has no room for a header
  old_magic,               // INVALID_RECORD: magic 0 or 1, gone from Kafka 4 (KIP-724)
  unknown_magic,           // CORRUPT_MESSAGE
  zstd_too_early,          // UNSUPPORTED_COMPRESSION_TYPE: Produce below version 7 (KIP-110)
  unknown_compression,     // UNSUPPORTED_COMPRESSION_TYPE (Kafka: UNKNOWN_SERVER_ERROR)
  several_batches,         // INVALID_RECORD
  trailing_bytes,          // INVALID_RECORD (Kafka drops them silently)
  base_offset_not_zero,    // INVALID_RECORD
  batch_too_large,         // MESSAGE_TOO_LARGE
  wrong_crc,               // CORRUPT_MESSAGE
  wrong_offset_range,      // INVALID_RECORD: last offset delta is not record count - 1, or there are no records
  control_batch,           // INVALID_RECORD: only brokers write those
  missing_sequence,        // INVALID_RECORD: a producer id without a sequence, or (Kafka: accepted) an epoch
  broken_record,           // INVALID_RECORD: lengths in a record contradict each other or the batch, or are below -1
  wrong_offset_delta,      // INVALID_RECORD (Kafka renumbers compressed records and stores others as they are)
  wrong_record_count,      // INVALID_RECORD: more or fewer records than the header says
  missing_key,             // INVALID_RECORD: in a compacted topic
  log_append_time,         // INVALID_TIMESTAMP: only brokers set it (Kafka resets it where records have times)
  timestamp_out_of_range,  // INVALID_TIMESTAMP
  broken_compression,      // not found on produce: the body does not decompress
  decompressed_too_large,  // not found on produce: the body is larger than the reader allows
};
// A sentence part for people: "the checksum does not match".
std::string_view text_of(batch_fault fault);

class batch_view {
 public:
  // The batch that `front` begins with; what follows it is left alone. Looks at length and magic only (no_batch,
  // truncated, length_too_small, old_magic, unknown_magic): everything else may still be wrong.
  static result<batch_view, batch_fault> parse(byte_view front);

  byte_view bytes() const { return bytes_; }
  std::size_t size_bytes() const { return bytes_.size(); }
  // The records, compressed or not.
  byte_view body() const { return bytes_.subspan(batch_header_bytes); }

  offset base_offset() const { return offset(get<std::int64_t>(layout::base_offset)); }
  std::int32_t leader_epoch() const { return get<std::int32_t>(layout::leader_epoch); }
  std::uint32_t crc() const { return get<std::uint32_t>(layout::crc); }
  std::int16_t attributes() const { return get<std::int16_t>(layout::attributes); }
  std::int32_t last_offset_delta() const { return get<std::int32_t>(layout::last_offset_delta); }
  timestamp_ms base_timestamp() const { return timestamp_ms(get<std::int64_t>(layout::base_timestamp)); }
  timestamp_ms max_timestamp() const { return timestamp_ms(get<std::int64_t>(layout::max_timestamp)); }
  producer_id producer() const { return producer_id(get<std::int64_t>(layout::producer_id)); }
  std::int16_t producer_epoch() const { return get<std::int16_t>(layout::producer_epoch); }
  std::int32_t base_sequence() const { return get<std::int32_t>(layout::base_sequence); }
  std::int32_t record_count() const { return get<std::int32_t>(layout::record_count); }

  // Nothing for the codes that nobody has defined.
  std::optional<compression_type> compression() const;
  bool is_log_append_time() const { return attributes() & attribute_log_append_time; }
  bool is_transactional() const { return attributes() & attribute_transactional; }
  bool is_control() const { return attributes() & attribute_control; }
  bool has_delete_horizon() const { return attributes() & attribute_delete_horizon; }
  // Offset of the last record, and of the first of the next batch. Only for batches of ours: a client's could overflow.
  offset last_offset() const { return base_offset() + last_offset_delta(); }
  offset next_offset() const { return last_offset() + 1; }

  // Reads all bytes that the checksum covers.
  bool crc_matches() const { return crc32c(bytes_.subspan(batch_unchecked_bytes)) == crc(); }
  // Checksum of all bytes of the batch, from the one that it carries: reads the first 21 bytes only. True to the bytes
  // where crc_matches().
  std::uint32_t crc_of_all_bytes() const;

 private:
  explicit batch_view(byte_view bytes) : bytes_(bytes) {}
  template <class T>
  T get(std::size_t at) const {
    return load_big_endian<T>(bytes_.data() + at);
  }
  byte_view bytes_;
};

// Walks batches that lie one after the other.
//     batch_reader reader(bytes);
//     while (auto batch = reader.next()) …
//     if (reader.fault()) …
class batch_reader {
 public:
  explicit batch_reader(byte_view bytes) : all_(bytes) {}
  // Nothing at the end, and from the first fault on.
  std::optional<batch_view> next();
  // Why next() ended early. A cut last batch is `truncated`, which is no fault in what a fetch cut at a byte limit.
  std::optional<batch_fault> fault() const { return fault_; }
  // Where the next batch begins, or the faulty one.
  std::size_t position() const { return position_; }

 private:
  byte_view all_;
  std::size_t position_ = 0;
  std::optional<batch_fault> fault_;
};

// These write into a batch whose structure parse() has accepted. (A caller that has only the header in hand may pass
// just that, except to the last two, which need to know how many bytes follow.)
void set_base_offset(mutable_byte_view batch, offset base);
void set_leader_epoch(mutable_byte_view batch, std::int32_t epoch);
// These change what the checksum covers and correct it without reading the body. A checksum that was wrong stays wrong.
void set_max_timestamp(mutable_byte_view batch, timestamp_ms max);
void set_log_append_time(mutable_byte_view batch, timestamp_ms append_time);
}  // namespace yaks::records
