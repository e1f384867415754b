#include "client/options.hpp"

#include <fmt/format.h>

namespace yaks::client {
std::pair<std::string, std::string> split_setting(const std::string& text) {
  auto at = text.find('=');
  if (at == std::string::npos || at == 0) throw CLI::ValidationError(fmt::format("'{}' is not name=value", text));
  return {text.substr(0, at), text.substr(at + 1)};
}

int run(const std::vector<std::string>& arguments) {
  CLI::App app("Works with any Kafka cluster.", "yaks");
  app.require_subcommand(1);
  options common;
  for (const auto* c : {&topics_command, &groups_command, &configs_command, &produce_command, &consume_command}) {
    auto* sub = app.add_subcommand(c->name, c->summary);
    sub->add_option("-b,--brokers", common.brokers, "HOST:PORT of some brokers, separated by commas")
        ->envname("YAKS_BROKERS")
        ->capture_default_str();
    sub->add_option("-X", common.properties, "name=value: a property of librdkafka; may be repeated")
        ->allow_extra_args(false);
    sub->add_flag("--json", common.json, "print JSON");
    sub->add_option("--timeout-ms", common.timeout_ms, "how long a call may take")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    sub->fallthrough(false);
    c->define(*sub, common);
    for (auto* action : sub->get_subcommands({})) action->fallthrough();  // the flags above may come last
  }
  auto words = arguments;
  std::reverse(words.begin(), words.end());  // as CLI11 wants them
  try {
    app.parse(words);
    return 0;
  } catch (const CLI::ParseError& error) {
    int code = app.exit(error);
    return code == 0 ? 0 : 2;
  } catch (const failed& error) {
    fmt::print(stderr, "yaks: {}\n", error.what());
    return 1;
  }
}
}  // namespace yaks::client
