// The metadata log in PostgreSQL. Four connections per agent:
//
//   appender  appends only. It may stand in the queue for the head row for long, and whatever else it carried would wait.
//   reader    read_after, leases: barriers and polls answer while an append waits.
//   watcher   holds the node id (a session-level advisory lock), LISTENs, and sends our own NOTIFYs. Hardly anything happens on
//             it, so the lock is lost only with the server or the network, not with every append that goes wrong.
//   indexer   the index of ranges and the tables for SQL: a fetch of old data waits for neither appends nor barriers.
//
// One append is one statement and one round trip; a NOTIFY follows it in an asynchronous transaction of its own, so
// that no commit waits under PostgreSQL's cluster-wide notification lock. Agents that append at the same time share one:
// see notify_slot().
//
// Sessions with transaction poolers cannot work: the lock and LISTEN belong to a session.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "metadata/metastore.hpp"
#include "metastores/call_metrics.hpp"
#include "metastores/postgres/session.hpp"
#include "metastores/postgres/settings.hpp"
#include "metrics/registry.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::metastores {
class postgres_metastore final : public metadata::metastore, private metadata::log_store, private metadata::range_index, private metadata::read_model {
 public:
  postgres_metastore(runtime& rt, metrics::registry& metrics, postgres_settings settings);
  ~postgres_metastore() override;

  awaitable<void> open() override;
  const std::string& cluster_id() const override { return cluster_id_; }
  const std::string& peer_secret() const override { return peer_secret_; }
  awaitable<void> hold_node_id(node_id id, duration patience) override;
  bool holds_node_id() const override { return is_holding_ && !is_held_by_other_; }
  metadata::log_store& log() override { return *this; }
  awaitable<result<std::set<node_id>, metadata::log_error>> held_node_ids() override;
  awaitable<result<std::vector<incarnation>, metadata::log_error>> renew_lease(metadata::lease mine, duration ttl) override;
  awaitable<result<std::vector<std::pair<incarnation, log_sequence>>, metadata::log_error>> reports() override;
  awaitable<void> end_lease(incarnation who) override;
  awaitable<result<std::vector<metadata::snapshot_record>, metadata::log_error>> snapshots() override;
  awaitable<result<std::vector<std::string>, metadata::log_error>> add_snapshot(metadata::snapshot_record made) override;
  metadata::range_index& index() override { return *this; }
  metadata::read_model& read_model() override { return *this; }
  std::string description() const override;
  // Must be awaited after an open() that succeeded.
  awaitable<void> close() override;

 private:
  using answer = result<metadata::log_tail, metadata::log_error>;
  awaitable<answer> append(metadata::log_position applied, metadata::append_id id, shared_bytes payload) override;
  awaitable<answer> read_after(metadata::log_position applied) override;
  awaitable<void> wait_for_change() override;
  bool is_shared() const override { return true; }
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
  // Runs a prepared statement that changes the index.
  awaitable<result<postgres::outcome, metadata::log_error>> change_index(const char* prepared, postgres::parameters with, const char* what);
  struct chunk_changes;
  awaitable<result<void, metadata::log_error>> change_chunks(std::uint64_t term, const chunk_changes& what, const char* why);
  awaitable<result<bool, metadata::log_error>> write(metadata::read_model_write what) override;
  awaitable<result<known, metadata::log_error>> read_known() override;
  awaitable<ranges_found> found_chunk(const char* prepared, postgres::parameters with);

  awaitable<std::unique_ptr<postgres::connection>> connect_patiently();
  awaitable<void> set_up_appender(postgres::connection& on);
  awaitable<void> set_up_reader(postgres::connection& on);
  awaitable<void> set_up_watcher(postgres::connection& on);
  awaitable<void> set_up_indexer(postgres::connection& on);
  void heard(const postgres::notification& what);
  duration notify_slot() const;
  void want_notification(timestamp_ms previous, timestamp_ms time);
  awaitable<void> send_notifications();
  awaitable<void> keep_node_id();
  // Sets what the watcher's session knows about the lock; answers who holds it instead of us, "" where we do.
  awaitable<std::optional<std::string>> try_to_hold();
  answer failed(const std::optional<postgres::outcome>& got, bool is_append, const char* what);
  std::string application_name() const;

  runtime& rt_;
  postgres_settings settings_;
  call_metrics metrics_;
  std::string cluster_id_, peer_secret_, host_, token_;
  std::optional<node_id> node_;
  bool is_holding_ = false, is_held_by_other_ = false;  // ours since hold_node_id(), unless somebody got it in between
  int lock_session_pid_ = 0;                            // the watcher's backend that took the lock; 0: none
  bool changed_ = false;
  bool notify_wanted_ = false, notify_now_ = false;
  std::size_t live_agents_ = 1;               // as the last renewal of the lease told
  timestamp_ms newest_time_{0};               // of the newest entry that this agent was sent
  time_point appended_at_{}, notified_at_{};  // our newest append; the newest notification, our own or another's
  event change_, notify_, lock_changed_;
  postgres::session appender_, reader_, watcher_, indexer_;
  task_group tasks_;
  bool is_open_ = false;
};
}  // namespace yaks::metastores
