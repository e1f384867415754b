// The compressions of record batches, as Kafka's clients write them:
//
//     gzip    RFC 1952, one or more members
//     snappy  one raw block, or the framing of snappy-java ("xerial"): 82 'SNAPPY' 00, two int32 versions, then blocks,
//     each
//             after its int32 length; everything may repeat
//     lz4     frame format, independent blocks in what we write: Java reads no others
//     zstd    one or more frames
//
// Heavy work without I/O: any thread, best not the serving one.
#pragma once
#include <cstddef>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "records/batch.hpp"

namespace yaks::records {
// The plain bytes. Never produces, nor reserves, more than `bytes_max`: beyond that it is decompressed_too_large,
// however large the bytes claim to be. Cut or altered input is broken_compression as far as the format can tell; snappy
// and (from most clients) zstd carry no checksum, the batch's own covers them. For `none` a copy.
result<shared_bytes, batch_fault> decompress(compression_type type, byte_view bytes, std::size_t bytes_max);

// How hard to try, in Kafka's numbers (KIP-390). The defaults here are fast: gzip 1, lz4's fast mode, zstd 1.
struct compression_levels {
  int gzip = 1;  // 1 to 9, -1: the codec's default; isal has three levels, which share these nine
  int lz4 = 9;   // 1 to 17; 9 is Kafka's name for the fast mode, the others are lz4 HC's, whose best is 12
  int zstd = 1;  // as zstd's
};
shared_bytes compress(compression_type type, byte_view bytes, compression_levels levels = {});

// The records of a batch, ready for record_reader: decompressed if need be, else the batch's own bytes, which must then
// outlive this.
class plain_body {
 public:
  // unknown_compression, broken_compression, decompressed_too_large.
  static result<plain_body, batch_fault> open(const batch_view& batch, std::size_t bytes_max);
  byte_view bytes() const { return view_; }

 private:
  plain_body(shared_bytes owned, byte_view view) : owned_(std::move(owned)), view_(view) {}
  shared_bytes owned_;
  byte_view view_;
};
}  // namespace yaks::records
