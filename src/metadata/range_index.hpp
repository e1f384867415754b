// The index of byte ranges: what the state no longer holds. Kept by the metastore as chunks (range_chunk.hpp), written by the
// materializer, read by fetches below the state's tail, and by people with SQL.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "metadata/log_store.hpp"
#include "metadata/state.hpp"
#include "model/ids.hpp"
#include "runtime/runtime.hpp"

namespace yaks::metadata {
// Consecutive ranges of one partition, and where the objects that they lie in are.
struct index_chunk {
  topic_partition where;
  std::vector<range> ranges;
};

struct indexed_object {
  object_number number = 0;
  object_id id;
  std::uint64_t bytes = 0;
};

struct index_write {
  std::vector<index_chunk> chunks;      // of a partition in ascending order
  std::vector<indexed_object> objects;  // every object that the chunks name
};

// A range with the name of its object.
struct indexed_range {
  metadata::range range;
  object_id object;
};

// A place in the index of a partition.
struct index_place {
  topic_partition where;
  offset at;
};

// What the index holds at some places, for whoever asks how old it is and not where it lies.
struct oldest_ranges {
  std::vector<std::vector<range>> chunks;      // the chunk that holds each place, in their order; empty: the index does not hold it
  std::map<object_number, object_id> untimed;  // of ranges without a timestamp, the objects, whose names tell when they were made
};

// The ranges of [from, to) of a partition, and where in an object they lie from here on, one after the other.
struct moved_ranges {
  topic_partition where;
  offset from, to;
  std::uint64_t position = 0, bytes = 0;
};

// Of an object, for whoever decides about merging.
struct object_use {
  indexed_object what;
  std::uint64_t live_bytes = 0;  // of the ranges of the index that lie in it; 0: not known (counted since a later schema)
  bool is_released = false;      // else the state holds more
  bool is_merged = false;        // made of ranges of other objects
  // Most of it is kept for nobody.
  bool is_sparse(double live_ratio) const { return is_released && live_bytes > 0 && double(live_bytes) < live_ratio * double(what.bytes); }
};
struct index_page {
  std::vector<std::vector<range>> chunks;  // consecutive
  std::map<object_number, object_use> objects;  // every object that they name
};

// What is known of objects, by what may become of them.
struct object_totals {
  struct sum {
    std::uint64_t objects = 0, bytes = 0;
  };
  sum live;      // the index or the state refers to them
  sum waiting;   // nobody does: they go after the grace
  sum merged;    // of the live ones, those made of ranges of others
  timestamp_ms oldest_waiting = no_timestamp;  // when the first of those that wait was retired
};

// Beside the ranges, the index counts how many of them lie in each object. Whatever changes chunks changes these counts in the
// same transaction, and names the term of the one who writes (metadata::upkeep_term): a store that has seen a later term answers
// old_term and does nothing. Within a term the holder writes one thing after the other, so what it read is still so when it writes.
//
//   released   the state holds no range of it any more, and never will
//   gone       released, and the index counts no range in it: nobody who begins to read now can find it
//   retired    gone, and an entry of the log has been appended since then: whoever has applied that entry cannot have it either
class range_index {
 public:
  virtual ~range_index() = default;
  // From here on only writes of this term or a later one are taken. Durable when it returns.
  virtual awaitable<result<void, log_error>> begin_term(std::uint64_t term) = 0;
  // Adds the chunks that begin where the index of their partition ends; others are left out, without an error: somebody else
  // has written them. All or nothing otherwise. Answers, per partition named, where its index ends now.
  virtual awaitable<result<std::vector<std::pair<topic_partition, offset>>, log_error>> add(std::uint64_t term, index_write what) = 0;
  // The ranges of the chunk that holds `at`. Empty: the index does not hold it.
  virtual awaitable<result<std::vector<indexed_range>, log_error>> find(topic_partition where, offset at) = 0;
  // Of the first chunk, from the one that holds `from` on, that has a timestamp of at least `target`: perhaps only before
  // `from`.
  virtual awaitable<result<std::vector<indexed_range>, log_error>> find_time(topic_partition where, offset from, timestamp_ms target) = 0;
  // Of the first chunk with the largest timestamp of all that reach beyond `from`.
  virtual awaitable<result<std::vector<indexed_range>, log_error>> find_largest_time(topic_partition where, offset from) = 0;
  // What it holds at all of these places, with one question.
  virtual awaitable<result<oldest_ranges, log_error>> find_oldest(std::vector<index_place> where) = 0;
  // The index of these partitions begins no earlier than at these places: what lies before leaves, all together, and the rest of a
  // chunk that is divided stays as a chunk of its own. Where a partition ended before, it ends there now, so that what the state
  // holds next follows. Each partition is named once. Durable when it returns; where it fails, some of it may be done. Again is
  // fine. A place inside a range is a bug: `refused`.
  virtual awaitable<result<void, log_error>> trim(std::uint64_t term, std::vector<index_place> to) = 0;
  // Forgets a topic that is deleted, at most so many chunks at a time. True: nothing of it is left. Again is fine.
  virtual awaitable<result<bool, log_error>> drop(std::uint64_t term, topic_id topic, std::size_t chunks_max) = 0;
  // The ranges that `parts` name lie in `into` from here on; all else of them is as it was. All or nothing; where the index knows
  // `into` already, this was done before, and nothing happens. Ranges that are not there are a bug: `refused`.
  virtual awaitable<result<void, log_error>> replace(std::uint64_t term, indexed_object into, std::vector<moved_ranges> parts) = 0;
  // The chunks of a partition from the one that holds `from` on, in order, at most so many.
  virtual awaitable<result<index_page, log_error>> read(topic_partition where, offset from, std::size_t chunks_max) = 0;
  // The state holds no range of these objects any more.
  virtual awaitable<result<void, log_error>> release(std::uint64_t term, std::vector<indexed_object> objects) = 0;
  // Objects that are gone and not retired are retired, with an entry that was appended after they went. Answers how many.
  virtual awaitable<result<std::uint64_t, log_error>> retire(std::uint64_t term, log_sequence at, timestamp_ms time) = 0;
  // Objects that were retired with an entry up to `at`, before `time`. Their bytes may be deleted.
  virtual awaitable<result<std::vector<indexed_object>, log_error>> retired(log_sequence at, timestamp_ms time, std::size_t most) = 0;
  // The object store has confirmed that their bytes are gone.
  virtual awaitable<result<void, log_error>> forget(std::uint64_t term, std::vector<object_number> objects) = 0;
  // Which of these the index knows, whatever it thinks of them.
  virtual awaitable<result<std::vector<object_id>, log_error>> known_objects(std::vector<object_id> which) = 0;
  // Kept with each change, in its transaction: nothing is counted here, and nothing is a little late. Real stores keep them in a row
  // that everybody who changes objects changes. That costs no concurrency, for changes are made in a term, one after the other: who
  // makes one has locked the term's row before it, and waits for nobody at this one.
  virtual awaitable<result<object_totals, log_error>> totals() = 0;
};
}  // namespace yaks::metadata
