#include <algorithm>

#include "handlers/handlers.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;

error_code code_of(fetch::fetch_error error) {
  switch (error) {
    case fetch::fetch_error::none: return error_code::none;
    case fetch::fetch_error::unknown_topic_or_partition: return error_code::unknown_topic_or_partition;
    case fetch::fetch_error::offset_out_of_range: return error_code::offset_out_of_range;
    case fetch::fetch_error::storage: return error_code::kafka_storage_error;
  }
  return error_code::unknown_server_error;
}
}  // namespace

awaitable<fetch_answer> fetch(services& s, const wire::fetch_request& request, const request_context& context) {
  fetch_answer answer;
  // No session is ever given out (KIP-227 lets a broker decline): every fetch names all its partitions.
  if (request.session_id != 0) {
    answer.response.error_code = error_code::fetch_session_id_not_found;
    co_return answer;
  }
  if (request.session_epoch > 0) {
    answer.response.error_code = error_code::invalid_fetch_session_epoch;
    co_return answer;
  }
  if (std::ranges::any_of(request.topics, [&](const auto& t) { return !s.log.current().find_topic(t.topic); }))
    co_await s.log.barrier_since(context.arrived);

  fetch::fetch_request wanted;
  wanted.bytes_min = std::uint32_t(std::max(request.min_bytes, 0));
  wanted.bytes_max = std::uint32_t(std::max(request.max_bytes, 0));
  wanted.wait_max = std::chrono::milliseconds(std::max(request.max_wait_ms, 0));
  bool has_error = false;
  for (const auto& t : request.topics) {
    const auto* topic = s.log.current().find_topic(t.topic);
    for (const auto& p : t.partitions) {
      has_error |= p.current_leader_epoch > leader_epoch;
      // An unknown name keeps the nil id, which nothing has.
      wanted.partitions.push_back({.where = {topic ? topic->id : topic_id(), partition_index(p.partition)},
                                   .from = offset(p.fetch_offset),
                                   .bytes_max = std::uint32_t(std::max(p.partition_max_bytes, 0))});
    }
  }
  if (has_error) wanted.wait_max = {};  // an error does not wait for data
  wanted.memory_turn = context.memory_turn;
  auto got = co_await s.fetcher.fetch(std::move(wanted));
  answer.lease = std::move(got.lease);

  std::size_t i = 0;
  for (const auto& t : request.topics) {
    auto& topic_answer = answer.response.responses.emplace_back();
    topic_answer.topic = t.topic;
    const auto* topic = s.log.current().find_topic(t.topic);
    std::uint64_t bytes = 0, records = 0;
    for (const auto& p : t.partitions) {
      auto& data = got.partitions[i++];
      auto& out = topic_answer.partitions.emplace_back();
      out.partition_index = p.partition;
      out.error_code = code_of(data.error);
      // A client that knows a later epoch than ours has talked to another cluster (KIP-320).
      if (p.current_leader_epoch > leader_epoch && out.error_code == error_code::none)
        out.error_code = error_code::unknown_leader_epoch;
      out.high_watermark = data.high_watermark.value();
      out.last_stable_offset = data.last_stable_offset.value();
      out.log_start_offset = data.log_start.value();
      if (request.isolation_level == 1) out.aborted_transactions.emplace();
      if (out.error_code != error_code::none) continue;
      out.records->parts = std::move(data.batches);
      bytes += data.bytes;
      records += data.records;
      if (data.end == data.high_watermark && data.newest > timestamp_ms(0))
        s.topics.end_to_end_seconds().observe(double(std::max<std::int64_t>(s.rt.wall_clock() - data.newest, 0)) / 1000);
    }
    if (!topic || bytes == 0) continue;
    auto& series = s.topics.of(*topic);
    series.fetch_bytes.add(double(bytes));
    series.fetch_records.add(double(records));
  }
  co_return answer;
}
}  // namespace yaks::handlers
