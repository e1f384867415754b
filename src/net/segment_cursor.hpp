// How far a list of segments has been sent.
#pragma once
#include <vector>

#include "base/bytes.hpp"

namespace yaks {
class segment_cursor {
 public:
  explicit segment_cursor(std::vector<shared_bytes> segments) : segments_(std::move(segments)) { skip_empty(); }
  bool done() const { return at_ == segments_.size(); }
  // Calls take(byte_view) for what is left, segment by segment, until it answers false.
  template <class F>
  void each(F take) const {
    if (done() || !take(segments_[at_].view().subspan(sent_))) return;
    for (std::size_t i = at_ + 1; i < segments_.size(); ++i)
      if (!segments_[i].empty() && !take(segments_[i].view())) return;
  }
  // Not more than is left.
  void advance(std::size_t bytes) {
    while (bytes > 0) {
      std::size_t now = std::min(bytes, segments_[at_].size() - sent_);
      sent_ += now, bytes -= now;
      skip_empty();
    }
  }

 private:
  void skip_empty() {
    while (at_ < segments_.size() && sent_ == segments_[at_].size()) ++at_, sent_ = 0;
  }
  std::vector<shared_bytes> segments_;
  std::size_t at_ = 0, sent_ = 0;
};
}  // namespace yaks
