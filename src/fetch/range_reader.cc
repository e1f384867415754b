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
      get_seconds_(metrics.add_histogram("yaks_fetch_s3_download_duration_seconds", "Time of a ranged GET for fetches.",
                                         metrics::latency_seconds_buckets())) {
  metrics.add_callback("yaks_fetch_backfill_waiting", "Reads of old data that wait for their turn.",
                       [this] { return double(gate_.waiting()); });
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

awaitable<range_reader::answers> range_reader::read(std::vector<located_range> ranges,
                                                    std::vector<located_range> ahead) {
  return read_for(std::move(ranges), purpose::fetch, std::move(ahead));
}

awaitable<range_reader::answers> range_reader::read_for(std::vector<located_range> ranges, purpose why,
                                                        std::vector<located_range> ahead) {
  std::vector<entry> known;
  known.reserve(ranges.size());
  for (const auto& r : ranges) known.push_back(cache_.find(r.key()));
  std::vector<std::shared_ptr<loading>> waits(ranges.size());
  std::vector<job> missing;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (known[i]) continue;
    auto& under_way = loads_[ranges[i].key()];
    // What may be waiting for the very peer that asks is not waited for.
    if (!under_way || (why == purpose::peer && !under_way->from_store)) {
      under_way = std::make_shared<loading>();
      under_way->is_awaited = true;
      missing.push_back({ranges[i], under_way});
    } else {
      joined_.add();
      if (!std::exchange(under_way->is_awaited, true)) gate_.reconsider();
    }
    waits[i] = under_way;
  }
  start(std::move(missing), why == purpose::fetch);
  if (!ahead.empty()) read_ahead(ahead);
  answers all;
  all.reserve(ranges.size());
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (known[i]) {
      all.push_back(known[i]);
      continue;
    }
    while (!waits[i]->answer) co_await waits[i]->answered.wait();
    all.push_back(*waits[i]->answer);
  }
  co_return all;
}

void range_reader::read_ahead(const std::vector<located_range>& ranges) {
  if (tasks_.closing()) return;
  std::vector<job> missing;
  for (const auto& r : ranges) {
    if (ahead_bytes_ + r.range.bytes > settings_.ahead_bytes_max) break;
    if (cache_.peek(r.key()) || loads_.contains(r.key())) continue;
    ahead_bytes_ += r.range.bytes;
    read_ahead_.add();
    auto begun = std::make_shared<loading>();
    loads_.emplace(r.key(), begun);
    missing.push_back({r, std::move(begun)});
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
  auto key = j.range.key();
  if (answer) cache_.insert(key, *answer, is_backfill(key.object) ? range_use::backfill : range_use::tail);
  give(j, std::move(answer));
}

void range_reader::give(const job& j, result<entry, object_error> answer) {
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

awaitable<backfill_gate::pass> range_reader::pass_gate(const std::vector<job>& jobs, std::uint64_t bytes) {
  if (!is_backfill(jobs.front().range.object)) co_return backfill_gate::pass();
  backfill_bytes_.add(double(bytes));
  co_return co_await gate_.enter(
      bytes, [&jobs] { return std::ranges::any_of(jobs, [](const job& j) { return j.fills->is_awaited; }); });
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
  auto pass = co_await pass_gate(jobs, bytes);
  auto got = co_await get_bytes(first.object, begin, bytes);
  if (!got) {
    spdlog::warn("cannot read bytes {}+{} of object {}: {}", begin, bytes, first.object.value().text(),
                 name(got.error()));
    for (const auto& j : jobs) settle(j, failure(got.error()));
    co_return;
  }
  for (const auto& j : jobs) {
    if (got->size() != bytes) {  // a store that does not keep to its contract
      tasks_.spawn(get_alone(j));
      continue;
    }
    auto slice = got->slice(j.range.range.position - begin, j.range.range.bytes);
    // A small range must not keep a large download alive in the cache.
    if (slice.size() * 4 < slice.pinned_bytes()) slice = shared_bytes::copy_of(slice.view());
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
  auto read = co_await read_for(std::move(ranges), purpose::peer);
  std::vector<shared_bytes> bytes;
  for (std::size_t i = 0; i < read.size(); ++i)
    if (!read[i] || !append_all(**read[i], q.ranges[i], bytes)) co_return std::nullopt;
  co_return bytes;
}
}  // namespace yaks::fetch
