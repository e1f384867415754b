#include <algorithm>
#include <utility>

#include "handlers/handlers.hpp"
#include "handlers/topics.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;
struct wanted_topic {
  std::optional<std::string_view> name;
  topic_id id;
};
const metadata::topic* find(const services& s, const wanted_topic& wanted) {
  return wanted.name ? s.log.current().find_topic(*wanted.name) : s.log.current().find_topic(wanted.id);
}
}  // namespace

awaitable<wire::delete_topics_response> delete_topics(services& s, const wire::delete_topics_request& request,
                                                      const request_context& context) {
  std::vector<wanted_topic> wanted;
  for (auto name : request.topic_names) wanted.push_back({name, {}});
  for (const auto& t : request.topics) wanted.push_back({t.name, topic_id(t.topic_id)});
  bool is_current = std::ranges::all_of(wanted, [&](const auto& w) { return find(s, w) != nullptr; }) ||
                    co_await s.log.barrier_since(context.arrived);

  wire::delete_topics_response answer;
  std::vector<metadata::delete_topic> commands;
  std::vector<std::size_t> places;
  for (const auto& w : wanted) {
    auto& out = answer.responses.emplace_back();
    if (w.name) out.name = *w.name;
    out.topic_id = w.id.value();
    if (w.name && !w.id.value().is_nil()) {
      out.error_code = error_code::invalid_request;
      out.error_message = "a topic is named by its name or by its id, not by both";
      continue;
    }
    const auto* topic = find(s, w);
    if (!topic) {
      out.error_code = !is_current ? error_code::request_timed_out
                       : w.name    ? error_code::unknown_topic_or_partition
                                   : error_code::unknown_topic_id;
      continue;
    }
    out.name = topic->name;
    out.topic_id = topic->id.value();
    places.push_back(answer.responses.size() - 1);
    commands.push_back({topic->id});
  }
  while (!commands.empty()) {
    auto asked = std::exchange(places, {});
    auto outcomes = co_await submit_until(s, std::exchange(commands, {}), answer_by(context, request.timeout_ms));
    for (std::size_t n = 0; n < asked.size(); ++n) {
      auto i = asked[n];
      auto& out = answer.responses[i];
      out.error_code = outcomes ? code_of((*outcomes)[n]) : error_code::request_timed_out;
      if (!wanted[i].name && out.error_code == error_code::unknown_topic_or_partition) out.error_code = error_code::unknown_topic_id;
      if (!outcomes || !(*outcomes)[n] || !wanted[i].name || !has_newer_topic(s, *wanted[i].name, (*outcomes)[n]->error)) continue;
      const auto* newer = find(s, wanted[i]);
      out.topic_id = newer->id.value();
      places.push_back(i);
      commands.push_back({newer->id});
    }
  }
  co_return answer;
}
}  // namespace yaks::handlers
