#include "ingest/object_builder.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/endian.hpp"
#include "metadata/entry_codec.hpp"
#include "records/crc32c.hpp"

namespace yaks::ingest {
namespace {
constexpr std::string_view magic = "YAKSOBJ1";

// Small batches are copied, once and together: a gathered write costs more per piece than these bytes, and a slice of a few
// bytes would keep the whole chunk that it was received into alive in the cache.
constexpr std::size_t copied_bytes_max = 4096;
bool is_copied(const shared_bytes& bytes) {
  return bytes.size() <= copied_bytes_max || bytes.size() * 4 < bytes.pinned_bytes();
}
}  // namespace

built_object build_object(object_id id, const std::vector<produced_batch>& batches) {
  built_object built;
  built.commit.object = id;
  built.order.resize(batches.size());
  std::iota(built.order.begin(), built.order.end(), std::size_t(0));
  std::stable_sort(built.order.begin(), built.order.end(),
                   [&](std::size_t a, std::size_t b) { return batches[a].where < batches[b].where; });

  std::size_t copied_bytes = 0;
  for (const auto& b : batches)
    if (is_copied(b.bytes)) copied_bytes += b.bytes.size();
  auto copies = chunk::make(copied_bytes);
  std::size_t copied = 0;

  built.stored.reserve(batches.size());
  for (std::size_t i : built.order) {
    const auto& b = batches[i];
    auto& topics = built.commit.topics;
    if (topics.empty() || topics.back().topic != b.where.topic) topics.push_back({b.where.topic, {}});
    auto& partitions = topics.back().partitions;
    if (partitions.empty() || partitions.back().partition != b.where.partition) partitions.push_back({b.where.partition, {}});
    partitions.back().batches.push_back(b.info);

    shared_bytes bytes = b.bytes;
    bool joins = false;  // the copy before this one in memory is also the segment before this one
    if (is_copied(bytes)) {
      std::memcpy(copies->data() + copied, bytes.data(), bytes.size());
      bytes = shared_bytes(copies, byte_view(copies->data() + copied, bytes.size()));
      joins = copied > 0 && built.segments.back().data() + built.segments.back().size() == bytes.data();
      copied += bytes.size();
    }
    if (joins) {
      const auto& last = built.segments.back();
      built.segments.back() = shared_bytes(copies, byte_view(last.data(), last.size() + bytes.size()));
    } else {
      built.segments.push_back(bytes);
    }
    built.crc32c = records::crc32c_combine(built.crc32c, b.crc32c, bytes.size());
    built.bytes += bytes.size();
    built.stored.push_back(std::move(bytes));
  }
  // Not the bytes of the footer: they are known only after this is in it.
  built.commit.object_bytes = built.bytes;

  auto footer = object_footer(built.commit);
  built.crc32c = records::crc32c(footer.view(), built.crc32c);
  built.bytes += footer.size();
  built.segments.push_back(std::move(footer));
  return built;
}

shared_bytes object_footer(const metadata::command& says) {
  metadata::entry_writer footer;
  footer.add(says);
  auto body = footer.take();
  auto tail = chunk::make(body.size() + object_trailer_bytes);
  std::memcpy(tail->data(), body.data(), body.size());
  std::byte* trailer = tail->data() + body.size();
  store_big_endian(trailer, std::uint32_t(body.size()));
  store_big_endian(trailer + 4, records::crc32c(body.view()));
  std::memcpy(trailer + 8, magic.data(), magic.size());
  return {tail, byte_view(tail->data(), tail->size())};
}

std::optional<metadata::commit_object> read_footer(byte_view end) {
  if (end.size() < object_trailer_bytes) return std::nullopt;
  byte_view trailer = end.last(object_trailer_bytes);
  if (as_text(trailer.subspan(8)) != magic) return std::nullopt;
  std::size_t bytes = load_big_endian<std::uint32_t>(trailer.data());
  if (bytes > end.size() - object_trailer_bytes) return std::nullopt;
  byte_view footer = end.subspan(end.size() - object_trailer_bytes - bytes, bytes);
  if (records::crc32c(footer) != load_big_endian<std::uint32_t>(trailer.data() + 4)) return std::nullopt;
  try {
    for (auto& c : metadata::decode_entry(footer))
      if (auto* commit = std::get_if<metadata::commit_object>(&c)) return std::move(*commit);
  } catch (const metadata::log_format_error&) {  // written by a newer version
  }
  return std::nullopt;
}
}  // namespace yaks::ingest
