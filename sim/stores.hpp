// The database and the object storage of a simulated world, and how a process reaches them.
//
// Both are servers of their own: what was sent to them happens, whether or not its sender lives to see the answer. Calls take
// time, fail, happen although they are said to have failed, happen long after that, or happen twice. Answers are true by the
// terms of log_store.hpp and object_store.hpp; only the unpleasant ones are chosen.
//
// For tests of the checkers the stores can have a bug (scenario: `bug NAME`):
//
//   put_not_stored     an upload is confirmed and not stored
//   get_elsewhere      a read is answered with bytes of another place
//   object_removed     a janitor removes an object that is in use
//   append_forgotten   an append is confirmed, and its entry is not in the log
//   append_doubled     an append is stored again, as one of its writer's later ones
//   sequences_dropped  commits reach the log without their producers' sequences
//   reads_stale        reads of the log's tail know nothing of the last second
//   entries_swapped    one agent is given two entries in each other's place
//   answers_stop       after a while the database answers nothing more
//   counts_one_too_few the index counts one range too few in an object, now and then
//   retires_at_once    the index says of objects that they may be deleted, whoever may still read them
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "metadata/metastore.hpp"
#include "metastores/memory/memory_metastore.hpp"
#include "objects/memory/memory_store.hpp"
#include "objects/object_store.hpp"
#include "runtime/event.hpp"
#include "runtime/task_group.hpp"
#include "sim/checker.hpp"
#include "sim/world.hpp"

namespace yaks::sim {
// Both servers, in a process of their own that never dies.
class servers {
 public:
  explicit servers(world& w);
  ~servers();

  world& w;
  simulated_runtime rt;
  metastores::memory_log log;
  memory_store objects;
  checker check;
  metastores::memory_metastore any_session;  // for what arrives when its own session is gone
  bool log_is_away = false, objects_are_away = false;
  // Tasks on the servers' side.
  task_group tasks;
  // Ends them. Nobody may call any more.
  void shut_down();
};

// How one call goes.
struct journey {
  duration there{}, back{};
  bool happens = true, answered = true;
  std::optional<duration> happens_again;  // so much later
  duration patience = 5s;                 // then the caller hears that the answer is lost
};

class sim_metastore final : public metadata::metastore, private metadata::log_store, private metadata::range_index, private metadata::read_model {
 public:
  sim_metastore(servers& s, simulated_runtime& rt, std::string name);
  ~sim_metastore() override;

  awaitable<void> open() override;
  const std::string& cluster_id() const override { return session_->cluster_id(); }
  const std::string& peer_secret() const override { return session_->peer_secret(); }
  awaitable<void> hold_node_id(node_id id, duration patience) override;
  bool holds_node_id() const override { return session_->holds_node_id(); }
  metadata::log_store& log() override { return *this; }
  awaitable<result<std::set<node_id>, metadata::log_error>> held_node_ids() override;
  awaitable<result<std::vector<incarnation>, metadata::log_error>> renew_lease(metadata::lease mine, duration ttl) override;
  awaitable<result<std::vector<std::pair<incarnation, log_sequence>>, metadata::log_error>> reports() override;
  awaitable<void> end_lease(incarnation who) override;
  awaitable<result<std::vector<metadata::snapshot_record>, metadata::log_error>> snapshots() override;
  awaitable<result<std::vector<std::string>, metadata::log_error>> add_snapshot(metadata::snapshot_record made) override;
  metadata::range_index& index() override { return *this; }
  metadata::read_model& read_model() override { return *this; }
  std::string description() const override { return "a simulated database"; }
  awaitable<void> close() override;
  // What the process held is released so much after its death.
  void died(duration until_noticed);

 private:
  struct link;
  awaitable<result<metadata::log_tail, metadata::log_error>> append(metadata::log_position applied, metadata::append_id id,
                                                                    shared_bytes payload) override;
  awaitable<result<metadata::log_tail, metadata::log_error>> read_after(metadata::log_position applied) override;
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
  awaitable<result<bool, metadata::log_error>> write(metadata::read_model_write what) override;
  awaitable<result<known, metadata::log_error>> read_known() override;
  template <class Answer>
  awaitable<Answer> ask(std::function<awaitable<Answer>()> what, metadata::log_error if_lost = metadata::log_error::unavailable);
  journey reading();

  servers& s_;
  simulated_runtime& rt_;
  std::shared_ptr<metastores::memory_metastore> session_;  // shared with what is on its way to the server
  std::shared_ptr<link> link_;                             // shared with what watches the log for us there
};

class sim_objects final : public object_store {
 public:
  sim_objects(servers& s, simulated_runtime& rt) : s_(s), rt_(rt) {}
  awaitable<result<void, object_error>> put(std::string key, std::vector<shared_bytes> body, std::uint32_t crc32c,
                                            time_point deadline) override;
  awaitable<result<shared_bytes, object_error>> get(std::string key, std::uint64_t position, std::uint64_t bytes,
                                                    time_point deadline) override;
  awaitable<result<std::vector<object_info>, object_error>> list(std::string prefix, time_point deadline) override;
  awaitable<result<void, object_error>> remove(std::vector<std::string> keys, time_point deadline) override;

 private:
  duration travel();
  servers& s_;
  simulated_runtime& rt_;
  std::uint64_t puts_ = 0;
  std::map<std::uint64_t, bool> putting_;  // those under way → an earlier one has failed meanwhile
};
}  // namespace yaks::sim
