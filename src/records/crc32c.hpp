// CRC-32C (Castagnoli, RFC 3720 appendix B.4): the checksum of record batches, of objects and of our own formats.
//
// All of it is in the usual form (start value and final exclusive-or of all ones), so results chain:
// crc32c(b, crc32c(a)) is the checksum of a followed by b. Any thread.
#pragma once
#include <cstdint>

#include "base/bytes.hpp"

namespace yaks::records {
// Checksum of what `seed` is the checksum of, followed by `bytes`. 0 is the checksum of nothing.
std::uint32_t crc32c(byte_view bytes, std::uint32_t seed = 0);

// Checksum of a followed by b, from the checksums of both and the length of b; reads neither. Costs a few nanoseconds
// per four bits of the length, so that an object's checksum comes from those of its batches.
std::uint32_t crc32c_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t bytes_b);

// The checksum that a message has after the bytes of `change` were exclusive-or-ed into it, where `bytes_after` more
// bytes follow those: the checksum is linear, so nothing else of the message needs to be read.
std::uint32_t crc32c_after_change(std::uint32_t crc, byte_view change, std::uint64_t bytes_after);

namespace detail {
// Checksum arithmetic for processors without carry-less multiplication; named here so that tests reach it everywhere.
std::uint32_t append_zeros_portable(std::uint32_t crc, std::uint64_t bytes);
}  // namespace detail
}  // namespace yaks::records
