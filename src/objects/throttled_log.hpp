// A warning that may come a thousand times a second is written at most once every few seconds, with how many were left
// out.
#pragma once
#include <spdlog/spdlog.h>

#include <string_view>

#include "runtime/runtime.hpp"

namespace yaks {
class throttled_log {
 public:
  explicit throttled_log(runtime& rt, duration interval = 5s) : rt_(rt), interval_(interval) {}
  void warn(std::string_view sentence) {
    time_point now = rt_.now();
    if (written_ && now - last_ < interval_) {
      ++left_out_;
      return;
    }
    if (left_out_ > 0)
      spdlog::warn("{} ({} more like this since the last one)", sentence, left_out_);
    else
      spdlog::warn("{}", sentence);
    written_ = true, last_ = now, left_out_ = 0;
  }

 private:
  runtime& rt_;
  duration interval_;
  bool written_ = false;
  time_point last_{};
  std::uint64_t left_out_ = 0;
};
}  // namespace yaks
