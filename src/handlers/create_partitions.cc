#include <fmt/format.h>

#include <map>

#include "handlers/handlers.hpp"
#include "handlers/topics.hpp"

namespace yaks::handlers {
using wire::error_code;

awaitable<wire::create_partitions_response> create_partitions(services& s, const wire::create_partitions_request& request,
                                                              const request_context& context) {
  // A count that is too small by a stale state would be a denial too.
  bool is_current = co_await s.log.barrier_since(context.arrived);
  std::map<std::string_view, int> times_named;
  for (const auto& t : request.topics) ++times_named[t.name];
  wire::create_partitions_response answer;
  std::vector<std::size_t> open;  // places in the request that there is no verdict on
  for (const auto& t : request.topics) {
    open.push_back(answer.results.size());
    answer.results.emplace_back().name = t.name;
  }
  while (!open.empty()) {
    std::vector<metadata::create_partitions> commands;
    std::vector<std::size_t> places;
    for (auto i : open) {
      const auto& t = request.topics[i];
      auto& out = answer.results[i];
      auto refuse = [&](error_code code, std::string text) {
        out.error_code = code;
        out.error_message = std::move(text);
      };
      const auto* topic = s.log.current().find_topic(t.name);
      if (!is_current) {
        refuse(error_code::request_timed_out, "the metadata log cannot be read at the moment");
      } else if (times_named[t.name] > 1) {
        refuse(error_code::invalid_request, "the request names this topic more than once");
      } else if (!topic) {
        refuse(error_code::unknown_topic_or_partition, "This server does not host this topic-partition.");
      } else if (auto now = std::int32_t(topic->partitions.size()); t.count <= now) {
        refuse(error_code::invalid_partitions,
               t.count == now ? fmt::format("Topic already has {} partition(s).", now)
                              : fmt::format("The topic {} currently has {} partition(s); {} would not be an increase.", t.name, now, t.count));
      } else if (t.count > partitions_per_topic_max) {
        refuse(error_code::invalid_partitions, fmt::format("a topic has at most {} partitions", partitions_per_topic_max));
      } else if (t.assignments && t.assignments->size() != std::size_t(t.count - now)) {
        refuse(error_code::invalid_replica_assignment,
               fmt::format("{} partitions are added, and {} are assigned", t.count - now, t.assignments->size()));
      } else if (!request.validate_only) {
        places.push_back(i);
        commands.push_back({topic->id, t.count});
      }
    }
    open.clear();
    if (commands.empty()) break;
    auto outcomes = co_await submit_until(s, std::move(commands), answer_by(context, request.timeout_ms));
    for (std::size_t n = 0; n < places.size(); ++n) {
      auto& out = answer.results[places[n]];
      out.error_code = outcomes ? code_of((*outcomes)[n]) : error_code::request_timed_out;
      if (outcomes && (*outcomes)[n] && has_newer_topic(s, out.name, (*outcomes)[n]->error)) open.push_back(places[n]);
    }
  }
  co_return answer;
}
}  // namespace yaks::handlers
