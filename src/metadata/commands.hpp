// Commands: everything that can change the metadata, and what comes of each. An operation reads the state, makes
// commands, and learns from their outcomes; only the application of the log changes the state.
#pragma once
#include <cstdint>
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
  bool operator==(const register_agent&) const = default;
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

struct commit_group_offsets {
  std::string group;
  std::vector<offset_commit> offsets;
  bool operator==(const commit_group_offsets&) const = default;
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

using command = std::variant<register_agent, fence_agent, create_topic, delete_topic, create_partitions,
                             alter_topic_configs, commit_object, allocate_producer_ids, commit_group_offsets, advance_index,
                             alter_group_configs, move_log_start>;

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

struct group_offsets_outcome {
  std::vector<apply_error> errors;  // in the order of the command
};

using outcome = std::variant<simple_outcome, commit_outcome, producer_ids_outcome, group_offsets_outcome, log_start_outcome>;

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
}  // namespace yaks::metadata
