#include "wire/error_code.hpp"

#include <algorithm>
#include <array>

namespace yaks::wire {
namespace {
struct entry {
  error_code code;
  std::string_view name;
  bool retriable = false;
};
// In ascending order of code.
constexpr std::array entries{
    entry{error_code::unknown_server_error, "UNKNOWN_SERVER_ERROR"},
    entry{error_code::none, "NONE"},
    entry{error_code::offset_out_of_range, "OFFSET_OUT_OF_RANGE"},
    entry{error_code::corrupt_message, "CORRUPT_MESSAGE", true},
    entry{error_code::unknown_topic_or_partition, "UNKNOWN_TOPIC_OR_PARTITION", true},
    entry{error_code::invalid_fetch_size, "INVALID_FETCH_SIZE"},
    entry{error_code::leader_not_available, "LEADER_NOT_AVAILABLE", true},
    entry{error_code::not_leader_or_follower, "NOT_LEADER_OR_FOLLOWER", true},
    entry{error_code::request_timed_out, "REQUEST_TIMED_OUT", true},
    entry{error_code::broker_not_available, "BROKER_NOT_AVAILABLE"},
    entry{error_code::replica_not_available, "REPLICA_NOT_AVAILABLE", true},
    entry{error_code::message_too_large, "MESSAGE_TOO_LARGE"},
    entry{error_code::stale_controller_epoch, "STALE_CONTROLLER_EPOCH"},
    entry{error_code::offset_metadata_too_large, "OFFSET_METADATA_TOO_LARGE"},
    entry{error_code::network_exception, "NETWORK_EXCEPTION", true},
    entry{error_code::coordinator_load_in_progress, "COORDINATOR_LOAD_IN_PROGRESS", true},
    entry{error_code::coordinator_not_available, "COORDINATOR_NOT_AVAILABLE", true},
    entry{error_code::not_coordinator, "NOT_COORDINATOR", true},
    entry{error_code::invalid_topic_exception, "INVALID_TOPIC_EXCEPTION"},
    entry{error_code::record_list_too_large, "RECORD_LIST_TOO_LARGE"},
    entry{error_code::not_enough_replicas, "NOT_ENOUGH_REPLICAS", true},
    entry{error_code::not_enough_replicas_after_append, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", true},
    entry{error_code::invalid_required_acks, "INVALID_REQUIRED_ACKS"},
    entry{error_code::illegal_generation, "ILLEGAL_GENERATION"},
    entry{error_code::inconsistent_group_protocol, "INCONSISTENT_GROUP_PROTOCOL"},
    entry{error_code::invalid_group_id, "INVALID_GROUP_ID"},
    entry{error_code::unknown_member_id, "UNKNOWN_MEMBER_ID"},
    entry{error_code::invalid_session_timeout, "INVALID_SESSION_TIMEOUT"},
    entry{error_code::rebalance_in_progress, "REBALANCE_IN_PROGRESS"},
    entry{error_code::invalid_commit_offset_size, "INVALID_COMMIT_OFFSET_SIZE"},
    entry{error_code::topic_authorization_failed, "TOPIC_AUTHORIZATION_FAILED"},
    entry{error_code::group_authorization_failed, "GROUP_AUTHORIZATION_FAILED"},
    entry{error_code::cluster_authorization_failed, "CLUSTER_AUTHORIZATION_FAILED"},
    entry{error_code::invalid_timestamp, "INVALID_TIMESTAMP"},
    entry{error_code::unsupported_sasl_mechanism, "UNSUPPORTED_SASL_MECHANISM"},
    entry{error_code::illegal_sasl_state, "ILLEGAL_SASL_STATE"},
    entry{error_code::unsupported_version, "UNSUPPORTED_VERSION"},
    entry{error_code::topic_already_exists, "TOPIC_ALREADY_EXISTS"},
    entry{error_code::invalid_partitions, "INVALID_PARTITIONS"},
    entry{error_code::invalid_replication_factor, "INVALID_REPLICATION_FACTOR"},
    entry{error_code::invalid_replica_assignment, "INVALID_REPLICA_ASSIGNMENT"},
    entry{error_code::invalid_config, "INVALID_CONFIG"},
    entry{error_code::not_controller, "NOT_CONTROLLER", true},
    entry{error_code::invalid_request, "INVALID_REQUEST"},
    entry{error_code::unsupported_for_message_format, "UNSUPPORTED_FOR_MESSAGE_FORMAT"},
    entry{error_code::policy_violation, "POLICY_VIOLATION"},
    entry{error_code::out_of_order_sequence_number, "OUT_OF_ORDER_SEQUENCE_NUMBER"},
    entry{error_code::duplicate_sequence_number, "DUPLICATE_SEQUENCE_NUMBER"},
    entry{error_code::invalid_producer_epoch, "INVALID_PRODUCER_EPOCH"},
    entry{error_code::invalid_txn_state, "INVALID_TXN_STATE"},
    entry{error_code::invalid_producer_id_mapping, "INVALID_PRODUCER_ID_MAPPING"},
    entry{error_code::invalid_transaction_timeout, "INVALID_TRANSACTION_TIMEOUT"},
    entry{error_code::concurrent_transactions, "CONCURRENT_TRANSACTIONS", true},
    entry{error_code::transaction_coordinator_fenced, "TRANSACTION_COORDINATOR_FENCED"},
    entry{error_code::transactional_id_authorization_failed, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED"},
    entry{error_code::security_disabled, "SECURITY_DISABLED"},
    entry{error_code::operation_not_attempted, "OPERATION_NOT_ATTEMPTED"},
    entry{error_code::kafka_storage_error, "KAFKA_STORAGE_ERROR", true},
    entry{error_code::log_dir_not_found, "LOG_DIR_NOT_FOUND"},
    entry{error_code::sasl_authentication_failed, "SASL_AUTHENTICATION_FAILED"},
    entry{error_code::unknown_producer_id, "UNKNOWN_PRODUCER_ID"},
    entry{error_code::reassignment_in_progress, "REASSIGNMENT_IN_PROGRESS"},
    entry{error_code::delegation_token_auth_disabled, "DELEGATION_TOKEN_AUTH_DISABLED"},
    entry{error_code::delegation_token_not_found, "DELEGATION_TOKEN_NOT_FOUND"},
    entry{error_code::delegation_token_owner_mismatch, "DELEGATION_TOKEN_OWNER_MISMATCH"},
    entry{error_code::delegation_token_request_not_allowed, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED"},
    entry{error_code::delegation_token_authorization_failed, "DELEGATION_TOKEN_AUTHORIZATION_FAILED"},
    entry{error_code::delegation_token_expired, "DELEGATION_TOKEN_EXPIRED"},
    entry{error_code::invalid_principal_type, "INVALID_PRINCIPAL_TYPE"},
    entry{error_code::non_empty_group, "NON_EMPTY_GROUP"},
    entry{error_code::group_id_not_found, "GROUP_ID_NOT_FOUND"},
    entry{error_code::fetch_session_id_not_found, "FETCH_SESSION_ID_NOT_FOUND", true},
    entry{error_code::invalid_fetch_session_epoch, "INVALID_FETCH_SESSION_EPOCH", true},
    entry{error_code::listener_not_found, "LISTENER_NOT_FOUND", true},
    entry{error_code::topic_deletion_disabled, "TOPIC_DELETION_DISABLED"},
    entry{error_code::fenced_leader_epoch, "FENCED_LEADER_EPOCH", true},
    entry{error_code::unknown_leader_epoch, "UNKNOWN_LEADER_EPOCH", true},
    entry{error_code::unsupported_compression_type, "UNSUPPORTED_COMPRESSION_TYPE"},
    entry{error_code::stale_broker_epoch, "STALE_BROKER_EPOCH"},
    entry{error_code::offset_not_available, "OFFSET_NOT_AVAILABLE", true},
    entry{error_code::member_id_required, "MEMBER_ID_REQUIRED"},
    entry{error_code::preferred_leader_not_available, "PREFERRED_LEADER_NOT_AVAILABLE", true},
    entry{error_code::group_max_size_reached, "GROUP_MAX_SIZE_REACHED"},
    entry{error_code::fenced_instance_id, "FENCED_INSTANCE_ID"},
    entry{error_code::eligible_leaders_not_available, "ELIGIBLE_LEADERS_NOT_AVAILABLE", true},
    entry{error_code::election_not_needed, "ELECTION_NOT_NEEDED", true},
    entry{error_code::no_reassignment_in_progress, "NO_REASSIGNMENT_IN_PROGRESS"},
    entry{error_code::group_subscribed_to_topic, "GROUP_SUBSCRIBED_TO_TOPIC"},
    entry{error_code::invalid_record, "INVALID_RECORD"},
    entry{error_code::unstable_offset_commit, "UNSTABLE_OFFSET_COMMIT", true},
    entry{error_code::throttling_quota_exceeded, "THROTTLING_QUOTA_EXCEEDED", true},
    entry{error_code::producer_fenced, "PRODUCER_FENCED"},
    entry{error_code::resource_not_found, "RESOURCE_NOT_FOUND"},
    entry{error_code::duplicate_resource, "DUPLICATE_RESOURCE"},
    entry{error_code::unacceptable_credential, "UNACCEPTABLE_CREDENTIAL"},
    entry{error_code::inconsistent_voter_set, "INCONSISTENT_VOTER_SET"},
    entry{error_code::invalid_update_version, "INVALID_UPDATE_VERSION"},
    entry{error_code::feature_update_failed, "FEATURE_UPDATE_FAILED"},
    entry{error_code::principal_deserialization_failure, "PRINCIPAL_DESERIALIZATION_FAILURE"},
    entry{error_code::snapshot_not_found, "SNAPSHOT_NOT_FOUND"},
    entry{error_code::position_out_of_range, "POSITION_OUT_OF_RANGE"},
    entry{error_code::unknown_topic_id, "UNKNOWN_TOPIC_ID", true},
    entry{error_code::duplicate_broker_registration, "DUPLICATE_BROKER_REGISTRATION"},
    entry{error_code::broker_id_not_registered, "BROKER_ID_NOT_REGISTERED"},
    entry{error_code::inconsistent_topic_id, "INCONSISTENT_TOPIC_ID", true},
    entry{error_code::inconsistent_cluster_id, "INCONSISTENT_CLUSTER_ID"},
    entry{error_code::transactional_id_not_found, "TRANSACTIONAL_ID_NOT_FOUND"},
    entry{error_code::fetch_session_topic_id_error, "FETCH_SESSION_TOPIC_ID_ERROR", true},
    entry{error_code::ineligible_replica, "INELIGIBLE_REPLICA"},
    entry{error_code::new_leader_elected, "NEW_LEADER_ELECTED"},
    entry{error_code::offset_moved_to_tiered_storage, "OFFSET_MOVED_TO_TIERED_STORAGE"},
    entry{error_code::fenced_member_epoch, "FENCED_MEMBER_EPOCH"},
    entry{error_code::unreleased_instance_id, "UNRELEASED_INSTANCE_ID"},
    entry{error_code::unsupported_assignor, "UNSUPPORTED_ASSIGNOR"},
    entry{error_code::stale_member_epoch, "STALE_MEMBER_EPOCH"},
    entry{error_code::mismatched_endpoint_type, "MISMATCHED_ENDPOINT_TYPE"},
    entry{error_code::unsupported_endpoint_type, "UNSUPPORTED_ENDPOINT_TYPE"},
    entry{error_code::unknown_controller_id, "UNKNOWN_CONTROLLER_ID"},
    entry{error_code::unknown_subscription_id, "UNKNOWN_SUBSCRIPTION_ID"},
    entry{error_code::telemetry_too_large, "TELEMETRY_TOO_LARGE"},
    entry{error_code::invalid_registration, "INVALID_REGISTRATION"},
    entry{error_code::transaction_abortable, "TRANSACTION_ABORTABLE"},
    entry{error_code::invalid_record_state, "INVALID_RECORD_STATE"},
    entry{error_code::share_session_not_found, "SHARE_SESSION_NOT_FOUND", true},
    entry{error_code::invalid_share_session_epoch, "INVALID_SHARE_SESSION_EPOCH", true},
    entry{error_code::fenced_state_epoch, "FENCED_STATE_EPOCH"},
    entry{error_code::invalid_voter_key, "INVALID_VOTER_KEY"},
    entry{error_code::duplicate_voter, "DUPLICATE_VOTER"},
    entry{error_code::voter_not_found, "VOTER_NOT_FOUND"},
    entry{error_code::invalid_regular_expression, "INVALID_REGULAR_EXPRESSION"},
    entry{error_code::rebootstrap_required, "REBOOTSTRAP_REQUIRED"},
    entry{error_code::streams_invalid_topology, "STREAMS_INVALID_TOPOLOGY"},
    entry{error_code::streams_invalid_topology_epoch, "STREAMS_INVALID_TOPOLOGY_EPOCH"},
    entry{error_code::streams_topology_fenced, "STREAMS_TOPOLOGY_FENCED"},
    entry{error_code::share_session_limit_reached, "SHARE_SESSION_LIMIT_REACHED", true},
};
static_assert(std::ranges::is_sorted(entries, {}, &entry::code));

const entry* find(error_code code) {
  auto found = std::ranges::lower_bound(entries, code, {}, &entry::code);
  return found != entries.end() && found->code == code ? &*found : nullptr;
}
}  // namespace

std::string_view name(error_code code) {
  const auto* found = find(code);
  return found != nullptr ? found->name : "UNKNOWN";
}

bool is_retriable(error_code code) {
  const auto* found = find(code);
  return found != nullptr && found->retriable;
}
}  // namespace yaks::wire
