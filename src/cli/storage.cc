// `yaks storage`.
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <filesystem>
#include <vector>

#include "agent/process.hpp"
#include "cli/commands.hpp"
#include "config/load.hpp"
#include "upkeep/report.hpp"

namespace yaks::cli {
namespace {
constexpr const char* help =
    "usage: yaks storage [--json] [--list] [--dry-run] [flags of `yaks agent` that name the stores]\n\n"
    "Prints what is stored per topic, and which objects will be deleted when and why. Changes nothing.\n"
    "  --json     as JSON\n"
    "  --list     list the whole bucket too: objects by size, and those that were never committed (one LIST per 1,000 objects)\n"
    "  --dry-run  print only the keys that would be deleted now\n"
    "Embedded storage is read while no agent uses it.\n";
}  // namespace

int print_storage(std::span<const std::string> arguments) {
  if (config::asks_for_help(arguments)) {
    fmt::print("{}", help);
    return 0;
  }
  std::vector<std::string> rest(arguments.begin(), arguments.end());
  auto take = [&](std::string_view flag) { return std::erase(rest, flag) > 0; };
  bool json = take("--json"), list = take("--list"), dry_run = take("--dry-run");
  auto loaded = config::load(config::process_environment(), rest);
  if (!loaded) {
    for (const auto& sentence : loaded.error()) fmt::print(stderr, "yaks: {}\n", sentence);
    return 2;
  }
  spdlog::set_default_logger(spdlog::stderr_logger_st("yaks"));
  spdlog::set_level(spdlog::level::warn);
  auto& s = loaded->values;
  if (s.storage.metastore == config::metastore_kind::embedded && !std::filesystem::exists(s.process.data_directory + "/metadata.db")) {
    fmt::print(stderr, "yaks: there is nothing in the data directory {} (YAKS_DATA_DIR)\n", s.process.data_directory);
    return 1;
  }
  s.database.run_migrations = false;  // whoever looks changes nothing
  s.s3.create_bucket = false;
  int code = 0;
  try {
    run_with_stores(s, [&](runtime& rt, metadata::metastore& store, object_store& objects) -> awaitable<void> {
      upkeep::report_settings wanted{.key_prefix = s.s3.prefix, .grace = s.upkeep.delete_grace, .lists_bucket = list};
      auto report = co_await upkeep::make_storage_report(rt, store, objects, wanted);
      if (!report) {
        fmt::print(stderr, "yaks: {}\n", report.error());
        code = 1;
      } else if (dry_run) {
        for (const auto& key : report->deletions) fmt::print("{}\n", key);
      } else {
        fmt::print("{}", json ? upkeep::as_json(*report) : upkeep::as_table(*report));
      }
    });
  } catch (const std::exception& error) {
    fmt::print(stderr, "yaks: {}\n", error.what());
    return 1;
  }
  return code;
}
}  // namespace yaks::cli
