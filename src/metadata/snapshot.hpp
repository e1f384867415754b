// A snapshot: the whole state at one position of the log, as bytes. A new agent reads one and then the entries after it.
//
//   8 bytes "YAKSSNP1"
//   section*            as in entries: uvarint kind << 1 | required, uvarint length, bytes
//   u32 CRC-32C of all before it, big-endian
//
// Sections: the position and the counters first, the digest among them; then agents, brokers, objects, topics (one section
// each, with partitions, ranges and producers), group offsets, what upkeep owes to the index, and the queue of producers' expiries. A reader skips optional
// sections that it does not know and refuses required ones. What was read must have the digest that was written.
#pragma once
#include "base/bytes.hpp"
#include "metadata/entry_codec.hpp"
#include "metadata/state.hpp"

namespace yaks::metadata {
class snapshot_codec {
 public:
  // Pure; any thread that may read the state. About 10 bytes per partition and range at rest.
  static shared_bytes encode(const state& s);
  // Throws log_format_error for bytes that are no snapshot, damaged, or of a newer format.
  static state decode(byte_view bytes);
};
}  // namespace yaks::metadata
