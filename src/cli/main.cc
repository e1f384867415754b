// yaks: the command line. Every subcommand is a function of its arguments that answers the exit code.
#include <fmt/format.h>

#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/version.hpp"
#include "cli/commands.hpp"

namespace yaks::cli {
namespace {
struct command {
  std::string_view name, summary;
  int (*run)(std::span<const std::string> arguments);
};

int print_version(std::span<const std::string>) {
  fmt::print("yaks {}\n", version);
  return 0;
}

constexpr command commands[] = {
    {"agent", "serve Kafka clients (no configuration: embedded, on port 9092)", run_agent},
    {"oracle", "verify a running server end to end: produce, consume, check six invariants", run_oracle},
    {"storage", "print what is stored, and what will be deleted when and why (--json, --list, --dry-run)", print_storage},
    {"simulate", "run a whole cluster in virtual time, with faults, from a seed", run_simulate},
    {"settings", "print every setting with its value and where it came from (--markdown: the README's table)", print_settings},
    {"apis", "print the Kafka APIs and versions that are served, as a table", print_apis},
    {"topic-settings", "print the settings that topics and groups may have, as a table", print_topic_settings},
    {"topics", "list, describe, create, delete and grow topics (of any Kafka cluster, as the four below)",
     [](std::span<const std::string> a) { return run_client("topics", a); }},
    {"groups", "list, describe, delete and reset consumer groups", [](std::span<const std::string> a) { return run_client("groups", a); }},
    {"configs", "show and change settings of topics", [](std::span<const std::string> a) { return run_client("configs", a); }},
    {"produce", "write lines of standard input as records", [](std::span<const std::string> a) { return run_client("produce", a); }},
    {"consume", "print records, alone or in a group", [](std::span<const std::string> a) { return run_client("consume", a); }},
    {"version", "print the version", print_version},
};

int usage(std::FILE* to, int code) {
  fmt::print(to,
             "yaks, a Kafka server without disks: records in an S3-compatible bucket, metadata in PostgreSQL.\n"
             "\n"
             "usage: yaks COMMAND [flags]\n"
             "\n");
  for (const auto& c : commands) fmt::print(to, "  {:<14} {}\n", c.name, c.summary);
  fmt::print(to,
             "\n"
             "`yaks COMMAND --help` says more. To try it: `yaks agent`, then in another terminal\n"
             "  echo hello | yaks produce greetings\n"
             "  yaks consume greetings --until-end\n");
  return code;
}
}  // namespace
}  // namespace yaks::cli

int main(int argc, char** argv) {
  using namespace yaks::cli;
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.empty()) return usage(stderr, 2);
  const auto& name = arguments.front();
  if (name == "help" || name == "--help" || name == "-h") return usage(stdout, 0);
  if (name == "--version") return print_version({});
  for (const auto& c : commands)
    if (c.name == name) return c.run(std::span(arguments).subspan(1));
  fmt::print(stderr, "yaks: there is no command '{}'\n\n", name);
  return usage(stderr, 2);
}
