// Goal: no bytes that a client can produce crash, over-read or exceed their limits: validation, the walk of records,
// decompression, the searches that read records back, and the cache that cuts batches out of what an object store
// answers. Nor does storing it in another compression than it was sent in: what comes of that is accepted again, and
// the same records. Method: the input is a record set, tried as it came and with its checksum made right, behind which
// nothing would be found otherwise. Run with corpus/record_batch, which holds what real clients send.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/check.hpp"
#include "cache/cached_range.hpp"
#include "records/builder.hpp"
#include "records/compression.hpp"
#include "records/record.hpp"
#include "records/rewrite.hpp"
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

// As a topic with a compression.type of its own stores it.
void store_otherwise(byte_view bytes, const batch_info& sent) {
  for (auto type : {compression_type::none, compression_type::lz4}) {
    auto rewritten =
        rewrite_produced(bytes, {}, {.compression = type, .levels = {}, .plain_bytes_max = plain_bytes_max});
    if (!rewritten) continue;
    auto stored = rewritten->bytes.empty() ? bytes : rewritten->bytes.view();
    auto again = validate_produced(stored, {});
    YAKS_CHECK(again && again->record_count == sent.record_count && again->producer == sent.producer &&
                   again->base_sequence == sent.base_sequence && again->crc32c == rewritten->info.crc32c &&
                   again->bytes == rewritten->info.bytes,
               "what is stored otherwise is what was sent");
    auto plain = plain_body::open(*batch_view::parse(bytes), plain_bytes_max),
         kept = plain_body::open(*batch_view::parse(stored), plain_bytes_max);
    YAKS_CHECK(plain && kept && std::ranges::equal(plain->bytes(), kept->bytes()), "and has the same records");
  }
}

void try_record_set(byte_view bytes) {
  auto info = validate_produced(bytes, {.requires_keys = false});
  if (info) store_otherwise(bytes, *info);
  batch_reader batches(bytes);
  while (auto batch = batches.next()) {
    read_all(*batch);
    auto found = find_timestamp(*batch, offset(0), batch->max_timestamp(), offset(0), plain_bytes_max);
    auto max = find_max_timestamp(*batch, offset(0), offset(0), plain_bytes_max);
    if (info && info->compression == compression_type::none)
      YAKS_CHECK(found && max && *max, "accepted uncompressed batches are searchable");
  }
}

// The bytes as a range that was read from an object.
void try_range(byte_view bytes) {
  std::vector<shared_bytes> segments{shared_bytes::copy_of(bytes)};
  auto range = cached_range::make(std::move(segments), offset(1'000), true);
  if (!range) return;
  YAKS_CHECK(range->bytes() == bytes.size(), "a range is all of its bytes");
  auto next = offset(1'000);
  std::size_t total = 0;
  for (std::size_t i = 0; i < range->batches().size(); ++i) {
    const auto& b = range->batches()[i];
    YAKS_CHECK(b.base_offset == next, "batches are consecutive");
    auto batch = batch_view::parse(range->batch_bytes(i).view());
    YAKS_CHECK(batch && batch->base_offset() == next && batch->crc_matches(), "a batch is served with its offset");
    next = b.end_offset();
    total += b.bytes;
  }
  YAKS_CHECK(total == bytes.size(), "batches lie without gaps");
  std::vector<shared_bytes> slices;
  range->append_slices(0, range->batches().size(), slices);
  (void)range->find(offset(1'001));
}
}  // namespace
}  // namespace yaks::records

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace yaks;
  using namespace yaks::records;
  byte_view bytes = std::as_bytes(std::span(data, size));
  try_record_set(bytes);
  try_range(bytes);
  if (auto batch = batch_view::parse(bytes)) {
    std::vector<std::byte> sealed(bytes.begin(), bytes.end());
    reseal(mutable_byte_view(sealed).first(batch->size_bytes()));
    try_record_set(sealed);
    try_range(sealed);
    set_log_append_time(mutable_byte_view(sealed).first(batch->size_bytes()), timestamp_ms(1));
    YAKS_CHECK(batch_view::parse(sealed)->crc_matches(), "a corrected checksum is true");
  }
  return 0;
}
