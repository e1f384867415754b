// The S3 servers that scripts/test starts, as settings: for tests only.
#pragma once
#include <cstdlib>
#include <optional>
#include <sstream>
#include <string>

#include "objects/s3/s3_store.hpp"

namespace yaks::s3 {
// The variable holds "endpoint=… region=… access_key=… secret_key=… bucket=…". Nothing where it is not set.
inline std::optional<s3_settings> test_settings(const char* variable) {
  const char* value = std::getenv(variable);
  if (!value || !*value) return std::nullopt;
  s3_settings settings{.create_bucket = true};
  std::istringstream words(value);
  for (std::string word; words >> word;) {
    auto equals = word.find('=');
    std::string name = word.substr(0, equals), text = equals == std::string::npos ? "" : word.substr(equals + 1);
    if (name == "endpoint") settings.endpoint = text;
    if (name == "region") settings.region = text;
    if (name == "access_key") settings.who.access_key = text;
    if (name == "secret_key") settings.who.secret_key = text;
    if (name == "bucket") settings.bucket = text;
  }
  return settings;
}
}  // namespace yaks::s3
