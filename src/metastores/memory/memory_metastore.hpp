// The metadata log in memory, for tests and simulations. Stricter than the real stores: what they would only let pass,
// it checks (a bug aborts). Deterministic: no clock, chance or thread of its own.
//
//   memory_log         what PostgreSQL is to the real store: owned by the test or the simulated world, outlives all
//   sessions memory_metastore   one agent's session with it
//
// Sessions may live on different executors of one thread: waiters are resumed on their own executor.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "metadata/metastore.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"

namespace yaks::metastores {
class memory_metastore;

class memory_log {
 public:
  // `clock` is the store's own; it may jump back, entries' times do not.
  explicit memory_log(std::function<timestamp_ms()> clock, std::string cluster_id = "AAAAAAAAAAAAAAAAAAAAAA");
  memory_log(const memory_log&) = delete;
  memory_log& operator=(const memory_log&) = delete;

  result<metadata::log_tail, metadata::log_error> append(metadata::log_position applied, metadata::append_id id,
                                                         shared_bytes payload);
  result<metadata::log_tail, metadata::log_error> read_after(metadata::log_position applied) const;
  metadata::log_position head() const;
  // The tables for SQL.
  struct tables {
    log_sequence as_of{0};
    std::map<topic_id, metadata::topic_row> topics;
    std::map<topic_partition, metadata::partition_row> partitions;
    std::map<std::string, std::vector<metadata::offset_row>> groups;
  };
  const struct tables& tables() const { return tables_; }
  // The index as it is, for checkers.
  const std::map<topic_partition, std::vector<std::vector<metadata::range>>>& index() const { return index_; }
  bool knows_object(object_id id) const;
  // What each object's row says: number, name, how many ranges it counts.
  std::vector<std::tuple<metadata::object_number, object_id, std::uint64_t>> object_counts() const;
  const std::vector<metadata::log_entry>& entries() const { return entries_; }  // those that are not trimmed

  // Faults. Each may be empty; what it returns is answered instead of the truth.
  struct fault_hooks {
    std::function<std::optional<metadata::log_error>(metadata::append_id)> before_append;  // not done
    std::function<std::optional<metadata::log_error>(metadata::append_id)> after_append;   // done all the same
    std::function<std::optional<metadata::log_error>()> before_read;
    std::function<std::optional<metadata::log_error>()> before_index_write;                 // not done
    std::function<std::optional<metadata::log_error>()> after_index_write;                  // done all the same
    std::function<bool(std::function<void()>)> late_index_write;  // true: it will be done later, and `unavailable` is answered
    std::function<duration()> index_write_takes;                  // before it is done, and again until it is answered
    std::function<bool()> lose_notification;  // true: nobody is woken by this append
  };
  fault_hooks hooks;

  // Mistakes that an index could make, so that tests can show that they would notice.
  struct mistakes {
    bool counts_one_too_few = false;  // of the ranges of a chunk
    bool takes_old_terms = false;     // writes of agents that are in office no more
    bool retires_at_once = false;     // whoever may still read, and whatever the grace is
    bool counts_no_merged = false;    // ranges that were moved into a merged object
    bool any() const { return counts_one_too_few || takes_old_terms || retires_at_once || counts_no_merged; }
  } mistakes;

  log_sequence trimmed_to() const { return trimmed_.sequence; }
  // Forgets entries up to `last`, as after a snapshot.
  void trim_to(log_sequence last);
  // Loses entries above `last`, as a failover to a standby that lacked them.
  void lose_after(log_sequence last);

 private:
  friend class memory_metastore;
  bool stands_on(metadata::log_position position) const;
  metadata::log_tail tail_after(log_sequence after) const;
  timestamp_ms now() const;

  std::function<timestamp_ms()> clock_;
  std::string cluster_id_, peer_secret_ = "the secret of a log in memory";
  std::vector<metadata::log_entry> entries_;  // consecutive, after trimmed_
  metadata::log_position trimmed_;            // sequence 0 with a nil id: nothing is trimmed
  timestamp_ms time_{0};
  std::map<metadata::append_id, shared_bytes> payloads_;  // a retry must repeat the payload
  std::map<node_id, const memory_metastore*> holders_;
  std::map<incarnation, timestamp_ms> leases_;  // until when
  std::map<incarnation, log_sequence> reports_;
  std::vector<metadata::snapshot_record> snapshots_;  // newest first
  std::map<topic_partition, std::vector<std::vector<metadata::range>>> index_;  // chunks in order
  struct object_row {
    metadata::indexed_object what;
    std::uint64_t ranges = 0;
    std::uint64_t live_bytes = 0;  // of those ranges
    bool released = false;
    bool merged = false;
    std::optional<std::pair<log_sequence, timestamp_ms>> retired;
    bool is_gone() const { return released && ranges == 0; }
  };
  std::map<metadata::object_number, object_row> objects_;
  std::map<topic_partition, offset> index_ends_;
  std::uint64_t term_ = 0;
  struct tables tables_;
  std::map<const memory_metastore*, std::uint64_t> changes_;  // per open session: appends of others
  event changed_;                                             // an append, or a node id that is free
};

class memory_metastore final : public metadata::metastore, private metadata::log_store, private metadata::range_index, private metadata::read_model {
 public:
  memory_metastore(runtime& rt, memory_log& log, std::string name = "memory session");
  ~memory_metastore() override;  // also ends the session, as a process does that dies

  awaitable<void> open() override;
  const std::string& cluster_id() const override { return log_.cluster_id_; }
  const std::string& peer_secret() const override { return log_.peer_secret_; }
  awaitable<void> hold_node_id(node_id id, duration patience) override;
  bool holds_node_id() const override;
  metadata::log_store& log() override { return *this; }
  awaitable<result<std::set<node_id>, metadata::log_error>> held_node_ids() override;
  awaitable<result<std::vector<incarnation>, metadata::log_error>> renew_lease(metadata::lease mine, duration ttl) override;
  awaitable<result<std::vector<std::pair<incarnation, log_sequence>>, metadata::log_error>> reports() override;
  awaitable<void> end_lease(incarnation who) override;
  awaitable<result<std::vector<metadata::snapshot_record>, metadata::log_error>> snapshots() override;
  awaitable<result<std::vector<std::string>, metadata::log_error>> add_snapshot(metadata::snapshot_record made) override;
  metadata::range_index& index() override { return *this; }
  metadata::read_model& read_model() override { return *this; }
  std::string description() const override { return "memory"; }
  awaitable<void> close() override;
  bool is_open() const { return open_; }

 private:
  awaitable<result<metadata::log_tail, metadata::log_error>> append(metadata::log_position applied,
                                                                    metadata::append_id id,
                                                                    shared_bytes payload) override;
  awaitable<result<metadata::log_tail, metadata::log_error>> read_after(metadata::log_position applied) override;
  awaitable<void> wait_for_change() override;
  using ranges_found = result<std::vector<metadata::indexed_range>, metadata::log_error>;
  awaitable<result<std::vector<std::pair<topic_partition, offset>>, metadata::log_error>> add(std::uint64_t term, metadata::index_write what) override;
  awaitable<ranges_found> find(topic_partition where, offset at) override;
  awaitable<result<metadata::oldest_ranges, metadata::log_error>> find_oldest(std::vector<metadata::index_place> where) override;
  awaitable<ranges_found> find_time(topic_partition where, offset from, timestamp_ms target) override;
  awaitable<ranges_found> find_largest_time(topic_partition where, offset from) override;
  awaitable<result<void, metadata::log_error>> begin_term(std::uint64_t term) override;
  awaitable<result<void, metadata::log_error>> trim(std::uint64_t term, std::vector<metadata::index_place> to) override;
  awaitable<result<bool, metadata::log_error>> drop(std::uint64_t term, topic_id topic, std::size_t chunks_max) override;
  awaitable<result<void, metadata::log_error>> replace(std::uint64_t term, metadata::indexed_object into, std::vector<metadata::moved_ranges> parts) override;
  awaitable<result<metadata::index_page, metadata::log_error>> read(topic_partition where, offset from, std::size_t chunks_max) override;
  awaitable<result<void, metadata::log_error>> release(std::uint64_t term, std::vector<metadata::indexed_object> objects) override;
  awaitable<result<std::uint64_t, metadata::log_error>> retire(std::uint64_t term, log_sequence at, timestamp_ms time) override;
  awaitable<result<std::vector<metadata::indexed_object>, metadata::log_error>> retired(log_sequence at, timestamp_ms time,
                                                                                        std::size_t most) override;
  awaitable<result<void, metadata::log_error>> forget(std::uint64_t term, std::vector<metadata::object_number> objects) override;
  awaitable<result<std::vector<object_id>, metadata::log_error>> known_objects(std::vector<object_id> which) override;
  awaitable<result<metadata::object_totals, metadata::log_error>> totals() override;
  template <class T>
  awaitable<result<T, metadata::log_error>> write_index(std::uint64_t term, std::function<T(memory_log&)> work);
  static void take_trim(memory_log& log, metadata::index_place to);
  static result<void, metadata::log_error> take_merge(memory_log& log, const metadata::indexed_object& into, const std::vector<metadata::moved_ranges>& parts);
  static void count(memory_log& log, const std::vector<metadata::range>& ranges, int by);
  awaitable<result<bool, metadata::log_error>> write(metadata::read_model_write what) override;
  awaitable<result<known, metadata::log_error>> read_known() override;
  ranges_found located(const std::vector<metadata::range>* chunk) const;
  bool is_shared() const override { return true; }
  void end();

  runtime& rt_;
  memory_log& log_;
  std::string name_;
  bool open_ = false;
  std::optional<node_id> node_;
};
}  // namespace yaks::metastores
