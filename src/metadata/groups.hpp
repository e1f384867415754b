// Classic consumer groups: who is a member, of which generation, and who waits for what. Part of the state machine: pure, and
// changed by the log only.
//
//             join                          all have joined, or the timer              the leader's sync
//   empty ───────────▶ preparing_rebalance ────────────────────────────▶ completing_rebalance ─────────▶ stable
//     ▲                   ▲    │ nobody is left                                 │ a join, a leave, an expiry  │
//     └───────────────────┼────┘                                                ▼                             │
//                         └───────────────────────────────────────────────────────────────────────────────────┘
//
// The rules are those of Kafka's classic group coordinator (KIP-62, KIP-134, KIP-345, KIP-394, KIP-814). Where that keeps the
// future of a request, this keeps the request's number, and the entry that answers it says so in group_changes: whichever agent
// has the waiting client recognises the number.
//
// Sessions are not judged here. Each member has a home, the incarnation whose agent it talks to; that one's clock decides, and
// its expire_member names the home epoch that it speaks of. Timers of a group are judged by the log's time.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "metadata/commands.hpp"
#include "metadata/consumer_group.hpp"
#include "model/ids.hpp"

namespace yaks::metadata {
class state;

enum class group_phase : std::uint8_t { empty = 0, preparing_rebalance = 1, completing_rebalance = 2, stable = 3 };
// As ListGroups and DescribeGroups spell it.
std::string_view name(group_phase phase);

enum class group_timer_kind : std::uint8_t {
  none = 0,
  initial_delay = 1,  // more members may come to a group that was empty
  join = 2,           // who has not joined by then is out
  sync = 3,           // who has not synced by then is out
  revoke = 4,         // of the consumer protocol: who has not let go of its partitions by then is out
};

struct group_member {
  std::optional<std::string> instance;
  std::string client_id, client_host;
  std::int32_t session_timeout_ms = 0, rebalance_timeout_ms = 0;
  std::vector<group_protocol> protocols;  // as it prefers them
  std::string assignment;
  member_home home;
  std::uint64_t join_request = 0;  // waits for the next generation; 0: does not
  std::uint64_t sync_request = 0;  // waits for the leader's assignment
  bool has_synced = false;         // in this generation
  std::uint64_t content = 0;       // a hash of protocols and assignment, which are large
  const std::string* metadata(std::string_view protocol) const;
};

// Has been given an id and has not joined with it yet.
struct pending_member {
  std::int32_t session_timeout_ms = 0;
  member_home home;
};

struct group {
  group_phase phase = group_phase::empty;
  std::int32_t generation = 0;
  std::string protocol_type;            // "" before the first member
  std::optional<std::string> protocol;  // chosen for this generation
  std::string leader;                   // "": nobody
  std::map<std::string, group_member, std::less<>> members;
  std::map<std::string, pending_member, std::less<>> pending;
  timestamp_ms since{0};  // of the phase
  // Of the rebalance under way:
  bool was_empty = false;     // before it: it does not end before its timer
  bool member_added = false;  // since that timer was set
  std::uint32_t initial_delay_ms = 0;
  std::int64_t delay_left_ms = 0;  // it may be set again so far
  group_timer_kind timer_kind = group_timer_kind::none;
  std::uint64_t timer = 0;  // its number, never used twice
  timestamp_ms deadline{0};
  // Where this is a group of the consumer protocol. Then it has no members of its own, and of the above no more than a type, a
  // timer and the time since it has been empty.
  std::optional<consumer_group> consumer;

  bool is_empty() const { return phase == group_phase::empty && (!consumer || consumer->members.empty()); }
  std::string_view phase_name() const { return consumer ? consumer->phase() : name(phase); }
  std::string_view type_name() const { return consumer ? "consumer" : "classic"; }

  bool is_of_consumers() const { return protocol_type == "consumer"; }
  std::size_t joined() const;  // members who wait for the next generation
  std::int32_t rebalance_timeout_ms() const;
  // Whether members of Kafka's own consumers subscribe to the topic, as far as their metadata can be read; a group of another
  // protocol type subscribes to nothing.
  bool is_subscribed(std::string_view topic) const;
  const std::string* static_member(std::string_view instance) const;  // its member id
};

// What an entry did to groups, for those who wait. In the order in which it happened.
struct group_changes {
  struct answer {
    std::uint64_t request;
    std::variant<join_answer, sync_answer> what;
  };
  struct homed {
    std::string group, member;
    member_home home;
    std::int32_t session_timeout_ms;
  };
  std::vector<answer> answers;
  std::vector<homed> homes;
  bool timers = false;  // one was set
};

class groups {
 public:
  using by_name = std::map<std::string, group, std::less<>>;
  const group* find(std::string_view name) const;
  const by_name& all() const { return groups_; }
  // All timers that are set, the next one first.
  const std::set<std::pair<timestamp_ms, std::string>>& timers() const { return timers_; }
  // Members by their homes.
  using member_name = std::pair<std::string, std::string>;  // group, member
  const std::map<incarnation, std::set<member_name>>& homes() const { return homes_; }
  // Home and session timeout of a member, pending ones included.
  std::optional<std::pair<member_home, std::int32_t>> home_of(std::string_view group, std::string_view member) const;

  // May this commit be made? (Kafka's ClassicGroup.validateOffsetCommit.)
  group_error check(const commit_group_offsets& c) const;
  // The answer to a heartbeat that changes nothing: it needs no entry. `here`: the agent that got it. `s` is the state that this
  // is part of.
  std::optional<consumer_outcome> at_rest(const consumer_heartbeat& c, incarnation here, const state& s) const;
  // The pattern that a member subscribes to.
  const std::string* regex_of(std::string_view group, std::string_view member) const;
  // Of an OffsetFetch that names a member of the consumer protocol.
  group_error check_consumer(std::string_view group, std::string_view member, std::int32_t epoch) const;
  // Is this a member of this generation? Of a heartbeat.
  group_error check(std::string_view group, std::string_view member, const std::optional<std::string_view>& instance,
                    std::int32_t generation) const;

  std::uint64_t digest() const { return digest_ + last_number_; }
  std::uint64_t recompute_digest() const;

 private:
  friend class state;
  friend class snapshot_codec;
  // Of the entry that is being applied.
  struct moment {
    incarnation writer;
    timestamp_ms time;
    group_changes& changed;
    const state& all;
  };
  // Keeps the digest while a group changes.
  class edit {
   public:
    edit(groups& all, std::string_view name, const group& g);
    edit(const edit&) = delete;
    ~edit();

   private:
    groups& all_;
    std::string_view name_;
    const group& group_;
    std::uint64_t before_;
  };
  join_outcome apply(const join_group& c, moment now);
  sync_outcome apply(const sync_group& c, moment now);
  leave_outcome apply(const leave_group& c, moment now);
  group_outcome apply(const move_home& c, moment now);
  group_outcome apply(const expire_member& c, moment now);
  group_outcome apply(const fire_group_timer& c, moment now);
  consumer_outcome apply(const consumer_heartbeat& c, moment now);
  void remove(std::string_view name);  // it has no members
  void change_consumers(consumer_group& g, bool is_new_epoch, moment now);
  consumer_outcome leave_consumer(const consumer_heartbeat& c, moment now);
  void remove_consumer(const std::string& name, group& all, const std::string& id, moment now);
  void rename_consumer(const std::string& name, consumer_group& g, const std::string& old_id, const std::string& id);
  void set_revoke_timer(const std::string& name, group& all, moment now);
  void fire_revoke_timer(const std::string& name, group& all, moment now);
  bool become_consumer_group(const std::string& name, group& all, moment now);  // false: it cannot
  void become_classic_group(const std::string& name, group& all, moment now);
  join_outcome join_consumer_group(const std::string& name, group& all, const join_group& c, moment now);
  sync_outcome sync_consumer_group(const std::string& name, group& all, const sync_group& c, moment now);
  group_error check_classic_in_consumer_group(const group& all, std::string_view member, const std::optional<std::string_view>& instance,
                                              std::int32_t generation) const;

  join_outcome join_new(const std::string& name, group& g, const join_group& c, moment now);
  join_outcome join_known(const std::string& name, group& g, const join_group& c, moment now);
  join_outcome replace_static(const std::string& name, group& g, const std::string& old_id, const join_group& c, moment now);
  void add_member(const std::string& name, group& g, const std::string& id, const join_group& c, moment now);
  void update_member(const std::string& name, group& g, const std::string& id, const join_group& c, moment now);
  void rebalance_or_complete(const std::string& name, group& g, moment now);
  void prepare_rebalance(const std::string& name, group& g, moment now);
  void complete_if_all_joined(const std::string& name, group& g, moment now);
  void complete_join(const std::string& name, group& g, moment now);
  void remove_member(const std::string& name, group& g, const std::string& id, group_error why, moment now);
  void remove_pending(const std::string& name, group& g, const std::string& id);
  void members_left(const std::string& name, group& g, moment now);
  void set_home(const std::string& name, const std::string& member, member_home& home, std::int32_t session_timeout_ms, moment now);
  void drop_home(const std::string& name, const std::string& member, const member_home& home);
  void set_timer(const std::string& name, group& g, group_timer_kind kind, std::int64_t ms, moment now);
  void clear_timer(const std::string& name, group& g);
  void index(const std::string& name, const group& g);  // after loading

  by_name groups_;
  std::set<std::pair<timestamp_ms, std::string>> timers_;
  std::map<incarnation, std::set<member_name>> homes_;
  std::uint64_t last_number_ = 0;  // of home epochs and timers
  std::uint64_t digest_ = 0;
};

std::uint64_t hash_of(std::string_view name, const group& g);
std::uint64_t content_hash(const group_member& m);
// The topics that a member of Kafka's consumers subscribes to, from its metadata (ConsumerProtocolSubscription); nothing where
// that is something else.
std::optional<std::vector<std::string_view>> subscribed_topics(std::string_view metadata);
}  // namespace yaks::metadata
