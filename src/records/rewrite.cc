#include "records/rewrite.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "records/builder.hpp"

namespace yaks::records {
namespace {
// The header of `of` before another body.
shared_bytes with_body(byte_view of, byte_view body, compression_type compression) {
  auto out = chunk::make(batch_header_bytes + body.size());
  mutable_byte_view batch(out->data(), batch_header_bytes + body.size());
  std::ranges::copy(of.first(batch_header_bytes), batch.begin());
  std::ranges::copy(body, batch.begin() + batch_header_bytes);
  store_big_endian(batch.data() + layout::length, std::int32_t(batch.size() - batch_length_overhead));
  auto attributes = load_big_endian<std::int16_t>(of.data() + layout::attributes);
  store_big_endian(batch.data() + layout::attributes,
                   std::int16_t((attributes & ~attribute_compression) | std::int16_t(compression)));
  reseal(batch);
  byte_view view(batch);
  return {std::move(out), view};
}
}  // namespace

result<rewritten_batch, validation_failure> rewrite_produced(byte_view batch, const produce_rules& rules,
                                                             const rewrite_rules& how) {
  auto view = batch_view::parse(batch);
  YAKS_CHECK(view && view->compression(), "the batch has been validated");
  const auto sent = *view->compression(), wanted = how.compression.value_or(sent);
  auto plain = decompress(sent, view->body(), how.plain_bytes_max);
  if (!plain) return failure(validation_failure{plain.error(), std::string(text_of(plain.error())), std::nullopt});
  auto as_plain = with_body(batch, plain->view(), compression_type::none);
  auto rules_of_plain = rules;
  rules_of_plain.batch_bytes_max = std::numeric_limits<std::uint32_t>::max();
  auto info = validate_produced(as_plain.view(), rules_of_plain);
  if (!info) return failure(std::move(info.error()));

  rewritten_batch out{.bytes = {}, .info = *info};
  byte_view stored = batch;
  if (wanted != sent) {
    out.bytes = wanted == compression_type::none
                    ? std::move(as_plain)
                    : with_body(batch, compress(wanted, plain->view(), how.levels).view(), wanted);
    stored = out.bytes.view();
    if (stored.size() > rules.batch_bytes_max)
      return failure(validation_failure{
          batch_fault::batch_too_large,
          fmt::format("{}: {} bytes when compressed as the topic asks for, at most {}", text_of(batch_fault::batch_too_large),
                      stored.size(), rules.batch_bytes_max),
          std::nullopt});
  }
  out.info.bytes = std::uint32_t(stored.size());
  out.info.compression = wanted;
  out.info.crc32c = batch_view::parse(stored)->crc_of_all_bytes();
  return out;
}
}  // namespace yaks::records
