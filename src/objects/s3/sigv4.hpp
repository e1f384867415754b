// AWS Signature Version 4 for headers ("Authenticating Requests (AWS Signature Version 4)" of the S3 API reference). Pure: the
// time comes from the caller. Not thread-safe: a signer keeps the day's key.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/ids.hpp"
#include "net/http.hpp"

namespace yaks::s3 {
struct credentials {
  std::string access_key, secret_key;
  std::string session_token;  // "" where none
};

inline constexpr std::string_view unsigned_payload = "UNSIGNED-PAYLOAD";

// Percent-encodes everything but A-Z a-z 0-9 - . _ ~, and slashes where `keep_slashes`.
std::string uri_encode(std::string_view text, bool keep_slashes);
using query = std::vector<std::pair<std::string, std::string>>;
// Sorted and encoded, as it is signed; sent in the same form. A parameter without a value is "name=".
std::string canonical_query(const query& parameters);
// `path` and `query` are encoded already. Every field is signed; their order does not matter.
std::string canonical_request(std::string_view method, std::string_view path, std::string_view query,
                              const http::headers& fields, std::string_view payload_hash);
// "20130524T000000Z"
std::string amz_date(timestamp_ms at);

class signer {
 public:
  signer(credentials who, std::string region, std::string service = "s3")
      : who_(std::move(who)), region_(std::move(region)), service_(std::move(service)) {}
  // Adds x-amz-date, x-amz-content-sha256, x-amz-security-token and Authorization to `fields`, which must hold Host and
  // whatever else is to be signed. `payload_hash` is unsigned_payload or the body's SHA-256 in hex.
  void sign(std::string_view method, std::string_view path, std::string_view query, http::headers& fields,
            std::string_view payload_hash, timestamp_ms now);
  // Of a request whose fields hold x-amz-date already.
  std::string authorization(std::string_view method, std::string_view path, std::string_view query,
                            const http::headers& fields, std::string_view payload_hash, timestamp_ms now);

 private:
  credentials who_;
  std::string region_, service_;
  std::string key_day_, key_;  // deriving the key of a day takes four HMACs
};
}  // namespace yaks::s3
