#include "records/crc32c.hpp"

#include <isa-l/crc.h>

#include <algorithm>
#include <array>
#include <cstring>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace yaks::records {
namespace {
// Below this, one stream of crc32 instructions beats the set-up of isal's three streams and folding.
constexpr std::size_t small_bytes = 200;

// Polynomials over GF(2) of degree below 32, reflected: bit 31 is x^0. This is x^32 modulo the generator, then.
constexpr std::uint32_t generator = 0x82f63b78;

// a * b modulo the generator.
constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
  std::uint32_t product = 0;
  for (int i = 0; i < 32; ++i) {
    if (a & 0x80000000u) product ^= b;
    a <<= 1;
    b = (b >> 1) ^ (b & 1 ? generator : 0);
  }
  return product;
}

constexpr std::uint32_t x_to_the(std::uint64_t exponent) {
  std::uint32_t result = 0x80000000u, square = 0x40000000u;
  for (; exponent; exponent >>= 1) {
    if (exponent & 1) result = multiply(result, square);
    square = multiply(square, square);
  }
  return result;
}

// x has order 2^31 - 1 modulo this generator, which makes a negative exponent a large positive one.
constexpr std::uint64_t order = 0x7fffffff;
static_assert(x_to_the(order) == x_to_the(0));

// powers[i][d] = x^(8 * d * 16^i - 33): to multiply by it, in the way that multiply_by_power() does, is to append
// d * 16^i zero bytes.
constexpr auto powers = [] {
  std::array<std::array<std::uint32_t, 16>, 16> table{};
  std::uint32_t step = x_to_the(8);  // x^(8 * 16^i)
  for (auto& row : table) {
    row[0] = x_to_the(order - 33);
    for (std::size_t d = 1; d < 16; ++d) row[d] = multiply(row[d - 1], step);
    for (int i = 0; i < 4; ++i) step = multiply(step, step);
  }
  return table;
}();
constexpr std::uint32_t x_to_the_33 = x_to_the(33);

#if defined(__x86_64__)
const bool has_crc_instructions = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");

// The carry-less product of two reflected polynomials, taken as 64 reflected bits, is their product times x; the crc32
// instruction multiplies by x^32 and reduces. That is the 33 in the table.
__attribute__((target("sse4.2,pclmul"))) std::uint32_t append_zeros_x86(std::uint32_t crc, std::uint64_t bytes) {
  for (std::size_t i = 0; bytes; bytes >>= 4, ++i) {
    if (!(bytes & 15)) continue;
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi32_si128(int(crc)), _mm_cvtsi32_si128(int(powers[i][bytes & 15])), 0);
    crc = std::uint32_t(_mm_crc32_u64(0, std::uint64_t(_mm_cvtsi128_si64(product))));
  }
  return crc;
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_small_x86(const std::byte* at, std::size_t bytes,
                                                                 std::uint32_t seed) {
  std::uint64_t crc = ~seed;
  for (; bytes >= 8; at += 8, bytes -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    crc = _mm_crc32_u64(crc, word);
  }
  auto rest = std::uint32_t(crc);
  if (bytes & 4) {
    std::uint32_t word;
    std::memcpy(&word, at, 4);
    rest = _mm_crc32_u32(rest, word);
    at += 4;
  }
  for (bytes &= 3; bytes; ++at, --bytes) rest = _mm_crc32_u8(rest, std::uint8_t(*at));
  return ~rest;
}
#endif

std::uint32_t append_zeros(std::uint32_t crc, std::uint64_t bytes) {
#if defined(__x86_64__)
  if (has_crc_instructions) return append_zeros_x86(crc, bytes);
#endif
  return detail::append_zeros_portable(crc, bytes);
}
}  // namespace

std::uint32_t detail::append_zeros_portable(std::uint32_t crc, std::uint64_t bytes) {
  for (std::size_t i = 0; bytes; bytes >>= 4, ++i)
    if (bytes & 15) crc = multiply(multiply(crc, powers[i][bytes & 15]), x_to_the_33);
  return crc;
}

std::uint32_t crc32c(byte_view bytes, std::uint32_t seed) {
#if defined(__x86_64__)
  if (bytes.size() < small_bytes && has_crc_instructions) return crc32c_small_x86(bytes.data(), bytes.size(), seed);
#endif
  // isal neither inverts nor writes, though it takes a pointer to what it could write, and its length is an int. It
  // picks the best code for the processor by itself, tables where there is nothing better.
  std::uint32_t crc = ~seed;
  while (!bytes.empty()) {
    std::size_t part = std::min<std::size_t>(bytes.size(), 1 << 30);
    crc = crc32_iscsi(reinterpret_cast<unsigned char*>(const_cast<std::byte*>(bytes.data())), int(part), crc);
    bytes = bytes.subspan(part);
  }
  return ~crc;
}

std::uint32_t crc32c_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t bytes_b) {
  return append_zeros(crc_a, bytes_b) ^ crc_b;
}

std::uint32_t crc32c_after_change(std::uint32_t crc, byte_view change, std::uint64_t bytes_after) {
  // The linear part of the checksum: no inversion before or after.
  std::uint32_t linear = ~crc32c(change, ~0u);
  return crc ^ append_zeros(linear, bytes_after);
}
}  // namespace yaks::records
