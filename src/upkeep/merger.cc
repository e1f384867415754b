#include "upkeep/merger.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "ingest/object_builder.hpp"
#include "metadata/append_time.hpp"
#include "objects/object_key.hpp"
#include "records/batch.hpp"
#include "records/crc32c.hpp"
#include "runtime/fault_points.hpp"
#include "runtime/task_group.hpp"

namespace yaks::upkeep {
namespace {
// Whole batches with right checksums that hold as many records as the index says.
bool is_whole(byte_view bytes, const metadata::range& r) {
  records::batch_reader reader(bytes);
  std::uint64_t records = 0, batches = 0;
  while (auto batch = reader.next()) {
    if (!batch->crc_matches()) return false;
    records += std::uint64_t(batch->record_count());
    ++batches;
  }
  return !reader.fault() && reader.position() == bytes.size() && records == r.record_count &&
         batches == metadata::batches_of(r);
}
}  // namespace

merger::merger(runtime& rt, metadata::metastore& store, metadata::replica& log, object_store& objects, term& office,
               std::function<retention_limits(const metadata::topic&)> limits, merger_settings settings,
               metrics::registry& metrics)
    : rt_(rt),
      store_(store),
      log_(log),
      objects_(objects),
      office_(office),
      limits_(std::move(limits)),
      settings_(std::move(settings)),
      credit_(8.0 * double(settings_.limits.object_bytes)),
      made_objects_(metrics.add_counter("yaks_merge_objects_total", "Objects that were made of ranges of others.")),
      bytes_(metrics.add_counter("yaks_merge_bytes_total", "Bytes of those objects.")),
      rewritten_bytes_(
          metrics.add_counter("yaks_merge_rewritten_bytes_total", "Of these, bytes that had been merged before.")),
      ranges_(metrics.add_counter("yaks_merge_ranges_total", "Ranges that were merged.")),
      reads_(metrics.add_counter("yaks_merge_reads_total", "Ranged GETs for merging.")),
      void_(metrics.add_counter("yaks_merge_void_total",
                                "Objects that were made for nothing: their ranges had changed meanwhile.")),
      failures_(metrics.add_counter("yaks_merge_failures_total",
                                    "Merges, or looks for some, that failed; they are repeated.")) {
  metrics.add_callback(
      "yaks_merge_waiting_bytes",
      "Bytes of the index in short ranges that wait for more, for their age or for their turn to be merged.", [this] {
        std::uint64_t all = 0;
        for (const auto& [where, p] : places_) all += p.waiting_bytes;
        return double(all);
      });
}

awaitable<void> merger::run() {
  if (settings_.bytes_per_second == 0) co_return;
  for (unsigned failures = 0;;) {
    co_await rt_.sleep_for(failures == 0 ? settings_.interval : backoff(rt_, failures, 1s, 5min));
    if (!office_.held()) {
      places_.clear();
      next_whole_look_ = {};
      failures = 0;
      continue;
    }
    bool is_done = (co_await run_once()).has_value();
    failures = is_done || !office_.held() ? 0 : failures + 1;
    if (!is_done) failures_.add();
  }
}

// From what is known without a query.
bool merger::is_due(topic_partition where, const metadata::partition& p) const {
  if (p.held_from >= p.state_begin()) return false;
  auto known = places_.find(where);
  if (known == places_.end() || log_.log_time() >= known->second.look_again) return true;
  const auto& seen = known->second;
  return p.bytes > seen.bytes_seen && seen.waiting_bytes + (p.bytes - seen.bytes_seen) >= full_bytes();
}

awaitable<std::optional<std::size_t>> merger::run_once() {
  if (log_.current().format() < metadata::merging_log_format) co_return 0;  // an agent would not understand it
  // Where nothing is appended and nobody polls (embedded), the log's clock stands still until it is asked for.
  if (!co_await log_.barrier_since(rt_.now() - 1s)) co_return std::nullopt;
  if (rt_.now() >= next_whole_look_) {
    places_.clear();
    next_whole_look_ = rt_.now() + settings_.whole_look;
  }
  std::erase_if(places_, [&](const auto& p) { return !log_.current().find_partition(p.first); });
  made_ = 0;
  batch_.clear();
  batch_bytes_ = 0;
  std::string next_topic;
  std::size_t next_partition = 0;
  for (;;) {
    std::vector<topic_partition> due;
    const auto& topics = log_.current().topics_by_name();
    auto topic = topics.lower_bound(next_topic);
    if (topic != topics.end() && topic->first != next_topic) next_partition = 0;
    for (std::size_t n = 0; n < settings_.partitions_at_once && topic != topics.end(); ++topic, next_partition = 0) {
      const auto& t = *topic->second;
      for (; next_partition < t.partitions.size() && n < settings_.partitions_at_once; ++n, ++next_partition) {
        topic_partition where{t.id, partition_index(std::int32_t(next_partition))};
        if (is_due(where, t.partitions[next_partition])) due.push_back(where);
      }
      if (next_partition < t.partitions.size()) break;
    }
    next_topic = topic == topics.end() ? "" : topic->first;
    for (auto where : due)
      if (!co_await visit(where)) co_return std::nullopt;
    if (next_topic.empty()) break;
    co_await rt_.sleep_for(1ms);  // others' turn
  }
  if (!co_await flush()) co_return std::nullopt;
  co_return made_;
}

awaitable<result<std::optional<merger::candidate>, metadata::log_error>> merger::look(topic_partition where) {
  using answer = result<std::optional<candidate>, metadata::log_error>;
  const auto& state = log_.current();
  const auto* p = state.find_partition(where);
  if (!p) co_return answer();
  // As they are before the index is asked: where they are others when the command is applied, it is void.
  auto generation = p->index_generation;
  auto held_from = p->held_from, end = p->state_begin();
  auto bytes = p->bytes;
  auto limits = limits_(*state.find_topic(where.topic));
  auto& known = places_[where];
  known.bytes_seen = bytes;
  known.next = std::max(known.next, held_from);
  merge_outlook outlook{.now = log_.log_time(),
                        .retention_ms = limits.ms,
                        .goes_by_bytes = limits.bytes >= 0 && 2 * bytes > std::uint64_t(limits.bytes)};
  std::vector<metadata::range> ranges;
  std::map<metadata::object_number, metadata::object_use> objects;
  for (auto from = known.next;;) {
    auto page = co_await store_.index().read(where, from, settings_.chunks_at_once);
    if (!page) co_return failure(page.error());
    for (const auto& c : page->chunks)
      for (const auto& r : c)
        if (r.base_offset >= from && r.end_offset() <= end) ranges.push_back(r);
    objects.merge(page->objects);
    bool is_end = page->chunks.size() < settings_.chunks_at_once || ranges.empty() || ranges.back().end_offset() >= end;
    outlook.is_end = is_end || ranges.size() >= settings_.ranges_max;
    auto plan = plan_merges(ranges, objects, settings_.limits, outlook);
    auto& here = places_[where];
    here.next = ranges.empty() ? from : plan.next;
    here.look_again = outlook.now + settings_.limits.age_ms;
    if (plan.look_again != no_timestamp)
      here.look_again = std::max(plan.look_again, outlook.now + settings_.limits.age_ms / 8);
    here.waiting_bytes = 0;
    for (const auto& r : ranges)
      if (r.base_offset >= here.next) here.waiting_bytes += r.bytes;
    // What would be written again for too little is left for later.
    std::erase_if(plan.windows,
                  [&](const merge_window& w) { return w.merged_bytes > 0 && double(w.merged_bytes) > credit_; });
    if (!plan.windows.empty()) {
      candidate found{
          .where = where, .generation = generation, .window = std::move(plan.windows.front()), .objects = {}};
      for (const auto& r : found.window.ranges) found.objects[r.object] = objects.at(r.object).what.id;
      co_return answer(std::move(found));
    }
    if (outlook.is_end) {
      co_return answer();
    }
    // Together with what follows, from where the plan has found no end.
    std::erase_if(ranges, [&](const metadata::range& r) { return r.base_offset < here.next; });
    from = ranges.empty() ? here.next : ranges.back().end_offset();
  }
}

awaitable<bool> merger::visit(topic_partition where) {
  for (;;) {
    if (!office_.held()) co_return false;
    auto found = co_await look(where);
    if (!found) {
      spdlog::warn("cannot look up ranges that may be merged ({}); trying again", name(found.error()));
      co_return false;
    }
    if (!*found) co_return true;
    if (!batch_.empty() && batch_bytes_ + (*found)->window.bytes > settings_.limits.object_bytes) {
      if (!co_await flush()) co_return false;
      continue;  // a while has passed
    }
    batch_bytes_ += (*found)->window.bytes;
    batch_.push_back(std::move(**found));
    if (batch_bytes_ < full_bytes()) {
      places_[where].look_again = timestamp_ms(0);  // what is behind this window has its turn in the next round
      co_return true;
    }
    if (!co_await flush()) co_return false;
  }
}

awaitable<bool> merger::flush() {
  if (batch_.empty()) co_return true;
  auto parts = std::exchange(batch_, {});
  auto bytes = std::exchange(batch_bytes_, 0);
  if (rt_.now() < next_write_) co_await rt_.sleep_until(next_write_);
  next_write_ =
      rt_.now() + std::chrono::microseconds(std::int64_t(double(bytes) * 1e6 / double(settings_.bytes_per_second)));
  if (!co_await until_settled()) co_return false;
  if (!co_await merge(std::move(parts))) co_return false;
  co_return co_await until_settled();
}

// A partition has one merge at a time; and the next look is at what this one has made.
awaitable<bool> merger::until_settled() {
  auto due = rt_.now() + settings_.patience;
  while (!log_.current().merges().empty()) {
    if (rt_.now() >= due || !office_.held()) co_return false;
    co_await rt_.sleep_for(100ms);
  }
  co_return true;
}

struct merger::reading {
  struct job {
    object_id object;
    std::uint64_t begin = 0, end = 0;
    std::vector<piece*> pieces;
  };
  std::vector<job> jobs;
  std::size_t next = 0, running = 0;
  bool has_failed = false;
  std::set<std::size_t> spoilt;  // parts of which something is damaged, or gone
  event ended;
};

awaitable<void> merger::read_some(reading& all) {
  while (all.next < all.jobs.size() && !all.has_failed) {
    auto& job = all.jobs[all.next++];
    reads_.add();
    auto got = co_await objects_.get(object_key(settings_.key_prefix, job.object), job.begin, job.end - job.begin,
                                     rt_.now() + settings_.patience);
    if (!got || got->size() != job.end - job.begin) {
      spdlog::warn("cannot read bytes {}+{} of object {} to merge them: {}", job.begin, job.end - job.begin,
                   job.object.value().text(), got ? "too few" : name(got.error()));
      if (!got && (got.error() == object_error::not_found || got.error() == object_error::corrupt))
        for (auto* p : job.pieces) all.spoilt.insert(p->part);
      else
        all.has_failed = true;
      continue;
    }
    std::uint64_t used = 0;
    for (auto* p : job.pieces) used += p->range->bytes;
    for (auto* p : job.pieces) {
      p->bytes = got->slice(p->range->position - job.begin, p->range->bytes);
      // What was read and is not wanted shall not stay in memory.
      if (used * 4 < got->pinned_bytes() * 3) p->bytes = shared_bytes::copy_of(p->bytes.view());
      if (!is_whole(p->bytes.view(), *p->range)) {
        spdlog::error("bytes {}+{} of object {} do not match their checksums: they are not merged", p->range->position,
                      p->range->bytes, job.object.value().text());
        all.spoilt.insert(p->part);
        continue;
      }
      p->crc32c = records::crc32c(p->bytes.view());
    }
  }
  --all.running;
  all.ended.notify_all();
}

awaitable<bool> merger::read_all(std::vector<piece>& pieces, const std::vector<candidate>& parts) {
  auto place_of = [&](const piece* p) {
    return std::tuple(parts[p->part].objects.at(p->range->object), p->range->position);
  };
  std::vector<piece*> sorted;
  for (auto& p : pieces) sorted.push_back(&p);
  std::ranges::sort(sorted, {}, place_of);
  reading all;
  for (auto* p : sorted) {
    auto [object, position] = place_of(p);
    auto end = std::uint64_t(position) + p->range->bytes;
    auto* last = all.jobs.empty() ? nullptr : &all.jobs.back();
    if (last && last->object == object && position >= last->end &&
        position - last->end <= settings_.get_gap_bytes_max && end - last->begin <= settings_.get_bytes_max) {
      last->end = end;
      last->pieces.push_back(p);
    } else {
      all.jobs.push_back({object, position, end, {p}});
    }
  }
  task_group tasks(rt_.executor());
  auto body = [](merger& self, reading& shared, task_group& group) -> awaitable<void> {
    shared.running = std::min(self.settings_.gets_at_once, shared.jobs.size());
    for (auto n = shared.running; n > 0; --n) group.spawn(self.read_some(shared));
    while (shared.running > 0) co_await shared.ended.wait();
  };
  co_await run_then_close(body(*this, all, tasks), tasks);
  // One that is damaged does not stand in the way of others for ever. One that is gone was trimmed meanwhile.
  for (auto part : all.spoilt)
    places_[parts[part].where].next = std::max(places_[parts[part].where].next, parts[part].window.to);
  co_return !all.has_failed && all.spoilt.empty();
}

awaitable<bool> merger::merge(std::vector<candidate> parts) {
  auto term = office_.held();
  if (!term) co_return false;
  std::sort(parts.begin(), parts.end(), [](const candidate& a, const candidate& b) { return a.where < b.where; });
  metadata::merge_object command{.term = *term, .object = {}, .object_bytes = 0, .parts = {}};
  std::vector<piece> pieces;
  std::uint64_t rewritten = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& w = parts[i].window;
    command.parts.push_back({parts[i].where.topic, parts[i].where.partition, parts[i].generation, w.from, w.to,
                             command.object_bytes, w.bytes});
    command.object_bytes += w.bytes;
    rewritten += w.merged_bytes;
    for (const auto& r : w.ranges) pieces.push_back({.part = i, .range = &r, .bytes = {}});
  }
  {
    metadata::replica::reader reading(log_);
    if (!co_await read_all(pieces, parts)) co_return false;
  }
  // The name carries the log's time, as every object's: no later than the command is too late, no earlier than it may
  // be swept.
  if (!co_await log_.barrier_since(rt_.now() - 1s)) co_return false;
  auto high = rt_.random(), low = rt_.random();
  command.object = object_id(uuid::v7(log_.log_time().value(), high, low));
  std::vector<shared_bytes> segments;
  std::uint32_t crc = 0;
  for (auto& p : pieces) {
    crc = records::crc32c_combine(crc, p.crc32c, p.bytes.size());
    segments.push_back(std::move(p.bytes));
  }
  auto footer = ingest::object_footer(command);
  crc = records::crc32c(footer.view(), crc);
  segments.push_back(std::move(footer));
  auto stored = co_await objects_.put(object_key(settings_.key_prefix, command.object), std::move(segments), crc,
                                      rt_.now() + settings_.patience);
  maybe_fault(rt_, "after a merged object is stored, before its command");
  if (!stored) {
    spdlog::warn("cannot store a merged object ({}); trying again", name(stored.error()));
    co_return false;
  }
  auto bytes = command.object_bytes;
  auto done = co_await log_.submit(std::move(command));
  maybe_fault(rt_, "after a merge is in the log, before the index has followed");
  if (!done) co_return false;
  if (done->error != metadata::apply_error::none) {
    reached(rt_, "a merge of ranges that had changed");
    void_.add();
    co_return false;
  }
  reached(rt_, "ranges merged");
  if (parts.size() > 1) reached(rt_, "ranges of several partitions merged into one object");
  if (rewritten > 0) reached(rt_, "merged ranges merged again");
  credit_ += (settings_.write_ratio - 1) * double(bytes - rewritten) - double(rewritten);
  ++made_;
  made_objects_.add();
  bytes_.add(double(bytes));
  rewritten_bytes_.add(double(rewritten));
  ranges_.add(double(pieces.size()));
  co_return true;
}
}  // namespace yaks::upkeep
