// Any bytes as the end of an object, as they came and with a trailer that is true. What is accepted is one commit of batches
// that can be written again.
#include "base/check.hpp"
#include "base/endian.hpp"
#include "ingest/object_builder.hpp"
#include "metadata/entry_codec.hpp"
#include "records/crc32c.hpp"

namespace yaks::ingest {
namespace {
void run(byte_view bytes) {
  auto commit = read_footer(bytes);
  if (!commit) return;
  metadata::entry_writer writer;
  writer.add(*commit);
  auto footer = writer.take();
  YAKS_CHECK(metadata::decode_entry(footer.view()).size() == 1, "a footer can be written again");
}
}  // namespace
}  // namespace yaks::ingest

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace yaks;
  byte_view bytes = std::as_bytes(std::span(data, size));
  ingest::run(bytes);
  if (size < ingest::object_trailer_bytes) return 0;
  std::vector<std::byte> sealed(bytes.begin(), bytes.end());
  auto footer_bytes = size - ingest::object_trailer_bytes;
  auto* trailer = sealed.data() + footer_bytes;
  store_big_endian(trailer, std::uint32_t(footer_bytes));
  store_big_endian(trailer + 4, records::crc32c(byte_view(sealed).first(footer_bytes)));
  std::memcpy(trailer + 8, "YAKSOBJ1", 8);
  ingest::run(sealed);
  return 0;
}
