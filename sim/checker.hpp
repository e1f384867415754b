// What a Kafka log promises, checked while clients run and again at the end: what they were told against what the log and the
// objects hold, and against what others were told. Pure but for the world's violations; one thread.
//
//   lost write           an acknowledged record is not there, or its bytes are others
//   wrong offset         it was acknowledged at one offset and is at another
//   duplicate            a record is there more often than its sends may have stored it; with idempotence, twice
//   out of order         records of an idempotent producer change their order, or one is missing before a later one
//   inconsistent offset  two records were read at one offset
//   failed send read     a send that surely failed is there (G1a)
//   foreign record       nobody sent it to that partition
//   skipped, repeated    a consumer's next record is not the next offset
//   unseen               a request that began after an acknowledgement knows nothing of it: an empty answer, a denial
//   reused offset        a partition's end went back
//   moved back           a log start did
//   dangling             the log names an object that is not stored, or one is removed that the log, the index or an agent that
//                        reads refers to
//   too early            an object is removed within the grace, or one that may still be committed
//   left behind          when all is at rest: an object that nobody refers to, or what the index holds of a topic that is gone
//   drifted              a replica's state has another digest than the log gives at that entry; so has a snapshot, or what
//                        comes of it and the entries after it
//   forgotten            the index and the state together do not have all ranges of a partition
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "metadata/metastore.hpp"
#include "metadata/state.hpp"
#include "metastores/memory/memory_metastore.hpp"
#include "objects/memory/memory_store.hpp"
#include "sim/world.hpp"

namespace yaks::sim {
enum class fate : std::uint8_t {
  sent,     // not known yet, or never: it may be stored
  stored,   // acknowledged
  failed,   // surely not stored
};

// One record of one producer: (session, number). A session is one producer id, or one producer without.
struct record_name {
  std::uint32_t session = 0, number = 0;
  auto operator<=>(const record_name&) const = default;
};
std::string text_of(record_name name);
// What a producer writes into a record, `bytes` long or a little more; the name can be read back from whole values only.
std::string value_of(record_name name, std::size_t bytes);
std::optional<record_name> name_of(byte_view value);

class checker {
 public:
  checker(world& w, metastores::memory_log& log, memory_store& objects) : world_(w), log_(log), objects_(objects) {}

  // ---- what producers did
  // `repeats`: its producer may store a record more than once.
  std::uint32_t begin_session(bool idempotent);
  void producer_id_given(producer_id id);
  // Numbers of a session begin at 0 and follow each other.
  record_name send(std::uint32_t session, topic_partition where);
  void sent_again(record_name name);
  // `at` is -1 where the answer did not say.
  void acknowledged(record_name name, std::int64_t at);
  void refused(record_name name);
  std::uint64_t acknowledgements() const { return acknowledgements_; }

  // ---- what a request must know that begins now
  std::int64_t end_known(topic_partition where) const;
  // The highest end that any client has been told.
  void told_end(topic_partition where, std::int64_t end);
  // The log start that this broker has told somebody, and what a broker is asked for after that knows, too.
  void told_start(const std::string& broker, topic_partition where, std::int64_t start, std::int64_t promised);
  std::int64_t start_known(const std::string& broker, topic_partition where) const;
  // The highest that any client has been told by anybody.
  std::int64_t start_known(topic_partition where) const;
  // As the log says it now: what lies below is gone.
  std::int64_t log_start(topic_partition where) const;
  void topic_id_given(topic_id id);
  bool was_given(topic_id id) const { return topic_ids_.contains(id); }
  bool is_known(const std::string& topic) const { return topics_.contains(topic); }
  void topic_made(const std::string& name, std::int32_t partitions);
  void topic_deleted(const std::string& name) { topics_.erase(name); }
  std::int32_t partitions_known(const std::string& topic) const;

  // ---- what consumers saw
  void read(topic_partition where, std::int64_t at, byte_view value, bool is_whole);

  // ---- what the stores hold
  void log_changed();                           // after each append, before anything is trimmed
  std::function<void()> after_entry;            // called then, where `state()` is that of the entry; may be empty
  void removing(const std::string& key);        // an object is about to go
  // An agent that is registered and whose state, which may be an old one, still says that this object holds records; "" where
  // none does. May be empty.
  std::function<std::string(metadata::object_number)> who_reads_by;
  // An agent that may still read what the log said before that entry; "" where there is none.
  std::function<std::string(log_sequence)> who_is_before;
  // Compares state, index and bucket; slow.
  void check_references();
  // What is left of what nobody refers to any more; "" where nothing is.
  std::string left_behind();
  void replica_is_at(std::string who, const metadata::state& replica);
  void snapshot_made(log_sequence at, std::uint64_t digest);
  const metadata::state& state() const { return state_; }

  // At the end, when nothing goes on: all of the log and the index against all that was told.
  awaitable<void> finish(metadata::metastore& store);
  std::uint64_t records_stored() const { return records_stored_; }

 private:
  struct record {
    topic_partition where;
    fate what = fate::sent;
    std::uint32_t sends = 1;
    std::int64_t acknowledged_at = -1, read_at = -1;
    std::vector<std::int64_t> found_at;  // in the log, as far as that has been looked at
    bool is_at(std::int64_t at) const { return std::ranges::find(found_at, at) != found_at.end(); }
  };
  struct session {
    bool idempotent = false;
    std::deque<record> records;
  };
  struct partition {
    std::int64_t acknowledged_end = 0, told_end = 0;
    std::map<std::int64_t, record_name> seen;  // by consumers
    std::int64_t looked_at = 0;                // what the log says up to there has been compared with what clients were told
    std::map<std::uint32_t, std::int64_t> last_of;  // session → the number of its record that was met last
    std::int64_t log_start = 0, told_start = 0;
    // What the log has ever said and not let go of: the state has the newer part of it, the index the older one.
    std::vector<metadata::indexed_range> ranges;
    offset named_end{0};
  };
  record& of(record_name name) { return sessions_[name.session].records[name.number]; }
  void check_record(topic_partition where, std::int64_t at, byte_view value, record_name& name, bool& good);
  bool look_at(topic_partition where, partition& p, const metadata::indexed_range& r);
  void follow_merges();
  void drop_reference(object_id to);
  void let_go(topic_partition where, partition& p, offset to);
  void check_partition(topic_partition where, const metadata::partition& p);
  awaitable<void> check_index(topic_partition where, const metadata::partition& p, metadata::range_index& index);
  awaitable<void> check_snapshots(metadata::metastore& store);

  world& world_;
  metastores::memory_log& log_;
  memory_store& objects_;
  metadata::state state_;  // what the log says, on a state machine of our own
  std::map<std::int64_t, std::uint64_t> digests_;  // by sequence
  std::map<object_id, std::uint32_t> references_;  // of ranges of living topics
  std::map<object_id, metadata::object_number> numbers_;     // of all that were ever committed
  std::map<object_id, time_point> unreferenced_since_;
  struct merge {
    object_id object;
    std::map<std::pair<topic_partition, offset>, std::uint32_t> positions;  // where in it each range lies
  };
  std::map<metadata::object_number, merge> merges_;    // that the index follows in
  std::map<object_id, log_sequence> moved_at_;         // the last range in it moved elsewhere with that entry
  std::map<std::pair<std::string, topic_partition>, std::int64_t> told_starts_;  // by broker
  std::set<topic_id> topic_ids_;
  std::set<topic_id> blind_;  // topics that went in an entry that wrote to them
  std::deque<session> sessions_;
  std::map<topic_partition, partition> partitions_;
  std::map<std::string, std::int32_t> topics_;
  std::set<producer_id> producer_ids_;
  std::uint64_t acknowledgements_ = 0, records_stored_ = 0;
};
}  // namespace yaks::sim
