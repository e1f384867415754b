#include "groups/topic_regex.hpp"

#include <re2/re2.h>

namespace yaks::groups {
std::optional<std::vector<std::string>> topic_regex::matches(const std::string& pattern, const metadata::state& state) {
  if (auto found = known_.find(pattern); found != known_.end()) return found->second;
  std::optional<std::vector<std::string>> names;
  if (pattern.size() <= pattern_bytes_max) {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(std::int64_t(1) << 20);
    RE2 compiled(pattern, options);
    if (compiled.ok()) {
      names.emplace();
      for (const auto& [name, topic] : state.topics_by_name())
        if (RE2::FullMatch(name, compiled)) names->push_back(name);
    }
  }
  if (known_.size() >= known_max) known_.clear();
  known_.emplace(pattern, names);
  return names;
}
}  // namespace yaks::groups
