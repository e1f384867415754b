#include "objects/s3/sigv4.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "objects/s3/digest.hpp"

namespace yaks::s3 {
namespace {
std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = char(c + ('a' - 'A'));
  return result;
}

// By lower-case name, values with single blanks; and the names, joined.
std::vector<std::pair<std::string, std::string>> canonical_fields(const http::headers& fields) {
  std::vector<std::pair<std::string, std::string>> all;
  for (const http::header& one : fields) {
    std::string value;
    for (char c : one.value)
      if (c != ' ' || (!value.empty() && value.back() != ' ')) value += c;
    if (value.ends_with(' ')) value.pop_back();
    all.emplace_back(lower(one.name), std::move(value));
  }
  std::ranges::stable_sort(all, {}, &std::pair<std::string, std::string>::first);
  return all;
}
std::string names_of(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string names;
  for (const auto& one : fields) names += (names.empty() ? "" : ";") + one.first;
  return names;
}
}  // namespace

std::string uri_encode(std::string_view text, bool keep_slashes) {
  std::string encoded;
  encoded.reserve(text.size() + 16);
  for (char c : text) {
    bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                 c == '_' || c == '~' || (c == '/' && keep_slashes);
    if (plain) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += "0123456789ABCDEF"[static_cast<unsigned char>(c) >> 4];
      encoded += "0123456789ABCDEF"[static_cast<unsigned char>(c) & 15];
    }
  }
  return encoded;
}

std::string canonical_query(const query& parameters) {
  query encoded;
  for (const auto& [name, value] : parameters) encoded.emplace_back(uri_encode(name, false), uri_encode(value, false));
  std::ranges::sort(encoded);
  std::string text;
  for (const auto& [name, value] : encoded) text += (text.empty() ? "" : "&") + name + "=" + value;
  return text;
}

std::string canonical_request(std::string_view method, std::string_view path, std::string_view query,
                              const http::headers& fields, std::string_view payload_hash) {
  auto all = canonical_fields(fields);
  std::string text;
  text.reserve(1024);
  text.append(method).append("\n").append(path).append("\n").append(query).append("\n");
  for (const auto& [name, value] : all) text.append(name).append(":").append(value).append("\n");
  return text.append("\n").append(names_of(all)).append("\n").append(payload_hash);
}

std::string amz_date(timestamp_ms at) {
  namespace chrono = std::chrono;
  chrono::sys_time<chrono::milliseconds> time{chrono::milliseconds(at.value())};
  auto day = chrono::floor<chrono::days>(time);
  chrono::year_month_day date(day);
  chrono::hh_mm_ss clock(chrono::floor<chrono::seconds>(time - day));
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", int(date.year()), unsigned(date.month()), unsigned(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::string signer::authorization(std::string_view method, std::string_view path, std::string_view query,
                                  const http::headers& fields, std::string_view payload_hash, timestamp_ms now) {
  std::string date = amz_date(now), day = date.substr(0, 8);
  if (day != key_day_) {
    key_ = hmac_sha256("AWS4" + who_.secret_key, day);
    for (std::string_view part : {std::string_view(region_), std::string_view(service_), std::string_view("aws4_request")})
      key_ = hmac_sha256(key_, part);
    key_day_ = day;
  }
  std::string scope = fmt::format("{}/{}/{}/aws4_request", day, region_, service_);
  std::string request = canonical_request(method, path, query, fields, payload_hash);
  std::string to_sign = fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", date, scope, hex(sha256(request)));
  return fmt::format("AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}", who_.access_key, scope,
                     names_of(canonical_fields(fields)), hex(hmac_sha256(key_, to_sign)));
}

void signer::sign(std::string_view method, std::string_view path, std::string_view query, http::headers& fields,
                  std::string_view payload_hash, timestamp_ms now) {
  fields.push_back({"x-amz-date", amz_date(now)});
  fields.push_back({"x-amz-content-sha256", std::string(payload_hash)});
  if (!who_.session_token.empty()) fields.push_back({"x-amz-security-token", who_.session_token});
  std::string authorized = authorization(method, path, query, fields, payload_hash, now);
  fields.push_back({"Authorization", std::move(authorized)});
}
}  // namespace yaks::s3
