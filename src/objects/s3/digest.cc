#include "objects/s3/digest.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <memory>

#include "base/check.hpp"

namespace yaks::s3 {
namespace {
using context = std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)>;

// Fetching an algorithm costs more than hashing a request with it (OpenSSL 3): once per process.
const EVP_MD* algorithm(const char* name) {
  const EVP_MD* found = EVP_MD_fetch(nullptr, name, nullptr);
  YAKS_CHECK(found != nullptr, "OpenSSL has the digests that S3 needs");
  return found;
}
const EVP_MD* sha256_algorithm() {
  static const EVP_MD* const found = algorithm("SHA256");
  return found;
}

template <class Feed>
std::string digest(const EVP_MD* with, Feed feed) {
  context in(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  std::string out(std::size_t(EVP_MD_get_size(with)), '\0');
  bool done = in && EVP_DigestInit_ex2(in.get(), with, nullptr);
  feed([&](const void* bytes, std::size_t count) { done = done && EVP_DigestUpdate(in.get(), bytes, count); });
  done = done && EVP_DigestFinal_ex(in.get(), reinterpret_cast<unsigned char*>(out.data()), nullptr);
  YAKS_CHECK(done, "OpenSSL hashes");
  return out;
}
}  // namespace

std::string sha256(std::string_view text) {
  return digest(sha256_algorithm(), [&](auto update) { update(text.data(), text.size()); });
}

std::string sha256_of(std::span<const shared_bytes> segments) {
  return digest(sha256_algorithm(), [&](auto update) {
    for (const shared_bytes& segment : segments) update(segment.data(), segment.size());
  });
}

std::string md5(std::string_view text) {
  static const EVP_MD* const found = algorithm("MD5");
  return digest(found, [&](auto update) { update(text.data(), text.size()); });
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
  std::string out(32, '\0');
  unsigned size = 0;
  auto* made = HMAC(sha256_algorithm(), key.data(), int(key.size()), reinterpret_cast<const unsigned char*>(text.data()),
                    text.size(), reinterpret_cast<unsigned char*>(out.data()), &size);
  YAKS_CHECK(made != nullptr && size == out.size(), "OpenSSL hashes");
  return out;
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (char c : bytes) {
    auto byte = static_cast<unsigned char>(c);
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // and the zero that OpenSSL appends
  int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                             reinterpret_cast<const unsigned char*>(bytes.data()), int(bytes.size()));
  text.resize(std::size_t(size));
  return text;
}

std::string checksum_text(std::uint32_t crc32c) {
  char bytes[4] = {char(crc32c >> 24), char(crc32c >> 16), char(crc32c >> 8), char(crc32c)};
  return base64({bytes, 4});
}
}  // namespace yaks::s3
