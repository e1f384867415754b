// yaks-oracle: command line, signals, output, exit code.
#include <fmt/format.h>

#include <unistd.h>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "oracle/run.hpp"

namespace {
std::atomic<bool> stop{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may use it");

void on_signal(int signal) {
  if (stop.exchange(true)) _exit(128 + signal);
}
}  // namespace

int main(int argc, char** argv) {
  using namespace yaks::oracle;
  parsed_command_line parsed = parse_command_line("yaks oracle", std::vector<std::string>(argv + 1, argv + argc));
  if (!parsed.run) {
    fmt::print(parsed.exit_code == 0 ? stdout : stderr, "{}", parsed.output);
    return parsed.exit_code;
  }
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  try {
    run_result result = run_oracle(*parsed.run, stop);
    fmt::print("{}", parsed.run->json ? json_report(result.facts, result.found, result.figures)
                                      : text_report(result.facts, result.found, result.figures));
    return passed(result.facts, result.found, result.figures) ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "yaks oracle: {}\n", error.what());
    return 2;
  }
}
