// What an operator can ask of a run, and how it is written on the command line.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace yaks::oracle {
struct settings {
  std::string brokers = "localhost:9092";
  std::uint32_t topics = 1;
  std::uint32_t partitions = 3;  // of each topic
  std::uint32_t producers = 10;
  std::uint64_t records = 100;  // of each producer
  std::uint64_t value_bytes = 256;
  double rate = 0;  // records per second and producer; 0: as fast as it goes
  std::chrono::milliseconds produce_timeout{120'000};
  std::chrono::milliseconds consume_timeout{60'000};
  std::chrono::milliseconds connect_timeout{15'000};
  bool idempotent = true;
  bool create_topics = true;
  bool require_all = false;
  std::optional<std::uint64_t> seed;
  std::string topic_prefix;                                     // empty: one that no other run has
  std::string data_dir;                                         // empty: a new temporary folder
  bool verify_only = false;                                     // check the ledger that is in data_dir
  std::vector<std::pair<std::string, std::string>> properties;  // for librdkafka, producers and consumer alike
  bool json = false;
  bool verbose = false;  // librdkafka's log goes to standard error
};

// "500ms", "90s", "2m", "1h", and bare numbers as seconds. Nothing where it is not a duration.
std::optional<std::chrono::milliseconds> parse_duration(const std::string& text);

// Either settings, or what the process should print and exit with: 0 for --help and --version, 2 for a usage error.
struct parsed_command_line {
  std::optional<settings> run;
  std::string output;
  int exit_code = 0;
};
// `program` is how the user called it, for the help text.
parsed_command_line parse_command_line(const std::string& program, const std::vector<std::string>& arguments);
}  // namespace yaks::oracle
