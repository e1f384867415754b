// What is done to a produced batch before it is stored where its topic asks for more than keeping it as it was sent: its
// records are looked at although they are compressed, and compressed in the topic's way (compression.type).
//
// Heavy work without I/O: any thread, best not the serving one.
#pragma once
#include <cstddef>
#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "records/compression.hpp"
#include "records/validate.hpp"

namespace yaks::records {
struct rewrite_rules {
  std::optional<compression_type> compression;  // nothing: bytes stay as they are, the records are only checked
  compression_levels levels;
  std::size_t plain_bytes_max = 0;  // more than this decompressed is decompressed_too_large
};

struct rewritten_batch {
  shared_bytes bytes;  // empty: as they were sent
  batch_info info;
};

// `batch` is one that validate_produced() has accepted under `rules`. Fails as that does for what its records say, with
// broken_compression or decompressed_too_large, and with batch_too_large where it has become so.
result<rewritten_batch, validation_failure> rewrite_produced(byte_view batch, const produce_rules& rules,
                                                             const rewrite_rules& how);
}  // namespace yaks::records
