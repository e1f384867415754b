// Where an object of record data lies in the bucket: <prefix>data/<2 hex digits>/<uuid>. The digits are the last,
// random ones of the name, so that keys spread over an object store's partitions although names begin with a time.
#pragma once
#include <string>
#include <string_view>

#include "model/ids.hpp"

namespace yaks {
inline std::string object_key(std::string_view prefix, object_id id) {
  std::string name = id.value().text();
  std::string key(prefix);
  key += "data/";
  key += std::string_view(name).substr(name.size() - 2);
  key += '/';
  key += name;
  return key;
}
}  // namespace yaks
