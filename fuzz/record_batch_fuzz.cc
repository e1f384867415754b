// Goal: no bytes that a client can produce crash, over-read or exceed their limits: validation, the walk of records,
// decompression, and the searches that read records back.
// Method: the input is a record set, tried as it came and with its checksum made right, behind which nothing would be
// found otherwise. Run with corpus/record_batch, which holds what real clients send.
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "records/builder.hpp"
#include "records/compression.hpp"
#include "records/record.hpp"
#include "records/timestamp_search.hpp"
#include "records/validate.hpp"

namespace yaks::records {
namespace {
constexpr std::size_t plain_bytes_max = 1 << 20;

void read_all(const batch_view& batch) {
  auto body = plain_body::open(batch, plain_bytes_max);
  if (!body) return;
  if (batch.compression() != compression_type::none)
    YAKS_CHECK(body->bytes().size() <= plain_bytes_max, "decompression stays below its limit");
  record_reader reader(body->bytes());
  record_view record;
  std::size_t touched = 0;
  auto touch = [&](byte_view bytes) {
    for (std::byte b : bytes) touched += std::to_integer<std::size_t>(b);
  };
  while (reader.next(record)) {
    touch(record.key.value_or(byte_view()));
    touch(record.value.value_or(byte_view()));
    auto headers = record.headers();
    while (auto header = headers.next()) {
      touch(as_bytes(header->key));
      touch(header->value.value_or(byte_view()));
    }
  }
  YAKS_CHECK(reader.broken() || reader.at_end(), "the walk ends somewhere");
  [[maybe_unused]] volatile std::size_t keep = touched;
}

void try_record_set(byte_view bytes) {
  auto info = validate_produced(bytes, {.requires_keys = false});
  batch_reader batches(bytes);
  while (auto batch = batches.next()) {
    read_all(*batch);
    auto found = find_timestamp(*batch, offset(0), batch->max_timestamp(), offset(0), plain_bytes_max);
    auto max = find_max_timestamp(*batch, offset(0), offset(0), plain_bytes_max);
    if (info && info->compression == compression_type::none)
      YAKS_CHECK(found && max && *max, "accepted uncompressed batches are searchable");
  }
}
}  // namespace
}  // namespace yaks::records

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace yaks;
  using namespace yaks::records;
  byte_view bytes = std::as_bytes(std::span(data, size));
  try_record_set(bytes);
  if (auto batch = batch_view::parse(bytes)) {
    std::vector<std::byte> sealed(bytes.begin(), bytes.end());
    reseal(mutable_byte_view(sealed).first(batch->size_bytes()));
    try_record_set(sealed);
    set_log_append_time(mutable_byte_view(sealed).first(batch->size_bytes()), timestamp_ms(1));
    YAKS_CHECK(batch_view::parse(sealed)->crc_matches(), "a corrected checksum is true");
  }
  return 0;
}
