// The metadata log as its store sees it: entries in one total order, opaque payloads. The store sequences and keeps
// them; what they mean is the state machine's business.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "model/ids.hpp"
#include "runtime/runtime.hpp"

namespace yaks::metadata {
// Names one append for ever: a retry carries the same id, so that the state machine applies only one of them.
struct append_id {
  incarnation writer;
  std::uint64_t number = 0;  // 1, 2, 3, … within the incarnation
  constexpr auto operator<=>(const append_id&) const = default;
};

// Where a reader stands: the entry that it applied last. Sequence 0 with a nil id: nothing yet.
struct log_position {
  log_sequence sequence;
  append_id id;
  constexpr auto operator<=>(const log_position&) const = default;
};

struct log_entry {
  log_sequence sequence;
  append_id id;
  timestamp_ms time;  // the store's clock when it was sequenced; never runs backwards along the log
  shared_bytes payload;
};

struct log_tail {
  std::vector<log_entry> entries;  // consecutive, in order, right after the position that was asked for
  log_sequence head;  // the last entry of the log when this was read: more to read when entries end before it
  timestamp_ms now;   // the store's clock
};

enum class log_error {
  unavailable,  // surely not done: not connected, refused. Try again.
  unknown,   // an append may have happened, or may still happen much later. Read the tail, then append under the same
             // id.
  trimmed,   // the log no longer holds the entries after this position: load a snapshot
  diverged,  // the log has another entry at this position, or ends before it: acknowledged entries were lost
  old_term,  // an index write of an agent whose term is over: somebody else does that now
  refused,   // an entry above entry_bytes_max, or a store that must not be used (schema newer than ours)
};
std::string_view name(log_error error);

// An entry is at most this large; what an append or a read answers is at most about tail_bytes_max.
inline constexpr std::size_t entry_bytes_max = std::size_t(2) << 20;
inline constexpr std::size_t tail_bytes_max = std::size_t(4) << 20;

// Several calls may be outstanding; each awaitable returns when its outcome is final (append: durable). On the
// executor's thread. Implementations reconnect by themselves; while they cannot, calls answer `unavailable` after a
// short while.
class log_store {
 public:
  virtual ~log_store() = default;
  // Adds one entry and answers the entries after `applied`, the new one included, as far as tail_bytes_max goes: a
  // caller far behind reads the rest first. Appends of one caller are sequenced in the order of the calls.
  virtual awaitable<result<log_tail, log_error>> append(log_position applied, append_id id, shared_bytes payload) = 0;
  // The entries after `applied`. Also the barrier: what was appended anywhere before this call is in `head`.
  virtual awaitable<result<log_tail, log_error>> read_after(log_position applied) = 0;
  // Returns when somebody else may have appended. May return for nothing, and may miss: the caller polls as well,
  // unless only this process can append (is_shared() is false).
  virtual awaitable<void> wait_for_change() = 0;
  virtual bool is_shared() const = 0;
};
}  // namespace yaks::metadata
