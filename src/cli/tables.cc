// `yaks settings` and `yaks apis`: what the README shows, printed from the definitions that the agent uses.
#include <fmt/format.h>

#include <algorithm>

#include "cli/commands.hpp"
#include "config/load.hpp"
#include "model/config_tables.hpp"
#include "wire/api.hpp"

namespace yaks::cli {
int print_settings(std::span<const std::string> arguments) {
  if (config::asks_for_help(arguments)) {
    fmt::print("usage: yaks settings [--markdown] [flags of `yaks agent`]\n\n"
               "Prints every setting with its value and where it came from. Secrets are hidden.\n");
    return 0;
  }
  if (std::ranges::find(arguments, "--markdown") != arguments.end()) {
    fmt::print("{}", config::markdown());
    return 0;
  }
  auto loaded = config::load(config::process_environment(), arguments);
  if (!loaded) {
    for (const auto& sentence : loaded.error()) fmt::print(stderr, "yaks: {}\n", sentence);
    fmt::print(stderr, "yaks: `yaks agent --help` explains every setting\n");
    return 2;
  }
  for (const auto& warning : loaded->warnings) fmt::print(stderr, "yaks: {}\n", warning);
  fmt::print("{}", config::effective(*loaded));
  return 0;
}

int print_apis(std::span<const std::string> arguments) {
  if (config::asks_for_help(arguments)) {
    fmt::print("usage: yaks apis\n\nPrints the Kafka APIs and versions that are served, as the README's table.\n");
    return 0;
  }
  fmt::print("{}", wire::apis_as_markdown());
  return 0;
}

int print_topic_settings(std::span<const std::string> arguments) {
  if (config::asks_for_help(arguments)) {
    fmt::print("usage: yaks topic-settings\n\nPrints the settings that topics and groups may have, as docs/topic-settings.md shows them.\n");
    return 0;
  }
  fmt::print("{}", configs_as_markdown());
  return 0;
}
}  // namespace yaks::cli
