// Agents have no directories: all of them have the object store, shown as one. So that a sum over all brokers is what is
// stored, each partition is shown by one broker: its favourite, which Metadata calls its leader.
#include <map>
#include <set>

#include "handlers/handlers.hpp"
#include "handlers/pieces.hpp"

namespace yaks::handlers {
namespace {
using directory = wire::describe_log_dirs_response::directory;
}

awaitable<wire::describe_log_dirs_response> describe_log_dirs(services& s,
                                                              const wire::describe_log_dirs_request& request,
                                                              const request_context& context) {
  wire::describe_log_dirs_response answer;
  if (!co_await s.log.barrier_since(context.arrived)) {
    answer.error_code = wire::error_code::request_timed_out;
    co_return answer;
  }
  auto brokers = s.members.brokers();
  auto self = s.members.self();
  auto& all = answer.results.emplace_back();
  all.log_dir = "object-store";
  auto add = [&](const metadata::topic& topic, const std::set<std::int32_t>* wanted) {
    directory::topic_entry out;
    out.name = topic.name;
    for (std::size_t i = 0; i < topic.partitions.size(); ++i) {
      auto index = std::int32_t(i);
      if (wanted && !wanted->contains(index)) continue;
      if (membership::favourite(brokers, membership::routing_key({topic.id, partition_index(index)})).id != self)
        continue;
      out.partitions.push_back({.partition_index = index, .partition_size = std::int64_t(topic.partitions[i].bytes)});
    }
    if (!out.partitions.empty()) all.topics.push_back(std::move(out));
  };
  pieces made(s);
  if (!request.topics) {
    std::vector<std::string> names;
    for (const auto& [name, topic] : s.log.current().topics_by_name()) names.push_back(name);
    for (const auto& name : names) {
      const auto* topic = s.log.current().find_topic(name);
      if (!topic) continue;  // deleted between two pieces
      add(*topic, nullptr);
      co_await made.next(topic->partitions.size());
    }
    co_return answer;
  }
  // Each partition once, however often it is asked for; what does not exist is left out, as in Kafka.
  std::map<std::string_view, std::set<std::int32_t>> wanted;
  for (const auto& t : *request.topics) wanted[t.topic].insert(t.partitions.begin(), t.partitions.end());
  for (const auto& [name, partitions] : wanted)
    if (const auto* topic = s.log.current().find_topic(name)) {
      add(*topic, &partitions);
      co_await made.next(topic->partitions.size());
    }
  co_return answer;
}
}  // namespace yaks::handlers
