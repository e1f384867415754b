#include "objects/memory/memory_store.hpp"

#include "base/check.hpp"
#include "records/crc32c.hpp"

namespace yaks {
awaitable<result<void, object_error>> memory_store::put(std::string key, std::vector<shared_bytes> body,
                                                        std::uint32_t crc32c, time_point) {
  YAKS_CHECK(is_object_key(key), "keys are well formed");
  std::string bytes;
  for (const shared_bytes& segment : body) bytes += as_text(segment.view());
  if (records::crc32c(as_bytes(bytes)) != crc32c) co_return failure(object_error::corrupt);
  for (std::size_t slash = key.find('/'); slash != std::string::npos; slash = key.find('/', slash + 1))
    if (objects_.contains(key.substr(0, slash))) co_return failure(object_error::denied);
  auto below = objects_.lower_bound(key + '/');
  if (below != objects_.end() && below->first.starts_with(key + '/')) co_return failure(object_error::denied);
  auto [at, is_new] = objects_.try_emplace(std::move(key), bytes);
  if (!is_new && at->second != bytes) co_return failure(object_error::denied);
  co_return result<void, object_error>{};
}

awaitable<result<shared_bytes, object_error>> memory_store::get(std::string key, std::uint64_t position,
                                                                std::uint64_t bytes, time_point) {
  auto found = objects_.find(key);
  if (found == objects_.end() || position > found->second.size() || bytes > found->second.size() - position)
    co_return failure(object_error::not_found);
  co_return shared_bytes::copy_of(as_bytes(found->second).subspan(position, bytes));
}

awaitable<result<std::vector<object_info>, object_error>> memory_store::list(std::string prefix, time_point) {
  std::vector<object_info> found;
  for (auto at = objects_.lower_bound(prefix); at != objects_.end() && at->first.starts_with(prefix); ++at)
    found.push_back({at->first, at->second.size()});
  co_return found;
}

awaitable<result<void, object_error>> memory_store::remove(std::vector<std::string> keys, time_point) {
  YAKS_CHECK(keys.size() <= 1000, "at most 1,000 keys are removed at a time");
  if (before_remove)
    if (auto error = before_remove()) co_return failure(*error);
  for (const std::string& key : keys) objects_.erase(key);
  co_return result<void, object_error>{};
}

std::string* memory_store::find(const std::string& key) {
  auto found = objects_.find(key);
  return found == objects_.end() ? nullptr : &found->second;
}
}  // namespace yaks
