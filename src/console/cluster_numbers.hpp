// The numbers of all agents: this one's from memory, the others' asked for over HTTP, all at the same time. One that
// does not answer in time is named as silent; it costs the answer nothing but that time. On the agent's executor only.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "console/agent_numbers.hpp"
#include "model/ids.hpp"
#include "net/http.hpp"
#include "net/network.hpp"
#include "runtime/runtime.hpp"

namespace yaks::console {
struct other_agent {
  incarnation who;
  std::int32_t node = 0;
  std::string host;  // advertised to clients
  std::uint16_t port = 0;
  std::string zone, version;
  endpoint at;  // where it answers numbers_path; port 0: nowhere
};

struct cluster_numbers_settings {
  http::headers credentials;     // what agents show each other
  duration patience = 2s;        // less than what a browser waits
  std::size_t agents_max = 200;  // more are named as silent
};

class cluster_numbers {
 public:
  // `others`: the live agents but this one. References outlive it.
  cluster_numbers(runtime& rt, network& net, agent_numbers& own, std::function<std::vector<other_agent>()> others,
                  cluster_numbers_settings settings);
  // Members of a JSON object: "agents":[…],"silent":[…].
  awaitable<std::string> json(numbers_request request);

 private:
  struct question;
  struct round;
  awaitable<void> ask_all(round& r, std::string target);
  awaitable<void> ask_in_time(round& r, question& q, std::string target);
  awaitable<void> ask(question& q, std::string target);
  runtime& rt_;
  network& net_;
  agent_numbers& own_;
  std::function<std::vector<other_agent>()> others_;
  cluster_numbers_settings settings_;
};
}  // namespace yaks::console
