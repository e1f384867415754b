// A group of the consumer protocol (KIP-848): there is no leader and no generation; the state machine itself computes who is to
// have what (the target), and each member moves towards it at its own pace, by its heartbeats.
//
//   group epoch        grows with each change of members, subscriptions or topics; the target is computed for it at once
//   member epoch       of the target that the member has reached
//   assigned           what the member may read; revoking: what it has been told to give up and has not yet
//
// A partition is in `assigned` or `revoking` of one member at most: nobody gets it before its owner has let go of it.
//
// Members of the classic protocol may be in such a group, too: that is how a group moves from one protocol to the other while
// it runs. They learn by REBALANCE_IN_PROGRESS that they are to join again, and are assigned by SyncGroup.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "metadata/commands.hpp"
#include "model/ids.hpp"

namespace yaks::metadata {
struct member_home {
  incarnation agent;
  std::uint64_t epoch = 0;  // never used twice, by any member
};

enum class reconcile_phase : std::uint8_t {
  stable = 0,      // has what its epoch's target says
  unrevoked = 1,   // has to confirm first that it has let go of something
  unreleased = 2,  // waits for partitions that others have not let go of
};

inline constexpr std::int32_t left_for_now = -2;  // the epoch of a static member that is away

struct consumer_member {
  std::optional<std::string> instance, rack;
  std::string client_id, client_host;
  std::int32_t session_timeout_ms = 0, rebalance_timeout_ms = 0;
  std::vector<std::string> topics;  // sorted, each once
  std::string regex;                // "": none
  std::string assignor;             // "": does not care
  std::int32_t epoch = 0, previous_epoch = 0;
  reconcile_phase phase = reconcile_phase::stable;
  std::set<topic_partition> assigned, revoking;
  // Since which epoch it has each of those (KIP-1251): what it commits in that epoch or a later one is its own. Nothing of what it
  // got before the log had assignment_epochs_log_format.
  std::map<topic_partition, std::int32_t> since;
  timestamp_ms revoke_by{0};  // 0: nothing to revoke
  member_home home;
  std::vector<group_protocol> classic;  // of a member of the classic protocol; empty: it is none
  std::uint64_t content = 0;            // a hash of the large fields
  bool is_classic() const { return !classic.empty(); }
};

struct consumer_group {
  std::int32_t epoch = 0;
  std::int32_t target_epoch = 0;
  std::string assignor;         // that made the target
  std::uint64_t topics_sum = 0;  // of the topics that the target was made for: another one, and it is made anew
  std::map<std::string, consumer_member, std::less<>> members;
  std::map<std::string, std::set<topic_partition>, std::less<>> target;  // by member
  std::map<std::string, std::vector<std::string>, std::less<>> regexes;  // what each matches, sorted, as an agent found it
  std::map<topic_partition, std::string> owners;                         // derived: of all that is assigned or being revoked

  // Nobody has it any more.
  void release(consumer_member& owner, topic_partition p) {
    owners.erase(p);
    owner.since.erase(p);
  }
  const std::string* static_member(std::string_view instance) const;
  bool is_subscribed(std::string_view topic) const;
  // As Kafka shows it: Empty, Assigning, Reconciling, Stable.
  std::string_view phase() const;
};

std::uint64_t content_hash(const consumer_member& m);
}  // namespace yaks::metadata
