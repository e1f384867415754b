// For tests of this folder and of those above it: entries by hand, and a state machine that is fed them.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "metadata/entry_codec.hpp"
#include "metadata/state.hpp"

namespace yaks::metadata {
inline topic_id test_topic(std::uint64_t n) {
  return topic_id(uuid::v4(0x70000 + n, n));
}
inline incarnation test_incarnation(std::uint64_t n) {
  return incarnation(uuid::v4(0x10000 + n, n));
}

inline register_agent test_registration(std::int32_t node, log_sequence as_of = {}) {
  return {.node = node_id(node),
          .upload_deadline_ms = 600'000,
          .version = "test",
          .host = "localhost",
          .port = 9092,
          .as_of = as_of};
}

// The log as one writer after another wants it: sequences and numbers count up, time stands until it is moved.
class test_log {
 public:
  timestamp_ms time{1'700'000'000'000};

  metadata::state::applied append(append_id id, const std::vector<command>& commands) {
    entry_writer writer;
    for (const auto& c : commands) writer.add(c);
    log_entry entry{state_.position().sequence + 1, id, time, writer.take()};
    entries_.push_back(entry);
    return state_.apply(entry);
  }
  // By a registered writer, under its next number.
  metadata::state::applied append(incarnation writer, const std::vector<command>& commands) {
    auto known = state_.agents().find(writer);
    return append({writer, known == state_.agents().end() ? 1 : known->second.last_number + 1}, commands);
  }
  void register_writer(std::uint64_t n) {
    append({test_incarnation(n), 1}, {test_registration(std::int32_t(n), state_.position().sequence)});
  }
  const metadata::state& state() const { return state_; }
  const std::vector<log_entry>& entries() const { return entries_; }

 private:
  metadata::state state_;
  std::vector<log_entry> entries_;
};
}  // namespace yaks::metadata
