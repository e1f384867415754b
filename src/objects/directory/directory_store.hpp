// Objects as files below one folder: the embedded default's store.
//
// A put writes <root>/.uploads/<n>, syncs it, renames it to <root>/<key> and syncs the folder: an object is there whole
// or not at all, and what is answered as stored survives a power cut. Files block, so all work runs on the runtime's
// pool.
//
// One process at a time may use a folder (whoever opens the embedded metadata holds its lock). On the executor only.
#pragma once
#include <memory>
#include <string>

#include "objects/object_store.hpp"

namespace yaks {
class directory_store final : public object_store {
 public:
  // Makes the folder where it is missing, and removes what uploads of an earlier life left behind. Blocks: at start
  // only. Throws object_store_error with a sentence where the folder cannot be made or written to.
  directory_store(runtime& rt, std::string root);
  ~directory_store() override;
  awaitable<result<void, object_error>> put(std::string key, std::vector<shared_bytes> body, std::uint32_t crc32c,
                                            time_point deadline) override;
  awaitable<result<shared_bytes, object_error>> get(std::string key, std::uint64_t position, std::uint64_t bytes,
                                                    time_point deadline) override;
  awaitable<result<std::vector<object_info>, object_error>> list(std::string prefix, time_point deadline) override;
  awaitable<result<void, object_error>> remove(std::vector<std::string> keys, time_point deadline) override;

 private:
  class files;  // what runs on the pool
  runtime& rt_;
  std::unique_ptr<files> files_;
};
}  // namespace yaks
