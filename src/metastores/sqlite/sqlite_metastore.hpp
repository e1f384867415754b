// The embedded metastore: one SQLite file in the data directory, for one process.
//
// Files: metadata.db (with -wal and -shm beside it) and `lock`, an flock that is held from open() to close() and names
// its holder. Appends that wait for the disk together go into one transaction, in the order of their calls. The head is
// kept in memory, so that a read at the end of the log, the common case, does not touch the disk.
//
// A commit that fails has an unknown outcome: its frames may already lie in the WAL, where the next start would find
// them. A failed fsync is final: the kernel may have thrown the bytes away and report success next time, so everything
// is refused until the process starts again.
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "metadata/metastore.hpp"
#include "metastores/call_metrics.hpp"
#include "metrics/registry.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::metastores {
struct sqlite_settings {
  std::string directory;        // made where it is missing
  duration lock_patience = 5s;  // how long open() waits for a process that is just ending
  std::size_t calls_max = 256;  // per transaction
  std::int64_t pages_max = 0;   // of 4 KiB: beyond them the disk counts as full; 0: only when it is
};

class sqlite_metastore final : public metadata::metastore, private metadata::log_store, private metadata::range_index, private metadata::read_model {
 public:
  sqlite_metastore(runtime& rt, metrics::registry& metrics, sqlite_settings settings);
  ~sqlite_metastore() override;

  // Takes the lock of the directory first: a second process gets a metastore_error that names the first one.
  awaitable<void> open() override;
  const std::string& cluster_id() const override { return cluster_id_; }
  const std::string& peer_secret() const override { return peer_secret_; }
  // The directory's lock, held since open(), covers every node id.
  awaitable<void> hold_node_id(node_id id, duration patience) override;
  bool holds_node_id() const override { return !held_.empty(); }
  awaitable<result<std::set<node_id>, metadata::log_error>> held_node_ids() override { co_return held_; }
  metadata::log_store& log() override { return *this; }
  // Nobody else can be here: the directory is ours.
  awaitable<result<std::vector<incarnation>, metadata::log_error>> renew_lease(metadata::lease mine, duration) override {
    report_ = {{mine.who, mine.applied}};
    co_return std::vector<incarnation>{mine.who};
  }
  awaitable<result<std::vector<std::pair<incarnation, log_sequence>>, metadata::log_error>> reports() override { co_return report_; }
  awaitable<void> end_lease(incarnation) override { co_return; }
  awaitable<result<std::vector<metadata::snapshot_record>, metadata::log_error>> snapshots() override;
  awaitable<result<std::vector<std::string>, metadata::log_error>> add_snapshot(metadata::snapshot_record made) override;
  metadata::range_index& index() override { return *this; }
  metadata::read_model& read_model() override { return *this; }
  std::string description() const override;
  // Must be awaited after an open() that succeeded.
  awaitable<void> close() override;

 private:
  using answer = result<metadata::log_tail, metadata::log_error>;
  struct call;     // one append or read on its way to the disk
  struct storage;  // what blocks: the lock, the database, its statements
  awaitable<answer> append(metadata::log_position applied, metadata::append_id id, shared_bytes payload) override;
  awaitable<answer> read_after(metadata::log_position applied) override;
  awaitable<void> wait_for_change() override;
  bool is_shared() const override { return false; }
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
  // A job that changes the index, unless its term is over.
  awaitable<result<void, metadata::log_error>> change_index(std::uint64_t term, std::function<void(storage&)> job);
  awaitable<result<bool, metadata::log_error>> write(metadata::read_model_write what) override;
  awaitable<result<known, metadata::log_error>> read_known() override;
  // The chunk that a statement finds: its columns are base offset, first object and ranges.
  awaitable<ranges_found> found_chunk(std::function<void(storage&, std::function<void(std::int64_t, std::int64_t, byte_view)>)> look);
  awaitable<answer> answer_of(std::shared_ptr<call> mine);
  awaitable<void> work();
  // Does something else on the disk, between appends. False where it failed; nothing of it has happened then.
  awaitable<bool> run_job(std::function<void(storage&)> job);
  void take_over();

  runtime& rt_;
  sqlite_settings settings_;
  call_metrics metrics_;
  std::unique_ptr<storage> storage_;
  std::string cluster_id_, peer_secret_;  // the second one stays empty
  // As the last call to the disk left them, for reads at the end of the log.
  metadata::log_position head_;
  timestamp_ms time_{0};
  std::set<node_id> held_;  // ours, or none
  std::vector<std::pair<incarnation, log_sequence>> report_;  // the only agent's
  std::deque<std::shared_ptr<call>> waiting_;  // bounded by those who call: they wait for their answers
  event waiting_changed_, never_;
  std::string said_;  // the failure that was logged last, and when
  time_point said_at_{};
  task_group tasks_;
};
}  // namespace yaks::metastores
