// What consumer groups promise, checked while their members run: what members were told against what others were told,
// and against the log. Pure but for the world's violations; one thread.
//
//   two owners          a partition has two owners in one generation; with the consumer protocol: it was given away
//   before its
//                       owner let go of it, who is a member still
//   offset went back    an OffsetFetch answers something else than the last commit that was acknowledged before it, or
//   one that
//                       may still come
//   not fenced          a commit is acknowledged although a later generation, or a later owner, had been told before it
//   was sent wrong fencing       a member is told that it is none, or of another generation or epoch, and the log says
//   otherwise not consumed        a record that no member has been given lies before the committed offset stuck join
//   nothing goes wrong, and a JoinGroup or SyncGroup is not answered in the time that a rebalance may take needless
//   rebalance  a group at rest has another generation, although its members did nothing but find other agents costly
//   rest         a group at rest changes in the log
#pragma once
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "metadata/state.hpp"
#include "sim/checker.hpp"
#include "sim/world.hpp"
#include "wire/error_code.hpp"

namespace yaks::sim {
// A member as its client sees itself, at one moment.
struct member_name {
  std::string group;
  std::uint64_t life = 0;        // of the client: no two ever have the same
  std::string id;                // as the group knows it
  std::string owner;             // its instance id, or else `id`: who returns under it has not changed hands
  std::int32_t generation = -1;  // or epoch
  // What it said last of what it owns may not have been heard, or be heard late: the group may think that it has let
  // go.
  bool is_doubtful = false;
};

class group_checker {
 public:
  group_checker(world& w, checker& truth) : world_(w), truth_(truth) {
    truth_.after_entry = [this] { entry_applied(); };
  }

  // ---- who has what
  // By a JoinGroup of a classic group.
  void generation_told(const std::string& group, std::int32_t generation);
  // By a SyncGroup or a ConsumerGroupHeartbeat: it may read the partition. `one_by_one`: the group hands partitions
  // over one at a time, as the consumer protocol does.
  void told(const member_name& who, topic_partition what, bool one_by_one);
  void epoch_told(const member_name& who);
  void reads(const member_name& who, topic_partition what) {
    groups_[who.group].partitions[what].believers[who.life] = who;
  }
  void in_doubt(const member_name& who);
  void lets_go(const member_name& who, topic_partition what);
  void lets_go_of_all(const std::string& group, std::uint64_t life);

  // ---- committed offsets
  struct attempt {
    member_name who;
    std::int64_t value;
    bool is_classic;
    time_point begun, ended = time_point::max();
    enum { unknown, acknowledged, refused } what = unknown;
    bool must_fail = false;  // somebody had been told of its end before it was sent
  };
  using ticket = std::shared_ptr<attempt>;  // shared: what is decided may be forgotten before its answer comes
  ticket commit_begins(const member_name& who, topic_partition what, std::int64_t value, bool is_classic);
  void commit_acknowledged(const member_name& who, topic_partition what, const ticket& t);
  void commit_refused(const ticket& t);
  void fetched(const member_name& who, topic_partition what, time_point begun, std::int64_t value);

  // ---- records
  void consumed(const std::string& group, topic_partition what, std::int64_t at);
  // All of the partition has been consumed, and that is committed.
  bool is_done(const std::string& group, topic_partition what) const;
  // Before the committed offsets nothing is left out.
  void finish(const std::string& group);

  // ---- answers
  // An error that says something of the member. One that it cannot mean is a violation.
  void refused(const member_name& who, wire::error_code why, std::string_view to_what);

  // ---- the log's word
  std::int32_t generation_of(const std::string& group) const;
  bool is_stable(const std::string& group) const;
  // Of all groups: changed by every command that does something to one.
  std::uint64_t digest() const { return truth_.state().groups().digest(); }
  const metadata::group* find(const std::string& group) const { return truth_.state().groups().find(group); }
  std::size_t generations() const { return generations_told_; }

 private:
  struct partition {
    std::map<std::int32_t, std::string> owners;      // by generation
    std::map<std::uint64_t, member_name> believers;  // who reads it now, as they believe; by life
    std::list<ticket> attempts;
    std::vector<bool> consumed;
  };
  struct group_record {
    std::int32_t generation_told = -1;  // of the classic protocol
    std::map<topic_partition, partition> partitions;
  };
  struct kind {
    bool is_of_consumers = false, has_members = false;
  };
  void entry_applied();
  // What is not known of these will not be applied any more.
  template <class Predicate>
  void close(partition& p, Predicate is_over);

  world& world_;
  checker& truth_;
  std::map<std::string, group_record> groups_;
  std::map<std::string, kind> kinds_;
  std::size_t generations_told_ = 0;
};
}  // namespace yaks::sim
