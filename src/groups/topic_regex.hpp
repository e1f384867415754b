// Which topics a pattern means: subscriptions by regular expression (KIP-848), in the syntax of RE2, as Kafka's brokers take them.
// Matching takes time in proportion to the name, whatever the pattern; compiling is bounded in memory and length.
//
// The agents resolve patterns, and the state machine is told the names: another version of the library must not make another
// state of the same log.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metadata/state.hpp"

namespace yaks::groups {
class topic_regex {
 public:
  static constexpr std::size_t pattern_bytes_max = 4096;

  // The names, sorted, that match as a whole; nothing where the pattern is none. Remembered until topics come or go.
  std::optional<std::vector<std::string>> matches(const std::string& pattern, const metadata::state& state);
  void applied(const metadata::changes& changes) {
    if (!changes.topics.empty() || !changes.deleted.empty()) known_.clear();
  }

 private:
  static constexpr std::size_t known_max = 1000;
  std::map<std::string, std::optional<std::vector<std::string>>> known_;
};
}  // namespace yaks::groups
