// Every message, for what must treat them all alike: tests, fuzzing, tools. A handler includes its own.
#pragma once
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

namespace yaks::wire {

// Calls visit.operator()<Request, Response>() for each API of the table, in the order of their keys.
template <class Visit>
void for_each_api(Visit&& visit) {
  visit.template operator()<produce_request, produce_response>();
  visit.template operator()<fetch_request, fetch_response>();
  visit.template operator()<list_offsets_request, list_offsets_response>();
  visit.template operator()<metadata_request, metadata_response>();
  visit.template operator()<offset_commit_request, offset_commit_response>();
  visit.template operator()<offset_fetch_request, offset_fetch_response>();
  visit.template operator()<find_coordinator_request, find_coordinator_response>();
  visit.template operator()<join_group_request, join_group_response>();
  visit.template operator()<heartbeat_request, heartbeat_response>();
  visit.template operator()<leave_group_request, leave_group_response>();
  visit.template operator()<sync_group_request, sync_group_response>();
  visit.template operator()<describe_groups_request, describe_groups_response>();
  visit.template operator()<list_groups_request, list_groups_response>();
  visit.template operator()<sasl_handshake_request, sasl_handshake_response>();
  visit.template operator()<api_versions_request, api_versions_response>();
  visit.template operator()<create_topics_request, create_topics_response>();
  visit.template operator()<delete_topics_request, delete_topics_response>();
  visit.template operator()<delete_records_request, delete_records_response>();
  visit.template operator()<init_producer_id_request, init_producer_id_response>();
  visit.template operator()<offset_for_leader_epoch_request, offset_for_leader_epoch_response>();
  visit.template operator()<describe_acls_request, describe_acls_response>();
  visit.template operator()<describe_configs_request, describe_configs_response>();
  visit.template operator()<alter_configs_request, alter_configs_response>();
  visit.template operator()<describe_log_dirs_request, describe_log_dirs_response>();
  visit.template operator()<sasl_authenticate_request, sasl_authenticate_response>();
  visit.template operator()<create_partitions_request, create_partitions_response>();
  visit.template operator()<delete_groups_request, delete_groups_response>();
  visit.template operator()<elect_leaders_request, elect_leaders_response>();
  visit.template operator()<incremental_alter_configs_request, incremental_alter_configs_response>();
  visit.template operator()<alter_partition_reassignments_request, alter_partition_reassignments_response>();
  visit.template operator()<list_partition_reassignments_request, list_partition_reassignments_response>();
  visit.template operator()<offset_delete_request, offset_delete_response>();
  visit.template operator()<describe_client_quotas_request, describe_client_quotas_response>();
  visit.template operator()<describe_user_scram_credentials_request, describe_user_scram_credentials_response>();
  visit.template operator()<describe_quorum_request, describe_quorum_response>();
  visit.template operator()<describe_cluster_request, describe_cluster_response>();
  visit.template operator()<describe_producers_request, describe_producers_response>();
  visit.template operator()<consumer_group_heartbeat_request, consumer_group_heartbeat_response>();
  visit.template operator()<consumer_group_describe_request, consumer_group_describe_response>();
  visit.template operator()<list_config_resources_request, list_config_resources_response>();
  visit.template operator()<describe_topic_partitions_request, describe_topic_partitions_response>();
}
}  // namespace yaks::wire
