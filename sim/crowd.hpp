// The members of all groups of a run, and what befalls them: they die with their connections or in silence, leave,
// stand still for longer than their sessions, start again under the same instance id, even while the old one lives,
// and, where a group moves from one protocol to the other, come again as members of the other one.
#pragma once
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "sim/member.hpp"

namespace yaks::sim {
class crowd {
 public:
  crowd(client_world& all, group_checker& groups);
  // Changes until the world stops; then everybody is there.
  awaitable<void> run();
  // In every group all are in one generation, and read every partition once.
  bool is_whole() const;
  std::string what_lacks() const;
  // Everything that was acknowledged is consumed, and that is committed.
  bool is_done() const;
  // While all is quiet: what may not happen then. `kill` ends an agent and starts it again.
  awaitable<void> rest(std::function<void()> kill);
  void leave();
  bool has_ended() const;
  void finish();

 private:
  struct slot {
    member_plan plan;
    bool changes_protocol = false;
    member* current = nullptr;  // null: nobody, until then
    time_point comes_at{};
  };
  struct group {
    std::string name;
    duration session;
  };
  void start(slot& s);
  void go(slot& s);
  void change_something();
  std::vector<topic_partition> all_partitions() const;

  client_world& all_;
  group_checker& groups_;
  std::vector<group> names_;
  std::vector<slot> slots_;
  bool prefers_classic_ = true;  // those who may be either
  std::deque<member> members_;   // all that ever were
};
}  // namespace yaks::sim
