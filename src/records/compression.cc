#include "records/compression.hpp"

#include <isa-l/igzip_lib.h>
#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>

#include "base/check.hpp"
#include "base/endian.hpp"

namespace yaks::records {
namespace {
using std::size_t;

// Decompressed bytes as they come, in memory that grows up to a limit.
class output {
 public:
  output(size_t first_guess, size_t bytes_max)
      : bytes_max_(bytes_max), chunk_(chunk::make(std::min(first_guess, bytes_max))) {}
  // Where the next bytes go. Empty only when the limit is reached.
  mutable_byte_view room() {
    if (used_ == chunk_->size() && used_ < bytes_max_) {
      size_t larger = std::max<size_t>(4096, used_ * 2);
      auto grown = chunk::make(std::min(larger, bytes_max_));
      if (used_) std::memcpy(grown->data(), chunk_->data(), used_);
      chunk_ = std::move(grown);
    }
    return {chunk_->data() + used_, chunk_->size() - used_};
  }
  // For codecs that count in 32 bits.
  mutable_byte_view room32() {
    auto all = room();
    return all.first(std::min<size_t>(all.size(), 1 << 30));
  }
  void wrote(size_t bytes) { used_ += bytes; }
  // True where `bytes` more fit below the limit; room() then has them.
  bool reserve(size_t bytes) {
    if (bytes > bytes_max_ - used_) return false;
    if (bytes > chunk_->size() - used_) {
      auto grown = chunk::make(used_ + bytes);
      if (used_) std::memcpy(grown->data(), chunk_->data(), used_);
      chunk_ = std::move(grown);
    }
    return true;
  }
  shared_bytes take() {
    byte_view view(chunk_->data(), used_);
    return {std::move(chunk_), view};
  }

 private:
  size_t bytes_max_;
  size_t used_ = 0;
  std::shared_ptr<chunk> chunk_;
};

using outcome = result<shared_bytes, batch_fault>;
outcome broken() {
  return failure(batch_fault::broken_compression);
}
outcome too_large() {
  return failure(batch_fault::decompressed_too_large);
}

// A body that compresses well is about this much larger when plain.
size_t guess(byte_view bytes) {
  return std::max<size_t>(bytes.size() * 6, 4096);
}

std::uint8_t* u8(std::byte* p) {
  return reinterpret_cast<std::uint8_t*>(p);
}
// isal, zlib and lz4 take inputs by pointers to what they could write.
std::uint8_t* u8(const std::byte* p) {
  return u8(const_cast<std::byte*>(p));
}
const char* chars(const std::byte* p) {
  return reinterpret_cast<const char*>(p);
}
char* chars(std::byte* p) {
  return reinterpret_cast<char*>(p);
}

// ---- gzip
// --------------------------------------------------------------------------------------------------------------

// The last four bytes say how large the last member is: nearly always the only one. Only a first guess, since they may
// lie: deflate reaches 1032 : 1.
size_t gzip_guess(byte_view bytes) {
  if (bytes.size() < 18) return 4096;
  std::uint32_t size = std::byteswap(load_big_endian<std::uint32_t>(bytes.data() + bytes.size() - 4));
  return std::clamp<size_t>(size, 1, bytes.size() * 1032);
}

outcome gunzip_isal(byte_view bytes, size_t bytes_max) {
  output out(gzip_guess(bytes), bytes_max);
  auto state = std::make_unique<inflate_state>();
  isal_inflate_init(state.get());
  state->next_in = u8(bytes.data());
  state->avail_in = std::uint32_t(bytes.size());
  std::array<std::byte, 1> beyond;  // shows whether there is more than bytes_max
  do {
    isal_inflate_reset(state.get());
    state->crc_flag = ISAL_GZIP;
    while (state->block_state != ISAL_BLOCK_FINISH) {
      auto room = out.room32();
      bool is_full = room.empty();
      if (is_full) room = beyond;
      state->next_out = u8(room.data());
      state->avail_out = std::uint32_t(room.size());
      auto in_before = state->avail_in;
      if (isal_inflate(state.get()) != ISAL_DECOMP_OK) return broken();
      size_t wrote = room.size() - state->avail_out;
      if (is_full && wrote) return too_large();
      if (!is_full) out.wrote(wrote);
      if (!wrote && state->avail_in == in_before && state->block_state != ISAL_BLOCK_FINISH) return broken();
    }
  } while (state->avail_in);
  return out.take();
}

// For what isal refuses and zlib, which clients compress with, may know: header variants and streams without gzip's
// header.
outcome gunzip_zlib(byte_view bytes, size_t bytes_max) {
  output out(gzip_guess(bytes), bytes_max);
  z_stream stream{};
  constexpr int window_bits_any_header = 15 + 32;
  if (inflateInit2(&stream, window_bits_any_header) != Z_OK) throw std::bad_alloc();
  auto end = [](z_stream* s) { inflateEnd(s); };
  std::unique_ptr<z_stream, decltype(end)> owner(&stream, end);
  stream.next_in = u8(bytes.data());
  stream.avail_in = uInt(bytes.size());
  std::array<std::byte, 1> beyond;
  while (true) {
    auto room = out.room32();
    bool is_full = room.empty();
    if (is_full) room = beyond;
    stream.next_out = u8(room.data());
    stream.avail_out = uInt(room.size());
    int answer = inflate(&stream, Z_NO_FLUSH);
    size_t wrote = room.size() - stream.avail_out;
    if (is_full && wrote) return too_large();
    if (!is_full) out.wrote(wrote);
    if (answer == Z_STREAM_END) {
      if (!stream.avail_in) return out.take();
      if (inflateReset(&stream) != Z_OK) return broken();
    } else if (answer != Z_OK) {
      return broken();  // Z_BUF_ERROR too: no input left, or no progress
    }
  }
}

outcome gunzip(byte_view bytes, size_t bytes_max) {
  auto fast = gunzip_isal(bytes, bytes_max);
  if (fast || fast.error() == batch_fault::decompressed_too_large) return fast;
  return gunzip_zlib(bytes, bytes_max);
}

shared_bytes gzip(byte_view bytes, int level) {
  // Stored blocks at worst: 5 bytes for each 65,535, and header and trailer.
  auto out = chunk::make(bytes.size() + bytes.size() / 4096 + 256);
  auto stream = std::make_unique<isal_zstream>();
  isal_deflate_stateless_init(stream.get());
  constexpr std::array<std::uint32_t, 4> buffer_bytes{0, ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT, ISAL_DEF_LVL3_DEFAULT};
  stream->level = level <= 3 ? 1 : level <= 6 ? 2 : 3;
  auto level_buffer = std::make_unique<std::uint8_t[]>(buffer_bytes[stream->level]);
  stream->level_buf = level_buffer.get();
  stream->level_buf_size = buffer_bytes[stream->level];
  stream->gzip_flag = IGZIP_GZIP;
  stream->end_of_stream = 1;
  stream->next_in = u8(bytes.data());
  stream->avail_in = std::uint32_t(bytes.size());
  stream->next_out = u8(out->data());
  stream->avail_out = std::uint32_t(out->size());
  int answer = isal_deflate_stateless(stream.get());
  YAKS_CHECK(answer == COMP_OK, "the output has room for stored blocks");
  byte_view view(out->data(), stream->total_out);
  return {std::move(out), view};
}

// ---- snappy
// ------------------------------------------------------------------------------------------------------------

constexpr std::array<std::uint8_t, 8> xerial_magic{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
constexpr size_t xerial_header_bytes = 16;
constexpr size_t xerial_block_bytes = 32 * 1024;  // snappy-java's
constexpr std::uint32_t xerial_version = 1;

bool begins_with_xerial_magic(byte_view bytes) {
  return bytes.size() >= xerial_magic.size() && !std::memcmp(bytes.data(), xerial_magic.data(), xerial_magic.size());
}

std::optional<batch_fault> unsnap_block(byte_view block, output& out) {
  size_t size;
  if (!snappy::GetUncompressedLength(chars(block.data()), block.size(), &size)) return batch_fault::broken_compression;
  // Three bytes copy at most 64: what claims to be larger lies, and is not worth the memory.
  if (size > block.size() * 64) return batch_fault::broken_compression;
  if (!out.reserve(size)) return batch_fault::decompressed_too_large;
  if (!snappy::RawUncompress(chars(block.data()), block.size(), chars(out.room().data())))
    return batch_fault::broken_compression;
  out.wrote(size);
  return std::nullopt;
}

outcome unsnap(byte_view bytes, size_t bytes_max) {
  output out(guess(bytes), bytes_max);
  if (!begins_with_xerial_magic(bytes)) {
    if (auto fault = unsnap_block(bytes, out)) return failure(*fault);
    return out.take();
  }
  while (!bytes.empty()) {
    if (begins_with_xerial_magic(bytes)) {
      if (bytes.size() < xerial_header_bytes) return broken();
      bytes = bytes.subspan(xerial_header_bytes);
      continue;
    }
    if (bytes.size() < 4) return broken();
    auto size = load_big_endian<std::uint32_t>(bytes.data());
    bytes = bytes.subspan(4);
    if (size > bytes.size()) return broken();
    if (auto fault = unsnap_block(bytes.first(size), out)) return failure(*fault);
    bytes = bytes.subspan(size);
  }
  return out.take();
}

shared_bytes snap(byte_view bytes) {
  size_t blocks = bytes.size() / xerial_block_bytes + 1;
  auto out = chunk::make(xerial_header_bytes + blocks * (4 + snappy::MaxCompressedLength(xerial_block_bytes)));
  std::byte* at = out->data();
  std::memcpy(at, xerial_magic.data(), xerial_magic.size());
  store_big_endian(at + 8, xerial_version);   // of the format
  store_big_endian(at + 12, xerial_version);  // oldest that can read it
  at += xerial_header_bytes;
  do {
    byte_view block = bytes.first(std::min(bytes.size(), xerial_block_bytes));
    size_t size;
    snappy::RawCompress(chars(block.data()), block.size(), chars(at + 4), &size);
    store_big_endian(at, std::uint32_t(size));
    at += 4 + size;
    bytes = bytes.subspan(block.size());
  } while (!bytes.empty());
  byte_view view(out->data(), at);
  return {std::move(out), view};
}

// ---- lz4
// ---------------------------------------------------------------------------------------------------------------

outcome unlz4(byte_view bytes, size_t bytes_max) {
  output out(guess(bytes), bytes_max);
  LZ4F_dctx* raw = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&raw, LZ4F_VERSION))) throw std::bad_alloc();
  auto end = [](LZ4F_dctx* c) { LZ4F_freeDecompressionContext(c); };
  std::unique_ptr<LZ4F_dctx, decltype(end)> context(raw, end);
  std::array<std::byte, 1> beyond;
  // LZ4F answers how many bytes it would like next: 0 is the end of a frame.
  for (size_t wanted = 1; wanted || !bytes.empty();) {
    auto room = out.room();
    bool is_full = room.empty();
    if (is_full) room = beyond;
    size_t read = bytes.size(), wrote = room.size();
    wanted = LZ4F_decompress(context.get(), room.data(), &wrote, bytes.data(), &read, nullptr);
    if (LZ4F_isError(wanted)) return broken();
    if (is_full && wrote) return too_large();
    if (!is_full) out.wrote(wrote);
    bytes = bytes.subspan(read);
    if (wanted && !read && !wrote) return broken();
  }
  return out.take();
}

shared_bytes lz4(byte_view bytes, int level) {
  LZ4F_preferences_t preferences{};
  constexpr int fast = 9;
  preferences.compressionLevel = level == fast ? 0 : std::min(level, LZ4F_compressionLevel_max());
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  auto out = chunk::make(LZ4F_compressFrameBound(bytes.size(), &preferences));
  size_t size = LZ4F_compressFrame(out->data(), out->size(), bytes.data(), bytes.size(), &preferences);
  YAKS_CHECK(!LZ4F_isError(size), "the output has room for the bound");
  byte_view view(out->data(), size);
  return {std::move(out), view};
}

// ---- zstd
// --------------------------------------------------------------------------------------------------------------

outcome unzstd(byte_view bytes, size_t bytes_max) {
  auto claimed = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (claimed == ZSTD_CONTENTSIZE_ERROR) return broken();
  bool is_claimed = claimed != ZSTD_CONTENTSIZE_UNKNOWN;
  if (is_claimed && claimed > bytes_max) return too_large();
  // A claim is believed up to a point, so that a few bytes cannot ask for all the memory that the caller allows.
  output out(is_claimed ? std::min<size_t>(claimed, std::max<size_t>(bytes.size() * 64, 1 << 20)) : guess(bytes),
             bytes_max);
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  if (!context) throw std::bad_alloc();
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  std::array<std::byte, 1> beyond;
  // zstd answers 0 at the end of a frame, else a hint.
  for (size_t answer = 1; answer || in.pos < in.size;) {
    auto room = out.room();
    bool is_full = room.empty();
    if (is_full) room = beyond;
    ZSTD_outBuffer to{room.data(), room.size(), 0};
    auto in_before = in.pos;
    answer = ZSTD_decompressStream(context.get(), &to, &in);
    if (ZSTD_isError(answer)) return broken();
    if (is_full && to.pos) return too_large();
    if (!is_full) out.wrote(to.pos);
    if (answer && in.pos == in_before && !to.pos) return broken();
  }
  return out.take();
}

shared_bytes zstd(byte_view bytes, int level) {
  auto out = chunk::make(ZSTD_compressBound(bytes.size()));
  size_t size = ZSTD_compress(out->data(), out->size(), bytes.data(), bytes.size(), level);
  YAKS_CHECK(!ZSTD_isError(size), "the output has room for the bound");
  byte_view view(out->data(), size);
  return {std::move(out), view};
}
}  // namespace

result<shared_bytes, batch_fault> decompress(compression_type type, byte_view bytes, size_t bytes_max) {
  if (type == compression_type::none) {
    if (bytes.size() > bytes_max) return too_large();
    return shared_bytes::copy_of(bytes);
  }
  // Codecs count their input in 32 bits; a batch's length is an int32, so nothing valid is larger.
  if (bytes.empty() || bytes.size() > std::numeric_limits<std::int32_t>::max()) return broken();
  switch (type) {
    case compression_type::none:
      break;
    case compression_type::gzip:
      return gunzip(bytes, bytes_max);
    case compression_type::snappy:
      return unsnap(bytes, bytes_max);
    case compression_type::lz4:
      return unlz4(bytes, bytes_max);
    case compression_type::zstd:
      return unzstd(bytes, bytes_max);
  }
  return failure(batch_fault::unknown_compression);
}

shared_bytes compress(compression_type type, byte_view bytes, compression_levels levels) {
  YAKS_CHECK(bytes.size() <= std::numeric_limits<std::int32_t>::max() / 2, "a batch's length is an int32");
  switch (type) {
    case compression_type::none:
      return shared_bytes::copy_of(bytes);
    case compression_type::gzip:
      return gzip(bytes, levels.gzip);
    case compression_type::snappy:
      return snap(bytes);
    case compression_type::lz4:
      return lz4(bytes, levels.lz4);
    case compression_type::zstd:
      return zstd(bytes, levels.zstd);
  }
}

result<plain_body, batch_fault> plain_body::open(const batch_view& batch, size_t bytes_max) {
  auto type = batch.compression();
  if (!type) return failure(batch_fault::unknown_compression);
  if (*type == compression_type::none) return plain_body({}, batch.body());
  auto plain = decompress(*type, batch.body(), bytes_max);
  if (!plain) return failure(plain.error());
  byte_view view = plain->view();
  return plain_body(std::move(*plain), view);
}
}  // namespace yaks::records
