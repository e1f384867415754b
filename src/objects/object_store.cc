#include "objects/object_store.hpp"

#include "base/check.hpp"

namespace yaks {
namespace {
class stream_of_gets final : public object_stream {
 public:
  stream_of_gets(object_store& of, std::string key, std::uint64_t position, std::uint64_t bytes)
      : of_(of), key_(std::move(key)), position_(position), left_(bytes) {}
  awaitable<result<shared_bytes, object_error>> next(std::uint64_t bytes, time_point deadline) override {
    YAKS_CHECK(bytes <= left_, "a stream is read to its end and no further");
    auto got = co_await of_.get(key_, position_, bytes, deadline);
    position_ += bytes;
    left_ -= bytes;
    co_return got;
  }

 private:
  object_store& of_;
  std::string key_;
  std::uint64_t position_, left_;
};
}  // namespace

awaitable<result<std::unique_ptr<object_stream>, object_error>> object_store::stream(std::string key,
                                                                                     std::uint64_t position,
                                                                                     std::uint64_t bytes, time_point) {
  co_return std::make_unique<stream_of_gets>(*this, std::move(key), position, bytes);
}

std::string_view name(object_error error) {
  switch (error) {
    case object_error::not_found:
      return "not_found";
    case object_error::unavailable:
      return "unavailable";
    case object_error::slow_down:
      return "slow_down";
    case object_error::unknown:
      return "unknown";
    case object_error::corrupt:
      return "corrupt";
    case object_error::denied:
      return "denied";
  }
  return "?";
}

bool is_object_key(std::string_view key) {
  if (key.empty() || key.size() > 1024) return false;
  for (std::size_t begin = 0; begin <= key.size();) {
    std::size_t end = std::min(key.find('/', begin), key.size());
    std::string_view component = key.substr(begin, end - begin);
    if (component.empty() || component == "." || component == ".." || component.size() > 255) return false;
    for (char c : component)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') return false;
    begin = end + 1;
  }
  return true;
}
}  // namespace yaks
