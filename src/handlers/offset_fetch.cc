#include "base/mutation.hpp"
#include "handlers/groups.hpp"
#include "handlers/handlers.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;

// Offset -1 without an error: nothing was committed.
template <class Partition>
Partition answer_of(const services& s, std::string_view group, const metadata::topic* topic, std::int32_t index) {
  Partition out;
  out.partition_index = index;
  out.committed_offset = -1;
  out.metadata = "";
  const auto* offsets = s.log.current().find_group_offsets(group);
  if (!topic || !offsets) return out;
  auto found = offsets->find({topic->id, partition_index(index)});
  if (found == offsets->end()) return out;
  out.committed_offset = found->second.committed.value();
  out.committed_leader_epoch = found->second.leader_epoch;
  out.metadata = found->second.metadata;
  return out;
}

// All that the group has committed, topic by topic.
template <class Topic, class Partition>
std::vector<Topic> all_of(const services& s, std::string_view group) {
  std::vector<Topic> topics;
  const auto* offsets = s.log.current().find_group_offsets(group);
  if (!offsets) return topics;
  const metadata::topic* last = nullptr;
  for (const auto& [where, committed] : *offsets) {
    const auto* topic = s.log.current().find_topic(where.topic);
    if (topic != last) {
      last = topic;
      auto& t = topics.emplace_back();
      t.name = topic->name;
      if constexpr (requires { t.topic_id; }) t.topic_id = topic->id.value();
    }
    topics.back().partitions.push_back(answer_of<Partition>(s, group, topic, where.partition.value()));
  }
  return topics;
}
}  // namespace

awaitable<wire::offset_fetch_response> offset_fetch(services& s, const wire::offset_fetch_request& request,
                                                    const request_context& context) {
  using response = wire::offset_fetch_response;
  bool known = mutated("offsets fetched without a barrier") || co_await s.log.barrier_since(context.arrived);
  response answer;
  if (context.version < 8) {
    if (!known) {
      answer.error_code = error_code::coordinator_not_available;
      // Version 1 has no place for it but the partitions.
      if (context.version < 2 && request.topics)
        for (const auto& t : *request.topics) {
          auto& out = answer.topics.emplace_back();
          out.name = t.name;
          for (auto index : t.partition_indexes) {
            auto& p = out.partitions.emplace_back();
            p.partition_index = index;
            p.committed_offset = -1;
            p.metadata = "";
            p.error_code = error_code::coordinator_not_available;
          }
        }
      co_return answer;
    }
    using partition_answer = response::topic_entry::partition_entry;
    if (!request.topics) answer.topics = all_of<response::topic_entry, partition_answer>(s, request.group_id);
    else
      for (const auto& t : *request.topics) {
        auto& out = answer.topics.emplace_back();
        out.name = t.name;
        const auto* topic = s.log.current().find_topic(t.name);
        for (auto index : t.partition_indexes) out.partitions.push_back(answer_of<partition_answer>(s, request.group_id, topic, index));
      }
    co_return answer;
  }
  for (const auto& g : request.groups) {
    auto& group_answer = answer.groups.emplace_back();
    group_answer.group_id = g.group_id;
    if (!known) {
      group_answer.error_code = error_code::coordinator_not_available;
      continue;
    }
    if (g.member_id && !g.member_id->empty() && g.member_epoch >= 0) {
      group_answer.error_code = code_of(s.log.current().groups().check_consumer(g.group_id, *g.member_id, g.member_epoch));
      if (group_answer.error_code != error_code::none) continue;
    }
    using group_topic = response::group_entry::group_topic;
    using partition_answer = group_topic::group_partition;
    if (!g.topics) {
      group_answer.topics = all_of<group_topic, partition_answer>(s, g.group_id);
      continue;
    }
    for (const auto& t : *g.topics) {
      auto& out = group_answer.topics.emplace_back();
      out.name = t.name;
      out.topic_id = t.topic_id;
      const auto* topic = context.version >= 10 ? s.log.current().find_topic(topic_id(t.topic_id)) : s.log.current().find_topic(t.name);
      for (auto index : t.partition_indexes) {
        out.partitions.push_back(answer_of<partition_answer>(s, g.group_id, topic, index));
        if (!topic && context.version >= 10) out.partitions.back().error_code = error_code::unknown_topic_id;
      }
    }
  }
  co_return answer;
}
}  // namespace yaks::handlers
