// The subcommands of `yaks`. Each takes its arguments without its name and answers the exit code: 0 done, 1 failed, 2 used
// wrongly.
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace yaks::cli {
int run_agent(std::span<const std::string> arguments);
int run_oracle(std::span<const std::string> arguments);
// `command` is topics, groups, configs, produce or consume.
int run_client(std::string_view command, std::span<const std::string> arguments);
int run_simulate(std::span<const std::string> arguments);
int print_settings(std::span<const std::string> arguments);
int print_storage(std::span<const std::string> arguments);
int print_topic_settings(std::span<const std::string> arguments);
int print_apis(std::span<const std::string> arguments);
}  // namespace yaks::cli
