// Commands: everything that can change the metadata, and what comes of each. An operation reads the state, makes
// commands, and learns from their outcomes; only the application of the log changes the state.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "model/ids.hpp"

namespace yaks::metadata {
// ---- commands ------------------------------------------------------------------------------------------------------

// First command of an incarnation's first entry. Removes earlier incarnations of the same node and thread: their
// entries that are still under way are void from here on. So is a registration itself that arrives late: where an
// incarnation of its node and thread came or went after `as_of`, it would bring back one that was fenced, and with it
// entries that were applied before.
struct register_agent {
  node_id node;
  std::uint32_t thread = 0;
  std::uint32_t format_max = 1;  // newest entry format that this agent understands
  std::int64_t upload_deadline_ms = 0;
  std::string version;
  std::string host;  // advertised to clients
  std::uint16_t port = 0;
  std::string zone;
  log_sequence as_of;  // what its agent had applied when it made the registration; the replica fills it in
  std::string cache_host;  // where other agents ask it for cached data
  std::uint16_t cache_port = 0;  // 0: nowhere
  bool operator==(const register_agent&) const = default;
};

// From here on the log may hold what agents understand only whose register_agent::format_max is at least this. Refused while one is
// registered that does not, and a registration that comes later is void where its agent does not: a log that is being written by
// agents of two versions holds what both understand (log_format.hpp).
struct enable_format {
  std::uint32_t format = 1;
  bool operator==(const enable_format&) const = default;
};

// Removes an incarnation that is gone.
struct fence_agent {
  incarnation which;
  bool operator==(const fence_agent&) const = default;
};

struct config_value {
  std::string name;
  std::optional<std::string> value;  // nullopt: back to the default
  bool operator==(const config_value&) const = default;
};

struct create_topic {
  topic_id id;
  std::string name;
  std::int32_t partitions = 1;
  std::vector<config_value> configs;
  bool operator==(const create_topic&) const = default;
};

struct delete_topic {
  topic_id id;
  bool operator==(const delete_topic&) const = default;
};

struct create_partitions {
  topic_id id;
  std::int32_t total = 0;
  bool operator==(const create_partitions&) const = default;
};

struct alter_topic_configs {
  topic_id id;
  std::vector<config_value> changes;
  bool operator==(const alter_topic_configs&) const = default;
};

// Moves the start of a partition up: records below `to` are gone for every reader at once. Freeing their bytes is for upkeep.
struct move_log_start {
  topic_id topic;
  partition_index partition;
  offset to;  // -1: the high watermark, as it is at this place of the log
  bool operator==(const move_log_start&) const = default;
};

// What is set for a group (KIP-848's group settings), whether it exists or not.
struct alter_group_configs {
  std::string group;
  std::vector<config_value> changes;
  bool operator==(const alter_group_configs&) const = default;
};

struct batch_commit {
  std::uint32_t bytes = 0;
  std::uint32_t record_count = 0;  // 0: bytes that lie in the object and are not to be committed
  timestamp_ms max_timestamp = no_timestamp;
  producer_id producer = no_producer;  // no_producer: the next two mean nothing
  std::int16_t producer_epoch = -1;
  std::int32_t base_sequence = -1;
  bool operator==(const batch_commit&) const = default;
};

struct partition_commit {
  partition_index partition;
  std::vector<batch_commit> batches;
  bool operator==(const partition_commit&) const = default;
};

struct topic_commit {
  topic_id topic;
  std::vector<partition_commit> partitions;
  bool operator==(const topic_commit&) const = default;
};

// The batches of one uploaded object. They lie in it in the order of this list, from position 0, without gaps.
struct commit_object {
  object_id object;
  std::uint64_t object_bytes = 0;
  std::vector<topic_commit> topics;
  bool operator==(const commit_object&) const = default;
};

struct allocate_producer_ids {
  std::uint32_t count = 0;
  bool operator==(const allocate_producer_ids&) const = default;
};

struct offset_commit {
  topic_id topic;
  partition_index partition;
  offset committed;
  std::int32_t leader_epoch = -1;
  std::string metadata;
  bool operator==(const offset_commit&) const = default;
};

// By a member of the group's generation, or from outside of one: generation -1, no member.
struct commit_group_offsets {
  std::string group;
  std::vector<offset_commit> offsets;
  std::string member;
  std::optional<std::string> instance;
  std::int32_t generation = -1;
  std::int64_t retention_ms = -1;  // of these offsets; -1: the cluster's
  bool operator==(const commit_group_offsets&) const = default;
};

// ---- of classic groups (groups.hpp)

struct group_protocol {
  std::string name;
  std::string metadata;  // the members' own business
  bool operator==(const group_protocol&) const = default;
};

// A member wants to be in the next generation. Its answer may take long: it comes in group_changes::answers of whatever
// entry completes the rebalance, under the number in `request`, which its agent has drawn.
struct join_group {
  std::string group;
  std::string member;      // "" where it has no id yet
  std::string new_member;  // the id that it gets then
  std::optional<std::string> instance;
  std::string client_id, client_host;
  std::int32_t session_timeout_ms = 0;
  std::int32_t rebalance_timeout_ms = 0;
  std::string protocol_type;
  std::vector<group_protocol> protocols;
  bool needs_member_id = false;      // it must come again with the id that it is given (KIP-394)
  bool can_skip_assignment = false;  // KIP-814
  std::uint64_t request = 0;         // not 0
  std::uint32_t initial_delay_ms = 0;  // settings of its agent, so that application depends on the log alone
  std::uint32_t members_max = 0;
  bool operator==(const join_group&) const = default;
};

struct group_assignment {
  std::string member;
  std::string assignment;
  bool operator==(const group_assignment&) const = default;
};

struct sync_group {
  std::string group;
  std::string member;
  std::optional<std::string> instance;
  std::int32_t generation = 0;
  std::optional<std::string> protocol_type, protocol;
  std::vector<group_assignment> assignments;  // of the leader
  std::uint64_t request = 0;                  // as in join_group
  bool operator==(const sync_group&) const = default;
};

struct leaving_member {
  std::string member;  // "": whoever has the instance id
  std::optional<std::string> instance;
  bool operator==(const leaving_member&) const = default;
};

struct leave_group {
  std::string group;
  std::vector<leaving_member> members;
  bool operator==(const leave_group&) const = default;
};

// The agent that appends this serves the member now, and judges its session.
struct move_home {
  std::string group;
  std::string member;
  bool operator==(const move_home&) const = default;
};

// The session has ended as its home saw it. Void where the member has had another home since, which has heard of it.
struct expire_member {
  std::string group;
  std::string member;
  std::uint64_t home_epoch = 0;
  bool operator==(const expire_member&) const = default;
};

// The group's timer has run out, an agent believes: the entry's time decides. Void where it is another timer now.
struct fire_group_timer {
  std::string group;
  std::uint64_t timer = 0;
  bool operator==(const fire_group_timer&) const = default;
};

enum class group_removal : std::uint8_t {
  group = 0,    // an empty group with all that it has committed
  offsets = 1,  // these offsets
  expired = 2,  // offsets older than the retention, and the group where nothing is left of it
};
struct remove_group_data {
  std::string group;
  group_removal what = group_removal::group;
  std::vector<topic_partition> partitions;
  std::int64_t retention_ms = 0;
  bool operator==(const remove_group_data&) const = default;
};

// All that a member of the consumer protocol says (KIP-848, consumer_group.hpp). What is not there is as it was.
struct consumer_heartbeat {
  std::string group;
  std::string member;
  std::int32_t epoch = 0;  // 0 joins, -1 leaves, -2 leaves for a while, else that of the last answer
  std::optional<std::string> instance, rack;
  std::int32_t rebalance_timeout_ms = -1;
  std::optional<std::vector<std::string>> topics;
  std::optional<std::string> regex;
  std::optional<std::vector<std::string>> regex_matches;  // of this regex, or of the one that the member has, as its agent finds
  std::optional<std::string> assignor;
  std::optional<std::vector<topic_partition>> owned;
  std::string client_id, client_host;
  std::int32_t session_timeout_ms = 0;  // settings of its agent
  std::uint32_t members_max = 0;
  bool operator==(const consumer_heartbeat&) const = default;
  // It repeats all that there is to say, and wants all to be answered.
  bool is_full() const { return rebalance_timeout_ms >= 0 && (topics || regex) && owned; }
};

// The index in the metastore holds the ranges of this partition up to `end`.
struct index_progress {
  topic_id topic;
  partition_index partition;
  offset end;
  std::uint32_t generation = 0;  // of the partition's index when it was written; another one voids this
  bool operator==(const index_progress&) const = default;
};

// The state lets go of what the index holds, on every agent at the same place of the log.
struct advance_index {
  std::vector<index_progress> partitions;
  bool operator==(const advance_index&) const = default;
};

// The writer does from here on what one agent does for all (upkeep), and nobody else. Void where another one took the term after
// `after`: of two that try, one gets it.
struct take_upkeep {
  std::uint64_t after = 0;  // the term that it follows
  bool operator==(const take_upkeep&) const = default;
};

// The oldest ranges of a partition go: those of [from, to), and with them its log start moves up. Void where the partition is not
// as its author saw it.
struct partition_trim {
  topic_id topic;
  partition_index partition;
  offset from;  // where the partition's ranges begin now
  offset to;    // where a range ends
  offset index_end;             // of [from, to), the index holds what lies before this; the state the rest
  std::uint64_t index_bytes = 0;  // how much that is
  bool operator==(const partition_trim&) const = default;
};

struct trim_partitions {
  std::uint64_t term = 0;
  std::vector<partition_trim> partitions;
  bool operator==(const trim_partitions&) const = default;
};

// Of what the state has let go of, the index has followed in this: it need not be remembered any longer.
struct settle_upkeep {
  std::uint64_t term = 0;
  std::vector<std::pair<topic_partition, offset>> trims;
  std::vector<topic_id> drops;
  std::vector<std::uint64_t> objects;  // by number
  std::vector<std::uint64_t> merges;   // by the number of the merged object
  bool operator==(const settle_upkeep&) const = default;
};

// The ranges of [from, to) of a partition, one after the other: so they lie in the object of a merge.
struct merged_part {
  topic_id topic;
  partition_index partition;
  std::uint32_t generation = 0;  // of the partition's index when they were read; another one voids the merge
  offset from, to;               // where ranges begin and end
  std::uint64_t position = 0;    // in the object, in bytes
  std::uint64_t bytes = 0;
  bool operator==(const merged_part&) const = default;
};

// Ranges of the index lie in one uploaded object from here on, instead of in those that they came in. Void as a whole where any of
// them is not as its author read it. The index follows (state::merges), and only then may the objects of before go.
struct merge_object {
  std::uint64_t term = 0;
  object_id object;
  std::uint64_t object_bytes = 0;
  std::vector<merged_part> parts;  // no partition twice
  bool operator==(const merge_object&) const = default;
};

// No object whose name has a time before this is ever committed from here on: those that nobody refers to may go.
struct sweep {
  timestamp_ms before;
  bool operator==(const sweep&) const = default;
};

using command = std::variant<register_agent, fence_agent, create_topic, delete_topic, create_partitions,
                             alter_topic_configs, commit_object, allocate_producer_ids, commit_group_offsets, advance_index,
                             alter_group_configs, move_log_start,
                             join_group, sync_group, leave_group, move_home, expire_member, fire_group_timer,
                             remove_group_data, consumer_heartbeat, take_upkeep, trim_partitions, settle_upkeep, sweep, enable_format,
                             merge_object>;

// ---- outcomes ------------------------------------------------------------------------------------------------------

enum class apply_error {
  none,
  topic_exists,
  unknown_topic,
  unknown_partition,
  invalid_partitions,      // fewer than, or as many as, there are
  out_of_order_sequence,   // not the next sequence of this producer
  invalid_producer_epoch,  // an epoch older than the producer's newest
  commit_too_late,         // the object is older than its agent's upload deadline: it may be gone
  offset_out_of_range,     // above the high watermark
  wrong_term,              // another agent has taken the upkeep
  format_not_known,        // by an agent that is registered, or not by the log yet
  ranges_changed,          // a merge names ranges that are not in the index any more, or in another way
  withheld,                // record_count was 0: its writer had given it up (or it lies beyond 4 GiB of its object)
};

struct batch_outcome {
  apply_error error = apply_error::none;
  bool duplicate = false;  // stored before: base_offset and append_time are those of the first time
  offset base_offset{-1};
  timestamp_ms append_time = no_timestamp;
};

struct commit_outcome {
  std::vector<batch_outcome> batches;  // in the order of the command
};

struct simple_outcome {
  apply_error error = apply_error::none;
};

struct log_start_outcome {
  apply_error error = apply_error::none;
  offset log_start{-1};  // as it is now: further up than asked for where it was so before
};

struct producer_ids_outcome {
  producer_id first;
  std::uint32_t count = 0;
};

// What Kafka's error codes of the same names say.
enum class group_error : std::uint8_t {
  none,
  unknown_member_id,
  illegal_generation,
  rebalance_in_progress,
  fenced_instance_id,
  inconsistent_group_protocol,
  member_id_required,
  group_max_size_reached,
  group_id_not_found,
  non_empty_group,
  fenced_member_epoch,
  stale_member_epoch,
  unreleased_instance_id,
};

struct group_offsets_outcome {
  group_error error = group_error::none;  // of all: then none of them counts
  std::vector<apply_error> errors;        // in the order of the command
  std::vector<bool> subscribed;           // remove_group_data: kept, for the group reads that topic
};

struct joined_member {
  std::string member;
  std::optional<std::string> instance;
  std::string metadata;  // of the protocol that was chosen
  bool operator==(const joined_member&) const = default;
};
struct join_answer {
  group_error error = group_error::none;
  std::int32_t generation = -1;
  std::string protocol_type;
  std::string protocol;
  std::string leader;
  std::string member;
  bool skip_assignment = false;
  std::shared_ptr<const std::vector<joined_member>> members;  // the leader's answer has them; shared by copies of it
};
struct sync_answer {
  group_error error = group_error::none;
  std::string protocol_type;
  std::string protocol;
  std::string assignment;
};

struct join_outcome {
  bool waits = false;  // the answer comes later, under the command's `request`
  join_answer answer;
};
struct sync_outcome {
  bool waits = false;
  sync_answer answer;
};
struct leave_outcome {
  group_error error = group_error::none;
  std::vector<group_error> members;  // in the order of the command
};
struct consumer_outcome {
  group_error error = group_error::none;
  std::string member;
  std::int32_t epoch = 0;
  bool has_assignment = false;  // else it is as it was
  std::vector<topic_partition> assignment;
};
struct group_outcome {
  group_error error = group_error::none;
  std::int64_t early_ms = 0;  // fire_group_timer: so much is left of it
};

using outcome = std::variant<simple_outcome, commit_outcome, producer_ids_outcome, group_offsets_outcome, log_start_outcome, join_outcome,
                             sync_outcome, leave_outcome, group_outcome, consumer_outcome>;

// Which alternative of `outcome` a command has.
template <class Command>
struct outcome_of {
  using type = simple_outcome;
};
template <>
struct outcome_of<commit_object> {
  using type = commit_outcome;
};
template <>
struct outcome_of<allocate_producer_ids> {
  using type = producer_ids_outcome;
};
template <>
struct outcome_of<move_log_start> {
  using type = log_start_outcome;
};
template <>
struct outcome_of<commit_group_offsets> {
  using type = group_offsets_outcome;
};
template <>
struct outcome_of<remove_group_data> {
  using type = group_offsets_outcome;
};
template <>
struct outcome_of<join_group> {
  using type = join_outcome;
};
template <>
struct outcome_of<sync_group> {
  using type = sync_outcome;
};
template <>
struct outcome_of<leave_group> {
  using type = leave_outcome;
};
template <>
struct outcome_of<consumer_heartbeat> {
  using type = consumer_outcome;
};
template <>
struct outcome_of<move_home> {
  using type = group_outcome;
};
template <>
struct outcome_of<expire_member> {
  using type = group_outcome;
};
template <>
struct outcome_of<fire_group_timer> {
  using type = group_outcome;
};
}  // namespace yaks::metadata
