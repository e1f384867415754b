#include "console/cluster_numbers.hpp"

#include <fmt/format.h>

#include <boost/asio/error.hpp>
#include <iterator>
#include <list>

#include "base/json.hpp"
#include "net/http_client.hpp"
#include "runtime/event.hpp"
#include "runtime/first_of.hpp"
#include "runtime/task_group.hpp"

namespace yaks::console {
struct cluster_numbers::question {
  other_agent whom;
  std::string answer;   // "" while there is none
  std::string problem;  // why
};
struct cluster_numbers::round {
  std::list<question> questions;  // a list: they stay where they are
  task_group tasks;
  std::size_t open = 0;
  event one_done{};
};

cluster_numbers::cluster_numbers(runtime& rt, network& net, agent_numbers& own,
                                 std::function<std::vector<other_agent>()> others, cluster_numbers_settings settings)
    : rt_(rt), net_(net), own_(own), others_(std::move(others)), settings_(std::move(settings)) {}

awaitable<void> cluster_numbers::ask(question& q, std::string target) {
  try {
    http::client_connection connection(co_await net_.connect(q.whom.at));
    http::headers fields = settings_.credentials;
    fields.push_back({"Host", http::host_header(q.whom.at)});
    fields.push_back({"Connection", "close"});
    std::vector<shared_bytes> none;
    auto got = co_await connection.exchange(http::request_text("GET", target, fields), std::move(none), true,
                                            numbers_bytes_max);
    auto text = as_text(got.body.view());
    if (got.head.status != 200)
      q.problem = fmt::format("it answers with status {}", got.head.status);
    else if (!text.starts_with('{') || !text.ends_with('}'))
      q.problem = "it answers with something else";
    else
      q.answer = text;
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    q.problem = error.code().message();
  } catch (const http::protocol_error& error) {
    q.problem = error.what();
  }
}

awaitable<void> cluster_numbers::ask_in_time(round& r, question& q, std::string target) {
  q.problem = fmt::format("no answer within {} s", std::chrono::duration<double>(settings_.patience).count());
  co_await first_of(ask(q, std::move(target)), rt_.sleep_for(settings_.patience));
  --r.open;
  r.one_done.notify_all();
}

awaitable<void> cluster_numbers::ask_all(round& r, std::string target) {
  std::size_t asked = 0;
  for (auto& q : r.questions) {
    if (q.whom.at.port == 0) {
      q.problem = "it has no port for other agents: set YAKS_GROUPCACHE_ENABLED=true";
    } else if (asked == settings_.agents_max) {
      q.problem = fmt::format("only {} agents are asked", settings_.agents_max);
    } else {
      ++asked;
      ++r.open;
      r.tasks.spawn(ask_in_time(r, q, target));
    }
  }
  while (r.open > 0) co_await r.one_done.wait();
}

awaitable<std::string> cluster_numbers::json(numbers_request request) {
  round r{.questions = {}, .tasks = task_group(rt_.executor())};
  for (auto& other : others_()) r.questions.push_back({.whom = std::move(other), .answer = "", .problem = ""});
  auto target = fmt::format("{}?{}", numbers_path, query_of(request));
  co_await run_then_close(ask_all(r, std::move(target)), r.tasks);
  std::string out = "\"agents\":[" + own_.numbers(request), silent;
  for (const auto& q : r.questions) {
    if (!q.answer.empty()) {
      out += ',';
      out += q.answer;
      continue;
    }
    silent += silent.empty() ? "{\"incarnation\":" : ",{\"incarnation\":";
    append_json(silent, q.whom.who.value().text());
    fmt::format_to(std::back_inserter(silent), ",\"node\":{},\"port\":{}", q.whom.node, q.whom.port);
    append_json(silent += ",\"host\":", q.whom.host);
    append_json(silent += ",\"zone\":", q.whom.zone);
    append_json(silent += ",\"version\":", q.whom.version);
    append_json(silent += ",\"problem\":", q.problem);
    silent += '}';
  }
  co_return out + "],\"silent\":[" + silent + "]";
}
}  // namespace yaks::console
