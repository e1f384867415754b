// A client that keeps nothing for long: it makes a topic with some retention, fills it, reads all of it, cuts off what
// is old (DeleteRecords), deletes the topic, and makes another one of the same name. It cuts the topics of others, too.
#pragma once
#include <string>
#include <vector>

#include "sim/admin.hpp"
#include "sim/consumer.hpp"

namespace yaks::sim {
class tenant : public admin {
 public:
  tenant(client_world& all, std::string name) : admin(all, name), reader_(all, name + " reads", true) {}
  awaitable<void> run();

 private:
  awaitable<void> fill(std::string topic);
  awaitable<void> cut(std::string topic, bool is_ours);
  // What is sent once and not waited for: it may come before the end of its topic, or find it gone.
  awaitable<void> last_words(std::string topic, std::uint32_t session);
  std::vector<std::byte> make_batch(std::uint32_t session, topic_partition where, std::vector<record_name>& names);

  consumer reader_;
  topic_id id_;           // of its topic
  std::int32_t partitions_ = 0;
  bool is_clean_ = true;  // no request of ours can still arrive that nobody waits for
  std::size_t speaking_ = 0;
  event spoken_;
};
}  // namespace yaks::sim
