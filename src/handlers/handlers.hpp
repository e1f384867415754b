// One function per API: a decoded request in, its answer out. Each asks the parts above and says in Kafka's codes what they
// answered. The request's text and bytes point into context.frame.
//
// The rule of all denials: nothing is called unknown or empty from a state that is older than the request.
#pragma once
#include <optional>

#include "handlers/services.hpp"
#include "wire/messages/alter_configs.hpp"
#include "wire/messages/alter_partition_reassignments.hpp"
#include "wire/messages/api_versions.hpp"
#include "wire/messages/consumer_group_describe.hpp"
#include "wire/messages/consumer_group_heartbeat.hpp"
#include "wire/messages/create_partitions.hpp"
#include "wire/messages/create_topics.hpp"
#include "wire/messages/delete_groups.hpp"
#include "wire/messages/delete_records.hpp"
#include "wire/messages/delete_topics.hpp"
#include "wire/messages/describe_acls.hpp"
#include "wire/messages/describe_client_quotas.hpp"
#include "wire/messages/describe_cluster.hpp"
#include "wire/messages/describe_configs.hpp"
#include "wire/messages/describe_groups.hpp"
#include "wire/messages/describe_log_dirs.hpp"
#include "wire/messages/describe_producers.hpp"
#include "wire/messages/describe_quorum.hpp"
#include "wire/messages/describe_topic_partitions.hpp"
#include "wire/messages/describe_user_scram_credentials.hpp"
#include "wire/messages/elect_leaders.hpp"
#include "wire/messages/fetch.hpp"
#include "wire/messages/find_coordinator.hpp"
#include "wire/messages/heartbeat.hpp"
#include "wire/messages/incremental_alter_configs.hpp"
#include "wire/messages/init_producer_id.hpp"
#include "wire/messages/join_group.hpp"
#include "wire/messages/leave_group.hpp"
#include "wire/messages/list_config_resources.hpp"
#include "wire/messages/list_groups.hpp"
#include "wire/messages/list_offsets.hpp"
#include "wire/messages/list_partition_reassignments.hpp"
#include "wire/messages/metadata.hpp"
#include "wire/messages/offset_commit.hpp"
#include "wire/messages/offset_delete.hpp"
#include "wire/messages/offset_fetch.hpp"
#include "wire/messages/offset_for_leader_epoch.hpp"
#include "wire/messages/produce.hpp"
#include "wire/messages/sasl_authenticate.hpp"
#include "wire/messages/sasl_handshake.hpp"
#include "wire/messages/sync_group.hpp"

namespace yaks::handlers {
wire::api_versions_response api_versions(const wire::api_versions_request& request, const request_context& context);
// To a version that is newer than ours: version 0's layout, UNSUPPORTED_VERSION and the table (KIP-511).
wire::api_versions_response unsupported_api_versions();

// Produce has two steps, so that the batches of one connection join the write buffer in the order of its requests.
struct accepted_produce {
  wire::produce_response answer;                      // complete but for what `pending` brings
  struct pending_partition {
    ingest::ticket ticket;
    std::size_t topic, partition;                     // where in the answer
    topic_partition where;
  };
  std::vector<pending_partition> pending;
  time_point deadline;
  bool has_error = false;                             // acks 0: close the connection
};
awaitable<accepted_produce> accept_produce(services& s, const wire::produce_request& request, const request_context& context);
awaitable<wire::produce_response> finish_produce(services& s, accepted_produce accepted);

struct fetch_answer {
  wire::fetch_response response;
  fetch::byte_budget::lease lease;                    // until it is sent
};
awaitable<fetch_answer> fetch(services& s, const wire::fetch_request& request, const request_context& context);

awaitable<wire::list_offsets_response> list_offsets(services& s, const wire::list_offsets_request& request, const request_context& context);
awaitable<wire::metadata_response> metadata(services& s, const wire::metadata_request& request, const request_context& context);
awaitable<wire::offset_commit_response> offset_commit(services& s, const wire::offset_commit_request& request, const request_context& context);
awaitable<wire::offset_fetch_response> offset_fetch(services& s, const wire::offset_fetch_request& request, const request_context& context);
wire::find_coordinator_response find_coordinator(services& s, const wire::find_coordinator_request& request, const request_context& context);
awaitable<wire::init_producer_id_response> init_producer_id(services& s, const wire::init_producer_id_request& request, const request_context& context);
awaitable<wire::create_topics_response> create_topics(services& s, const wire::create_topics_request& request, const request_context& context);
awaitable<wire::delete_topics_response> delete_topics(services& s, const wire::delete_topics_request& request, const request_context& context);
awaitable<wire::create_partitions_response> create_partitions(services& s, const wire::create_partitions_request& request, const request_context& context);
awaitable<wire::alter_configs_response> alter_configs(services& s, const wire::alter_configs_request& request, const request_context& context);
awaitable<wire::incremental_alter_configs_response> incremental_alter_configs(services& s, const wire::incremental_alter_configs_request& request, const request_context& context);
awaitable<wire::list_config_resources_response> list_config_resources(services& s, const wire::list_config_resources_request& request, const request_context& context);
awaitable<wire::describe_configs_response> describe_configs(services& s, const wire::describe_configs_request& request, const request_context& context);
awaitable<wire::delete_records_response> delete_records(services& s, const wire::delete_records_request& request, const request_context& context);
awaitable<wire::offset_for_leader_epoch_response> offset_for_leader_epoch(services& s, const wire::offset_for_leader_epoch_request& request, const request_context& context);
wire::describe_acls_response describe_acls(services& s, const wire::describe_acls_request& request, const request_context& context);
awaitable<wire::describe_log_dirs_response> describe_log_dirs(services& s, const wire::describe_log_dirs_request& request, const request_context& context);
awaitable<wire::elect_leaders_response> elect_leaders(services& s, const wire::elect_leaders_request& request, const request_context& context);
awaitable<wire::alter_partition_reassignments_response> alter_partition_reassignments(services& s, const wire::alter_partition_reassignments_request& request, const request_context& context);
wire::list_partition_reassignments_response list_partition_reassignments(services& s, const wire::list_partition_reassignments_request& request, const request_context& context);
wire::sasl_handshake_response sasl_handshake(services& s, const wire::sasl_handshake_request& request, const request_context& context);
wire::sasl_authenticate_response sasl_authenticate(services& s, const wire::sasl_authenticate_request& request, const request_context& context);
wire::describe_client_quotas_response describe_client_quotas(services& s, const wire::describe_client_quotas_request& request, const request_context& context);
wire::describe_user_scram_credentials_response describe_user_scram_credentials(services& s, const wire::describe_user_scram_credentials_request& request, const request_context& context);
wire::describe_quorum_response describe_quorum(services& s, const wire::describe_quorum_request& request, const request_context& context);
awaitable<wire::describe_producers_response> describe_producers(services& s, const wire::describe_producers_request& request, const request_context& context);
awaitable<wire::describe_topic_partitions_response> describe_topic_partitions(services& s, const wire::describe_topic_partitions_request& request, const request_context& context);
wire::describe_cluster_response describe_cluster(services& s, const wire::describe_cluster_request& request, const request_context& context);
awaitable<wire::join_group_response> join_group(services& s, const wire::join_group_request& request, const request_context& context);
awaitable<wire::sync_group_response> sync_group(services& s, const wire::sync_group_request& request, const request_context& context);
awaitable<wire::heartbeat_response> heartbeat(services& s, const wire::heartbeat_request& request, const request_context& context);
awaitable<wire::leave_group_response> leave_group(services& s, const wire::leave_group_request& request, const request_context& context);
awaitable<wire::describe_groups_response> describe_groups(services& s, const wire::describe_groups_request& request, const request_context& context);
awaitable<wire::list_groups_response> list_groups(services& s, const wire::list_groups_request& request, const request_context& context);
awaitable<wire::delete_groups_response> delete_groups(services& s, const wire::delete_groups_request& request, const request_context& context);
awaitable<wire::offset_delete_response> offset_delete(services& s, const wire::offset_delete_request& request, const request_context& context);
awaitable<wire::consumer_group_heartbeat_response> consumer_group_heartbeat(services& s, const wire::consumer_group_heartbeat_request& request, const request_context& context);
awaitable<wire::consumer_group_describe_response> consumer_group_describe(services& s, const wire::consumer_group_describe_request& request, const request_context& context);
}  // namespace yaks::handlers
