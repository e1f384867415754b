#include <algorithm>

#include "handlers/handlers.hpp"

namespace yaks::handlers {
namespace {
std::vector<wire::api_versions_response::api_range> table() {
  std::vector<wire::api_versions_response::api_range> ranges;
  for (const auto& a : wire::apis)
    ranges.push_back({.api_key = std::int16_t(a.key), .min_version = a.shown_first, .max_version = a.served.last});
  return ranges;
}

// Kafka's pattern for names and versions of client software: letters and digits at both ends, also '-' and '.' between.
bool is_software_word(std::string_view text) {
  auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  if (text.empty() || !is_plain(text.front()) || !is_plain(text.back())) return false;
  return std::ranges::all_of(text, [&](char c) { return is_plain(c) || c == '-' || c == '.'; });
}
}  // namespace

wire::api_versions_response api_versions(const wire::api_versions_request& request, const request_context& context) {
  wire::api_versions_response answer;
  if (context.version >= 3 &&
      !(is_software_word(request.client_software_name) && is_software_word(request.client_software_version)))
    answer.error_code = wire::error_code::invalid_request;
  else
    answer.api_keys = table();
  if (context.version >= 3) {
    // Clients below version 4 cannot read a feature whose first version is 0 (KAFKA-17011).
    if (context.version >= 4) answer.supported_features.push_back({.name = "group.version", .min_version = 0, .max_version = 1});
    answer.finalized_features_epoch = 0;
    answer.finalized_features.push_back({.name = "group.version", .max_version_level = 1, .min_version_level = 1});
  }
  return answer;
}

wire::api_versions_response unsupported_api_versions() {
  wire::api_versions_response answer;
  answer.error_code = wire::error_code::unsupported_version;
  answer.api_keys = table();
  return answer;
}
}  // namespace yaks::handlers
