// What the handlers that make and change topics share.
#pragma once
#include <algorithm>
#include <string>
#include <string_view>

#include "handlers/services.hpp"
#include "metadata/commands.hpp"
#include "model/topic_config.hpp"
#include "wire/error_code.hpp"

namespace yaks::handlers {
// A topic with this many partitions costs every agent about 10 MB.
inline constexpr std::int32_t partitions_per_topic_max = 100'000;

// With a fresh id: a topic of the same name made later has another one (KIP-516).
inline metadata::create_topic new_topic(services& s, std::string_view name, std::int32_t partitions) {
  auto high = s.rt.random(), low = s.rt.random();
  return {.id = topic_id(uuid::v4(high, low)), .name = std::string(name), .partitions = partitions, .configs = {}};
}

// Commands are for ids, requests name names. Where this agent knew an older topic of that name, which was deleted and made again
// elsewhere, the entry with the command has brought the newer one: the command is for that one, as if it had been asked later.
inline bool has_newer_topic(const services& s, std::string_view name, metadata::apply_error error) {
  return error == metadata::apply_error::unknown_topic && s.log.current().find_topic(name) != nullptr;
}

// A little before the client gives up.
inline time_point answer_by(const request_context& context, std::int32_t timeout_ms) {
  auto timeout = std::chrono::milliseconds(std::max(timeout_ms, 0));
  return context.arrived + timeout - std::min<duration>(timeout / 20, 500ms);
}

// Kafka's numbers for where a setting's value comes from.
enum class config_source : std::int8_t { topic = 1, static_broker = 4, default_value = 5, group = 8 };
// And for what has settings.
enum class resource_type : std::int8_t { topic = 2, broker = 4, client_metrics = 16, group = 32 };

// What holds where the topic does not say: a setting of the agent for some of them, else the table's default.
inline std::string default_of(const broker_settings& b, const resource_config& c) {
  if (c.name == "max.message.bytes") return std::to_string(b.message_bytes_max);
  if (c.name == "yaks.flush.interval.ms") return std::to_string(b.flush_interval_ms);
  if (c.name == "retention.ms") return std::to_string(b.retention_ms);
  if (c.name == "retention.bytes") return std::to_string(b.retention_bytes);
  return std::string(c.default_value);
}
// What the environment changed is the broker's. What it left alone is nobody's: kafka-topics lists the settings of a topic that
// are not defaults, and those of every topic would be among them.
inline config_source default_source(const broker_settings& b, const resource_config& c) {
  return default_of(b, c) == default_of(broker_settings(), c) ? config_source::default_value : config_source::static_broker;
}

// What came of a command about topics.
inline wire::error_code code_of(const result<metadata::simple_outcome, metadata::submit_error>& outcome) {
  using wire::error_code;
  if (!outcome) return outcome.error() == metadata::submit_error::too_large ? error_code::invalid_request : error_code::not_controller;
  switch (outcome->error) {
    case metadata::apply_error::none: return error_code::none;
    case metadata::apply_error::topic_exists: return error_code::topic_already_exists;
    case metadata::apply_error::unknown_topic:
    case metadata::apply_error::unknown_partition: return error_code::unknown_topic_or_partition;
    case metadata::apply_error::invalid_partitions: return error_code::invalid_partitions;
    case metadata::apply_error::out_of_order_sequence:
    case metadata::apply_error::invalid_producer_epoch:
    case metadata::apply_error::commit_too_late:
    case metadata::apply_error::offset_out_of_range:
    case metadata::apply_error::wrong_term:
    case metadata::apply_error::format_not_known:
    case metadata::apply_error::ranges_changed:
    case metadata::apply_error::withheld: break;  // outcomes of other commands
  }
  return error_code::unknown_server_error;
}
}  // namespace yaks::handlers
