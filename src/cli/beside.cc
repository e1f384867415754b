// `yaks oracle`, `yaks topics` and so on: each starts a program of its own beside this one, since it is linked with a Kafka client
// library that the agent must not have.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "cli/commands.hpp"

namespace yaks::cli {
namespace {
// Returns only where it could not be started.
int become(const char* name, std::vector<std::string> words) {
  std::error_code error;
  auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  auto program = (error ? std::filesystem::path(name) : self.parent_path() / name).string();
  std::vector<char*> pointers{program.data()};
  for (auto& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::execvp(program.c_str(), pointers.data());
  fmt::print(stderr, "yaks: cannot start {}: {}; it is built and installed beside yaks\n", program, std::strerror(errno));
  return 2;
}
}  // namespace

int run_oracle(std::span<const std::string> arguments) { return become("yaks-oracle", {arguments.begin(), arguments.end()}); }

int run_simulate(std::span<const std::string> arguments) { return become("yaks-simulate", {arguments.begin(), arguments.end()}); }

int run_client(std::string_view command, std::span<const std::string> arguments) {
  std::vector<std::string> words{std::string(command)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return become("yaks-client", std::move(words));
}
}  // namespace yaks::cli
