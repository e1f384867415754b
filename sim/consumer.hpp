// A consumer with assigned partitions: it fetches from the leaders in turn, with long polls, and checks that it is given every
// offset once, in order, whole. Now and then it goes back to an older place or asks where partitions begin and end, as a
// backfill or an application that restarts does.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "sim/client.hpp"

namespace yaks::sim {
class consumer : public client {
 public:
  consumer(client_world& all, std::string name, bool by_id);
  virtual ~consumer() = default;
  // Until the world stops and everything that was ever acknowledged has been read.
  awaitable<void> run();
  // All that is in this topic now, which stays meanwhile. A broker that is behind may still know an older one of that name.
  awaitable<void> read_to_end(std::string topic, topic_id id);

 protected:
  struct place {
    std::string topic;
    std::int32_t partition = 0;
    topic_partition where;
    std::int64_t next = 0;
    bool is_lost = false;  // what it wanted is gone: it begins where the partition does
  };
  // From all places that it leads. Places may not come or go meanwhile.
  awaitable<bool> fetch_from(std::int32_t leader);
  // A record that was good.
  virtual void took(const place&, std::int64_t) {}

  std::vector<place> places_;

 private:
  awaitable<bool> list_offsets(std::int64_t timestamp);
  void take(place& p, const wire::fetch_response::topic_entry::partition_entry& data, std::int64_t asked_at);
  bool is_at_end() const;

  bool by_id_;  // as newer clients name topics
};
}  // namespace yaks::sim
