// What all commands take, and how they end.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace yaks::client {
struct options {
  std::string brokers = "localhost:9092";
  std::vector<std::string> properties;  // "name=value", librdkafka's
  bool json = false;
  int timeout_ms = 30'000;  // of each call
};

// What the operator is told, as a sentence; the command ends with 1.
struct failed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// "name=value"; throws CLI::ValidationError where there is no name.
std::pair<std::string, std::string> split_setting(const std::string& text);

// One command: its flags, and what runs when they are parsed.
struct command {
  std::string name, summary;
  void (*define)(CLI::App& app, options& common);
};
extern const command topics_command, groups_command, configs_command, produce_command, consume_command;

// Parses and runs; answers the exit code. Everything but what was asked for goes to standard error.
int run(const std::vector<std::string>& arguments);
}  // namespace yaks::client
