// Any bytes as a snapshot of the metadata, as they came and with their checksum made right. What is accepted has the digest
// that was written into it, and is the same when it is written and read again.
#include "base/check.hpp"
#include "base/endian.hpp"
#include "metadata/snapshot.hpp"
#include "records/crc32c.hpp"

namespace yaks::metadata {
namespace {
void run(byte_view bytes) {
  try {
    auto s = snapshot_codec::decode(bytes);
    auto again = snapshot_codec::decode(snapshot_codec::encode(s).view());
    YAKS_CHECK(again.digest() == s.digest() && again.position() == s.position(), "a snapshot is the state");
  } catch (const log_format_error&) {
  }
}
}  // namespace
}  // namespace yaks::metadata

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace yaks;
  byte_view bytes = std::as_bytes(std::span(data, size));
  metadata::run(bytes);
  if (size < 4) return 0;
  std::vector<std::byte> sealed(bytes.begin(), bytes.end());
  store_big_endian(sealed.data() + size - 4, records::crc32c(byte_view(sealed).first(size - 4)));
  metadata::run(sealed);
  return 0;
}
