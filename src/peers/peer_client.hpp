// Asks other agents for ranges. Whatever goes wrong costs a little time and then a GET, never an error: the caller
// reads the object store instead.
//
// A peer must show a sign of life within `first_byte` (an answer from memory, or that it asks the object store), and be
// done within `whole`. One that cannot be reached, or is silent three times in a row, is left alone for `avoid_for`;
// meanwhile its objects have another owner. On the agent's executor only.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "membership/members.hpp"
#include "metrics/registry.hpp"
#include "net/http_client.hpp"
#include "net/network.hpp"
#include "peers/ownership.hpp"
#include "peers/protocol.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"

namespace yaks::peers {
struct peer_client_settings {
  std::string secret;
  duration first_byte = 500ms, whole = 5s;
  duration avoid_for = 10s;  // YAKS_GROUPCACHE_POLL_MS
  unsigned silences_max = 3;
  std::size_t at_once_max = 16;  // questions to one peer
  duration queue_max = 1s;       // what has not had its turn by then goes to the object store
  std::size_t idle_max = 16;     // connections to one peer that are kept
  duration idle_for = 60s;
};

// Made also where no cache is shared, so that dashboards find the names.
struct peer_client_metrics {
  explicit peer_client_metrics(metrics::registry& metrics);
  // `count` answers how many other agents can be asked.
  static void add_peers(metrics::registry& metrics, std::function<double()> count);
  metrics::counter &loads, &bytes, &errors;
  metrics::histogram& seconds;
};

class peer_client {
 public:
  // `live` answers the agents that can be asked, this one included: it owns objects too.
  peer_client(runtime& rt, network& net, std::function<incarnation()> self, std::function<std::vector<peer>()> live,
              peer_client_settings settings, metrics::registry& metrics);
  // Whom to ask. Nothing where that is this agent itself: then the object store is.
  std::optional<peer> owner_of(object_id object) const;
  // The bytes of the ranges, in order, each as long as was asked for. Not checked further: say so where they are wrong.
  awaitable<std::optional<std::vector<shared_bytes>>> ask(peer whom, question q);
  // What it answered was not what was asked for: that costs a GET, too, and it is left alone for a while.
  void report_damage(const peer& whom);

 private:
  struct idle_connection {
    std::unique_ptr<http::client_connection> connection;
    time_point since;
  };
  struct relation {  // with one peer
    std::vector<idle_connection> idle;
    std::size_t under_way = 0, waiting = 0;
    event changed;  // one has ended, or it is left alone from now on
    unsigned silences = 0;
    time_point avoided_until{};
  };
  struct call;
  awaitable<bool> take_turn(incarnation who);
  awaitable<void> talk(call& c);
  awaitable<void> watch(const call& c);
  std::unique_ptr<http::client_connection> take_idle(incarnation who);
  void avoid(const peer& whom, const std::string& why);
  void forget_gone();

  runtime& rt_;
  network& net_;
  std::function<incarnation()> self_;
  std::function<std::vector<peer>()> live_;
  peer_client_settings settings_;
  std::map<incarnation, relation> relations_;
  peer_client_metrics metrics_;
};
}  // namespace yaks::peers
