#include "oracle/settings.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cctype>
#include <charconv>
#include <cmath>
#include <sstream>

namespace yaks::oracle {
std::optional<std::chrono::milliseconds> parse_duration(const std::string& text) {
  double number = 0;
  const char* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc{} || !(number >= 0)) return std::nullopt;
  std::string_view unit(rest, end);
  double factor = unit == "ms" ? 1 : unit == "s" || unit.empty() ? 1e3 : unit == "m" ? 60e3 : unit == "h" ? 3600e3 : 0;
  // librdkafka counts milliseconds in 31 bits.
  if (factor == 0 || number * factor > 2'147'483'647.0) return std::nullopt;
  return std::chrono::milliseconds(std::llround(number * factor));
}

namespace {
constexpr const char* description =
    R"(Proves, with librdkafka as the client, that a Kafka cluster keeps what it acknowledges.

Producers write records that say who sent them, in which order, and with which checksum.
Everything that the cluster acknowledges is noted in DATA-DIR/ledger.db. Then all partitions
are read from the beginning, and six promises are checked and printed one by one:

  completeness          every acknowledged record is at the offset that it was acknowledged with
  no phantoms           nothing is there that was not sent, or of which the cluster said it failed
  no duplicate offsets  no offset twice and, with idempotence, no record twice
  contiguous offsets    from 0 to the high watermark without a hole
  per-producer order    a producer's records are in the order in which it sent them
  data integrity        keys, values and timestamps are what was sent

A record whose outcome is unknown, because its producer gave up after it may have been sent,
may be there or not.)";

constexpr const char* examples = R"(Examples:
  yaks oracle                                             1,000 records to localhost:9092
  yaks oracle --topics 2 --producers 50 --records 2000    100,000 records to 6 partitions
  yaks oracle --rate 20 --records 2000 --require-all      100 s of load to kill agents under
  yaks oracle -X compression.codec=lz4 -X linger.ms=50    any property of librdkafka
  yaks oracle --verify-only DIR                           read and check an earlier run again

Exit code: 0 all promises hold; 1 one is broken (the first violations are printed), or nothing
was acknowledged; 2 the run could not take place (usage, no broker, no disk space).
Progress goes to standard error, the result to standard output. An interrupt (Ctrl-C) ends the
producing and checks what was acknowledged until then; a second one ends the process.)";
}  // namespace

parsed_command_line parse_command_line(const std::string& program, const std::vector<std::string>& arguments) {
  settings run;
  std::vector<std::string> properties;
  std::string verify_dir;
  std::string consume_timeout = "60s", produce_timeout = "120s", connect_timeout = "15s";
  bool no_idempotence = false, no_create_topics = false;

  CLI::App app{description, program};
  app.footer(examples);
  app.get_formatter()->column_width(34);
  auto duration = CLI::Validator(
      [](const std::string& text) {
        return parse_duration(text) ? "" : fmt::format("'{}' is not a duration: write 500ms, 90s, 2m or 1h", text);
      },
      "");
  std::string where = "Cluster", what = "Load", how = "Check";
  app.add_option("--brokers", run.brokers, "host:port of one or more brokers, separated by commas")
      ->type_name("HOST:PORT,…")
      ->capture_default_str()
      ->group(where);
  app.add_option("--topic-prefix", run.topic_prefix, "topics are called PREFIX-0, PREFIX-1, … (default: new names)")
      ->type_name("PREFIX")
      ->group(where);
  app.add_flag("--no-create-topics", no_create_topics, "use topics that exist already; they must be empty")
      ->group(where);
  app.add_option("--connect-timeout", connect_timeout, "how long to wait for a broker and for new topics")
      ->check(duration)
      ->type_name("DURATION")
      ->capture_default_str()
      ->group(where);
  app.add_option("-X", properties, "a property of librdkafka, NAME=VALUE, for producers and consumer; repeatable")
      ->allow_extra_args(false)
      ->type_name("NAME=VALUE")
      ->group(where);

  app.add_option("--topics", run.topics, "how many topics")
      ->check(CLI::Range(1u, 10'000u).description(""))
      ->capture_default_str()
      ->group(what)
      ->type_name("N");
  app.add_option("--partitions", run.partitions, "partitions of each topic")
      ->check(CLI::Range(1u, 100'000u).description(""))
      ->capture_default_str()
      ->group(what)
      ->type_name("N");
  app.add_option("--producers", run.producers, "producers, each with its own connection and producer id")
      ->check(CLI::Range(1u, 10'000u).description(""))
      ->capture_default_str()
      ->group(what)
      ->type_name("N");
  app.add_option("--records", run.records, "records of each producer")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}).description(""))
      ->capture_default_str()
      ->group(what)
      ->type_name("N");
  app.add_option("--value-bytes", run.value_bytes,
                 "mean size of a value; sizes vary by half of it, and are 48 at least")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{100'000'000}).description(""))
      ->capture_default_str()
      ->group(what)
      ->type_name("BYTES");
  app.add_option("--rate", run.rate, "records per second of each producer; 0: no limit")
      ->check(CLI::Range(0.0, 1e9).description(""))
      ->capture_default_str()
      ->group(what)
      ->type_name("N");
  app.add_option("--seed", run.seed, "what is sent where, and every byte of it (default: a random one)")
      ->group(what)
      ->type_name("N");
  app.add_flag("--no-idempotence", no_idempotence, "plain producers: duplicates and reordering by retries are allowed")
      ->group(what);
  app.add_option("--produce-timeout", produce_timeout, "a record's time to be acknowledged, retries included")
      ->check(duration)
      ->type_name("DURATION")
      ->capture_default_str()
      ->group(what);

  app.add_option("--consume-timeout", consume_timeout, "give up reading when nothing has come for so long")
      ->check(duration)
      ->type_name("DURATION")
      ->capture_default_str()
      ->group(how);
  app.add_option("--data-dir", run.data_dir, "where ledger.db is made (default: a new temporary folder)")
      ->type_name("DIR")
      ->group(how);
  app.add_option("--verify-only,--resume", verify_dir, "send nothing: read and check the run whose --data-dir was DIR")
      ->type_name("DIR")
      ->group(how);
  app.add_flag("--require-all", run.require_all, "a record that is not acknowledged fails the run")->group(how);
  app.add_flag("--json", run.json, "print the result as one JSON object")->group(how);
  app.add_flag("--verbose", run.verbose, "print librdkafka's log")->group(how);

  auto usage_error = [&](const std::string& words) {
    return parsed_command_line{std::nullopt, fmt::format("{}: {}\nSee {} --help.\n", program, words, program), 2};
  };
  try {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 wants them
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return {std::nullopt, app.help(), 0};
  } catch (const CLI::ParseError& error) {
    return usage_error(error.what());
  }
  for (const std::string& property : properties) {
    auto equals = property.find('=');
    if (equals == 0 || equals == std::string::npos)
      return usage_error(fmt::format("-X {}: a property is written NAME=VALUE", property));
    run.properties.emplace_back(property.substr(0, equals), property.substr(equals + 1));
    const auto& [name, value] = run.properties.back();
    if ((name == "acks" || name == "request.required.acks") && value == "0")
      return usage_error("-X acks=0: without acknowledgements there is nothing to verify");
    if (name == "enable.idempotence") return usage_error("-X enable.idempotence: use --no-idempotence");
    if (name == "transactional.id") return usage_error("-X transactional.id: the oracle does not use transactions");
  }
  if (std::uint64_t{run.topics} * run.partitions > 1'000'000)
    return usage_error("--topics times --partitions: at most 1,000,000 partitions");
  if (run.producers * run.records > 2'000'000'000)
    return usage_error("--producers times --records: at most 2,000,000,000 records");
  for (unsigned char c : run.topic_prefix)
    if (!std::isalnum(c) && c != '.' && c != '_' && c != '-')
      return usage_error(
          fmt::format("--topic-prefix {}: topic names have letters, digits, '.', '_' and '-' only", run.topic_prefix));
  if (run.topic_prefix.size() > 240) return usage_error("--topic-prefix: at most 240 characters");
  run.consume_timeout = *parse_duration(consume_timeout);
  run.produce_timeout = *parse_duration(produce_timeout);
  run.connect_timeout = *parse_duration(connect_timeout);
  if (run.consume_timeout.count() == 0 || run.produce_timeout.count() == 0 || run.connect_timeout.count() == 0)
    return usage_error("a timeout of 0 leaves no time for anything");
  run.idempotent = !no_idempotence;
  run.create_topics = !no_create_topics;
  if (no_create_topics && run.topic_prefix.empty())
    return usage_error("--no-create-topics needs --topic-prefix, to know which topics");
  if (!verify_dir.empty()) {
    if (!run.data_dir.empty()) return usage_error("--verify-only names the folder: --data-dir is for new runs");
    run.verify_only = true;
    run.data_dir = verify_dir;
  }
  return {run, "", 0};
}
}  // namespace yaks::oracle
