// The one table of the APIs that an agent serves: what ApiVersions answers, what the connection loop accepts, which
// headers go around a message, and the table in the README all come from here.
#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace yaks::wire {

// Inclusive; empty when last < first.
struct versions {
  std::int16_t first, last;
  constexpr bool has(std::int16_t version) const { return first <= version && version <= last; }
  constexpr bool operator==(const versions&) const = default;
};
// Flexible in no version.
inline constexpr versions never{32767, -1};

// Kafka's numbers. A value read from a frame can be any int16: look it up before believing it.
enum class api_key : std::int16_t {
  produce = 0,
  fetch = 1,
  list_offsets = 2,
  metadata = 3,
  offset_commit = 8,
  offset_fetch = 9,
  find_coordinator = 10,
  join_group = 11,
  heartbeat = 12,
  leave_group = 13,
  sync_group = 14,
  describe_groups = 15,
  list_groups = 16,
  sasl_handshake = 17,
  api_versions = 18,
  create_topics = 19,
  delete_topics = 20,
  delete_records = 21,
  init_producer_id = 22,
  offset_for_leader_epoch = 23,
  describe_acls = 29,
  describe_configs = 32,
  alter_configs = 33,
  describe_log_dirs = 35,
  sasl_authenticate = 36,
  create_partitions = 37,
  delete_groups = 42,
  elect_leaders = 43,
  incremental_alter_configs = 44,
  alter_partition_reassignments = 45,
  list_partition_reassignments = 46,
  offset_delete = 47,
  describe_client_quotas = 48,
  describe_user_scram_credentials = 50,
  describe_quorum = 55,
  describe_cluster = 60,
  describe_producers = 61,
  consumer_group_heartbeat = 68,
  consumer_group_describe = 69,
  list_config_resources = 74,
  describe_topic_partitions = 75,
};

struct api {
  api_key key;
  std::string_view name;  // Kafka's
  versions served;        // requests in these versions are answered
  // The first version that ApiVersions shows. Produce shows 0 though nothing below 3 works, as Kafka does: librdkafka
  // up to 2.11 stops compressing otherwise (KAFKA-18659).
  std::int16_t shown_first;
  std::int16_t flexible_since;  // compact lengths and tagged fields (KIP-482)
  std::string_view note;        // for the README
};

inline constexpr std::array apis{
    // Produce 12 differs from 11 within transactions only (KIP-890), and clients keep to 11 there until
    // transaction.version 2 is finalized, which it is not. Produce 13 and Fetch 13 have topic ids in place of names.
    api{api_key::produce, "Produce", {3, 13}, 0, 9, "idempotent producers; one batch per partition, format v2"},
    api{api_key::fetch, "Fetch", {3, 18}, 3, 12, "long polls, fetch sessions"},
    api{api_key::list_offsets, "ListOffsets", {1, 11}, 1, 6, "by timestamp, exact to the record"},
    api{api_key::metadata, "Metadata", {0, 13}, 0, 9, "creates topics when asked to and allowed to"},
    api{api_key::offset_commit, "OffsetCommit", {2, 10}, 2, 8, ""},
    api{api_key::offset_fetch, "OffsetFetch", {1, 10}, 1, 6, ""},
    api{api_key::find_coordinator, "FindCoordinator", {0, 6}, 0, 3, "of groups"},
    api{api_key::join_group, "JoinGroup", {0, 9}, 0, 6, "any protocol type; static members, cooperative rebalancing"},
    api{api_key::heartbeat, "Heartbeat", {0, 4}, 0, 4, ""},
    api{api_key::leave_group, "LeaveGroup", {0, 5}, 0, 4, ""},
    api{api_key::sync_group, "SyncGroup", {0, 5}, 0, 4, ""},
    api{api_key::describe_groups, "DescribeGroups", {0, 6}, 0, 5, ""},
    api{api_key::list_groups, "ListGroups", {0, 5}, 0, 3, "filters by state and type"},
    api{api_key::sasl_handshake, "SaslHandshake", {0, 1}, 0, never.first, "there is no SASL: ILLEGAL_SASL_STATE"},
    api{api_key::api_versions, "ApiVersions", {0, 4}, 0, 3, "newer versions get the version 0 answer"},
    api{api_key::create_topics, "CreateTopics", {2, 7}, 2, 5, ""},
    api{api_key::delete_topics, "DeleteTopics", {1, 6}, 1, 4, ""},
    api{api_key::delete_records, "DeleteRecords", {0, 2}, 0, 2, "moves the log start; upkeep frees the bytes"},
    api{api_key::init_producer_id, "InitProducerId", {0, 5}, 0, 2, "without a transactional id"},
    api{api_key::offset_for_leader_epoch, "OffsetForLeaderEpoch", {2, 4}, 2, 4, "there is one epoch, 0"},
    api{api_key::describe_acls, "DescribeAcls", {1, 3}, 1, 2, "there is no authorizer: SECURITY_DISABLED"},
    api{api_key::describe_configs, "DescribeConfigs", {1, 4}, 1, 4, ""},
    api{api_key::alter_configs, "AlterConfigs", {0, 2}, 0, 2, "replaces all settings of a topic or group"},
    api{api_key::describe_log_dirs, "DescribeLogDirs", {1, 4}, 1, 2, "bytes per partition, in the object store"},
    api{api_key::sasl_authenticate, "SaslAuthenticate", {0, 2}, 0, 2, "likewise"},
    api{api_key::create_partitions, "CreatePartitions", {0, 3}, 0, 2, ""},
    api{api_key::delete_groups, "DeleteGroups", {0, 2}, 0, 2, ""},
    api{api_key::elect_leaders, "ElectLeaders", {0, 2}, 0, 2, "never needed"},
    api{api_key::incremental_alter_configs, "IncrementalAlterConfigs", {0, 1}, 0, 1, "of topics and groups"},
    api{api_key::alter_partition_reassignments, "AlterPartitionReassignments", {0, 1}, 0, 0, "refused: there are no replicas"},
    api{api_key::list_partition_reassignments, "ListPartitionReassignments", {0, 0}, 0, 0, "there are none"},
    api{api_key::offset_delete, "OffsetDelete", {0, 0}, 0, never.first, ""},
    api{api_key::describe_client_quotas, "DescribeClientQuotas", {0, 1}, 0, 1, "there are none"},
    api{api_key::describe_user_scram_credentials, "DescribeUserScramCredentials", {0, 0}, 0, 0, "there are none"},
    api{api_key::describe_quorum, "DescribeQuorum", {0, 2}, 0, 0, "the asked agent, with the log's end"},
    api{api_key::describe_cluster, "DescribeCluster", {0, 2}, 0, 0, ""},
    api{api_key::describe_producers, "DescribeProducers", {0, 0}, 0, 0, ""},
    api{api_key::consumer_group_heartbeat, "ConsumerGroupHeartbeat", {0, 1}, 0, 0, "assignors uniform and range; patterns in RE2's syntax"},
    api{api_key::consumer_group_describe, "ConsumerGroupDescribe", {0, 1}, 0, 0, ""},
    api{api_key::list_config_resources, "ListConfigResources", {0, 1}, 0, 0, ""},
    api{api_key::describe_topic_partitions, "DescribeTopicPartitions", {0, 0}, 0, 0, ""},
};

// nullptr when no such API is served.
constexpr const api* find_api(api_key key) {
  auto found = std::ranges::find(apis, key, &api::key);
  return found == apis.end() ? nullptr : &*found;
}
constexpr const api* find_api(std::int16_t key) {
  return find_api(api_key{key});
}

constexpr bool is_served(api_key key, std::int16_t version) {
  const auto* found = find_api(key);
  return found != nullptr && found->served.has(version);
}

// For an unknown API: 1, whose fields every request header begins with.
constexpr std::int16_t request_header_version(api_key key, std::int16_t version) {
  const auto* found = find_api(key);
  return found != nullptr && version >= found->flexible_since ? 2 : 1;
}
// ApiVersions is answered with header 0 in every version: the client does not know yet what we speak (KIP-511).
constexpr std::int16_t response_header_version(api_key key, std::int16_t version) {
  const auto* found = find_api(key);
  return found != nullptr && key != api_key::api_versions && version >= found->flexible_since ? 1 : 0;
}

// Kafka's name, or the number in decimal. For logs and metrics.
std::string name_of(api_key key);

// The table as Markdown.
std::string apis_as_markdown();

}  // namespace yaks::wire
