// Objects in memory, for tests and the simulator; stricter than the real ones. Refuses (denied) what yaks must never
// do: another body under a key that is there, and a key that is a folder of another one.
#pragma once
#include <functional>
#include <map>
#include <optional>

#include "objects/object_store.hpp"

namespace yaks {
class memory_store final : public object_store {
 public:
  awaitable<result<void, object_error>> put(std::string key, std::vector<shared_bytes> body, std::uint32_t crc32c,
                                            time_point deadline) override;
  awaitable<result<shared_bytes, object_error>> get(std::string key, std::uint64_t position, std::uint64_t bytes,
                                                    time_point deadline) override;
  awaitable<result<std::vector<object_info>, object_error>> list(std::string prefix, time_point deadline) override;
  awaitable<result<void, object_error>> remove(std::vector<std::string> keys, time_point deadline) override;

  std::size_t size() const { return objects_.size(); }
  const std::map<std::string, std::string>& objects() const { return objects_; }
  // Faults: what it returns is answered instead, and nothing is removed. May be empty.
  std::function<std::optional<object_error>()> before_remove;
  // The whole object of that key, for tests that change or drop bytes; null where there is none.
  std::string* find(const std::string& key);

 private:
  std::map<std::string, std::string> objects_;
};
}  // namespace yaks
