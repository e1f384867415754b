// Who is there: the agents that have registered in the metadata log and whose leases live.
//
// A registration is an entry of the log, so all agents see a new one at once. That one has died shows in its lease: each agent
// renews its own and reads all others' in the same call; the one with the smallest incarnation then fences who lapsed. An agent
// that comes back after that finds itself fenced and starts over. Until then its process's death shows in its node id, which nobody
// holds any more: clients are not sent to it, and nothing else follows from that. On the agent's executor only.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "membership/routing.hpp"
#include "metadata/metastore.hpp"
#include "metadata/replica.hpp"
#include "metrics/registry.hpp"
#include "runtime/runtime.hpp"

namespace yaks::membership {
struct members_settings {
  metadata::register_agent self;
  duration heartbeat = 5s;   // YAKS_GROUPCACHE_HEARTBEAT_MS
  duration lease_ttl = 15s;  // YAKS_GROUPCACHE_LEASE_TTL_MS
};

class members {
 public:
  members(runtime& rt, metadata::metastore& store, metadata::replica& log, members_settings settings,
          metrics::registry& metrics);
  // Renews the lease until cancelled.
  awaitable<void> run();
  // Takes this agent out: the others drop it at once.
  awaitable<void> leave();

  // Live brokers, by id. Agents that share an advertised address are one broker. This one is always among them.
  std::vector<broker> brokers() const;
  // True for one of the live agents: what one does for all is done by it. Two may believe it for a moment.
  bool is_first() const;
  // Live agents that have registered; the pointers hold until the log moves on.
  std::vector<std::pair<incarnation, const metadata::register_agent*>> agents() const;
  // When the lease was last renewed; nothing before the first time.
  std::optional<time_point> renewed_at() const { return renewed_at_; }
  duration lease_ttl() const { return settings_.lease_ttl; }
  // How many live agents come before this one, in an order that all know.
  std::size_t rank() const;
  // Registered and heard of: what this agent believes of another.
  bool is_alive(incarnation who) const;
  // What this agent is called: the id of the broker at its address.
  node_id self() const;

 private:
  bool is_live(incarnation who, const metadata::agent& what) const;
  bool is_absent(node_id node) const;
  awaitable<void> look_for_absent();
  awaitable<void> fence_lapsed();
  awaitable<void> raise_format();

  runtime& rt_;
  metadata::metastore& store_;
  metadata::replica& log_;
  members_settings settings_;
  std::set<incarnation> live_;  // as the store last said
  std::map<node_id, unsigned> missing_;  // registered, and held by nobody: in so many looks, one after the other
  std::optional<time_point> renewed_at_;
  metrics::counter &renewals_, &failures_, &fenced_;
};
}  // namespace yaks::membership
