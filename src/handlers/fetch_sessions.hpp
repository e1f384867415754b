// Fetch sessions (KIP-227): a consumer of many partitions names them once, then only what has changed, and is answered only
// what has changed. A session belongs to the connection that made it: whoever comes with it on another one (another agent
// behind the same address, or the same one after a break) hears that it is not known, and makes a new one.
//
// Memory is bounded by a budget of partitions for all sessions of an agent. A session that does not fit is declined: the
// client goes on with full fetches. On the agent's executor only.
#pragma once
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/uuid.hpp"
#include "wire/messages/fetch.hpp"

namespace yaks::handlers {
// How many partitions all sessions together may remember: about 250 bytes each.
class fetch_session_budget {
 public:
  explicit fetch_session_budget(std::size_t partitions_max = 200'000) : partitions_max_(partitions_max) {}
  bool take(std::size_t partitions) {
    if (partitions > partitions_max_ - partitions_) return false;
    partitions_ += partitions;
    return true;
  }
  void give_back(std::size_t partitions) { partitions_ -= partitions; }
  std::size_t partitions() const { return partitions_; }
  std::size_t sessions() const { return sessions_; }

 private:
  friend class fetch_session;
  std::size_t partitions_max_, partitions_ = 0, sessions_ = 0;
};

// One partition that a fetch is to read.
struct fetch_target {
  std::string_view topic;  // below version 13; else topic_id
  uuid topic_id;
  std::int32_t partition = 0;
  std::int64_t offset = 0;
  std::int32_t bytes_max = 0;
  std::int32_t leader_epoch = -1;
  std::shared_ptr<const std::string> owner;  // of the name, where it is a session's
};

class fetch_session {
 public:
  fetch_session(fetch_session_budget& budget, std::int32_t id, bool has_topic_ids);
  ~fetch_session();
  fetch_session(const fetch_session&) = delete;

  std::int32_t id() const { return id_; }
  std::int32_t epoch() const { return epoch_; }  // that the next request must have
  bool has_topic_ids() const { return has_topic_ids_; }
  bool is_empty() const { return order_.empty(); }
  void next_epoch() { epoch_ = epoch_ == std::numeric_limits<std::int32_t>::max() ? 1 : epoch_ + 1; }

  // Takes what a request adds, changes and forgets. False where the budget has no room: the session is of no use then.
  bool update(const wire::fetch_request& request);
  // Everything that it watches, those that had no data for longest first.
  std::vector<fetch_target> targets() const;
  // Whether the client must hear of this answer: it has records or an error, or other watermarks than it was last told.
  // Called once for each answer; partitions with records go to the end of the order, so that nobody starves.
  bool must_tell(const fetch_target& target, const wire::fetch_response::topic_entry::partition_entry& answer);

 private:
  struct watched {
    std::shared_ptr<const std::string> topic;
    uuid topic_id;
    std::int32_t partition;
    std::int64_t offset = 0;
    std::int32_t bytes_max = 0, leader_epoch = -1;
    std::int64_t told_high_watermark = -1, told_log_start = -1;
  };
  using key = std::tuple<uuid, std::string_view, std::int32_t>;  // the name lies in its watched

  fetch_session_budget& budget_;
  std::int32_t id_, epoch_ = 1;
  bool has_topic_ids_;
  std::list<watched> order_;
  std::map<key, std::list<watched>::iterator> by_key_;
};

// What a request asks for, be it full or by a session. To be called before the handler waits for anything, in the order of
// the requests. `slot` is where the connection keeps its session.
struct fetch_plan {
  wire::error_code error = wire::error_code::none;
  std::vector<fetch_target> targets;
  std::shared_ptr<fetch_session> session;  // null: none, answer session id 0
  bool is_incremental = false;
};
fetch_plan plan_fetch(fetch_session_budget& budget, std::shared_ptr<void>& slot, const wire::fetch_request& request,
                      std::int16_t version, std::uint64_t random);
}  // namespace yaks::handlers
