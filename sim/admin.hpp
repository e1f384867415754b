// An administrator: makes topics, writes a record into each, sees them through other brokers, and deletes them again. What it
// was told must be true at every broker at once.
#pragma once
#include <map>
#include <string>

#include "sim/client.hpp"

namespace yaks::sim {
class admin : public client {
 public:
  admin(client_world& all, std::string name) : client(all, std::move(name)) {}
  // Until it is so, whatever fails on the way. Repeating is fine.
  // True where the first attempt was answered: then no other one is still on its way to somewhere.
  awaitable<bool> make_topic(std::string name, std::int32_t partitions, std::map<std::string, std::string> configs = {});
  awaitable<bool> delete_topic(std::string name);
  awaitable<void> run();

 protected:
  awaitable<void> look_for(std::string name, bool is_there);
  // By its name, while it is there: whoever is asked does it to this topic, and not to one that had the name before.
  awaitable<void> use(std::string name);
  std::uint64_t made_ = 0;
};
}  // namespace yaks::sim
