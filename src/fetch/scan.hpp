// Reading a long run of an old object with one GET, whose bytes are taken as its readers go on: a *scan*. This is its
// bookkeeping: which ranges there are, how far they have been asked for, how far they may be read. No network, no
// cache.
//
// A reader that goes on doubles its window, so that one that looks at a single record costs little, and a backfill soon
// waits for nothing. Positions are bytes of the object.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "fetch/located_range.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"

namespace yaks::fetch {
class scan {
 public:
  // The ranges are one run: each continues the one before.
  scan(std::vector<located_range> ranges, std::uint64_t window, time_point now);
  object_id object() const { return ranges_.front().object; }
  std::uint64_t begin() const { return ranges_.front().begin(); }
  std::uint64_t end() const { return ranges_.back().end(); }
  // Where the next byte from the store belongs.
  std::uint64_t position() const { return next_ < ranges_.size() ? ranges_[next_].begin() : end(); }
  std::uint64_t window() const { return window_; }
  time_point asked_at() const { return asked_at_; }

  // Whether somebody who asks for what is at `position` is better off waiting for it than with a GET of its own.
  bool will_reach(std::uint64_t position) const;
  // Whether it lies in what was read, or will soon be.
  bool is_near(std::uint64_t position) const;
  // Somebody waits for the bytes up to `to`.
  void want(std::uint64_t to);
  bool is_wanted() const { return position() < asked_; }
  // What a fetch wanted ends at `to`: more may be read now (see allowed()), and the window grows, up to `window_max`.
  void ask(std::uint64_t to, std::uint64_t window_max, time_point now);
  // Ranges [next(), allowed()) may be read now.
  std::size_t next() const { return next_; }
  std::size_t allowed() const { return allowed_; }
  const located_range& operator[](std::size_t i) const { return ranges_[i]; }
  // So many of the next ranges as have `bytes` together; one at least.
  std::size_t piece(std::uint64_t bytes) const;
  void took(std::size_t ranges) { next_ += ranges; }
  bool may_go_on() const { return next_ < allowed_; }
  bool is_over() const { return next_ == ranges_.size() || is_closed_; }
  // Nobody is waiting for it, and nobody will.
  void close();

  // What follows it was looked for once.
  bool is_followed = false;
  event changed;

 private:
  std::vector<located_range> ranges_;
  std::size_t next_ = 0, allowed_ = 0;
  std::uint64_t window_, asked_, asked_before_, reach_;
  time_point asked_at_;
  bool is_closed_ = false;
};

// All that are open, by where they begin.
class scan_table {
 public:
  using pointer = std::shared_ptr<scan>;
  // One that has that place: one that is near it, if there is; null where there is none.
  pointer find(range_key at) const;
  void insert(pointer s);
  void erase(const pointer& s);
  // The one that nobody has asked for the longest time, of those that have done all they were asked for.
  pointer idlest() const;
  std::size_t size() const { return all_.size(); }

 private:
  std::multimap<range_key, pointer> all_;
};
}  // namespace yaks::fetch
