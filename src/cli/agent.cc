// `yaks agent`.
#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <exception>

#include "agent/process.hpp"
#include "cli/commands.hpp"
#include "config/load.hpp"

namespace yaks::cli {
int run_agent(std::span<const std::string> arguments) {
  if (config::asks_for_help(arguments)) {
    fmt::print("{}", config::help_text());
    return 0;
  }
  auto loaded = config::load(config::process_environment(), arguments);
  if (!loaded) {
    for (const auto& sentence : loaded.error()) fmt::print(stderr, "yaks: {}\n", sentence);
    fmt::print(stderr, "yaks: `yaks agent --help` explains every setting\n");
    return 2;
  }
  spdlog::set_default_logger(spdlog::stdout_logger_st("yaks"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  spdlog::set_level(spdlog::level::from_str(loaded->values.process.log_level));
  spdlog::flush_on(spdlog::level::info);
  for (const auto& warning : loaded->warnings) spdlog::warn("{}", warning);
  try {
    run_process(loaded->values);
    return 0;
  } catch (const std::exception& error) {
    spdlog::critical("{}", error.what());
    return 1;
  }
}
}  // namespace yaks::cli
