// Lays the batches of one flush out as one object:
//
//   batches    sorted by topic and partition, in the order of arrival within a partition, without gaps: bytes as sent
//   footer     the payload of the log entry that commits them (metadata/entry_codec.hpp): one commit_object section, later
//              more; so the bucket describes itself, and what reads entries reads footers
//   trailer    u32 bytes of the footer, u32 CRC-32C of the footer, 8 bytes "YAKSOBJ1"; big-endian
//
// Pure and synchronous.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "metadata/commands.hpp"
#include "model/ids.hpp"
#include "runtime/runtime.hpp"

namespace yaks::ingest {
// A batch that has been validated and waits to be stored.
struct produced_batch {
  topic_partition where;
  shared_bytes bytes;  // whole, as the producer sent it
  metadata::batch_commit info;
  std::uint32_t crc32c = 0;  // of all its bytes
  std::optional<duration> flush_interval{};  // of its topic; nothing: the buffer's
};

struct built_object {
  std::vector<shared_bytes> segments;
  std::uint64_t bytes = 0;
  std::uint32_t crc32c = 0;
  metadata::commit_object commit;
  std::vector<std::size_t> order;      // commit's i-th batch is batches[order[i]]
  std::vector<shared_bytes> stored;    // the bytes of commit's i-th batch: a copy where it was small
};

built_object build_object(object_id id, const std::vector<produced_batch>& batches);

// Footer and trailer of an object that the command puts into the log: a commit_object or a merge_object.
shared_bytes object_footer(const metadata::command& says);

// What the footer of an object says, from its last bytes (all of the footer and the trailer must be there): nullopt where
// they are not those of a whole object.
std::optional<metadata::commit_object> read_footer(byte_view end_of_object);
inline constexpr std::size_t object_trailer_bytes = 16;
}  // namespace yaks::ingest
