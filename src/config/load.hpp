// Environment and flags into settings. `--broker-port 9092`, `--broker-port=9092` and YAKS_BROKER_PORT=9092 say the
// same; the flag wins, the last one of several. A flag that is true or false needs no value: `--run-migrations`.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "config/definitions.hpp"
#include "config/settings.hpp"

namespace yaks::config {
using environment = std::vector<std::pair<std::string, std::string>>;
// Of this process; read once, at start.
environment process_environment();

enum class source { fallback, variable, flag };

struct loaded {
  settings values;
  std::vector<std::string> warnings;  // sentences for the log: unknown variables, settings without effect
  struct item {
    const definition* of = nullptr;
    std::string text;
    source from = source::fallback;
  };
  std::vector<item> items;  // one per definition, in the table's order
};

// Fails with every sentence that is wrong, not only with the first.
result<loaded, std::vector<std::string>> load(const environment& variables, std::span<const std::string> arguments);

// --help or -h among the arguments: to be asked before load().
bool asks_for_help(std::span<const std::string> arguments);

// What `yaks agent --help` prints.
std::string help_text();
// The settings table of the README.
std::string markdown();
// Every setting with its value and where it came from, one a line; secrets are hidden.
std::string effective(const loaded& all);
}  // namespace yaks::config
