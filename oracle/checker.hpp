// The six promises that a Kafka log makes, checked on a finished run: what the producers were told against what a
// consumer read. Pure: no Kafka types, no I/O, no clock; one thread.
//
// The rules, with A an acknowledged record, U one whose outcome is unknown (it timed out or was given up after it may
// have been sent), F one that surely was not stored:
//
//   completeness          every A is at the topic, partition and offset that its acknowledgement named. One that was
//                         acknowledged without an offset (DUPLICATE_SEQUENCE_NUMBER) is somewhere in its partition.
//   no phantoms           every record read was sent by this run to that partition, and is an A or a U.
//   no duplicate offsets  no offset was read twice, no two A share one; with idempotence no record is there twice.
//   contiguous offsets    each partition starts at 0 and has every offset up to its high watermark, read in order.
//   per-producer order    the sequences of one producer's A increase with the offsets of a partition. A U may be late:
//   the
//                         producer had given up on it, perhaps under an id that it no longer uses.
//   data integrity        key, value and timestamp are what was sent, by the record's own checksum and by the ledger's.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "oracle/record.hpp"

namespace yaks::oracle {
// What a run was asked to do. Kept in the ledger, so that a later process can check it.
struct run_facts {
  std::uint64_t run = 0;  // marks the records of this run
  std::uint64_t seed = 0;
  std::string topic_prefix;
  std::uint32_t topics = 0;
  std::uint32_t partitions = 0;  // of each topic
  std::uint32_t producers = 0;
  std::uint64_t records = 0;      // of each producer
  std::uint64_t value_bytes = 0;  // mean
  bool idempotent = true;
  bool ordered = true;  // idempotent, or one request in flight: retries cannot overtake

  std::uint32_t slots() const { return topics * partitions; }
  std::string topic(std::uint32_t index) const;
  std::string place(std::uint32_t slot) const;  // "topic/partition"
  bool operator==(const run_facts&) const = default;
};

enum class outcome : std::uint8_t { none, acknowledged, unknown, not_stored };

// What became of one record, as its producer was told.
struct sent_record {
  std::uint32_t producer = 0;
  std::uint64_t sequence = 0;
  std::uint32_t slot = 0;
  std::int64_t offset = -1;  // of an acknowledgement; -1: it named none
  std::uint64_t checksum = 0;
  outcome what = outcome::none;
  bool operator==(const sent_record&) const = default;
};

// Everything that the producers were told. `finished` is false where the process that produced did not get to its end:
// then a record without an outcome may have been stored.
struct history {
  run_facts facts;
  std::vector<sent_record> outcomes;  // in any order
  bool finished = true;
};

struct consumed_record {
  std::uint32_t slot = 0;
  std::int64_t offset = 0;
  parsed_record record;
};

enum class invariant : std::uint8_t { completeness, no_phantoms, no_duplicates, contiguous, order, integrity };
inline constexpr std::size_t invariant_count = 6;
std::string_view name_of(invariant which);

struct verdict {
  std::uint64_t checked = 0;  // how many things were looked at
  std::uint64_t violations = 0;
  std::vector<std::string> first;  // the first few, in words
  std::string not_checked;         // why this promise was not made; empty where it was
};

struct findings {
  std::array<verdict, invariant_count> verdicts;
  std::uint64_t acknowledged = 0;
  std::uint64_t unknown = 0;
  std::uint64_t unknown_found = 0;  // of those, the ones that are in the log
  std::uint64_t unknown_late = 0;   // of those, the ones after a later record of the same producer
  std::uint64_t not_stored = 0;
  std::uint64_t without_offset = 0;  // acknowledged, but no offset was named
  std::uint64_t repeated = 0;        // read again, where that is allowed (no idempotence)
  std::uint64_t consumed = 0;

  const verdict& of(invariant which) const { return verdicts[static_cast<std::size_t>(which)]; }
  bool ok() const;
};

class checker {
 public:
  // Throws std::runtime_error where the history contradicts its own facts (a producer or slot that the run did not
  // have). `shown_max` is how many violations of each invariant are kept in words; all are counted.
  explicit checker(const history& told, std::size_t shown_max = 10);

  // Records of one slot come in the order in which the consumer was given them; slots may interleave.
  void add(const consumed_record& record);
  // The first offset that a partition has and the one after its last, as the broker says after everything was produced.
  void set_range(std::uint32_t slot, std::int64_t low, std::int64_t high);
  // The highest acknowledged offset of the slot plus one: a consumer is not done before it has come there.
  std::int64_t acknowledged_end(std::uint32_t slot) const { return slots_[slot].acknowledged_end; }
  // Call once, last.
  findings finish();

 private:
  struct record_state {
    std::uint64_t checksum = 0;
    std::int64_t acknowledged_at = -1;
    std::int64_t first_seen_at = -1;
    std::uint32_t slot = 0;
    std::uint32_t seen = 0;
    outcome what = outcome::none;
    bool found = false;  // where it was acknowledged
  };
  struct slot_state {
    std::int64_t next = 0;                       // one after the highest offset that was read
    std::map<std::int64_t, std::int64_t> holes;  // offsets below `next` that were not read: from → to (exclusive)
    std::int64_t low = 0, high = -1;             // -1: nobody said
    std::int64_t acknowledged_end = 0;
  };

  template <class Words>
  void violation(invariant which, Words&& in_words);
  void check_offset(const consumed_record& record);
  void check_order(const consumed_record& record, const record_state& state);
  record_state& state_of(std::uint32_t producer, std::uint64_t sequence) {
    return records_[producer * facts_.records + sequence];
  }

  run_facts facts_;
  bool finished_run_;
  std::size_t shown_max_;
  findings findings_;
  std::vector<record_state> records_;  // by producer, then sequence
  std::vector<slot_state> slots_;
  std::vector<std::int64_t> last_sequence_;  // of acknowledged records read, by producer, then slot; -1: none yet
};
}  // namespace yaks::oracle
