// SHA-256, HMAC, MD5 and the two ways to write bytes as text that S3 uses.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace yaks::s3 {
// 32 bytes.
std::string sha256(std::string_view text);
std::string sha256_of(std::span<const shared_bytes> segments);
std::string hmac_sha256(std::string_view key, std::string_view text);
std::string md5(std::string_view text);  // for Content-MD5, which older servers want
std::string hex(std::string_view bytes);
std::string base64(std::string_view bytes);
// As x-amz-checksum-crc32c has it: base64 of the four bytes, most significant first.
std::string checksum_text(std::uint32_t crc32c);
}  // namespace yaks::s3
