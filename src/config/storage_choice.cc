#include "config/storage_choice.hpp"

#include <fmt/format.h>

namespace yaks::config {
namespace {
const std::string* first_with(std::span<const std::string> names, std::string_view prefix) {
  for (const auto& name : names)
    if (name.starts_with(prefix)) return &name;
  return nullptr;
}
}  // namespace

result<storage_choice, std::string> choose_storage(std::string_view metastore, std::string_view objects,
                                                   std::span<const std::string> present) {
  const std::string* database = first_with(present, "YAKS_DB_");
  const std::string* s3 = first_with(present, "YAKS_S3_");
  storage_choice choice;
  if (metastore.empty() && objects.empty()) {
    if (const std::string* named = database ? database : s3) {
      choice.metastore = metastore_kind::postgres;
      choice.objects = object_store_kind::s3;
      choice.reason = *named + " is set: PostgreSQL and S3";
    } else {
      choice.reason = "no YAKS_DB_* or YAKS_S3_* is set: embedded";
    }
    return choice;
  }
  if (objects.empty())
    return failure(fmt::format("YAKS_METASTORE={} needs YAKS_OBJECT_STORE too: directory or s3.", metastore));
  if (metastore.empty())
    return failure(fmt::format("YAKS_OBJECT_STORE={} needs YAKS_METASTORE too: embedded or postgres.", objects));

  choice.metastore = metastore == "postgres" ? metastore_kind::postgres : metastore_kind::embedded;
  choice.objects = objects == "s3" ? object_store_kind::s3 : object_store_kind::directory;
  choice.reason = fmt::format("YAKS_METASTORE={}, YAKS_OBJECT_STORE={}", metastore, objects);
  if (choice.metastore == metastore_kind::postgres && choice.objects == object_store_kind::directory)
    choice.warnings.push_back(
        "PostgreSQL with a directory: an agent on another machine could not read the records that this one writes. "
        "For more than one agent set YAKS_OBJECT_STORE=s3.");
  if (database && choice.metastore == metastore_kind::embedded)
    choice.warnings.push_back(*database + " has no effect: YAKS_METASTORE=embedded.");
  if (s3 && choice.objects == object_store_kind::directory)
    choice.warnings.push_back(*s3 + " has no effect: YAKS_OBJECT_STORE=directory.");
  return choice;
}
}  // namespace yaks::config
