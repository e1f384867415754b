// `yaks oracle`: starts the verifier, a program of its own beside this one, since it is linked with a Kafka client library that
// the agent must not have.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

#include "cli/commands.hpp"

namespace yaks::cli {
int run_oracle(std::span<const std::string> arguments) {
  std::error_code error;
  auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  auto program = (error ? std::filesystem::path("yaks-oracle") : self.parent_path() / "yaks-oracle").string();
  std::vector<char*> words{program.data()};
  std::vector<std::string> owned(arguments.begin(), arguments.end());
  for (auto& argument : owned) words.push_back(argument.data());
  words.push_back(nullptr);
  ::execvp(program.c_str(), words.data());
  fmt::print(stderr, "yaks: cannot start {}: {}; it is built and installed beside yaks\n", program, std::strerror(errno));
  return 2;
}
}  // namespace yaks::cli
