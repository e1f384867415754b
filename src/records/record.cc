#include "records/record.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace yaks::records {
namespace detail {
bool take_long_varint(const std::byte*& at, const std::byte* end, std::size_t bytes_max, std::uint64_t& raw) {
  byte_view in(at, std::min(std::size_t(end - at), bytes_max));
  if (!take_uvarint(in, raw)) return false;
  if (bytes_max == varint32_bytes_max && raw > 0xffffffffu) return false;
  at = in.data();
  return true;
}

bool headers_fit(const std::byte* at, const std::byte* end, std::int64_t count) {
  std::optional<byte_view> bytes;
  // A header takes at least two bytes, so a huge count ends with the bytes.
  for (; count > 0; --count)
    if (!take_nullable(at, end, bytes) || !bytes || !take_nullable(at, end, bytes)) return false;
  return at == end;
}
}  // namespace detail

std::optional<record_header> header_reader::next() {
  if (left_ == 0) return std::nullopt;
  --left_;
  const std::byte* at = bytes_.data();
  const std::byte* end = at + bytes_.size();
  record_header header;
  std::optional<byte_view> key;
  bool fits = detail::take_nullable(at, end, key) && key && detail::take_nullable(at, end, header.value);
  YAKS_CHECK(fits, "headers were checked with their record");
  header.key = as_text(*key);
  bytes_ = byte_view(at, end);
  return header;
}
}  // namespace yaks::records
