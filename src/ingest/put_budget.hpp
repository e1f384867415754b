// How often a small flush may happen: a token bucket. One token per interval on average, a few saved up, so that a lone
// record does not wait and a busy agent pays for no more PUTs than with a fixed interval. Pure: time is a parameter.
#pragma once
#include "runtime/runtime.hpp"

namespace yaks::ingest {
class put_budget {
 public:
  put_budget(duration interval, double tokens_max, time_point now)
      : interval_(interval), tokens_max_(tokens_max), tokens_(tokens_max), at_(now) {}
  // When the next token is there: now or earlier means now.
  time_point available_at(time_point now) const {
    double tokens = tokens_at(now);
    if (tokens >= 1) return now;
    return now + duration(std::int64_t((1 - tokens) * double(interval_.count())));
  }
  void take(time_point now) {
    tokens_ = std::max(0.0, tokens_at(now) - 1);
    at_ = now;
  }

 private:
  double tokens_at(time_point now) const {
    if (interval_.count() == 0) return tokens_max_;
    return std::min(tokens_max_, tokens_ + double((now - at_).count()) / double(interval_.count()));
  }
  duration interval_;
  double tokens_max_, tokens_;
  time_point at_;
};
}  // namespace yaks::ingest
