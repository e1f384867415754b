// The one table of settings. The environment, the flags, `--help`, the README's table and the start-up warnings all
// come from it; a new setting is one row here and one member of `settings`.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "config/settings.hpp"

namespace yaks::config {
enum class group {
  storage,
  listener,
  topics,
  groups,
  writing,
  reading,
  postgres,
  s3,
  metrics,
  console,
  cache_peers,
  materializer,
  upkeep,
  process
};
std::string_view title(group of);

enum class kind {
  text,          // anything, also nothing
  word,          // anything but nothing
  secret,        // as text; never printed
  number,        // a whole number within [least, most]
  port,          // a number
  milliseconds,  // a number
  bytes,         // a number
  mebibytes,     // a number
  dollars,       // a decimal number that is not negative: 0.0004
  ratio,         // the same, within [least, most]: 0.5
  truth,         // true or false
  choice,        // one of `choices`
  url,           // http:// or https://, host, perhaps a port; or nothing
  path_url,      // the same, perhaps with a path
};

// A value that was checked against its definition.
struct value {
  std::string text;         // as given
  std::int64_t number = 0;  // of every numeric kind but dollars and ratio; 0 or 1 for truth
  double dollars = 0;
  double ratio = 0;
  bool truth() const { return number != 0; }
  config::milliseconds time() const { return config::milliseconds(number); }
  std::size_t size() const { return std::size_t(number); }
  std::uint16_t port() const { return std::uint16_t(number); }
};

struct definition {
  std::string_view name;  // without the prefix: "BROKER_PORT"; of a standard one, all of it
  group in;
  kind type;
  std::string_view fallback;  // the default, as somebody would write it
  std::int64_t least = 0, most = 0;
  std::string_view choices = {};  // separated by one space
  std::string_view help;
  bool is_standard = false;  // a variable that other programs know too: without YAKS_
  void (*store)(settings& into, const value& given);

  std::string variable() const { return (is_standard ? "" : "YAKS_") + std::string(name); }
  std::string flag() const;     // "--broker-port"
  std::string allowed() const;  // "a whole number from 0 to 65535"
  bool is_secret() const { return type == kind::secret; }
  // The value of `text`, or nothing where it is not allowed.
  std::optional<value> parse(std::string_view text) const;
};

std::span<const definition> definitions();
const definition* find_definition(std::string_view name);
// By the name of its variable.
const definition* find_variable(std::string_view variable);
}  // namespace yaks::config
