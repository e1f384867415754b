#include "metastores/memory/memory_metastore.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/check.hpp"
#include "metadata/range_chunk.hpp"

namespace yaks::metastores {
using metadata::append_id;
using metadata::log_error;
using metadata::log_position;
using metadata::log_tail;

memory_log::memory_log(std::function<timestamp_ms()> clock, std::string cluster_id)
    : clock_(std::move(clock)), cluster_id_(std::move(cluster_id)) {}

timestamp_ms memory_log::now() const {
  return std::max(time_, clock_());
}

log_position memory_log::head() const {
  if (entries_.empty()) return trimmed_;
  return {entries_.back().sequence, entries_.back().id};
}

bool memory_log::stands_on(log_position position) const {
  if (position.sequence == trimmed_.sequence) return position.id == trimmed_.id;
  auto index = position.sequence - trimmed_.sequence - 1;
  return index < std::int64_t(entries_.size()) && entries_[std::size_t(index)].id == position.id;
}

log_tail memory_log::tail_after(log_sequence after) const {
  log_tail tail{.entries = {}, .head = head().sequence, .now = now()};
  std::size_t bytes = 0;
  for (auto i = std::size_t(after - trimmed_.sequence); i < entries_.size(); ++i) {
    bytes += entries_[i].payload.size();
    if (bytes > metadata::tail_bytes_max && !tail.entries.empty()) break;
    tail.entries.push_back(entries_[i]);
  }
  return tail;
}

result<log_tail, log_error> memory_log::read_after(log_position applied) const {
  YAKS_CHECK(applied.sequence.value() >= 0, "positions are not negative");
  YAKS_CHECK((applied.sequence.value() == 0) == (applied.id == append_id{}),
             "only the position before the first entry is nil");
  if (applied.sequence < trimmed_.sequence) return failure(log_error::trimmed);
  if (!stands_on(applied)) return failure(log_error::diverged);
  return tail_after(applied.sequence);
}

result<log_tail, log_error> memory_log::append(log_position applied, append_id id, shared_bytes payload) {
  YAKS_CHECK(id.number > 0 && !id.writer.value().is_nil(), "an append has an incarnation and a number from 1 on");
  if (payload.size() > metadata::entry_bytes_max) return failure(log_error::refused);
  if (auto readable = read_after(applied); !readable) return failure(readable.error());
  // A retry may well be stored twice, but it repeats itself.
  auto [known, is_new] = payloads_.try_emplace(id, payload);
  YAKS_CHECK(is_new || std::ranges::equal(known->second.view(), payload.view()),
             "an append id was used for two payloads");
  time_ = now();
  entries_.push_back({.sequence = head().sequence + 1, .id = id, .time = time_, .payload = std::move(payload)});
  return tail_after(applied.sequence);
}

void memory_log::trim_to(log_sequence last) {
  YAKS_CHECK(last <= head().sequence, "what is not there cannot be trimmed");
  while (!entries_.empty() && entries_.front().sequence <= last) {
    trimmed_ = {entries_.front().sequence, entries_.front().id};
    entries_.erase(entries_.begin());
  }
}

void memory_log::lose_after(log_sequence last) {
  YAKS_CHECK(last >= trimmed_.sequence, "what is trimmed cannot be lost");
  while (!entries_.empty() && entries_.back().sequence > last) entries_.pop_back();
}

memory_metastore::memory_metastore(runtime& rt, memory_log& log, std::string name)
    : rt_(rt), log_(log), name_(std::move(name)) {}

memory_metastore::~memory_metastore() {
  end();
}

awaitable<void> memory_metastore::open() {
  YAKS_CHECK(!open_, "a metastore is opened once");
  open_ = true;
  log_.changes_[this] = 0;
  co_return;
}

awaitable<void> memory_metastore::close() {
  end();
  co_return;
}

void memory_metastore::end() {
  if (!open_) return;
  open_ = false;
  log_.changes_.erase(this);
  if (node_) log_.holders_.erase(*node_);
  node_.reset();
  log_.changed_.notify_all();
}

awaitable<void> memory_metastore::hold_node_id(node_id id, duration patience) {
  YAKS_CHECK(open_ && !node_, "one node id per session, after open");
  auto due = rt_.now() + patience;
  for (auto held = log_.holders_.find(id); held != log_.holders_.end(); held = log_.holders_.find(id)) {
    if (rt_.now() >= due)
      throw metadata::metastore_error(fmt::format("node id {} (YAKS_NODE_ID) is held by {}: each agent needs its own",
                                                  id.value(), held->second->name_));
    co_await log_.changed_.wait_until(rt_, due);
    if (!open_) throw metadata::metastore_error("the session has ended");
  }
  log_.holders_[id] = this;
  node_ = id;
}

bool memory_metastore::holds_node_id() const {
  return node_.has_value();
}

awaitable<result<log_tail, log_error>> memory_metastore::append(log_position applied, append_id id,
                                                                shared_bytes payload) {
  YAKS_CHECK(open_, "used outside open and close");
  if (log_.hooks.before_append)
    if (auto error = log_.hooks.before_append(id)) co_return failure(*error);
  auto tail = log_.append(applied, id, std::move(payload));
  if (!tail) co_return tail;
  if (!log_.hooks.lose_notification || !log_.hooks.lose_notification()) {
    for (auto& [session, changes] : log_.changes_)
      if (session != this) ++changes;
    log_.changed_.notify_all();
  }
  if (log_.hooks.after_append)
    if (auto error = log_.hooks.after_append(id)) co_return failure(*error);
  co_return tail;
}

awaitable<result<log_tail, log_error>> memory_metastore::read_after(log_position applied) {
  YAKS_CHECK(open_, "used outside open and close");
  if (log_.hooks.before_read)
    if (auto error = log_.hooks.before_read()) co_return failure(*error);
  co_return log_.read_after(applied);
}

awaitable<result<std::set<node_id>, log_error>> memory_metastore::held_node_ids() {
  YAKS_CHECK(open_, "used outside open and close");
  if (log_.hooks.before_read)
    if (auto error = log_.hooks.before_read()) co_return failure(*error);
  std::set<node_id> held;
  for (const auto& [id, holder] : log_.holders_) held.insert(id);
  co_return held;
}

awaitable<result<std::vector<incarnation>, log_error>> memory_metastore::renew_lease(metadata::lease mine, duration ttl) {
  YAKS_CHECK(open_, "used outside open and close");
  if (log_.hooks.before_read)
    if (auto error = log_.hooks.before_read()) co_return failure(*error);
  auto now = log_.now();
  YAKS_CHECK(log_.reports_[mine.who] <= mine.applied, "what an agent reports never goes back");
  log_.reports_[mine.who] = mine.applied;
  log_.leases_[mine.who] = now + std::chrono::duration_cast<std::chrono::milliseconds>(ttl).count();
  std::erase_if(log_.leases_, [&](const auto& l) { return l.second <= now; });
  std::vector<incarnation> live;
  for (const auto& [who, until] : log_.leases_) live.push_back(who);
  co_return live;
}

awaitable<result<std::vector<std::pair<incarnation, log_sequence>>, log_error>> memory_metastore::reports() {
  YAKS_CHECK(open_, "used outside open and close");
  if (log_.hooks.before_read)
    if (auto error = log_.hooks.before_read()) co_return failure(*error);
  co_return std::vector<std::pair<incarnation, log_sequence>>(log_.reports_.begin(), log_.reports_.end());
}

awaitable<void> memory_metastore::end_lease(incarnation who) {
  log_.reports_.erase(who);
  log_.leases_.erase(who);
  co_return;
}

awaitable<result<std::vector<metadata::snapshot_record>, log_error>> memory_metastore::snapshots() {
  YAKS_CHECK(open_, "used outside open and close");
  if (log_.hooks.before_read)
    if (auto error = log_.hooks.before_read()) co_return failure(*error);
  co_return log_.snapshots_;
}

awaitable<result<std::vector<std::string>, log_error>> memory_metastore::add_snapshot(metadata::snapshot_record made) {
  YAKS_CHECK(open_, "used outside open and close");
  YAKS_CHECK(made.at.sequence <= log_.trimmed_.sequence || log_.stands_on(made.at), "a snapshot is of a place in the log");
  auto& all = log_.snapshots_;
  std::vector<std::string> dropped;
  if (!all.empty() && all.front().at.sequence >= made.at.sequence) {
    if (all.front().key != made.key) dropped.push_back(made.key);
    co_return dropped;
  }
  all.insert(all.begin(), std::move(made));
  for (; all.size() > 2; all.pop_back()) dropped.push_back(all.back().key);
  if (all.size() == 2) log_.trim_to(all.back().at.sequence);
  co_return dropped;
}

// ---- the index -----------------------------------------------------------------------------------------------------

bool memory_log::knows_object(object_id id) const {
  return std::ranges::any_of(objects_, [&](const auto& o) { return o.second.what.id == id; });
}

std::vector<std::tuple<metadata::object_number, object_id, std::uint64_t>> memory_log::object_counts() const {
  std::vector<std::tuple<metadata::object_number, object_id, std::uint64_t>> all;
  for (const auto& [number, row] : objects_) all.emplace_back(number, row.what.id, row.ranges);
  return all;
}

// What a term wrote may be done late, but never after a later term has begun. `T` void: no answer.
template <class T>
awaitable<result<T, log_error>> memory_metastore::write_index(std::uint64_t term, std::function<T(memory_log&)> work) {
  YAKS_CHECK(open_, "used outside open and close");
  auto& log = log_;
  auto& hooks = log.hooks;
  if (hooks.before_read)
    if (auto error = hooks.before_read()) co_return failure(*error);
  if (hooks.before_index_write)
    if (auto error = hooks.before_index_write()) co_return failure(*error);
  if (hooks.index_write_takes) co_await rt_.sleep_for(hooks.index_write_takes());
  auto do_it = [&log, term, work]() -> result<T, log_error> {
    if (term < log.term_ && !log.mistakes.takes_old_terms) return failure(log_error::old_term);
    log.term_ = std::max(log.term_, term);
    if constexpr (std::is_void_v<T>) {
      work(log);
      return {};
    } else {
      return work(log);
    }
  };
  if (hooks.late_index_write && hooks.late_index_write([do_it] { (void)do_it(); })) co_return failure(log_error::unavailable);
  auto done = do_it();
  if (hooks.index_write_takes) co_await rt_.sleep_for(hooks.index_write_takes());
  if (done && hooks.after_index_write)
    if (auto error = hooks.after_index_write()) co_return failure(*error);
  co_return done;
}

void memory_metastore::count(memory_log& log, const std::vector<metadata::range>& ranges, int by) {
  for (const auto& r : ranges) {
    auto found = log.objects_.find(r.object);
    if (log.mistakes.any()) {  // the checker is to find it
      bool is_left_out = found == log.objects_.end() || (by < 0 && found->second.ranges == 0) ||
                         (by > 0 && log.mistakes.counts_one_too_few && &r == &ranges.back()) ||
                             (by > 0 && log.mistakes.counts_no_merged && found->second.merged);
      if (!is_left_out) found->second.ranges += std::uint64_t(std::int64_t(by));
      continue;
    }
    YAKS_CHECK(found != log.objects_.end(), "a chunk comes with the objects that it names, and they stay");
    YAKS_CHECK(by > 0 || found->second.ranges > 0, "an object is counted as often as it is named");
    YAKS_CHECK(by < 0 || !found->second.retired, "nobody names an object that is gone");
    found->second.ranges += std::uint64_t(std::int64_t(by));
    found->second.live_bytes += std::uint64_t(std::int64_t(by) * std::int64_t(r.bytes));
    YAKS_CHECK((found->second.ranges == 0) == (found->second.live_bytes == 0) || r.bytes == 0, "an object's bytes go with its ranges");
  }
}

awaitable<result<void, log_error>> memory_metastore::begin_term(std::uint64_t term) {
  return write_index<void>(term, [](memory_log&) {});
}

awaitable<result<std::vector<std::pair<topic_partition, offset>>, log_error>> memory_metastore::add(std::uint64_t term,
                                                                                                    metadata::index_write what) {
  using ends_type = std::vector<std::pair<topic_partition, offset>>;
  return write_index<ends_type>(term, [what = std::move(what)](memory_log& log) {
    for (const auto& o : what.objects)
      log.objects_.try_emplace(o.number, memory_log::object_row{.what = o, .retired = {}});
    std::map<topic_partition, offset> ends;
    for (const auto& c : what.chunks) {
      // The first chunk of a partition may begin anywhere: what lies before was deleted before it was indexed.
      auto& end = log.index_ends_.try_emplace(c.where, c.ranges.front().base_offset).first->second;
      if (c.ranges.front().base_offset == end) {
        count(log, c.ranges, 1);
        end = c.ranges.back().end_offset();
        log.index_[c.where].push_back(c.ranges);
      }
      ends[c.where] = end;
    }
    return ends_type(ends.begin(), ends.end());
  });
}

void memory_metastore::take_trim(memory_log& log, metadata::index_place to) {
  auto& end = log.index_ends_.try_emplace(to.where, to.at).first->second;
  end = std::max(end, to.at);
  auto found = log.index_.find(to.where);
  if (found == log.index_.end()) return;
  auto& chunks = found->second;
  std::vector<metadata::range> rest;
  while (!chunks.empty() && chunks.front().front().base_offset < to.at) {
    for (const auto& r : chunks.front())
      if (r.end_offset() > to.at) rest.push_back(r);
    count(log, chunks.front(), -1);
    chunks.erase(chunks.begin());
  }
  YAKS_CHECK(rest.empty() || rest.front().base_offset == to.at, "a range is not divided");
  if (!rest.empty()) {
    count(log, rest, 1);
    chunks.insert(chunks.begin(), std::move(rest));
  }
  if (chunks.empty()) log.index_.erase(found);
}

awaitable<result<void, log_error>> memory_metastore::trim(std::uint64_t term, std::vector<metadata::index_place> to) {
  std::set<topic_partition> named;
  for (const auto& t : to) YAKS_CHECK(named.insert(t.where).second, "a trim names each partition once");
  return write_index<void>(term, [to = std::move(to)](memory_log& log) {
    for (const auto& t : to) take_trim(log, t);
  });
}

awaitable<result<bool, log_error>> memory_metastore::drop(std::uint64_t term, topic_id topic, std::size_t chunks_max) {
  return write_index<bool>(term, [topic, chunks_max](memory_log& log) {
    bool all = true;
    auto left = chunks_max;
    for (auto p = log.index_.begin(); p != log.index_.end();) {
      if (p->first.topic != topic) {
        ++p;
        continue;
      }
      for (auto& chunks = p->second; !chunks.empty() && left > 0; --left) {
        count(log, chunks.back(), -1);
        chunks.pop_back();
      }
      all &= p->second.empty();
      p = p->second.empty() ? log.index_.erase(p) : std::next(p);
    }
    if (all) std::erase_if(log.index_ends_, [&](const auto& e) { return e.first.topic == topic; });
    return all;
  });
}

result<void, log_error> memory_metastore::take_merge(memory_log& log, const metadata::indexed_object& into,
                                                     const std::vector<metadata::moved_ranges>& parts) {
  if (log.objects_.contains(into.number)) return {};
  struct change {
    std::vector<std::vector<metadata::range>>* chunks;
    std::size_t first, last;
    std::vector<std::vector<metadata::range>> come;
  };
  std::vector<change> changes;  // all or nothing
  for (const auto& part : parts) {
    auto found = log.index_.find(part.where);
    if (found == log.index_.end()) return failure(log_error::refused);
    auto& chunks = found->second;
    std::size_t first = 0;
    while (first < chunks.size() && chunks[first].back().end_offset() <= part.from) ++first;
    auto last = first;
    while (last < chunks.size() && chunks[last].front().base_offset < part.to) ++last;
    auto come = metadata::merged_chunks(std::span(chunks).subspan(first, last - first), part.from, part.to, into.number, part.position, part.bytes);
    if (!come) return failure(log_error::refused);
    changes.push_back({&chunks, first, last, std::move(*come)});
  }
  log.objects_.try_emplace(into.number, memory_log::object_row{.what = into, .merged = true, .retired = {}});
  for (auto& c : changes) {
    auto begin = c.chunks->begin() + std::ptrdiff_t(c.first), end = c.chunks->begin() + std::ptrdiff_t(c.last);
    for (const auto& chunk : c.come) count(log, chunk, 1);
    for (auto chunk = begin; chunk != end; ++chunk) count(log, *chunk, -1);
    auto at = c.chunks->erase(begin, end);
    c.chunks->insert(at, c.come.begin(), c.come.end());
  }
  return {};
}

awaitable<result<void, log_error>> memory_metastore::replace(std::uint64_t term, metadata::indexed_object into,
                                                             std::vector<metadata::moved_ranges> parts) {
  auto done = co_await write_index<bool>(term, [into, parts = std::move(parts)](memory_log& log) { return take_merge(log, into, parts).has_value(); });
  if (!done) co_return failure(done.error());
  YAKS_CHECK(*done || log_.mistakes.any(), "a merge moves ranges that are there");
  if (!*done) co_return failure(log_error::refused);
  co_return result<void, log_error>{};
}

awaitable<result<metadata::index_page, log_error>> memory_metastore::read(topic_partition where, offset from, std::size_t chunks_max) {
  if (log_.hooks.before_read)
    if (auto error = log_.hooks.before_read()) co_return failure(*error);
  metadata::index_page page;
  auto known = log_.index_.find(where);
  if (known != log_.index_.end())
    for (const auto& c : known->second) {
      if (c.back().end_offset() <= from || page.chunks.size() == chunks_max) continue;
      page.chunks.push_back(c);
      for (const auto& r : c)
        if (auto row = log_.objects_.find(r.object); row != log_.objects_.end())
          page.objects[r.object] = {row->second.what, row->second.live_bytes, row->second.released, row->second.merged};
    }
  co_return page;
}

awaitable<result<void, log_error>> memory_metastore::release(std::uint64_t term, std::vector<metadata::indexed_object> objects) {
  return write_index<void>(term, [objects = std::move(objects)](memory_log& log) {
    for (const auto& o : objects) {
      auto& row =
          log.objects_.try_emplace(o.number, memory_log::object_row{.what = o, .retired = {}}).first->second;
      YAKS_CHECK(row.what.id == o.id, "a number is of one object");
      row.released = true;
    }
  });
}

awaitable<result<std::uint64_t, log_error>> memory_metastore::retire(std::uint64_t term, log_sequence at, timestamp_ms time) {
  return write_index<std::uint64_t>(term, [at, time](memory_log& log) {
    std::uint64_t n = 0;
    for (auto& [number, row] : log.objects_)
      if (row.is_gone() && !row.retired) {
        row.retired = {at, time};
        ++n;
      }
    return n;
  });
}

awaitable<result<std::vector<metadata::indexed_object>, log_error>> memory_metastore::retired(log_sequence at, timestamp_ms time,
                                                                                              std::size_t most) {
  if (log_.hooks.before_read)
    if (auto error = log_.hooks.before_read()) co_return failure(*error);
  std::vector<metadata::indexed_object> found;
  for (const auto& [number, row] : log_.objects_)
    if (row.retired && ((row.retired->first <= at && row.retired->second < time) || log_.mistakes.retires_at_once) && found.size() < most) found.push_back(row.what);
  co_return found;
}

awaitable<result<void, log_error>> memory_metastore::forget(std::uint64_t term, std::vector<metadata::object_number> objects) {
  return write_index<void>(term, [objects = std::move(objects)](memory_log& log) {
    for (auto number : objects) {
      auto found = log.objects_.find(number);
      if (found == log.objects_.end()) continue;
      YAKS_CHECK((found->second.is_gone() && found->second.retired) || log.mistakes.any(), "only what is retired is forgotten");
      log.objects_.erase(found);
    }
  });
}

awaitable<result<std::vector<object_id>, log_error>> memory_metastore::known_objects(std::vector<object_id> which) {
  if (log_.hooks.before_read)
    if (auto error = log_.hooks.before_read()) co_return failure(*error);
  std::erase_if(which, [&](object_id id) { return !log_.knows_object(id); });
  co_return which;
}

awaitable<result<metadata::object_totals, log_error>> memory_metastore::totals() {
  if (log_.hooks.before_read)
    if (auto error = log_.hooks.before_read()) co_return failure(*error);
  metadata::object_totals all;
  for (const auto& [number, row] : log_.objects_) {
    auto& sum = row.is_gone() ? all.waiting : all.live;
    ++sum.objects;
    sum.bytes += row.what.bytes;
    if (row.merged && !row.is_gone()) ++all.merged.objects, all.merged.bytes += row.what.bytes;
    if (row.retired && (all.oldest_waiting == no_timestamp || row.retired->second < all.oldest_waiting))
      all.oldest_waiting = row.retired->second;
  }
  co_return all;
}

memory_metastore::ranges_found memory_metastore::located(const std::vector<metadata::range>* chunk) const {
  std::vector<metadata::indexed_range> found;
  if (chunk)
    for (const auto& r : *chunk) {
      auto known = log_.objects_.find(r.object);
      YAKS_CHECK(known != log_.objects_.end() || log_.mistakes.any(), "a chunk names objects that are known");
      if (known != log_.objects_.end()) found.push_back({r, known->second.what.id});
    }
  return found;
}

awaitable<memory_metastore::ranges_found> memory_metastore::find(topic_partition where, offset at) {
  if (log_.hooks.before_read)
    if (auto error = log_.hooks.before_read()) co_return failure(*error);
  auto known = log_.index_.find(where);
  if (known != log_.index_.end())
    for (const auto& c : known->second)
      if (c.front().base_offset <= at && at < c.back().end_offset()) co_return located(&c);
  co_return located(nullptr);
}

awaitable<result<metadata::oldest_ranges, log_error>> memory_metastore::find_oldest(std::vector<metadata::index_place> where) {
  if (log_.hooks.before_read)
    if (auto error = log_.hooks.before_read()) co_return failure(*error);
  metadata::oldest_ranges all;
  for (const auto& [at, from] : where) {
    auto& chunk = all.chunks.emplace_back();
    auto known = log_.index_.find(at);
    if (known == log_.index_.end()) continue;
    for (const auto& c : known->second)
      if (c.front().base_offset <= from && from < c.back().end_offset()) chunk = c;
    for (const auto& r : located(&chunk).value())
      if (r.range.max_timestamp < timestamp_ms(0)) all.untimed[r.range.object] = r.object;
  }
  co_return all;
}

awaitable<memory_metastore::ranges_found> memory_metastore::find_time(topic_partition where, offset from, timestamp_ms target) {
  auto known = log_.index_.find(where);
  if (known != log_.index_.end())
    for (const auto& c : known->second)
      if (from < c.back().end_offset() && std::ranges::any_of(c, [&](const auto& r) { return r.max_timestamp >= target; }))
        co_return located(&c);  // its largest time is all that a store knows of a chunk
  co_return located(nullptr);
}

awaitable<memory_metastore::ranges_found> memory_metastore::find_largest_time(topic_partition where, offset from) {
  const std::vector<metadata::range>* best = nullptr;
  timestamp_ms largest = no_timestamp;
  auto known = log_.index_.find(where);
  if (known != log_.index_.end())
    for (const auto& c : known->second)
      for (const auto& r : c)
        if (c.back().end_offset() > from && (!best || r.max_timestamp > largest)) best = &c, largest = r.max_timestamp;
  co_return located(best);
}

// ---- the tables for SQL --------------------------------------------------------------------------------------------

awaitable<result<bool, metadata::log_error>> memory_metastore::write(metadata::read_model_write what) {
  YAKS_CHECK(open_, "used outside open and close");
  if (log_.hooks.before_read)
    if (auto error = log_.hooks.before_read()) co_return failure(*error);
  auto& t = log_.tables_;
  if (what.as_of < t.as_of) co_return false;
  t.as_of = what.as_of;
  for (auto id : what.deleted) {
    t.topics.erase(id);
    std::erase_if(t.partitions, [&](const auto& p) { return p.first.topic == id; });
    for (auto& g : t.groups) std::erase_if(g.second, [&](const auto& o) { return o.where.topic == id; });
  }
  for (auto& row : what.topics) t.topics[row.id] = row;
  for (auto& row : what.partitions) t.partitions[row.where] = row;
  for (auto& g : what.groups) t.groups[g.name] = std::move(g.offsets);
  std::erase_if(t.groups, [](const auto& g) { return g.second.empty(); });
  co_return true;
}

awaitable<result<metadata::read_model::known, metadata::log_error>> memory_metastore::read_known() {
  YAKS_CHECK(open_, "used outside open and close");
  known all;
  for (const auto& [id, row] : log_.tables_.topics) all.topics.insert(id);
  for (const auto& [name, rows] : log_.tables_.groups) all.groups.insert(name);
  co_return all;
}

awaitable<void> memory_metastore::wait_for_change() {
  YAKS_CHECK(open_, "used outside open and close");
  while (open_ && log_.changes_.at(this) == 0) co_await log_.changed_.wait();
  if (!open_) throw boost::system::system_error(asio::error::operation_aborted);
  log_.changes_.at(this) = 0;
}
}  // namespace yaks::metastores
