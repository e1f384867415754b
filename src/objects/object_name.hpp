// What the name of an object of record data says: when it was made, by the log's clock, and which agent made it. So
// every agent knows who has the bytes of a fresh object in memory, without being told.
//
// A version 7 UUID: 48 bits of milliseconds, 24 bits of the writer's incarnation, the rest chance.
#pragma once
#include <cstdint>

#include "base/endian.hpp"
#include "model/ids.hpp"

namespace yaks {
inline constexpr int writer_tag_shift = 38;  // in the lower half, right below the two bits of the variant
inline constexpr std::uint64_t writer_tag_max = (std::uint64_t(1) << 24) - 1;

inline std::uint64_t writer_tag(incarnation writer) {
  return load_big_endian<std::uint64_t>(writer.value().bytes.data() + 8) & writer_tag_max;  // chance, in every version
}
inline object_id new_object_id(timestamp_ms made, incarnation writer, std::uint64_t random_high,
                               std::uint64_t random_low) {
  auto low = (random_low & ~(writer_tag_max << writer_tag_shift)) | writer_tag(writer) << writer_tag_shift;
  return object_id(uuid::v7(made.value(), random_high, low));
}
// Two agents in 16 million have the same tag.
inline bool may_be_written_by(object_id object, incarnation writer) {
  auto low = load_big_endian<std::uint64_t>(object.value().bytes.data() + 8);
  return (low >> writer_tag_shift & writer_tag_max) == writer_tag(writer);
}
inline timestamp_ms made_at(object_id object) {
  return timestamp_ms(object.value().v7_unix_ms());
}
}  // namespace yaks
