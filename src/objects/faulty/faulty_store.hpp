// Puts faults in front of another store, drawn from the runtime's random stream: the same seed gives the same faults.
#pragma once
#include "objects/object_store.hpp"
#include "runtime/runtime.hpp"

namespace yaks {
// Chances per call, each in 1/1000; what remains goes through unharmed.
struct object_faults {
  unsigned unavailable = 0;
  unsigned slow_down = 0;
  unsigned unknown_done = 0;      // put, remove: done, and the answer is lost
  unsigned unknown_not_done = 0;  // put, remove: lost on the way there
  unsigned truncated_get = 0;     // get: fewer bytes than asked for, which a careless store would hand over
  unsigned corrupt_get = 0;       // get: one bit is wrong
  duration delay_most = 0ns;      // every call first takes between 0 and this
};

class faulty_store final : public object_store {
 public:
  faulty_store(runtime& rt, object_store& inner, object_faults faults) : rt_(rt), inner_(inner), faults_(faults) {}
  awaitable<result<void, object_error>> put(std::string key, std::vector<shared_bytes> body, std::uint32_t crc32c,
                                            time_point deadline) override;
  awaitable<result<shared_bytes, object_error>> get(std::string key, std::uint64_t position, std::uint64_t bytes,
                                                    time_point deadline) override;
  awaitable<result<std::vector<object_info>, object_error>> list(std::string prefix, time_point deadline) override;
  awaitable<result<void, object_error>> remove(std::vector<std::string> keys, time_point deadline) override;

  // From the next call on: calm at the end of a test, for instance.
  void set(object_faults faults) { faults_ = faults; }
  std::uint64_t injected() const { return injected_; }

 private:
  enum class fault { none, unavailable, slow_down, unknown_done, unknown_not_done, truncated_get, corrupt_get };
  awaitable<fault> draw(bool writes, bool reads, time_point deadline);
  runtime& rt_;
  object_store& inner_;
  object_faults faults_;
  std::uint64_t injected_ = 0;
};
}  // namespace yaks
