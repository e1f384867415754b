#include "fetch/scan.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace yaks::fetch {
scan::scan(std::vector<located_range> ranges, std::uint64_t window, time_point now)
    : ranges_(std::move(ranges)),
      window_(window),
      asked_(ranges_.front().begin()),
      asked_before_(asked_),
      reach_(asked_),
      asked_at_(now) {
  for (std::size_t i = 1; i < ranges_.size(); ++i) YAKS_CHECK(ranges_[i].continues(ranges_[i - 1]), "a scan is one run");
}

bool scan::is_near(std::uint64_t position) const {
  return begin() <= position && position < end() && position <= reach_ + window_;
}

bool scan::will_reach(std::uint64_t position) const { return is_near(position) && this->position() <= position; }

void scan::want(std::uint64_t to) {
  asked_ = std::max(asked_, std::min(to, end()));
  reach_ = std::max(reach_, asked_);
}

void scan::ask(std::uint64_t to, std::uint64_t window_max, time_point now) {
  asked_at_ = now;
  want(to);
  if (asked_ > asked_before_) {
    if (asked_before_ > begin()) window_ *= 2;  // it goes on
    asked_before_ = asked_;
  }
  window_ = std::min(window_, window_max);
  reach_ = std::max(reach_, std::min(end(), asked_ + window_));
  while (allowed_ < ranges_.size() && ranges_[allowed_].begin() < asked_) ++allowed_;
  while (allowed_ < ranges_.size() && ranges_[allowed_].end() <= reach_) ++allowed_;
  changed.notify_all();
}

std::size_t scan::piece(std::uint64_t bytes) const {
  auto last = next_ + 1;
  while (last < allowed_ && ranges_[last].end() - ranges_[next_].begin() <= bytes) ++last;
  return last - next_;
}

void scan::close() {
  is_closed_ = true;
  changed.notify_all();
}

scan_table::pointer scan_table::find(range_key at) const {
  pointer found;
  for (auto i = all_.upper_bound(at); i != all_.begin();) {
    const auto& before = (--i)->second;
    if (before->object() != at.object) break;
    if (at.position >= before->end()) continue;
    if (before->is_near(at.position)) return before;
    if (!found) found = before;
  }
  return found;
}

void scan_table::insert(pointer s) {
  range_key at{s->object(), std::uint32_t(s->begin())};
  all_.emplace(at, std::move(s));
}

void scan_table::erase(const pointer& s) {
  auto [first, last] = all_.equal_range({s->object(), std::uint32_t(s->begin())});
  for (; first != last; ++first)
    if (first->second == s) {
      all_.erase(first);
      return;
    }
}

scan_table::pointer scan_table::idlest() const {
  pointer idlest;
  for (const auto& [at, s] : all_)
    if (!s->may_go_on() && (!idlest || s->asked_at() < idlest->asked_at())) idlest = s;
  return idlest;
}
}  // namespace yaks::fetch
