#include "handlers/fetch_sessions.hpp"

#include <limits>

namespace yaks::handlers {
using wire::error_code;

fetch_session::fetch_session(fetch_session_budget& budget, std::int32_t id, bool has_topic_ids)
    : budget_(budget), id_(id), has_topic_ids_(has_topic_ids) {
  ++budget_.sessions_;
}

fetch_session::~fetch_session() {
  --budget_.sessions_;
  budget_.give_back(order_.size());
}

bool fetch_session::update(const wire::fetch_request& request) {
  for (const auto& t : request.topics) {
    std::shared_ptr<const std::string> name;
    for (const auto& p : t.partitions) {
      auto found = by_key_.find({t.topic_id, t.topic, p.partition});
      if (found == by_key_.end()) {
        if (!budget_.take(1)) return false;
        if (!name) name = std::make_shared<const std::string>(t.topic);
        order_.push_back({.topic = name, .topic_id = t.topic_id, .partition = p.partition});
        found = by_key_.emplace(key{t.topic_id, *name, p.partition}, std::prev(order_.end())).first;
      }
      auto& w = *found->second;
      w.offset = p.fetch_offset;
      w.bytes_max = p.partition_max_bytes;
      w.leader_epoch = p.current_leader_epoch;
    }
  }
  for (const auto& t : request.forgotten_topics_data)
    for (auto partition : t.partitions) {
      auto found = by_key_.find({t.topic_id, t.topic, partition});
      if (found == by_key_.end()) continue;
      auto place = found->second;
      by_key_.erase(found);
      order_.erase(place);
      budget_.give_back(1);
    }
  return true;
}

std::vector<fetch_target> fetch_session::targets() const {
  std::vector<fetch_target> all;
  all.reserve(order_.size());
  for (const auto& w : order_)
    all.push_back({*w.topic, w.topic_id, w.partition, w.offset, w.bytes_max, w.leader_epoch, w.topic});
  return all;
}

bool fetch_session::must_tell(const fetch_target& target,
                              const wire::fetch_response::topic_entry::partition_entry& answer) {
  auto found = by_key_.find({target.topic_id, target.topic, target.partition});
  if (found == by_key_.end()) return true;  // forgotten while this was read
  auto place = found->second;
  bool has_error = answer.error_code != error_code::none, has_records = answer.records && !answer.records->empty();
  bool must = has_error || has_records || place->told_high_watermark != answer.high_watermark ||
              place->told_log_start != answer.log_start_offset;
  // After an error the client is told again, whatever the watermarks were.
  place->told_high_watermark = has_error ? -1 : answer.high_watermark;
  place->told_log_start = has_error ? -1 : answer.log_start_offset;
  if (has_records) order_.splice(order_.end(), order_, place);
  return must;
}

fetch_plan plan_fetch(fetch_session_budget& budget, std::shared_ptr<void>& slot, const wire::fetch_request& request,
                      std::int16_t version, std::uint64_t random) {
  constexpr std::int32_t opening = 0, closing = -1;
  constexpr std::int16_t first_with_topic_ids = 13;
  fetch_plan plan;
  auto known = std::static_pointer_cast<fetch_session>(slot);
  const bool has_topic_ids = version >= first_with_topic_ids;
  if (request.session_epoch != opening && request.session_epoch != closing) {
    if (!known || known->id() != request.session_id)
      plan.error = error_code::fetch_session_id_not_found;
    else if (known->epoch() != request.session_epoch)
      plan.error = error_code::invalid_fetch_session_epoch;
    else if (known->has_topic_ids() != has_topic_ids)
      plan.error = error_code::fetch_session_topic_id_error;
    else if (!known->update(request)) {
      slot.reset();
      plan.error = error_code::fetch_session_id_not_found;  // its next, full fetch is declined a session
    } else {
      plan.targets = known->targets();
      if (known->is_empty()) {
        slot.reset();
      } else {
        known->next_epoch();
        plan.session = std::move(known);
        plan.is_incremental = true;
      }
    }
    return plan;
  }
  // A full fetch ends the session that it names; this connection's only other one would never be used again.
  if (known && (known->id() == request.session_id || request.session_epoch == opening)) slot.reset();
  for (const auto& t : request.topics)
    for (const auto& p : t.partitions)
      plan.targets.push_back({t.topic, t.topic_id, p.partition, p.fetch_offset, p.partition_max_bytes,
                              p.current_leader_epoch, nullptr});
  if (request.session_epoch == closing || plan.targets.empty()) return plan;
  auto id = std::int32_t(1 + random % std::numeric_limits<std::int32_t>::max());
  auto opened = std::make_shared<fetch_session>(budget, id, has_topic_ids);
  if (!opened->update(request)) return plan;
  slot = opened;
  plan.session = std::move(opened);
  return plan;
}
}  // namespace yaks::handlers
