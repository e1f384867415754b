#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/printable.hpp"
#include "handlers/handlers.hpp"
#include "records/rewrite.hpp"
#include "records/validate.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;
using partition_answer = wire::produce_response::topic_entry::partition_entry;

// Kafka's codes for what is wrong with a batch.
error_code code_of(records::batch_fault fault) {
  switch (fault) {
    case records::batch_fault::length_too_small:
    case records::batch_fault::unknown_magic:
    case records::batch_fault::wrong_crc: return error_code::corrupt_message;
    case records::batch_fault::zstd_too_early:
    case records::batch_fault::unknown_compression: return error_code::unsupported_compression_type;
    case records::batch_fault::batch_too_large: return error_code::message_too_large;
    case records::batch_fault::log_append_time:
    case records::batch_fault::timestamp_out_of_range: return error_code::invalid_timestamp;
    case records::batch_fault::no_batch:
    case records::batch_fault::truncated:
    case records::batch_fault::old_magic:
    case records::batch_fault::several_batches:
    case records::batch_fault::trailing_bytes:
    case records::batch_fault::base_offset_not_zero:
    case records::batch_fault::wrong_offset_range:
    case records::batch_fault::control_batch:
    case records::batch_fault::missing_sequence:
    case records::batch_fault::broken_record:
    case records::batch_fault::wrong_offset_delta:
    case records::batch_fault::wrong_record_count:
    case records::batch_fault::missing_key:
    case records::batch_fault::broken_compression:
    case records::batch_fault::decompressed_too_large: return error_code::invalid_record;
  }
  return error_code::unknown_server_error;
}

error_code code_of(ingest::produce_error error) {
  switch (error) {
    case ingest::produce_error::none: return error_code::none;
    case ingest::produce_error::unknown_topic_or_partition: return error_code::unknown_topic_or_partition;
    case ingest::produce_error::out_of_order_sequence: return error_code::out_of_order_sequence_number;
    case ingest::produce_error::invalid_producer_epoch: return error_code::invalid_producer_epoch;
    case ingest::produce_error::not_stored: return error_code::kafka_storage_error;
  }
  return error_code::unknown_server_error;
}

// The topic that a batch was for is no more. Its name may have been given to another one, of which this agent had not heard when
// it took the batch: it has by now, and the client is sent there.
error_code code_of_gone(const services& s, const std::string& name) {
  if (name.empty()) return error_code::unknown_topic_id;  // it was asked for by its id
  return s.log.current().find_topic(name) ? error_code::not_leader_or_follower : error_code::unknown_topic_or_partition;
}

void refuse(partition_answer& answer, error_code code, std::string text = {}) {
  answer.error_code = code;
  answer.base_offset = -1;
  if (!text.empty()) answer.error_message = std::move(text);
}

records::produce_rules rules_for(const services& s, const metadata::topic& topic, std::int16_t version) {
  records::produce_rules rules;
  const auto& settings = topic.settings;
  rules.batch_bytes_max = settings.message_bytes_max.value_or(s.broker.message_bytes_max);
  rules.allows_zstd = version >= 7;
  rules.requires_keys = settings.compacts;
  if (settings.is_log_append_time) return rules;
  auto now = s.rt.wall_clock().value();
  auto before = settings.timestamp_before_max_ms, after = settings.timestamp_after_max_ms;
  if (before < now) rules.timestamp_min = timestamp_ms(now - before);
  if (after < rules.timestamp_max.value() - now) rules.timestamp_max = timestamp_ms(now + after);
  return rules;
}

// A request is at most this large when it is sent plain, so what is larger decompressed has no reason to be.
constexpr std::size_t plain_bytes_max = 100u << 20;

// Whether the records of a batch must be looked at although they are compressed, or be compressed differently.
bool needs_rewriting(const topic_settings& settings, const records::batch_info& info) {
  if (settings.compression && *settings.compression != std::int8_t(info.compression)) return true;
  return settings.compacts && info.compression != records::compression_type::none;
}

records::rewrite_rules rewrite_rules_for(const topic_settings& settings) {
  records::rewrite_rules how{.levels = {.gzip = settings.gzip_level, .lz4 = settings.lz4_level, .zstd = settings.zstd_level},
                             .plain_bytes_max = plain_bytes_max};
  if (settings.compression) how.compression = records::compression_type(*settings.compression);
  return how;
}

// By its name, from version 13 on by its id.
const metadata::topic* find_topic(const services& s, const wire::produce_request::topic_entry& t, std::int16_t version) {
  return version >= 13 ? s.log.current().find_topic(topic_id(t.topic_id)) : s.log.current().find_topic(t.name);
}

bool names_unknown(const services& s, const wire::produce_request& request, std::int16_t version) {
  return std::ranges::any_of(request.topic_data, [&](const auto& t) {
    const auto* topic = find_topic(s, t, version);
    return !topic || std::ranges::any_of(t.partition_data, [&](const auto& p) {
      return p.index < 0 || std::size_t(p.index) >= topic->partitions.size();
    });
  });
}
}  // namespace

awaitable<accepted_produce> accept_produce(services& s, const wire::produce_request& request, const request_context& context) {
  accepted_produce accepted;
  // A little before the client gives up, so that it hears of it from us.
  auto timeout = std::chrono::milliseconds(std::max(request.timeout_ms, 0));
  accepted.deadline = context.arrived + timeout - std::min<duration>(timeout / 20, 500ms);
  bool acks_known = request.acks >= -1 && request.acks <= 1;
  bool is_current = !acks_known || !names_unknown(s, request, context.version) || co_await s.log.barrier_since(context.arrived);
  if (request.transactional_id)
    spdlog::warn("a transactional produce of client {} was refused: transactions are not supported", printable(context.client_id));
  std::vector<ingest::produced_batch> batches;
  std::size_t kept_bytes = 0;
  for (const auto& t : request.topic_data) {
    auto& topic_answer = accepted.answer.responses.emplace_back();
    topic_answer.name = t.name;
    topic_answer.topic_id = t.topic_id;
    const auto* topic = find_topic(s, t, context.version);
    for (const auto& p : t.partition_data) {
      auto& answer = topic_answer.partition_responses.emplace_back();
      answer.index = p.index;
      if (!acks_known) {
        refuse(answer, error_code::invalid_required_acks);
      } else if (request.transactional_id) {
        refuse(answer, error_code::unsupported_version, "transactions are not supported");
      } else if (!topic || p.index < 0 || std::size_t(p.index) >= topic->partitions.size()) {
        // Perhaps another agent has made it: a no needs the log.
        refuse(answer, !is_current                             ? error_code::kafka_storage_error
                       : !topic && context.version >= 13 ? error_code::unknown_topic_id
                                                         : error_code::unknown_topic_or_partition);
      } else {
        byte_view bytes = p.records ? p.records->bytes : byte_view{};
        const auto settings = topic->settings;
        auto where = topic_partition{topic->id, partition_index(p.index)};
        auto rules = rules_for(s, *topic, context.version);
        auto info = records::validate_produced(bytes, rules);
        shared_bytes rewritten;
        if (info && needs_rewriting(settings, *info)) {
          std::optional<result<records::rewritten_batch, records::validation_failure>> out;
          co_await s.rt.run_blocking([&] { out = records::rewrite_produced(bytes, rules, rewrite_rules_for(settings)); });
          topic = find_topic(s, t, context.version);  // deleted meanwhile? then the log says so of this batch
          if (*out) {
            rewritten = std::move((*out)->bytes);
            info = (*out)->info;
          } else {
            info = failure(std::move(out->error()));
          }
        }
        if (!info) {
          refuse(answer, code_of(info.error().fault), info.error().text);
          if (info.error().record_index)
            answer.record_errors.push_back(
                {.batch_index = *info.error().record_index, .batch_index_error_message = info.error().text});
          spdlog::debug("a batch for {}-{} of client {} was refused: {}", topic_answer.name, p.index, printable(context.client_id), info.error().text);
        } else if (info->is_transactional) {
          refuse(answer, error_code::unsupported_version, "transactions are not supported");
        } else {
          ingest::produced_batch batch{
              .where = where,
              .bytes = rewritten.empty() ? context.frame.covering(bytes) : rewritten,
              .info = {.bytes = info->bytes,
                       .record_count = info->record_count,
                       .max_timestamp = info->max_timestamp,
                       .producer = info->producer,
                       .producer_epoch = info->producer_epoch,
                       .base_sequence = info->base_sequence},
              .crc32c = info->crc32c};
          if (settings.flush_interval_ms) batch.flush_interval = std::chrono::milliseconds(*settings.flush_interval_ms);
          if (rewritten.empty()) kept_bytes += bytes.size();
          batches.push_back(std::move(batch));
          accepted.pending.push_back({.ticket = {},
                                      .topic = accepted.answer.responses.size() - 1,
                                      .partition = topic_answer.partition_responses.size() - 1,
                                      .where = where});
        }
      }
      accepted.has_error |= answer.error_code != error_code::none;
    }
  }
  // Batches keep the whole frame alive, and the buffer counts only them: of a frame that was refused for the most part, what
  // was not is copied out.
  bool copies = context.frame.pinned_bytes() > 65536 && kept_bytes < context.frame.pinned_bytes() / 4;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    if (copies && batches[i].bytes.pinned() == context.frame.pinned())
      batches[i].bytes = shared_bytes::copy_of(batches[i].bytes.view());
    accepted.pending[i].ticket = s.buffer.add(std::move(batches[i]), accepted.deadline);
  }
  co_return accepted;
}

awaitable<wire::produce_response> finish_produce(services& s, accepted_produce accepted) {
  for (auto& pending : accepted.pending) {
    auto& answer = accepted.answer.responses[pending.topic].partition_responses[pending.partition];
    if (!co_await pending.ticket.in->wait_until(s.rt, accepted.deadline)) {
      // It may still be stored: the client must not take this for a no.
      refuse(answer, error_code::request_timed_out, "not stored yet; the outcome is unknown");
      continue;
    }
    const auto& result = pending.ticket.in->result(pending.ticket.index);
    if (result.error != ingest::produce_error::none) {
      auto code = code_of(result.error);
      if (result.error == ingest::produce_error::unknown_topic_or_partition)
        code = code_of_gone(s, accepted.answer.responses[pending.topic].name);
      refuse(answer, code);
      continue;
    }
    answer.base_offset = result.base_offset.value();
    const auto* topic = s.log.current().find_topic(pending.where.topic);
    if (!topic) continue;  // stored, and deleted since
    if (topic->settings.is_log_append_time) answer.log_append_time_ms = result.append_time.value();
    answer.log_start_offset = topic->partitions[std::size_t(pending.where.partition.value())].log_start.value();
  }
  co_return std::move(accepted.answer);
}
}  // namespace yaks::handlers
