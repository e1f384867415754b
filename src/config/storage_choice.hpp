// Which stores an agent uses. Pure, so that the rule is tested by itself:
//
//   YAKS_METASTORE and YAKS_OBJECT_STORE    as they say; one without the other is an error
//   else any YAKS_DB_* or YAKS_S3_*         PostgreSQL and S3
//   else                                    embedded: SQLite and files in YAKS_DATA_DIR
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "config/settings.hpp"

namespace yaks::config {
struct storage_choice {
  metastore_kind metastore = metastore_kind::embedded;
  object_store_kind objects = object_store_kind::directory;
  std::string reason;  // as settings::storage.reason
  std::vector<std::string> warnings;
};

// `metastore` and `objects`: the values of the two settings, "" where not given. `present`: names of all YAKS_
// variables and flags that were given, also of unknown ones: who misspells YAKS_S3_ENDPOINT does not want to find the
// records in a local folder. The failure is a sentence.
result<storage_choice, std::string> choose_storage(std::string_view metastore, std::string_view objects,
                                                   std::span<const std::string> present);
}  // namespace yaks::config
