#include "upkeep/merge_plan.hpp"

#include <algorithm>

namespace yaks::upkeep {
namespace {
struct run {
  std::size_t first = 0, last = 0;  // of the ranges
  std::uint64_t bytes = 0;
  timestamp_ms made;  // its object
  bool is_merged = false, is_sparse = false;
  bool is_kept_out = false;  // no window has it
};

class planner {
 public:
  planner(std::span<const metadata::range> ranges,
          const std::map<metadata::object_number, metadata::object_use>& objects, const merge_limits& limits,
          const merge_outlook& outlook)
      : ranges_(ranges), objects_(objects), limits_(limits), outlook_(outlook) {}

  merge_plan make() {
    find_runs();
    out_.next = ranges_.empty() ? offset(0) : ranges_.back().end_offset();
    std::size_t first = 0;
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      if (runs_[i].is_kept_out) {
        close(first, i, false, false);
        first = i + 1;
        bytes = 0;
      } else if (bytes + runs_[i].bytes > limits_.object_bytes) {
        close(first, i, true, false);
        first = i;
        bytes = runs_[i].bytes;
      } else {
        bytes += runs_[i].bytes;
      }
    }
    close(first, runs_.size(), bytes >= full_bytes(), true);
    return std::move(out_);
  }

 private:
  std::uint64_t full_bytes() const { return limits_.object_bytes - limits_.object_bytes / 4; }

  // Whether there is a point in moving what will be gone before long.
  bool stays(const metadata::range& r) const {
    // Without a timestamp a record is as old as its object: a new one would make it young again.
    if (r.max_timestamp < timestamp_ms(0)) return false;
    return outlook_.retention_ms < 0 || 2 * (outlook_.now - r.max_timestamp) <= outlook_.retention_ms;
  }

  void find_runs() {
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
      const auto& r = ranges_[i];
      auto known = objects_.find(r.object);
      bool is_kept_out = known == objects_.end() || !stays(r);
      const auto* before = i == 0 ? nullptr : &ranges_[i - 1];
      if (before && before->object == r.object && before->position + before->bytes == r.position &&
          runs_.back().is_kept_out == is_kept_out) {
        runs_.back().last = i + 1;
        runs_.back().bytes += r.bytes;
        continue;
      }
      run next{.first = i, .last = i + 1, .bytes = r.bytes, .made = outlook_.now, .is_kept_out = is_kept_out};
      if (known != objects_.end()) {
        next.made = timestamp_ms(known->second.what.id.value().v7_unix_ms());
        next.is_merged = known->second.is_merged;
        next.is_sparse = !outlook_.goes_by_bytes && known->second.is_sparse(limits_.live_ratio);
      }
      runs_.push_back(next);
    }
    for (auto& r : runs_)
      r.is_kept_out |= (r.bytes >= limits_.object_bytes / 4 && !r.is_sparse) || r.bytes > limits_.object_bytes;
  }

  // Runs [first, last) stand between what no window has, or what another one has. `is_last`: more may follow them one
  // day.
  void close(std::size_t first, std::size_t last, bool is_full, bool is_last) {
    if (first == last) return;
    auto of = std::span(runs_).subspan(first, last - first);
    std::uint64_t bytes = 0, merged = 0;
    auto oldest = of.front().made;
    bool is_sparse = false;
    std::size_t largest = first;
    for (std::size_t i = first; i < last; ++i) {
      const auto& r = runs_[i];
      bytes += r.bytes;
      merged += r.is_merged ? r.bytes : 0;
      oldest = std::min(oldest, r.made);
      is_sparse |= r.is_sparse;
      if (r.is_merged && !r.is_sparse && (!runs_[largest].is_merged || r.bytes > runs_[largest].bytes)) largest = i;
    }
    const auto& big = runs_[largest];
    if (big.is_merged && !big.is_sparse && big.bytes * 4 > bytes) {
      // It would be written again for little: what lies on its sides is looked at without it. But what comes may
      // outgrow it.
      close(first, largest, false, false);
      if (is_last && outlook_.is_end) wait_at(ranges_[big.first].base_offset);
      close(largest + 1, last, is_full, is_last);
      return;
    }
    bool is_old = outlook_.now - oldest >= limits_.age_ms;
    bool is_due = is_sparse || (of.size() >= limits_.runs_min && ((is_full && bytes >= full_bytes()) || is_old));
    // The index may go on: the window is looked at again together with what follows.
    if (is_last && !outlook_.is_end && !is_full) is_due = false;
    auto begin = ranges_[of.front().first].base_offset;
    if (is_due) {
      merge_window w{.from = begin,
                     .to = ranges_[of.back().last - 1].end_offset(),
                     .ranges = {},
                     .bytes = bytes,
                     .merged_bytes = merged,
                     .runs = of.size(),
                     .is_sparse = is_sparse};
      w.ranges.assign(ranges_.begin() + std::ptrdiff_t(of.front().first),
                      ranges_.begin() + std::ptrdiff_t(of.back().last));
      out_.windows.push_back(std::move(w));
      wait_at(begin);
    } else if (is_last || of.size() >= limits_.runs_min) {
      wait_at(begin);
      look_at(oldest + limits_.age_ms);
    }
  }
  void wait_at(offset begin) { out_.next = std::min(out_.next, begin); }
  void look_at(timestamp_ms when) {
    if (out_.look_again == no_timestamp || when < out_.look_again) out_.look_again = when;
  }

  std::span<const metadata::range> ranges_;
  const std::map<metadata::object_number, metadata::object_use>& objects_;
  const merge_limits& limits_;
  const merge_outlook& outlook_;
  std::vector<run> runs_;
  merge_plan out_;
};
}  // namespace

merge_plan plan_merges(std::span<const metadata::range> ranges,
                       const std::map<metadata::object_number, metadata::object_use>& objects,
                       const merge_limits& limits, const merge_outlook& outlook) {
  return planner(ranges, objects, limits, outlook).make();
}
}  // namespace yaks::upkeep
