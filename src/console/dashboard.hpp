// The dashboard's HTTP: a page from memory, and two documents behind it that say how the whole cluster is. Any agent
// serves it.
//
//   GET /               the page and its files, for everybody: there is nothing of the cluster in them
//   GET /api/cluster?step=5&since=MS&topics=1    all agents' numbers
//   GET /api/topics?filter=TEXT                  what lies in topics
//
// Where a token is set, the documents want `Authorization: Bearer TOKEN`. Where none is set, they are given to pages of
// this very server only: a request must name it by address, or as localhost, or as the host it listens on, so that a
// page of somebody else cannot read them through a name that it has pointed here (DNS rebinding). Nothing can be
// changed through it. On the agent's executor only.
#pragma once
#include <string>

#include "console/cluster_numbers.hpp"
#include "console/topic_survey.hpp"
#include "net/http_server.hpp"
#include "runtime/task_group.hpp"

namespace yaks::console {
struct dashboard_settings {
  std::string cluster_id;
  std::int32_t node = 0;
  std::string host;   // YAKS_CONSOLE_HOST
  std::string token;  // YAKS_CONSOLE_TOKEN; "": none
  double storage_dollars_per_gb_month = 0;
};

class dashboard {
 public:
  // References outlive it.
  dashboard(runtime& rt, cluster_numbers& cluster, topic_survey& topics, dashboard_settings settings);
  http::server_response answer(const http::server_request& request);
  // Counts what lies in topics while somebody looks, at most every 5 s, until cancelled.
  awaitable<void> run();

 private:
  bool is_allowed(const http::server_request& request, http::server_response& refusal) const;
  awaitable<http::server_response> cluster(numbers_request request);
  runtime& rt_;
  cluster_numbers& cluster_;
  topic_survey& topics_;
  dashboard_settings settings_;
  bool survey_wanted_ = false;
  event wanted_;
};
}  // namespace yaks::console
