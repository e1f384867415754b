// InitProducerId (22): a producer id for idempotent (KIP-98) or transactional producers. With ids of its own in the
// request, a producer asks for its next epoch (KIP-360). Version 6 is of two-phase commit (KIP-939), unstable in
// Kafka 4.2.
#pragma once
#include "wire/message.hpp"

namespace yaks::wire {

struct init_producer_id_request {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::init_producer_id;
  static constexpr versions valid{0, 6}, flexible = since(2);

  std::optional<std::string_view> transactional_id;
  std::int32_t transaction_timeout_ms = 0;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = -1;
  bool enable2_pc = false;
  bool keep_prepared_txn = false;

  static constexpr void describe(auto& m, auto& field) {
    field("TransactionalId", m.transactional_id);
    field("TransactionTimeoutMs", m.transaction_timeout_ms);
    field("ProducerId", m.producer_id, {.in = since(3)});
    field("ProducerEpoch", m.producer_epoch, {.in = since(3)});
    field("Enable2Pc", m.enable2_pc, {.in = since(6)});
    field("KeepPreparedTxn", m.keep_prepared_txn, {.in = since(6)});
  }
  bool operator==(const init_producer_id_request&) const = default;
};

struct init_producer_id_response {
  static constexpr bool is_described = true;
  static constexpr api_key api = api_key::init_producer_id;
  static constexpr versions valid{0, 6}, flexible = since(2);

  std::int32_t throttle_time_ms = 0;
  wire::error_code error_code = wire::error_code::none;
  std::int64_t producer_id = -1;
  std::int16_t producer_epoch = 0;
  std::int64_t ongoing_txn_producer_id = -1;
  std::int16_t ongoing_txn_producer_epoch = -1;

  static constexpr void describe(auto& m, auto& field) {
    field("ThrottleTimeMs", m.throttle_time_ms);
    field("ErrorCode", m.error_code);
    field("ProducerId", m.producer_id);
    field("ProducerEpoch", m.producer_epoch);
    field("OngoingTxnProducerId", m.ongoing_txn_producer_id, {.in = since(6)});
    field("OngoingTxnProducerEpoch", m.ongoing_txn_producer_epoch, {.in = since(6)});
  }
  bool operator==(const init_producer_id_response&) const = default;
};

}  // namespace yaks::wire
