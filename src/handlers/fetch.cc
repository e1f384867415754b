#include <algorithm>
#include <vector>

#include "handlers/fetch_sessions.hpp"
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
  auto plan = plan_fetch(s.fetch_sessions, context.connection->fetch_session, request, context.version, s.rt.random());
  if (plan.error != error_code::none) {
    answer.response.error_code = plan.error;
    co_return answer;
  }
  const bool by_id = context.version >= 13;
  auto topic_of = [&](const fetch_target& t) {
    return by_id ? s.log.current().find_topic(topic_id(t.topic_id)) : s.log.current().find_topic(t.topic);
  };
  // Perhaps another agent has made it: a no needs the log.
  bool is_current = std::ranges::all_of(plan.targets, topic_of) || co_await s.log.barrier_since(context.arrived);

  fetch::fetch_request wanted;
  wanted.bytes_min = std::uint32_t(std::max(request.min_bytes, 0));
  wanted.bytes_max = std::uint32_t(std::max(request.max_bytes, 0));
  wanted.wait_max = std::chrono::milliseconds(std::max(request.max_wait_ms, 0));
  wanted.partitions.reserve(plan.targets.size());
  std::vector<bool> was_known;
  bool has_error = false;
  for (const auto& t : plan.targets) {
    const auto* topic = topic_of(t);
    has_error |= t.leader_epoch > leader_epoch;
    was_known.push_back(topic != nullptr);
    // An unknown topic keeps the nil id, which nothing has.
    wanted.partitions.push_back({.where = {topic ? topic->id : topic_id(), partition_index(t.partition)},
                                 .from = offset(t.offset),
                                 .bytes_max = std::uint32_t(std::max(t.bytes_max, 0))});
  }
  if (has_error) wanted.wait_max = {};  // an error does not wait for data
  wanted.memory_turn = context.memory_turn;
  auto got = co_await s.fetcher.fetch(std::move(wanted));
  answer.lease = std::move(got.lease);

  answer.response.session_id = plan.session ? plan.session->id() : 0;
  const fetch_target* previous = nullptr;
  for (std::size_t i = 0; i < plan.targets.size(); ++i) {
    const auto& t = plan.targets[i];
    auto& data = got.partitions[i];
    const auto* topic = topic_of(t);
    wire::fetch_response::topic_entry::partition_entry out;
    out.partition_index = t.partition;
    out.error_code = was_known[i] || is_current ? code_of(data.error) : error_code::kafka_storage_error;
    if (out.error_code == error_code::unknown_topic_or_partition && by_id && !topic)
      out.error_code = error_code::unknown_topic_id;
    // A client that knows a later epoch than ours has talked to another cluster (KIP-320).
    if (t.leader_epoch > leader_epoch && out.error_code == error_code::none)
      out.error_code = error_code::unknown_leader_epoch;
    out.high_watermark = data.high_watermark.value();
    out.last_stable_offset = data.last_stable_offset.value();
    out.log_start_offset = data.log_start.value();
    if (request.isolation_level == 1) out.aborted_transactions.emplace();
    if (out.error_code == error_code::none) {
      out.records->parts = std::move(data.batches);
      if (data.end == data.high_watermark && data.newest > timestamp_ms(0))
        s.topics.end_to_end_seconds().observe(double(std::max<std::int64_t>(s.rt.wall_clock() - data.newest, 0)) / 1000);
      if (topic && data.bytes > 0) {
        auto& series = s.topics.of(*topic);
        series.fetch_bytes.add(double(data.bytes));
        series.fetch_records.add(double(data.records));
      }
    }
    bool must_tell = !plan.session || plan.session->must_tell(t, out) || !plan.is_incremental;
    if (!must_tell) continue;
    if (!previous || previous->topic != t.topic || previous->topic_id != t.topic_id) {
      auto& next = answer.response.responses.emplace_back();
      next.topic = t.topic;
      next.topic_id = t.topic_id;
    }
    previous = &t;
    answer.response.responses.back().partitions.push_back(std::move(out));
  }
  co_return answer;
}
}  // namespace yaks::handlers
