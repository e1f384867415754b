#include "ingest/write_buffer.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>
#include <set>

#include "base/check.hpp"
#include "base/mutation.hpp"
#include "metadata/append_time.hpp"
#include "objects/object_key.hpp"
#include "objects/object_name.hpp"
#include "records/batch.hpp"
#include "runtime/fault_points.hpp"

namespace yaks::ingest {
namespace {
double seconds(duration d) { return std::chrono::duration<double>(d).count(); }

// Sequences go round: half of them lie after any one.
bool is_at_or_after(std::int32_t sequence, std::int32_t than) {
  return ((std::uint32_t(sequence) - std::uint32_t(than)) & 0x7fffffffu) < (1u << 30);
}

produce_error error_of(metadata::apply_error error) {
  switch (error) {
    case metadata::apply_error::none: return produce_error::none;
    case metadata::apply_error::unknown_topic:
    case metadata::apply_error::unknown_partition: return produce_error::unknown_topic_or_partition;
    case metadata::apply_error::out_of_order_sequence: return produce_error::out_of_order_sequence;
    case metadata::apply_error::invalid_producer_epoch: return produce_error::invalid_producer_epoch;
    case metadata::apply_error::commit_too_late:
    case metadata::apply_error::withheld: return produce_error::not_stored;
    case metadata::apply_error::topic_exists:
    case metadata::apply_error::wrong_term:
    case metadata::apply_error::format_not_known:
    case metadata::apply_error::ranges_changed:
    case metadata::apply_error::invalid_partitions:
    case metadata::apply_error::offset_out_of_range: break;
  }
  YAKS_CHECK(false, "a commit has no such outcome");
  return produce_error::not_stored;
}
// Of a deliberate bug.
metadata::commit_outcome guess_outcome(const metadata::state& state, const metadata::commit_object& commit) {
  metadata::commit_outcome guess;
  for (const auto& t : commit.topics)
    for (const auto& p : t.partitions) {
      const auto* here = state.find_partition({t.topic, p.partition});
      auto next = here ? here->high_watermark : offset(0);
      for (const auto& b : p.batches) {
        guess.batches.push_back({.base_offset = next});
        next += b.record_count;
      }
    }
  return guess;
}
awaitable<void> submit_later(metadata::replica& log, metadata::commit_object commit) { (void)co_await log.submit(std::move(commit)); }
}  // namespace

awaitable<bool> flush::wait_until(runtime& rt, time_point deadline) {
  // No timer of its own: wake_at_deadlines() wakes all requests of a flush together, at its next deadline.
  next_deadline_ = std::min(next_deadline_, deadline);
  while (!done_ && rt.now() < deadline) {
    next_deadline_ = std::min(next_deadline_, deadline);
    co_await changed_.wait();
  }
  co_return done_;
}

write_buffer::write_buffer(runtime& rt, object_store& objects, metadata::replica& log, block_cache& cache,
                           write_buffer_settings settings, metrics::registry& metrics)
    : rt_(rt),
      objects_(objects),
      log_(log),
      cache_(cache),
      settings_(std::move(settings)),
      budget_(settings_.flush_interval, settings_.saved_puts_max, rt.now()),
      not_stored_(rt),
      tasks_(rt.executor()),
      flushes_by_budget_(metrics.add_counter("yaks_buffer_flushes_total", "Flushes of the write buffer, by what caused them.",
                                             {{"reason", "budget"}})),
      flushes_by_size_(metrics.add_counter("yaks_buffer_flushes_total", "Flushes of the write buffer, by what caused them.",
                                           {{"reason", "size"}})),
      failures_(metrics.add_counter("yaks_buffer_flush_failures_total",
                                    "Flushes that were not stored: their producers were told to try again.")),
      withheld_(metrics.add_counter("yaks_buffer_batches_withheld_total",
                                    "Batches given up because an earlier one of the same producer was not stored.")),
      flushed_bytes_(metrics.add_counter("yaks_buffer_flushed_bytes_total", "Bytes of batches that were flushed.")),
      flushed_batches_(metrics.add_counter("yaks_buffer_flushed_batches_total", "Batches that were flushed.")),
      flush_seconds_(metrics.add_histogram("yaks_buffer_flush_duration_seconds",
                                           "Time from the first batch of a flush to its commit.",
                                           metrics::latency_seconds_buckets())),
      wait_seconds_(metrics.add_histogram("yaks_buffer_wait_duration_seconds", "Time from the first batch of a flush to its upload.",
                                          metrics::latency_seconds_buckets())),
      put_seconds_(metrics.add_histogram("yaks_buffer_s3_put_duration_seconds", "Time to store the object of a flush.",
                                         metrics::latency_seconds_buckets())),
      flush_sizes_(metrics.add_histogram("yaks_buffer_flush_bytes", "Bytes in one flush.", metrics::bytes_buckets())) {
  metrics.add_callback("yaks_buffer_bytes", "Bytes in the write buffer: accepted, and not committed yet.",
                       [this] { return double(bytes_); });
  metrics.add_callback("yaks_buffer_bytes_max", "Limit of the write buffer (YAKS_BUFFER_MAX_BYTES).",
                       [this] { return double(settings_.buffer_bytes_max); });
  metrics.add_callback("yaks_buffer_uploads", "Flushes that are being uploaded or wait to be committed.",
                       [this] { return double(under_way_.size()); });
}

write_buffer::~write_buffer() = default;

awaitable<void> write_buffer::run() { co_await run_then_close(work(), tasks_); }

awaitable<void> write_buffer::work() {
  tasks_.spawn(wake_at_deadlines());
  tasks_.spawn(seal_when_due());
  co_await tasks_.failed();  // an upload that broke would hold up all that come after it, for ever
}

std::shared_ptr<flush> write_buffer::open_flush() {
  if (open_.empty() || open_.back()->bytes_ >= settings_.flush_bytes ||
      open_.back()->batches_.size() >= settings_.flush_batches_max) {
    open_.push_back(std::make_shared<flush>());
    open_.back()->opened_at_ = rt_.now();
    open_.back()->last_deadline_ = rt_.now();
  }
  return open_.back();
}

ticket write_buffer::add(produced_batch batch, time_point deadline) {
  auto f = open_flush();
  bytes_ += batch.bytes.size();
  f->bytes_ += batch.bytes.size();
  f->last_deadline_ = std::max(f->last_deadline_, deadline);
  auto due_before = f->due_;
  bool was_early = f->may_go_early_;
  set_due(*f, batch, deadline);
  f->batches_.push_back(std::move(batch));
  std::size_t index = f->batches_.size() - 1;
  if (index == 0 || f->due_ < due_before || f->may_go_early_ != was_early || f->bytes_ >= settings_.flush_bytes || f->batches_.size() >= settings_.flush_batches_max)
    changed_.notify_all();
  return {std::move(f), index};
}

// A topic's own interval (yaks.flush.interval.ms) is a promise: its records wait no longer, be there a token or not. A longer
// one than the buffer's is also a wish: its records alone cause no earlier flush, but join one. No promise outlives half of the
// time that the client waits.
void write_buffer::set_due(flush& f, const produced_batch& batch, time_point deadline) {
  if (!batch.flush_interval || *batch.flush_interval <= settings_.flush_interval) f.may_go_early_ = true;
  if (!batch.flush_interval) return;
  auto now = rt_.now();
  auto patience = deadline > now ? (deadline - now) / 2 : duration{};
  f.due_ = std::min(f.due_, now + std::min(*batch.flush_interval, patience));
}

awaitable<void> write_buffer::admission() {
  while (is_full()) co_await room_.wait();
}

awaitable<void> write_buffer::drain() {
  draining_ = true;
  changed_.notify_all();
  while (!open_.empty() || !under_way_.empty()) co_await settled_.wait();
  draining_ = false;
}

awaitable<void> write_buffer::settled(object_id object) {
  for (auto f : under_way_) {
    if (f->object_ != object) continue;
    while (!f->done_) co_await f->changed_.wait();
    co_return;
  }
}

awaitable<void> write_buffer::seal_when_due() {
  for (;;) {
    while (open_.empty()) co_await changed_.wait();
    auto f = open_.front();
    bool by_size = false;
    for (;;) {
      by_size = f->bytes_ >= settings_.flush_bytes || f->batches_.size() >= settings_.flush_batches_max;
      auto now = rt_.now();
      auto due = f->may_go_early_ ? std::min(f->due_, std::max(f->opened_at_ + settings_.linger, budget_.available_at(now))) : f->due_;
      if (by_size || draining_ || now >= due) break;
      co_await changed_.wait_until(rt_, due);
    }
    // What arrives while all uploads are busy shares this flush's PUT, or opens the next one.
    while (under_way_.size() >= settings_.uploads_max) co_await settled_.wait();
    if (!by_size) budget_.take(rt_.now());
    wait_seconds_.observe(seconds(rt_.now() - f->opened_at_));
    (by_size ? flushes_by_size_ : flushes_by_budget_).add();
    open_.pop_front();
    f->previous_ = last_sealed_ && !last_sealed_->done_ ? last_sealed_ : nullptr;
    last_sealed_ = f;
    under_way_.push_back(f);
    tasks_.spawn(upload(f));
  }
}

awaitable<void> write_buffer::upload(std::shared_ptr<flush> f) {
  co_await store(*f);
  f->done_ = true;
  f->previous_ = nullptr;
  if (!mutated("buffer never given back")) bytes_ -= f->bytes_;
  f->batches_ = {};
  std::erase(under_way_, f);
  flush_seconds_.observe(seconds(rt_.now() - f->opened_at_));
  f->changed_.notify_all();
  settled_.notify_all();
  if (!is_full()) room_.notify_all();
}

awaitable<void> write_buffer::store(flush& f) {
  flush_sizes_.observe(double(f.bytes_));
  flushed_bytes_.add(double(f.bytes_));
  flushed_batches_.add(double(f.batches_.size()));
  // The key carries the log's clock: one read within the last seconds, so that the deadline counts from now.
  bool clock_is_fresh = co_await log_.barrier_since(rt_.now() - 5s);
  std::optional<built_object> built;
  bool uploaded = false;
  if (clock_is_fresh || log_.log_time() > timestamp_ms(0)) {
    auto high = rt_.random(), low = rt_.random();
    object_id id = new_object_id(log_.log_time(), log_.self(), high, low);
    f.object_ = id;
    built = build_object(id, f.batches_);
    auto deadline = std::min(std::max(f.last_deadline_, rt_.now() + 1s), rt_.now() + settings_.upload_deadline);
    auto begun = rt_.now();
    auto put = co_await objects_.put(object_key(settings_.key_prefix, id), built->segments, built->crc32c, deadline);
    put_seconds_.observe(seconds(rt_.now() - begun));
    uploaded = put.has_value() || (mutated("unknown upload taken for stored") && put.error() == object_error::unknown);
    if (!put)
      not_stored_.warn(fmt::format("a flush of {} bytes was not stored: {}; its producers are told to try again", f.bytes_,
                                   name(put.error())));
  }
  maybe_fault(rt_, "after upload, before append");
  while (!mutated("sealing order ignored") && f.previous_ && !f.previous_->done_) co_await f.previous_->changed_.wait();
  if (!uploaded) {
    fail(f);
    co_return;
  }
  withhold_gaps(f, *built);
  if (mutated("acknowledged before the append")) {
    take_outcome(f, *built, guess_outcome(log_.current(), built->commit));
    tasks_.spawn(submit_later(log_, built->commit));
    co_return;
  }
  auto committed = co_await log_.submit(built->commit);
  maybe_fault(rt_, "after append, before acknowledgement");
  if (!committed) {
    spdlog::warn("a flush of {} bytes was not committed ({}); its producers are told to try again", f.bytes_,
                 committed.error() == metadata::submit_error::too_large ? "too large for a log entry" : "this agent was fenced");
    fail(f);
    co_return;
  }
  take_outcome(f, *built, *committed);
  report(f, *built);
  remember(f, *built);
}

// The log knows more than this agent: the lost batch may have come again elsewhere.
bool write_buffer::is_filled(const gap& g, producer_id producer, topic_partition where) const {
  const auto* p = log_.current().find_partition(where);
  if (!p) return false;
  auto known = p->producers.find(producer);
  if (known == p->producers.end() || known->second.batches() == 0) return false;
  if (known->second.epoch() != g.producer_epoch) return known->second.epoch() > g.producer_epoch;
  return is_at_or_after(known->second.batch(known->second.batches() - 1).last_sequence, g.base_sequence);
}

// What stays in the object although the log must not take it: its record count becomes 0.
void write_buffer::withhold_gaps(const flush& f, built_object& built) {
  forget_old_gaps();
  if (gaps_.empty() || mutated("gaps not withheld")) return;
  std::set<std::pair<producer_id, topic_partition>> closed;  // by a batch of this very commit
  std::size_t i = 0;
  for (auto& t : built.commit.topics)
    for (auto& p : t.partitions)
      for (auto& b : p.batches) {
        const auto& sent = f.batches_[built.order[i++]].info;
        if (sent.producer == no_producer) continue;
        std::pair key{sent.producer, topic_partition{t.topic, p.partition}};
        auto found = gaps_.find(key);
        // A newer epoch starts anew; an older one is the log's business.
        if (found == gaps_.end() || closed.contains(key) || sent.producer_epoch != found->second.producer_epoch) continue;
        if (is_filled(found->second, key.first, key.second)) {
          gaps_.erase(found);
          continue;
        }
        if (sent.base_sequence == found->second.base_sequence) {
          closed.insert(key);
          continue;
        }
        // An earlier one that is tried again: its client sends the lost one only after this.
        if (!is_at_or_after(sent.base_sequence, found->second.base_sequence)) continue;
        b = {.bytes = b.bytes, .record_count = 0};
        reached(rt_, "a batch withheld behind a lost one");
        withheld_.add();
      }
}

void write_buffer::fail(flush& f) {
  failures_.add();
  f.results_.assign(f.batches_.size(), {.error = produce_error::not_stored});
  for (const auto& b : f.batches_) note_gap(b);
  forget_old_gaps();
}

void write_buffer::note_gap(const produced_batch& lost) {
  if (lost.info.producer == no_producer) return;
  auto [found, is_new] = gaps_.try_emplace({lost.info.producer, lost.where});
  gap& g = found->second;
  // The earliest loss is the one to wait for.
  if (is_new || g.producer_epoch < lost.info.producer_epoch ||
      (g.producer_epoch == lost.info.producer_epoch && !is_at_or_after(lost.info.base_sequence, g.base_sequence))) {
    g.producer_epoch = lost.info.producer_epoch;
    g.base_sequence = lost.info.base_sequence;
  }
  if (g.producer_epoch == lost.info.producer_epoch) g.noted_at = rt_.now();
}

// Of producers that never came back.
void write_buffer::forget_old_gaps() {
  auto now = rt_.now();
  if (gaps_.empty() || now < next_forget_) return;  // now and then: it looks at all of them
  next_forget_ = now + 1s;
  std::erase_if(gaps_, [&](const auto& g) { return now - g.second.noted_at > settings_.upload_deadline; });
}

void write_buffer::take_outcome(flush& f, const built_object& built, const metadata::commit_outcome& outcome) {
  f.results_.resize(f.batches_.size());
  for (std::size_t i = 0; i < outcome.batches.size(); ++i) {
    const auto& o = outcome.batches[i];
    const auto& b = f.batches_[built.order[i]];
    f.results_[built.order[i]] = {error_of(o.error), o.duplicate, o.base_offset, o.append_time};
    if (b.info.producer == no_producer) continue;
    if (o.error == metadata::apply_error::commit_too_late) {
      reached(rt_, "a commit that came too late");
      note_gap(b);
    } else if (auto found = gaps_.find({b.info.producer, b.where}); found != gaps_.end()) {
      const auto& g = found->second;
      bool came_again = b.info.producer_epoch == g.producer_epoch && b.info.base_sequence == g.base_sequence;
      if (came_again || b.info.producer_epoch > g.producer_epoch) gaps_.erase(found);
    }
  }
}

void write_buffer::report(const flush& f, const built_object& built) const {
  std::size_t i = 0;
  for (const auto& t : built.commit.topics) {
    stored_share share;
    std::uint64_t bytes = 0;
    for (const auto& p : t.partitions)
      for (const auto& b : p.batches) {
        const auto& r = f.results_[built.order[i++]];
        bytes += b.bytes;
        if (r.error != produce_error::none || r.duplicate) continue;
        share.bytes += b.bytes;
        share.records += b.record_count;
      }
    share.put = f.bytes_ > 0 ? double(bytes) / double(f.bytes_) : 0;
    settings_.stored(t.topic, share);
  }
}

// What was just written is what is read next. Groups batches into ranges exactly as the state machine does: neighbours of
// one partition that were accepted.
void write_buffer::remember(const flush& f, const built_object& built) {
  std::size_t i = 0;
  std::uint64_t position = 0;
  for (const auto& t : built.commit.topics)
    for (const auto& p : t.partitions) {
      std::vector<shared_bytes> segments;
      std::uint64_t begin = 0, records = 0;
      offset base;
      auto close = [&] {
        records = 0;
        if (segments.empty()) return;
        auto range = cached_range::make(std::exchange(segments, {}), base, false);
        YAKS_CHECK(range, "validated batches are whole");
        cache_.insert({built.commit.object, std::uint32_t(begin)}, std::move(range));
      };
      for (const auto& b : p.batches) {
        const auto& r = f.results_[built.order[i]];
        bool is_stored = r.error == produce_error::none && !r.duplicate;
        if (is_stored) {
          const auto* now = log_.current().find_partition({t.topic, p.partition});
          auto stored = now ? now->find(r.base_offset) : decltype(now->find(r.base_offset))();
          if (!now || stored == now->ranges.end())
            is_stored = false;  // it has gone on: whether it has a time of its own is not known here any more
          else if (auto time = metadata::append_time_of(*stored))
            records::set_log_append_time(built.stored[i].writable(), *time);
        }
        if (is_stored) {
          if (records + b.record_count > std::numeric_limits<std::uint32_t>::max()) close();
          records += b.record_count;
          if (segments.empty()) begin = position, base = r.base_offset;
          const auto& bytes = built.stored[i];
          // Copies of small batches lie next to each other: one segment.
          if (!segments.empty() && segments.back().data() + segments.back().size() == bytes.data() &&
              segments.back().pinned_bytes() == bytes.pinned_bytes())
            segments.back() = bytes.covering(byte_view(segments.back().data(), segments.back().size() + bytes.size()));
          else
            segments.push_back(bytes);
        } else {
          close();
        }
        position += b.bytes;
        ++i;
      }
      close();
    }
}

awaitable<void> write_buffer::wake_at_deadlines() {
  for (;;) {
    while (open_.empty() && under_way_.empty()) co_await changed_.wait();
    // Those who begin to wait meanwhile may hear of their deadline this much too late.
    auto due = rt_.now() + 50ms;
    for (auto* queue : {&open_, &under_way_})
      for (auto& f : *queue) due = std::min(due, f->next_deadline_);
    co_await rt_.sleep_until(due);
    auto now = rt_.now();
    for (auto* queue : {&open_, &under_way_})
      for (auto& f : *queue)
        if (f->next_deadline_ <= now) {
          f->next_deadline_ = time_point::max();  // those who still wait set it again
          f->changed_.notify_all();
        }
  }
}
}  // namespace yaks::ingest
