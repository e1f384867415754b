#include "fetch/range_reader.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/mutation.hpp"
#include "metadata/append_time.hpp"
#include "objects/object_key.hpp"
#include "objects/object_name.hpp"
#include "peers/peer_client.hpp"
#include "records/batch.hpp"
#include "runtime/fault_points.hpp"

namespace yaks::fetch {
range_reader::range_reader(runtime& rt, object_store& objects, block_cache& cache, range_reader_settings settings,
                           metrics::registry& metrics, peers::peer_client* peers)
    : rt_(rt),
      objects_(objects),
      cache_(cache),
      settings_(std::move(settings)),
      peers_(peers),
      gate_(rt, settings_.backfill),
      tasks_(rt.executor()),
      downloads_(
          metrics.add_counter("yaks_fetch_s3_downloads_total", "Ranged GETs from the object store for fetches.")),
      downloaded_bytes_(metrics.add_counter("yaks_fetch_s3_download_bytes_total", "Bytes of ranged GETs for fetches.")),
      failures_(metrics.add_counter("yaks_fetch_s3_failures_total", "Ranged GETs that failed.")),
      corrupt_(metrics.add_counter("yaks_fetch_corrupt_ranges_total",
                                   "Ranges whose batches did not match their checksums as they were read.")),
      joined_(metrics.add_counter("yaks_fetch_joined_reads_total", "Ranges that another request was reading already.")),
      local_loads_(metrics.add_counter("yaks_groupcache_local_loads_total",
                                       "Ranges that this agent read from the object store, for itself or for a peer.")),
      read_ahead_(
          metrics.add_counter("yaks_fetch_read_ahead_ranges_total", "Ranges that were read before somebody asked.")),
      backfill_bytes_(metrics.add_counter("yaks_fetch_backfill_bytes_total", "Bytes of ranged GETs for old data.")),
      scans_begun_(metrics.add_counter("yaks_fetch_scans_total",
                                       "Long runs of old objects that were read with one GET each, piece by piece.")),
      scans_resumed_(metrics.add_counter("yaks_fetch_scans_resumed_total",
                                         "GETs that took such a run up again where the store had let go of it.")),
      get_seconds_(metrics.add_histogram("yaks_fetch_s3_download_duration_seconds", "Time of a ranged GET for fetches.",
                                         metrics::latency_seconds_buckets())) {
  metrics.add_callback("yaks_fetch_backfill_waiting", "Reads of old data that wait for their turn.",
                       [this] { return double(gate_.waiting()); });
  metrics.add_callback("yaks_fetch_scans", "Long runs of old objects that are being read piece by piece.",
                       [this] { return double(scans_.size()); });
  constexpr const char* reasons[] = {"own", "for_peer", "peer_failed"};
  constexpr const char* ages[] = {"fresh", "old"};
  for (int why = 0; why < 3; ++why)
    for (int is_old = 0; is_old < 2; ++is_old)
      gets_[why][is_old] = &metrics.add_counter("yaks_fetch_gets_total",
                                                "Reads of the object store for fetches, by whose turn it was and the object's age.",
                                                {{"reason", reasons[why]}, {"age", ages[is_old]}});
}

range_reader::~range_reader() = default;

awaitable<void> range_reader::run() {
  return run_then_close(tasks_.failed(), tasks_);
}

bool range_reader::is_backfill(object_id object) const {
  if (!settings_.log_time) return false;
  auto age_ms = settings_.log_time() - made_at(object);
  return age_ms > std::chrono::duration_cast<std::chrono::milliseconds>(settings_.fresh_for).count();
}

std::uint64_t range_reader::ahead_bytes_per_fetch() const {
  return std::min<std::uint64_t>(settings_.merged_bytes_max, cache_.bytes_max() / 32);
}

awaitable<range_reader::answers> range_reader::read(std::vector<wanted_ranges> partitions) {
  std::vector<located_range> asked;
  for (const auto& wanted : partitions) {
    begin_scans(wanted);
    asked.insert(asked.end(), wanted.asked.begin(), wanted.asked.end());
  }
  auto reading = begin(std::move(asked), purpose::fetch);
  read_ahead(partitions);
  co_return co_await finish(std::move(reading));
}

awaitable<range_reader::answers> range_reader::read(std::vector<located_range> ranges) {
  return finish(begin(std::move(ranges), purpose::fetch));
}

range_reader::under_way range_reader::begin(std::vector<located_range> ranges, purpose why) {
  under_way all;
  all.known.reserve(ranges.size());
  for (const auto& r : ranges) all.known.push_back(cache_.find(r.key()));
  all.waits.resize(ranges.size());
  std::vector<job> missing;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (all.known[i]) continue;
    auto& load = loads_[ranges[i].key()];
    // What may be waiting for the very peer that asks is not waited for.
    if (!load || (why == purpose::peer && !load->from_store)) {
      load = std::make_shared<loading>();
      load->is_awaited = true;
      missing.push_back({ranges[i], load});
    } else {
      if (!load->by) joined_.add();
      if (load->by) load->by->want(ranges[i].end());
      if (!std::exchange(load->is_awaited, true)) gate_.reconsider();
    }
    all.waits[i] = load;
  }
  start(std::move(missing), why == purpose::fetch);
  return all;
}

awaitable<range_reader::answers> range_reader::finish(under_way reading) {
  answers all;
  all.reserve(reading.known.size());
  for (std::size_t i = 0; i < reading.known.size(); ++i) {
    if (reading.known[i]) {
      all.push_back(std::move(reading.known[i]));
      continue;
    }
    while (!reading.waits[i]->answer) co_await reading.waits[i]->answered.wait();
    all.push_back(*reading.waits[i]->answer);
  }
  co_return all;
}

bool range_reader::has_or_loads(const located_range& range) const {
  return cache_.peek(range.key()) || loads_.contains(range.key());
}

std::shared_ptr<range_reader::loading> range_reader::begin_load(const located_range& range) {
  auto begun = std::make_shared<loading>();
  loads_.emplace(range.key(), begun);
  return begun;
}

void range_reader::read_ahead(const std::vector<wanted_ranges>& partitions) {
  if (tasks_.closing()) return;
  std::vector<job> missing;
  for (const auto& wanted : partitions) {
    auto left = wanted.ahead_bytes;
    for (const auto& r : wanted.ahead) {
      if (r.range.bytes > left || ahead_bytes_ + r.range.bytes > settings_.ahead_bytes_max) break;
      left -= r.range.bytes;
      if (has_or_loads(r) || scan_to(r)) continue;
      ahead_bytes_ += r.range.bytes;
      missing.push_back({r, begin_load(r)});
      read_ahead_.add();
    }
  }
  if (missing.empty()) return;
  auto follow = [](range_reader& self, std::vector<job> jobs) -> awaitable<void> {
    struct counted {  // also when cancelled
      range_reader& self;
      std::uint64_t bytes;
      ~counted() { self.ahead_bytes_ -= bytes; }
    } here{self, 0};
    for (const auto& j : jobs) here.bytes += j.range.range.bytes;
    for (const auto& j : jobs)
      while (!j.fills->answer) co_await j.fills->answered.wait();
  };
  tasks_.spawn(follow(*this, missing));
  start(std::move(missing), true);
}

void range_reader::start(std::vector<job> jobs, bool may_ask_peers) {
  std::sort(jobs.begin(), jobs.end(), [](const job& a, const job& b) { return a.range.key() < b.range.key(); });
  for (auto first = jobs.begin(); first != jobs.end();) {
    auto last = std::find_if(first, jobs.end(), [&](const job& j) { return j.range.object != first->range.object; });
    auto owner = peers_ && may_ask_peers ? peers_->owner_of(first->range.object) : std::nullopt;
    if (!owner) {
      auto reason = may_ask_peers ? get_reason::own : get_reason::for_peer;
      std::vector<job> mine(first, last);
      for (const auto& j : mine) j.fills->from_store = true;
      if (settings_.settled)
        tasks_.spawn(get_when_settled(std::move(mine), reason));
      else
        start_gets(std::move(mine), reason);
    }
    while (owner && first != last) {
      std::vector<job> together;
      std::uint64_t bytes = 0;
      for (; first != last && together.size() < peers::ranges_max; ++first) {
        bytes += first->range.range.bytes;
        if (!together.empty() && bytes > settings_.merged_bytes_max) break;
        together.push_back(*first);
      }
      tasks_.spawn(ask_peer(*owner, std::move(together)));
    }
    first = last;
  }
}

// The log tells of a commit before the flush that made it has put the bytes into the cache: whatever runs in between would
// read from the store what is in this agent's own memory.
awaitable<void> range_reader::get_when_settled(std::vector<job> jobs, get_reason why) {
  co_await settings_.settled(jobs.front().range.object);
  std::vector<job> left;
  for (const auto& j : jobs)
    if (auto found = cache_.peek(j.range.key())) {
      reached(rt_, "a commit known before its bytes are in the cache");
      give(j, std::move(found));
    } else {
      left.push_back(j);
    }
  start_gets(std::move(left), why);
}

// The jobs are of one object, by position.
void range_reader::start_gets(std::vector<job> jobs, get_reason why) {
  for (const auto& j : jobs) j.fills->from_store = true;
  auto gap_max = !jobs.empty() && is_backfill(jobs.front().range.object) ? settings_.backfill_gap_bytes_max
                                                                         : settings_.merge_gap_bytes_max;
  for (std::size_t first = 0; first < jobs.size();) {
    std::size_t last = first + 1;
    std::uint64_t begin = jobs[first].range.range.position, end = begin + jobs[first].range.range.bytes;
    for (; last < jobs.size(); ++last) {
      const auto& next = jobs[last].range.range;
      if (next.position > end + gap_max) break;
      if (std::uint64_t(next.position) + next.bytes - begin > settings_.merged_bytes_max) break;
      end = std::uint64_t(next.position) + next.bytes;
    }
    gets_[std::size_t(why)][is_backfill(jobs[first].range.object)]->add();
    tasks_.spawn(get(std::vector(jobs.begin() + std::ptrdiff_t(first), jobs.begin() + std::ptrdiff_t(last))));
    first = last;
  }
}

void range_reader::settle(const job& j, result<entry, object_error> answer) {
  if (j.fills->answer) return;  // somebody else was faster
  auto key = j.range.key();
  if (answer) cache_.insert(key, *answer, is_backfill(key.object) ? range_use::backfill : range_use::tail);
  give(j, std::move(answer));
}

void range_reader::give(const job& j, result<entry, object_error> answer) {
  if (j.fills->answer) return;
  auto key = j.range.key();
  j.fills->answer = std::move(answer);
  j.fills->answered.notify_all();
  if (auto found = loads_.find(key); found != loads_.end() && found->second == j.fills) loads_.erase(found);
}

awaitable<void> range_reader::ask_peer(peers::peer whom, std::vector<job> jobs) {
  peers::question q{.object = jobs.front().range.object, .ranges = {}};
  for (const auto& j : jobs) {
    const auto& r = j.range.range;
    q.ranges.push_back({.position = r.position,
                        .bytes = r.bytes,
                        .base_offset = r.base_offset,
                        .records = r.record_count,
                        .append_time = metadata::append_time_of(r)});
  }
  auto got = co_await peers_->ask(whom, std::move(q));
  std::vector<job> left;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    const auto& j = jobs[i];
    entry made;
    if (got) {
      auto bytes = std::move((*got)[i]);
      if (bytes.size() * 4 < bytes.pinned_bytes()) bytes = shared_bytes::copy_of(bytes.view());
      made = checked(j.range, std::move(bytes));
      if (!made) {
        corrupt_.add();
        peers_->report_damage(whom);
      }
    }
    if (made)
      settle(j, std::move(made));
    else
      left.push_back(j);
  }
  start_gets(std::move(left), get_reason::peer_failed);
}

awaitable<backfill_gate::pass> range_reader::pass_gate(object_id object, std::uint64_t bytes,
                                                       std::function<bool()> is_awaited) {
  if (!is_backfill(object)) co_return backfill_gate::pass();
  backfill_bytes_.add(double(bytes));
  co_return co_await gate_.enter(bytes, std::move(is_awaited));
}

awaitable<result<shared_bytes, object_error>> range_reader::get_bytes(object_id object, std::uint64_t begin,
                                                                      std::uint64_t bytes) {
  downloads_.add();
  auto begun = rt_.now();
  auto got =
      co_await objects_.get(object_key(settings_.key_prefix, object), begin, bytes, begun + settings_.get_deadline);
  get_seconds_.observe(std::chrono::duration<double>(rt_.now() - begun).count());
  if (got)
    downloaded_bytes_.add(double(got->size()));
  else
    failures_.add();
  co_return got;
}

awaitable<void> range_reader::get(std::vector<job> jobs) {
  const auto& first = jobs.front().range;
  const auto& last = jobs.back().range.range;
  std::uint64_t begin = first.range.position, bytes = std::uint64_t(last.position) + last.bytes - begin;
  auto pass = co_await pass_gate(first.object, bytes, [&jobs] {
    return std::ranges::any_of(jobs, [](const job& j) { return j.fills->is_awaited; });
  });
  auto got = co_await get_bytes(first.object, begin, bytes);
  if (!got) {
    spdlog::warn("cannot read bytes {}+{} of object {}: {}", begin, bytes, first.object.value().text(),
                 name(got.error()));
    for (const auto& j : jobs) settle(j, failure(got.error()));
    co_return;
  }
  if (got->size() == bytes) {
    deliver(jobs, begin, *got, sharing::large);
  } else {  // a store that does not keep to its contract
    for (const auto& j : jobs) tasks_.spawn(get_alone(j));
  }
}

void range_reader::deliver(const std::vector<job>& jobs, std::uint64_t begin, const shared_bytes& bytes,
                           sharing slices) {
  for (const auto& j : jobs) {
    auto slice = bytes.slice(j.range.range.position - begin, j.range.range.bytes);
    // A small range must not keep a large download alive in the cache.
    if (slices == sharing::large && slice.size() * 4 < slice.pinned_bytes()) slice = shared_bytes::copy_of(slice.view());
    if (auto made = checked(j.range, std::move(slice))) {
      local_loads_.add();
      settle(j, std::move(made));
    } else {
      tasks_.spawn(get_alone(j));
    }
  }
}

// Whole batches with right checksums, as many bytes and records as the log says; else null.
range_reader::entry range_reader::checked(const located_range& range, shared_bytes bytes) {
  if (bytes.size() != range.range.bytes) return nullptr;
  auto append_time = metadata::append_time_of(range.range);
  if (append_time) {
    // Checked as they were sent, before they get the time that they were stored at.
    records::batch_reader reader(bytes.view());
    for (auto at = reader.position(); auto batch = reader.next(); at = reader.position()) {
      if (!batch->crc_matches() && !mutated("checksums unchecked")) return nullptr;
      records::set_log_append_time(bytes.slice(at, batch->size_bytes()).writable(), *append_time);
    }
  }
  auto made = cached_range::make({std::move(bytes)}, range.range.base_offset, !append_time && !mutated("checksums unchecked"));
  if (!made || made->batches().empty() || made->batches().back().end_offset() != range.range.end_offset())
    return nullptr;
  return made;
}

awaitable<void> range_reader::get_alone(job j) {
  const auto& r = j.range;
  corrupt_.add();
  reached(rt_, "a damaged range read again");
  auto object = r.object.value().text();
  spdlog::error("bytes {}+{} of object {} do not match their checksums; reading them once more", r.range.position,
                r.range.bytes, object);
  auto got = co_await get_bytes(r.object, r.range.position, r.range.bytes);
  if (!got) {
    settle(j, failure(got.error()));
  } else if (auto made = checked(r, std::move(*got))) {
    local_loads_.add();
    settle(j, std::move(made));
  } else {
    corrupt_.add();
    spdlog::error("object {} is damaged at bytes {}+{}: fetches of these records answer KAFKA_STORAGE_ERROR", object,
                  r.range.position, r.range.bytes);
    settle(j, failure(object_error::corrupt));
  }
}

// ---- scans

ahead_limits range_reader::ahead_of(const located_range& last, std::uint64_t bytes) {
  if (!is_backfill(last.object)) return {};
  ahead_limits limits{.bytes = bytes,
                      .run_bytes = can_open_scan() ? settings_.scans.bytes_max : 0,
                      .ranges = settings_.scans.ranges_max};
  auto s = scan_of(last);
  if (!s) return limits;
  // What comes behind a run is looked for once, when its end is near.
  auto left = s->end() - last.end();
  if (s->is_followed || left > s->window()) return {};
  s->is_followed = true;
  limits.bytes += left;
  limits.is_for_new_runs = false;
  return limits;
}

scan_table::pointer range_reader::scan_to(const located_range& range) const {
  auto s = scans_.find(range.key());
  return s && s->will_reach(range.begin()) ? s : nullptr;
}

scan_table::pointer range_reader::scan_of(const located_range& range) const {
  auto s = scans_.find(range.key());
  bool is_reader = s && s->is_near(range.begin()) && (s->position() <= range.begin() || has_or_loads(range));
  return is_reader ? s : nullptr;
}

std::uint64_t range_reader::scan_window() const {
  auto all = std::min<std::uint64_t>(settings_.ahead_bytes_max, cache_.bytes_max() / 16);
  return std::min(settings_.scans.window_max, all / std::max<std::size_t>(scans_.size(), 1));
}

// Or in the place of one that stands still.
bool range_reader::can_open_scan() const {
  if (scans_.size() < settings_.scans.open_max) return true;
  auto idlest = scans_.idlest();
  return idlest && rt_.now() - idlest->asked_at() >= settings_.scans.yields_after;
}

bool range_reader::may_scan(const located_range& first, std::uint64_t bytes) const {
  if (tasks_.closing() || !is_backfill(first.object)) return false;
  bool has_owner = peers_ && peers_->owner_of(first.object);
  return bytes >= (has_owner ? settings_.scans.bytes_min_of_peer : settings_.scans.bytes_min);
}

// Moves scans on that have what is asked for, and begins others for runs that are long enough.
void range_reader::begin_scans(const wanted_ranges& wanted) {
  if (wanted.asked.empty() || !is_backfill(wanted.asked.back().object)) return;
  std::uint64_t asked_bytes = 0;
  scan_table::pointer before;
  for (const auto& r : wanted.asked) {
    asked_bytes += r.range.bytes;
    auto s = scan_of(r);
    if (s) s->want(r.end());
    if (before && before != s) ask(before, before->begin());
    before = std::move(s);
  }
  if (before) ask(before, before->begin());
  std::vector<located_range> all = wanted.asked;
  all.insert(all.end(), wanted.ahead.begin(), wanted.ahead.end());
  for (std::size_t first = 0; first < all.size();) {
    if (auto s = scan_to(all[first])) {  // and to all that it has
      while (first < all.size() && all[first].object == s->object() && all[first].begin() < s->end()) ++first;
      continue;
    }
    if (has_or_loads(all[first])) {
      ++first;
      continue;
    }
    std::size_t last = first + 1;
    const auto& limits = settings_.scans;
    while (last < all.size() && last - first < limits.ranges_max && all[last].continues(all[last - 1]) &&
           all[last].end() - all[first].begin() <= limits.bytes_max && !scan_to(all[last]))
      ++last;
    if (may_scan(all[first], all[last - 1].end() - all[first].begin())) {
      if (!can_open_scan()) return;
      if (scans_.size() >= limits.open_max) {
        auto idlest = scans_.idlest();
        idlest->close();
        scans_.erase(idlest);
      }
      std::span run(all.begin() + std::ptrdiff_t(first), all.begin() + std::ptrdiff_t(last));
      auto s = std::make_shared<scan>(std::vector(run.begin(), run.end()), asked_bytes, rt_.now());
      scans_.insert(s);
      scans_begun_.add();
      ask(s, first < wanted.asked.size() ? all[std::min(last, wanted.asked.size()) - 1].end() : s->begin());
      tasks_.spawn(run_scan(std::move(s)));
    }
    first = last;
  }
}

void range_reader::ask(const scan_table::pointer& s, std::uint64_t to) {
  auto allowed = s->allowed();
  s->ask(to, scan_window(), rt_.now());
  gate_.reconsider();
  for (; allowed < s->allowed(); ++allowed)
    if (const auto& r = (*s)[allowed]; !has_or_loads(r)) {
      auto begun = begin_load(r);
      begun->by = s;
      begun->from_store = true;
      if (r.begin() >= to) read_ahead_.add();
    }
}

awaitable<void> range_reader::run_scan(scan_table::pointer s) {
  std::unique_ptr<object_stream> stream;
  while (!s->is_over()) {
    if (!s->may_go_on()) {
      auto patience = s->asked_at() + settings_.scans.patience;
      if (!co_await s->changed.wait_until(rt_, patience) && s->asked_at() + settings_.scans.patience <= rt_.now() &&
          !s->may_go_on()) {
        reached(rt_, "a scan whose reader has gone");
        break;
      }
      continue;
    }
    std::vector<job> jobs;
    std::uint64_t bytes = 0;
    for (std::size_t i = s->next(), last = i + s->piece(settings_.scans.piece_bytes); i < last; ++i) {
      const auto& r = (*s)[i];
      auto load = loads_.find(r.key());
      jobs.push_back({r, load == loads_.end() ? nullptr : load->second});
      bytes += r.range.bytes;
    }
    // Whoever waits for a later piece waits for this one, too.
    auto pass = co_await pass_gate(s->object(), bytes, [&s] { return s->is_wanted(); });
    auto got = co_await next_of(*s, stream, bytes);
    if (!got) {
      spdlog::warn("cannot read bytes {}+{} of object {}: {}", s->position(), bytes, s->object().value().text(),
                   name(got.error()));
      scans_.erase(s);
      // A store that cannot stream it may have it all the same: what somebody waits for is asked for in the plain way.
      std::vector<job> left;
      for (auto i = s->next(); i < s->allowed(); ++i) {
        auto load = loads_.find((*s)[i].key());
        if (load == loads_.end() || load->second->by != s) continue;
        job j{(*s)[i], load->second};
        if (j.fills->is_awaited)
          left.push_back(std::move(j));
        else
          settle(j, failure(got.error()));
      }
      if (!left.empty()) reached(rt_, "a scan that went on in the plain way");
      start_gets(std::move(left), get_reason::own);
      co_return;
    }
    auto begin = s->position();
    s->took(jobs.size());
    std::erase_if(jobs, [](const job& j) { return !j.fills; });  // somebody else was faster
    deliver(jobs, begin, *got, sharing::all);
    if (s->next() > 1) reached(rt_, "a scan goes on");
  }
  scans_.erase(s);
}

// The next bytes of a scan, from where it stands. A store that lets go of the stream, as some do with slow readers, is
// asked once more.
awaitable<result<shared_bytes, object_error>> range_reader::next_of(const scan& s,
                                                                    std::unique_ptr<object_stream>& stream,
                                                                    std::uint64_t bytes) {
  for (bool may_resume = stream != nullptr;; may_resume = false) {
    auto deadline = rt_.now() + settings_.get_deadline;
    if (!stream) {
      downloads_.add();
      gets_[std::size_t(get_reason::own)][true]->add();
      auto begun = rt_.now();
      auto made = co_await objects_.stream(object_key(settings_.key_prefix, s.object()), s.position(),
                                           s.end() - s.position(), deadline);
      get_seconds_.observe(std::chrono::duration<double>(rt_.now() - begun).count());
      if (!made) {
        failures_.add();
        co_return failure(made.error());
      }
      stream = std::move(*made);
    }
    auto got = co_await stream->next(bytes, deadline);
    if (got && got->size() == bytes) {
      downloaded_bytes_.add(double(bytes));
      co_return got;
    }
    stream.reset();
    failures_.add();
    if (!may_resume) co_return failure(got ? object_error::corrupt : got.error());
    scans_resumed_.add();
    reached(rt_, "a scan taken up again");
  }
}

// ---- for peers

namespace {
// Of a range that is what the peer means by it; nothing else is sent.
bool append_all(const cached_range& range, const peers::wanted_range& wanted, std::vector<shared_bytes>& out) {
  const auto& batches = range.batches();
  if (range.bytes() != wanted.bytes || batches.empty() || batches.front().base_offset != wanted.base_offset)
    return false;
  range.append_slices(0, batches.size(), out);
  return true;
}
}  // namespace

std::optional<std::vector<shared_bytes>> range_reader::in_memory(const peers::question& q) {
  std::vector<shared_bytes> bytes;
  for (const auto& w : q.ranges)
    if (!cache_.peek({q.object, w.position})) return std::nullopt;
  for (const auto& w : q.ranges) {
    auto found = cache_.find({q.object, w.position});
    if (!found || !append_all(*found, w, bytes)) return std::nullopt;
  }
  return bytes;
}

awaitable<std::optional<std::vector<shared_bytes>>> range_reader::load(peers::question q) {
  if (settings_.settled) co_await settings_.settled(q.object);
  // The agent that asks has a gate of its own.
  if (is_backfill(q.object) && gate_.is_congested()) co_return std::nullopt;
  std::vector<located_range> ranges;
  for (const auto& w : q.ranges)
    ranges.push_back({q.object,
                      {.base_offset = w.base_offset,
                       .position = w.position,
                       .bytes = w.bytes,
                       .record_count = w.records,
                       .batch_count = w.append_time ? metadata::has_append_time : 0,
                       .max_timestamp = w.append_time.value_or(timestamp_ms(0))}});
  auto read = co_await finish(begin(std::move(ranges), purpose::peer));
  std::vector<shared_bytes> bytes;
  for (std::size_t i = 0; i < read.size(); ++i)
    if (!read[i] || !append_all(**read[i], q.ranges[i], bytes)) co_return std::nullopt;
  co_return bytes;
}
}  // namespace yaks::fetch
