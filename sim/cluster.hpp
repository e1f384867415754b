// The agents of a simulated world, and what befalls them: each is the production agent, unchanged, in a process of its own
// that is killed between any two of its handlers or at one of the points that its code names, paused, stopped in order, and
// started again.
#pragma once
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "agent/agent.hpp"
#include "sim/network.hpp"
#include "sim/stores.hpp"
#include "sim/world.hpp"

namespace yaks::sim {
class cluster {
 public:
  cluster(world& w, wires& all, servers& s);
  ~cluster();

  std::vector<endpoint> bootstrap() const;
  // Begins the faults of the scenario.
  void begin_faults();
  // No more faults: what is paused goes on, what is down comes up, outages end.
  void calm_down();
  // Ends one in the calm, too; its machine lives on.
  void kill_another();
  std::uint64_t kills() const { return kills_; }
  // All agents serve, and none has more to do.
  bool all_ready() const;
  // All agents have applied the whole log, and none holds back anything for a client.
  bool is_settled() const;
  // That agent has not applied the newest entry.
  bool is_behind(const std::string& name) const;
  // When there are no clients any more.
  void check_at_rest();
  // Compares all states, and what each agent holds against its limits.
  void check_all();
  // An orderly end of all agents.
  void stop_all();
  bool all_stopped() const;
  // Kills what is left.
  void end();

 private:
  struct life;
  struct node {
    std::int32_t id = 0;
    std::string name;
    std::unique_ptr<life> current;
    std::uint64_t lives = 0;
    bool starting = false;
    bool is_of_older_version = false;  // knows the oldest format of the log only
  };
  void start(node& n);
  void kill(node& n, std::string_view why, bool may_lose_power = true);
  void start_later(node& n, duration pause);
  void ended(node& n, std::uint64_t which);
  void after_handler(simulated_runtime& ran);
  bool at_fault_point(simulated_runtime& who, std::string_view where);
  node* any_running();
  node* node_of(const simulated_runtime& rt);
  void check(const node& n) const;

  void every(duration mean, void (cluster::*fault)());
  void kill_one();
  void stop_one();
  void upgrade_one();
  void pause_one();
  void cut_one();
  void silence_one();
  void slow_one_down();
  void move_a_clock();
  void lose_the_log();
  void lose_the_objects();

  world& w_;
  wires& wires_;
  servers& servers_;
  std::deque<node> nodes_;
  std::uint64_t checks_ = 0, kills_ = 0;
  // The next kill between two handlers: of that process, after so many of them.
  std::uint64_t victim_ = 0, victim_handlers_ = 0;
  bool stopping_ = false;
};
}  // namespace yaks::sim
