// A member of a consumer group, as the clients of Kafka are: it finds a coordinator, joins, is assigned partitions,
// resumes from what is committed, heartbeats, commits, and joins again when it is told to. Whichever agent answers may
// serve it.
//
//   classic    JoinGroup, SyncGroup, Heartbeat (KIP-62); the leader assigns: all anew (range, members let go of
//   everything before
//              they join), or step by step (cooperative, KIP-429)
//   consumer   ConsumerGroupHeartbeat (KIP-848): the group assigns; what is to go is given up and reported before
//   others get it
//
// One coroutine polls, joins and commits, another one heartbeats, as in the Java client. It may stand still for a
// while, as in a long garbage collection, may die with its connections or in silence, or leave.
#pragma once
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/consumer.hpp"
#include "sim/group_checker.hpp"

namespace yaks::sim {
struct member_plan {
  std::string group;
  bool is_classic = true, is_cooperative = false;
  std::optional<std::string> instance;
  duration session = 6s, rebalance_timeout = 8s, heartbeat = 1s, pause = 100ms;
};

class member : public consumer {
 public:
  member(client_world& all, group_checker& groups, member_plan plan, std::uint64_t life);
  // Until it is over. Its heartbeats are a task of the clients.
  awaitable<void> run();

  const std::string& client_name() const { return name_; }
  const member_plan& plan() const { return plan_; }
  bool is_over() const { return over_ || dead_; }
  // Nothing of it runs any more.
  bool has_ended() const { return over_ && !beating_; }
  bool is_asleep() const { return all_.rt.now() < asleep_until_; }
  // A static member's place was taken by another one.
  bool is_fenced() const { return is_fenced_; }
  std::int32_t generation() const { return generation_; }
  // It reads what it was assigned, and nothing else is due.
  bool is_reading() const { return joined_ && !is_interrupted() && !is_asleep() && places_.size() == owned_.size(); }
  const std::set<topic_partition>& owned() const { return owned_; }

  void die(bool silently);
  // In order. A static member may go for a while, keeping its place.
  void leave();
  void sleep_for(duration d);
  void wake_up() { asleep_until_ = {}; }
  // No more wandering from agent to agent by itself.
  void settle_down() { wanders_ = false; }

 private:
  using error_code = wire::error_code;
  using partition_set = std::set<topic_partition>;
  static constexpr duration patience = 3s;

  member_name name() const;
  awaitable<void> awake();
  awaitable<std::shared_ptr<connection>> coordinator();
  // Nothing: no answer, or this member is over.
  template <class Request>
  awaitable<std::optional<typename answer_to<Request>::type>> ask_coordinator(std::int16_t version,
                                                                              const Request& request,
                                                                              duration how_long);
  // What every answer may say. True where it is no error.
  bool judge(error_code code, const member_name& asked_as, std::string_view to_what);
  // No answer came to what a rebalance may hold up so long.
  void judge_silence(time_point begun, duration how_long, std::string_view to_what);

  awaitable<void> beat();
  awaitable<void> beat_classic();
  awaitable<void> beat_consumer();
  awaitable<bool> join_classic();
  awaitable<bool> sync(wire::join_group_response joined);
  awaitable<void> follow_assignment();
  awaitable<void> go_away();
  void lose_everything();
  // Reads the committed offsets of what it owns and does not read yet, and reads that. False: not now.
  awaitable<bool> adopt();
  void drop(const partition_set& what);
  awaitable<bool> fetch_offsets(const partition_set& of);
  // `all`: also what has been committed before.
  awaitable<void> commit(bool all);
  awaitable<void> poll();
  void took(const place& p, std::int64_t at) override;
  void beat_now();
  bool is_interrupted() const {
    return is_over() || lost_ || rejoin_ || leaving_ || is_fenced_ || next_assignment_.has_value();
  }

  std::string subscription() const;
  std::string assignment_text(const partition_set& of) const;
  std::map<std::string, partition_set> assign(const std::vector<wire::join_group_response::member>& members) const;
  // Topics and partitions, as subscriptions and assignments have them.
  bool read_partitions(byte_view& from, partition_set& into) const;
  const std::string& topic_of(const topic_partition& p) const;

  group_checker& groups_;
  member_plan plan_;
  std::uint64_t life_;
  bool wanders_;

  std::string id_;
  std::int32_t generation_ = -1;    // or epoch
  bool joined_ = false;             // is a member of that generation, as far as it knows
  bool rejoin_ = false;             // has been told to join again
  bool lost_ = false;               // has been told that it is no member any more
  bool in_consumer_group_ = false;  // a classic member among consumers
  partition_set owned_;
  std::optional<partition_set> next_assignment_;  // of the consumer protocol
  partition_set reported_;                        // what it has said that it owns
  bool say_all_ = true;                           // the next heartbeat says everything
  std::map<topic_partition, std::int64_t> committed_;
  std::map<topic_id, std::string> topic_names_;
  std::uint64_t kills_before_ = 0;

  std::shared_ptr<connection> coordinator_;
  time_point coordinator_since_{}, asleep_until_{}, next_beat_{}, next_commit_{};
  event beat_changed_;
  std::uint64_t joins_ = 0;
  bool beating_ = false, beat_in_flight_ = false, commits_all_ = false;
  bool over_ = false, dead_ = false, silent_ = false, leaving_ = false, is_fenced_ = false;
};
}  // namespace yaks::sim
