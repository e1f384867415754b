// Goal: every compression that clients use is read, within the limit that the caller gives, and nothing else is.
// Method: round trips of bodies of many shapes; streams that our own compressor does not make (members, raw and
// repeated framing, frames without sizes, a zlib stream); limits one byte below and at the size; bombs; random and
// altered bytes.
#include <gtest/gtest.h>
// gtest first: rapidcheck's header needs it.
#include <lz4frame.h>
#include <rapidcheck/gtest.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "base/endian.hpp"
#include "records/compression.hpp"

namespace yaks::records {
namespace {
constexpr std::size_t plenty = 64 << 20;
constexpr compression_type all_types[] = {compression_type::none, compression_type::gzip, compression_type::snappy,
                                          compression_type::lz4, compression_type::zstd};

std::string text_of_size(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string text;
  while (text.size() < size) text += "{\"id\":" + std::to_string(random() % 100000) + ",\"name\":\"yak\"},";
  text.resize(size);
  return text;
}
std::string noise_of_size(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string noise(size, '\0');
  std::ranges::generate(noise, [&] { return char(random()); });
  return noise;
}
std::string plain(compression_type type, std::string_view bytes, std::size_t bytes_max = plenty) {
  // A copy of exactly that size, so that a sanitizer sees a read beyond it.
  std::vector<std::byte> copy(as_bytes(bytes).begin(), as_bytes(bytes).end());
  auto out = decompress(type, copy, bytes_max);
  EXPECT_TRUE(out) << text_of(out.error());
  return out ? std::string(as_text(out->view())) : "";
}
batch_fault fault(compression_type type, std::string_view bytes, std::size_t bytes_max = plenty) {
  std::vector<std::byte> copy(as_bytes(bytes).begin(), as_bytes(bytes).end());
  auto out = decompress(type, copy, bytes_max);
  EXPECT_FALSE(out);
  return out ? batch_fault::no_batch : out.error();
}
std::string packed(compression_type type, std::string_view text) {
  return std::string(as_text(compress(type, as_bytes(text)).view()));
}

TEST(compression, round_trips_every_size) {
  for (auto type : all_types)
    for (std::size_t size : {1, 2, 100, 4095, 4096, 4097, 32767, 32768, 32769, 65536, 200000, 3000000}) {
      auto text = text_of_size(size, size), noise = noise_of_size(size, size);
      ASSERT_EQ(plain(type, packed(type, text)), text) << name_of(type) << ' ' << size;
      ASSERT_EQ(plain(type, packed(type, noise)), noise) << name_of(type) << ' ' << size;
    }
}

TEST(compression, limit_is_exact) {
  for (auto type : all_types)
    for (std::size_t size : {1, 1000, 4096, 100000, 1000000}) {
      auto text = text_of_size(size, 1);
      auto bytes = packed(type, text);
      EXPECT_EQ(plain(type, bytes, size), text) << name_of(type) << ' ' << size;
      EXPECT_EQ(fault(type, bytes, size - 1), batch_fault::decompressed_too_large) << name_of(type) << ' ' << size;
      EXPECT_EQ(fault(type, bytes, 0), batch_fault::decompressed_too_large) << name_of(type) << ' ' << size;
    }
}

TEST(compression, bombs_stop_at_the_limit) {
  std::string zeros(64 << 20, '\0');
  for (auto type : {compression_type::gzip, compression_type::snappy, compression_type::lz4, compression_type::zstd}) {
    auto bytes = packed(type, zeros);
    auto out = decompress(type, as_bytes(bytes), 1 << 20);
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error(), batch_fault::decompressed_too_large) << name_of(type);
  }
}

TEST(compression, nothing_is_not_a_stream) {
  for (auto type : {compression_type::gzip, compression_type::snappy, compression_type::lz4, compression_type::zstd})
    EXPECT_EQ(fault(type, ""), batch_fault::broken_compression) << name_of(type);
}

std::string deflate_with(std::string_view text, int window_bits, bool with_name = false) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string name = "a file name", comment = "a comment", extra = "extra";
  gz_header header{};
  header.name = reinterpret_cast<Bytef*>(name.data());
  header.comment = reinterpret_cast<Bytef*>(comment.data());
  header.extra = reinterpret_cast<Bytef*>(extra.data());
  header.extra_len = uInt(extra.size());
  header.hcrc = 1;
  if (with_name) EXPECT_EQ(deflateSetHeader(&stream, &header), Z_OK);
  std::string out(text.size() + 1000, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = uInt(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = uInt(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(compression, reads_gzip_of_zlib_in_all_its_forms) {
  auto text = text_of_size(300000, 2), more = text_of_size(100000, 3);
  constexpr int gzip_header = 15 + 16, zlib_header = 15;
  auto gzip = compression_type::gzip;
  EXPECT_EQ(plain(gzip, deflate_with(text, gzip_header)), text);
  EXPECT_EQ(plain(gzip, deflate_with(text, gzip_header, true)), text) << "with all optional header fields";
  EXPECT_EQ(plain(gzip, deflate_with(text, zlib_header)), text) << "by the fallback";
  // Members, the last of them small or empty, so that its size is a bad guess for the whole.
  EXPECT_EQ(plain(gzip, deflate_with(text, gzip_header) + deflate_with(more, gzip_header)), text + more);
  EXPECT_EQ(plain(gzip, deflate_with(text, gzip_header) + deflate_with("", gzip_header)), text);
  EXPECT_EQ(plain(gzip, deflate_with("", gzip_header) + deflate_with(text, gzip_header)), text);
  EXPECT_EQ(
      fault(gzip, deflate_with(text, gzip_header) + deflate_with(more, gzip_header), text.size() + more.size() - 1),
      batch_fault::decompressed_too_large);
  EXPECT_EQ(fault(gzip, deflate_with(text, gzip_header) + "rubbish"), batch_fault::broken_compression);
}

TEST(compression, checks_what_gzip_says_of_itself) {
  auto text = text_of_size(50000, 4);
  auto bytes = packed(compression_type::gzip, text);
  for (std::size_t from_end = 1; from_end <= 8; ++from_end) {
    auto altered = bytes;
    altered[altered.size() - from_end] ^= 1;
    EXPECT_EQ(fault(compression_type::gzip, altered), batch_fault::broken_compression) << from_end;
  }
}

std::string raw_snappy(std::string_view text) {
  std::string out;
  snappy::Compress(text.data(), text.size(), &out);
  return out;
}

TEST(compression, reads_snappy_raw_and_framed) {
  auto text = text_of_size(100000, 5), more = text_of_size(1000, 6);
  auto snappy = compression_type::snappy;
  EXPECT_EQ(plain(snappy, raw_snappy(text)), text);
  EXPECT_EQ(plain(snappy, raw_snappy("")), "");
  // Streams one after the other, as snappy-java reads them.
  EXPECT_EQ(plain(snappy, packed(snappy, text) + packed(snappy, more)), text + more);
  auto framed = packed(snappy, text);
  EXPECT_EQ(fault(snappy, framed.substr(0, 15)), batch_fault::broken_compression);
  EXPECT_EQ(fault(snappy, framed + "abc"), batch_fault::broken_compression);
  EXPECT_EQ(fault(snappy, framed + std::string("\x7f\xff\xff\xff", 4)), batch_fault::broken_compression);
  EXPECT_EQ(fault(snappy, framed + std::string("\xff\xff\xff\xff", 4)), batch_fault::broken_compression);
  // Claims 4 GiB.
  EXPECT_EQ(fault(snappy,
                  "\xff\xff\xff\xff\x0f"
                  "abc"),
            batch_fault::broken_compression);
}

TEST(compression, reads_lz4_frames_of_every_kind) {
  auto text = text_of_size(500000, 7);
  for (auto mode : {LZ4F_blockIndependent, LZ4F_blockLinked})
    for (auto size : {LZ4F_max64KB, LZ4F_max4MB})
      for (bool with_checks : {false, true}) {
        LZ4F_preferences_t preferences{};
        preferences.frameInfo.blockMode = mode;
        preferences.frameInfo.blockSizeID = size;
        preferences.frameInfo.contentSize = with_checks ? text.size() : 0;
        preferences.frameInfo.contentChecksumFlag = with_checks ? LZ4F_contentChecksumEnabled : LZ4F_noContentChecksum;
        preferences.frameInfo.blockChecksumFlag = with_checks ? LZ4F_blockChecksumEnabled : LZ4F_noBlockChecksum;
        std::string out(LZ4F_compressFrameBound(text.size(), &preferences), '\0');
        out.resize(LZ4F_compressFrame(out.data(), out.size(), text.data(), text.size(), &preferences));
        EXPECT_EQ(plain(compression_type::lz4, out), text);
        EXPECT_EQ(plain(compression_type::lz4, out + out), text + text);
        EXPECT_EQ(fault(compression_type::lz4, out + "rubbish"), batch_fault::broken_compression);
      }
}

TEST(compression, reads_zstd_frames_without_their_size) {
  auto text = text_of_size(500000, 8);
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
  std::string out(ZSTD_compressBound(text.size()) + 100, '\0');
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  // In two parts, as a streaming client does: the size is not known when the frame begins.
  for (std::size_t part : {0, 1}) {
    ZSTD_inBuffer in{text.data() + part * 250000, 250000, 0};
    while (ZSTD_compressStream2(context.get(), &to, &in, part ? ZSTD_e_end : ZSTD_e_flush) != 0) {
    }
  }
  out.resize(to.pos);
  ASSERT_EQ(ZSTD_getFrameContentSize(out.data(), out.size()), ZSTD_CONTENTSIZE_UNKNOWN);
  EXPECT_EQ(plain(compression_type::zstd, out), text);
  EXPECT_EQ(plain(compression_type::zstd, out + out), text + text);
  EXPECT_EQ(plain(compression_type::zstd, packed(compression_type::zstd, text) + out), text + text);
  EXPECT_EQ(fault(compression_type::zstd, out, text.size() - 1), batch_fault::decompressed_too_large);
  EXPECT_EQ(fault(compression_type::zstd, out + "rubbish"), batch_fault::broken_compression);
}

RC_GTEST_PROP(compression, random_bytes_neither_crash_nor_exceed_the_limit, (std::vector<std::uint8_t> bytes)) {
  constexpr std::size_t limit = 10000;
  for (auto type : all_types) {
    auto out = decompress(type, std::as_bytes(std::span(bytes)), limit);
    if (out) RC_ASSERT(out->size() <= limit);
  }
}

RC_GTEST_PROP(compression, altered_streams_neither_crash_nor_exceed_the_limit, (std::uint64_t seed)) {
  auto text = text_of_size(20000, seed);
  std::mt19937_64 random(seed);
  for (auto type : {compression_type::gzip, compression_type::snappy, compression_type::lz4, compression_type::zstd}) {
    auto bytes = packed(type, text);
    for (int change = int(random() % 4); change >= 0; --change) bytes[random() % bytes.size()] = char(random());
    bytes.resize(random() % 4 ? bytes.size() : random() % bytes.size() + 1);
    std::vector<std::byte> copy(as_bytes(bytes).begin(), as_bytes(bytes).end());
    auto out = decompress(type, copy, 30000);
    if (out) RC_ASSERT(out->size() <= 30000u);
  }
}
}  // namespace
}  // namespace yaks::records
