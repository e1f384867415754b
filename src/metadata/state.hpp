// The state machine: what the log says, in memory. Pure: no I/O, no clock, no chance, no threads. The same log gives
// the same state on every agent for ever; digest() tells two states apart without comparing them.
//
// Reads are plain member functions of this object and hold until the next apply(). Only apply() changes anything.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "metadata/commands.hpp"
#include "metadata/groups.hpp"
#include "metadata/log_format.hpp"
#include "metadata/log_store.hpp"
#include "metadata/producer_state.hpp"
#include "model/ids.hpp"
#include "model/topic_config.hpp"

namespace yaks::metadata {
// Objects are numbered in the order in which the log first names them.
using object_number = std::uint64_t;

// Adjacent accepted batches of one partition in one object: what fetches and the index deal in. Offsets inside it come
// from walking the batch headers.
struct range {
  offset base_offset;
  object_number object = 0;
  std::uint32_t position = 0;  // in the object, in bytes
  std::uint32_t bytes = 0;
  std::uint32_t record_count = 0;
  std::uint32_t batch_count = 0;
  timestamp_ms max_timestamp = no_timestamp;
  offset end_offset() const { return base_offset + record_count; }
  bool operator==(const range&) const = default;
};

struct partition {
  offset log_start{0};
  offset held_from{0};  // where its ranges begin, in the index or here; not above log_start
  offset high_watermark{0};
  std::uint64_t bytes = 0;    // of all ranges, from held_from on
  std::vector<range> ranges;  // consecutive, ascending, up to the high watermark; older ones are in the index
  std::uint32_t index_generation = 0;
  std::unordered_map<producer_id, producer_state> producers;
  // Without transactions nothing is ever unstable.
  offset last_stable_offset() const { return high_watermark; }
  // Where `ranges` begin: what lies before is in the index.
  offset state_begin() const { return ranges.empty() ? high_watermark : ranges.front().base_offset; }
  // The range that holds `at`, or the end of `ranges`.
  std::vector<range>::const_iterator find(offset at) const;
};

struct topic {
  topic_id id;
  std::string name;
  timestamp_ms created;
  config_values configs;    // what was set; the rest has Kafka's defaults
  topic_settings settings;  // what these mean: read this where something is done about them
  std::vector<partition> partitions;
};

struct object {
  object_id id;
  std::uint64_t bytes = 0;
  std::uint32_t ranges = 0;  // how many of them the state still holds
};

struct committed_offset {
  offset committed;
  std::int32_t leader_epoch = -1;
  std::string metadata;
  timestamp_ms committed_at;
  timestamp_ms expires = no_timestamp;  // where the commit said so
  bool operator==(const committed_offset&) const = default;
};

struct agent {
  register_agent registration;
  std::uint64_t last_number = 0;  // of its appends
  timestamp_ms registered_at;
};

// Who does what one agent does for all. A term begins with the entry that takes it and ends with the next one's.
struct upkeep_term {
  std::uint64_t number = 0;  // 0: nobody ever has
  incarnation holder;
  timestamp_ms swept_before{0};  // objects with an older name are committed no more
  bool operator==(const upkeep_term&) const = default;
};

// What one entry changed, for those who wait for it.
struct changes {
  std::vector<topic_partition> advanced;  // their high watermark or log start grew
  std::vector<topic_id> topics;  // made, or other than before in configs or number of partitions
  std::vector<topic_id> deleted;
  std::vector<std::string> groups;  // their committed offsets are others
  group_changes membership;         // of groups
};

class state {
 public:
  // A producer that has not written to a partition for this long is forgotten there (producer.id.expiration.ms).
  // Looked at when its turn comes, a few per entry, so that it may stay for twice as long.
  static constexpr std::int64_t producer_expiration_ms = 86'400'000;
  // More in one topic are refused: a single entry must not exhaust every agent's memory.
  static constexpr std::int32_t partitions_per_topic_max = 1'000'000;

  state();
  state(state&&);
  state& operator=(state&&);
  ~state();

  struct applied {
    bool is_void = false;           // repeated, or of an incarnation that is not registered: nothing happened
    std::vector<outcome> outcomes;  // one per command, unless void
    changes changed;
  };
  // The entry right after position(). Throws log_format_error (see entry_codec.hpp) and is not to be used after that.
  applied apply(const log_entry& entry);

  const log_position& position() const { return position_; }
  timestamp_ms time() const { return time_; }
  std::uint64_t digest() const { return digest_ + groups_.digest(); }
  // The same from scratch: equal to digest(), or this code is wrong.
  std::uint64_t recompute_digest() const;

  const topic* find_topic(topic_id id) const;
  const topic* find_topic(std::string_view name) const;
  const partition* find_partition(topic_partition which) const;
  const std::map<std::string, topic*, std::less<>>& topics_by_name() const { return topics_by_name_; }
  const object& find_object(object_number number) const;
  std::size_t object_count() const { return objects_.size(); }
  const std::map<object_number, object>& objects() const { return objects_; }

  // What the state has let go of and the index has not followed in yet, or is not known to have.
  const upkeep_term& upkeep() const { return upkeep_; }
  const std::map<object_number, object>& released() const { return released_; }  // objects of which it holds no range any more
  const std::map<topic_partition, offset>& trims() const { return trims_; }      // the index must not hold what lies before
  const std::set<topic_id>& drops() const { return drops_; }                     // the index must hold nothing of them
  // Merged objects whose ranges the index has yet to move there. The state holds the object (it counts one range of it) until then.
  const std::map<object_number, std::vector<merged_part>>& merges() const { return merges_; }
  // By topic id: sorted, so that listings have one order everywhere. Null: the group has committed nothing.
  const std::map<topic_partition, committed_offset>* find_group_offsets(std::string_view group) const;
  std::vector<std::string> group_names() const;
  // What was set for groups, by name; groups without any are not in it.
  const std::map<std::string, config_values, std::less<>>& group_configs() const { return group_configs_; }
  const config_values* find_group_configs(std::string_view group) const;
  using offsets_by_partition = std::map<topic_partition, committed_offset>;
  const std::map<std::string, offsets_by_partition, std::less<>>& group_offsets() const { return group_offsets_; }
  const metadata::groups& groups() const { return groups_; }
  // Committed offsets of the group that would be removed at `now`; the group itself where nothing else is left of it.
  struct expired_data {
    std::vector<topic_partition> offsets;
    bool group = false;
  };
  expired_data expired_of(std::string_view group, std::int64_t retention_ms, timestamp_ms now) const;
  const std::map<incarnation, agent>& agents() const { return agents_; }
  // What the log may hold so far (enable_format).
  std::uint32_t format() const { return format_; }
  producer_id next_producer_id() const { return next_producer_id_; }
  // What clients call the broker at this address: the smallest node id that ever registered for it, so that agents behind
  // one address are one broker whose id never changes. Nothing where nobody has.
  std::optional<node_id> broker_at(const std::string& host, std::uint16_t port) const;

 private:
  friend class snapshot_codec;  // writes and reads all of it
  struct expiry {  // in the order of writing; a producer that wrote again since is queued again
    timestamp_ms last_write;
    topic_partition where;
    producer_id producer;
  };
  outcome apply_command(const register_agent&, changes&);
  outcome apply_command(const enable_format&, changes&);
  outcome apply_command(const fence_agent&, changes&);
  outcome apply_command(const create_topic&, changes&);
  outcome apply_command(const delete_topic&, changes&);
  outcome apply_command(const create_partitions&, changes&);
  outcome apply_command(const alter_topic_configs&, changes&);
  outcome apply_command(const commit_object&, changes&);
  outcome apply_command(const allocate_producer_ids&, changes&);
  outcome apply_command(const commit_group_offsets&, changes&);
  outcome apply_command(const advance_index&, changes&);
  outcome apply_command(const alter_group_configs& c, changes& changed);
  outcome apply_command(const move_log_start& c, changes& changed);
  outcome apply_command(const join_group&, changes&);
  outcome apply_command(const sync_group&, changes&);
  outcome apply_command(const leave_group&, changes&);
  outcome apply_command(const move_home&, changes&);
  outcome apply_command(const expire_member&, changes&);
  outcome apply_command(const fire_group_timer&, changes&);
  outcome apply_command(const remove_group_data&, changes&);
  outcome apply_command(const consumer_heartbeat&, changes&);
  metadata::groups::moment moment(changes& changed) const { return {writer_, time_, changed.membership, *this}; }
  void forget_offset(std::string_view group, topic_partition at);
  outcome apply_command(const take_upkeep&, changes&);
  outcome apply_command(const trim_partitions&, changes&);
  outcome apply_command(const settle_upkeep&, changes&);
  outcome apply_command(const sweep&, changes&);
  outcome apply_command(const merge_object&, changes&);
  bool may_merge(const merge_object& c) const;
  bool is_too_late(object_id name) const;
  void settle_merge(object_number number);
  bool trim(partition& p, const partition_trim& by);
  void owe_trim(topic_partition where, offset to);
  void forgive_trims(topic_id of);
  std::size_t commit_partition(topic_id id, partition& into, const partition_commit& commit, object_number object,
                               std::uint64_t position, commit_outcome& out);
  void expire_producers();
  bool may_write(const log_entry& entry, const std::vector<command>& commands) const;
  void add_agent(incarnation id, agent a);
  void remove_agent(incarnation id);
  void note_coming_or_going(const agent& a);
  using reference_counts = std::unordered_map<object_number, std::uint32_t>;
  void drop_references(std::span<const range> ranges);
  void drop_references(const reference_counts& gone);
  void drop_references(object_number from, std::uint32_t ranges);

  log_position position_;
  timestamp_ms time_{0};
  incarnation writer_;  // of the entry that is being applied
  std::unordered_map<topic_id, std::unique_ptr<topic>> topics_;
  std::map<std::string, topic*, std::less<>> topics_by_name_;
  std::map<object_number, object> objects_;
  object_number next_object_ = 1;
  producer_id next_producer_id_{0};
  std::map<std::string, std::map<topic_partition, committed_offset>, std::less<>> group_offsets_;
  std::map<std::string, config_values, std::less<>> group_configs_;
  metadata::groups groups_;
  std::uint32_t format_ = oldest_log_format;
  std::map<incarnation, agent> agents_;
  std::map<std::pair<std::string, std::uint16_t>, node_id> brokers_;  // by advertised address
  // Per node and thread: the entry with which an incarnation of it last came or went.
  std::map<std::pair<node_id, std::uint32_t>, log_sequence> comings_and_goings_;
  upkeep_term upkeep_;
  std::map<object_number, object> released_;
  std::map<topic_partition, offset> trims_;
  std::set<topic_id> drops_;
  std::map<object_number, std::vector<merged_part>> merges_;
  std::deque<expiry> expiries_;
  std::size_t producers_added_ = 0;  // by the entry that is being applied
  std::uint64_t digest_ = 0;
};
}  // namespace yaks::metadata
