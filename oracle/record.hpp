// The records that the oracle writes: they say who sent them and whether they are intact, without the ledger.
//
//   value   0  "YORACLE1"
//           8  run        u64   which run of the oracle
//          16  producer   u32
//          20  slot       u32   topic index × partitions + partition, where it was sent
//          24  sequence   u64   of this producer, over all partitions
//          32  timestamp  i64   milliseconds, the same as the record's own
//          40  checksum   u64   of the key and of everything else in the value
//          48  payload          bytes that follow from (seed, producer, sequence)
//   key     "<producer>/<sequence>"
//
// Big-endian. Pure functions, any thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace yaks::oracle {
inline constexpr std::size_t record_header_bytes = 48;

struct record_identity {
  std::uint64_t run = 0;
  std::uint32_t producer = 0;
  std::uint32_t slot = 0;
  std::uint64_t sequence = 0;
  std::int64_t timestamp_ms = 0;
  bool operator==(const record_identity&) const = default;
};

// What is wrong with a record that was read back.
enum class damage : std::uint8_t {
  none,
  foreign,    // the value is not one of an oracle's
  checksum,   // key or value are not what was sent
  key,        // key and value are intact, but belong to different records
  timestamp,  // the record's own timestamp is not the one it was sent with
};

struct parsed_record {
  record_identity id;          // meaningless where damage is foreign
  std::uint64_t checksum = 0;  // computed from what was read
  damage what = damage::none;
};

// Where a record is sent: slots are topics × partitions, spread evenly and in an order that depends on the seed.
std::uint32_t slot_of(std::uint64_t seed, std::uint32_t producer, std::uint64_t sequence, std::uint32_t slots);

// How long its value is: between half and one and a half times the mean, and never shorter than the header.
std::size_t value_bytes_of(std::uint64_t seed, std::uint32_t producer, std::uint64_t sequence, std::size_t mean_bytes);

std::string make_key(const record_identity& id);
// `value` is overwritten (its capacity is reused); returns the checksum.
std::uint64_t make_value(const record_identity& id, std::uint64_t seed, std::size_t bytes, std::string& value);

// `timestamp_ms` is what the consumer was told, or the negative value that it uses where the broker sets timestamps.
parsed_record parse_record(byte_view key, byte_view value, std::int64_t timestamp_ms);
}  // namespace yaks::oracle
