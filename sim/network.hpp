// The network between simulated processes: connections that take time, arrive in parts, are cut, fall silent, or crawl.
//
//   wires   all connections and listeners; owned by the world, outlives every process
//   host    the network as one process sees it, under one name; it ends with its process
//
// What was written travels on its own: it arrives although its sender has died meanwhile. A process that dies takes its
// connections with it, with a reset where its kernel goes on, or silently where the power went.
#pragma once
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "net/network.hpp"
#include "sim/world.hpp"

namespace yaks::sim {
class host;

class wires {
 public:
  explicit wires(world& w) : world_(w) {}
  struct connection;
  struct listening;

  // One of the open connections, chosen by the seed: false where there is none.
  bool cut_one();
  bool silence_one();
  bool slow_one_down(duration extra, duration how_long);
  std::size_t open();  // connections

 private:
  friend class host;
  friend class sim_stream;
  std::shared_ptr<connection> any();
  void forget_closed();

  world& world_;
  // By age: faults choose by index, never by address. Shared with both ends and the bytes on the way.
  std::vector<std::shared_ptr<connection>> connections_;
  std::map<std::pair<std::string, std::uint16_t>, listening*> listeners_;
  std::set<std::string> unreachable_;  // hosts without power: whoever connects hears nothing
};

class host final : public network {
 public:
  host(wires& all, simulated_runtime& rt, std::string name) : wires_(all), rt_(rt), name_(std::move(name)) {}
  ~host() override;
  awaitable<std::unique_ptr<byte_stream>> connect(endpoint to) override;
  // At this host's name, whatever address is asked for.
  std::unique_ptr<listener> listen(endpoint at) override;
  // The process dies: to be called before it is killed.
  void die(bool power_lost);

 private:
  wires& wires_;
  simulated_runtime& rt_;
  std::string name_;
};
}  // namespace yaks::sim
