// From validated batches to acknowledged offsets:
//
//   add() ─▶ open flush ─▶ sealed (by the PUT budget, or by size) ─▶ uploaded ─▶ committed in the order of sealing ─▶ done
//
// Several flushes upload at the same time; each waits for its predecessor before it is committed, so that the batches of a
// producer reach the log in the order in which they came. A flush that is surely not stored fails its own requests, and
// withholds later batches of the same idempotent producers until the lost one has come again, here or elsewhere: else, on
// a partition that does not know the producer yet, its second batch could be taken for its first.
//
// Memory: the bytes of all flushes that are not done count against buffer_bytes_max; admission() holds producers'
// connections back above it. On the agent's executor only.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/block_cache.hpp"
#include "ingest/object_builder.hpp"
#include "ingest/put_budget.hpp"
#include "metadata/replica.hpp"
#include "metrics/registry.hpp"
#include "objects/object_store.hpp"
#include "objects/throttled_log.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::ingest {
// What a flush has stored of one topic.
struct stored_share {
  std::uint64_t bytes = 0, records = 0;  // that are new: not refused, not stored before
  double put = 0;                        // of the object's PUT, by bytes: all topics of a flush add up to 1
};

struct write_buffer_settings {
  duration flush_interval = 250ms;  // YAKS_FLUSH_INTERVAL_MS: at most one small PUT per interval, on average
  std::size_t flush_bytes = 5u << 20;  // YAKS_FLUSH_BYTES: a buffer this full is flushed without waiting
  std::size_t buffer_bytes_max = 128u << 20;  // YAKS_BUFFER_MAX_BYTES
  duration upload_deadline = 600s;            // YAKS_UPLOAD_DEADLINE_MS
  std::string key_prefix;                     // of objects, "" or ending in '/'
  duration linger = 2ms;             // lets what arrives together share a PUT
  double saved_puts_max = 2;         // a lone record after a quiet time does not wait
  std::size_t uploads_max = 8;       // at the same time
  // One commit must fit one log entry (2 MiB): at most about 26 bytes a batch and 60 a partition with its topic.
  std::size_t flush_batches_max = 20'000;
  std::function<void(topic_id, const stored_share&)> stored = [](topic_id, const stored_share&) {};
};

enum class produce_error {
  none,
  unknown_topic_or_partition,
  out_of_order_sequence,
  invalid_producer_epoch,
  not_stored,  // surely not in the log: trying again is right
};

struct produce_result {
  produce_error error = produce_error::none;
  bool duplicate = false;  // stored before; offset and time are those of the first time
  offset base_offset{-1};
  timestamp_ms append_time = no_timestamp;
};

// Shared by the requests that wait for it, its upload and its successor.
class flush {
 public:
  bool is_done() const { return done_; }
  // Returns when done (true) or at the deadline (false): then the outcome is unknown, and may become known later.
  awaitable<bool> wait_until(runtime& rt, time_point deadline);
  const produce_result& result(std::size_t index) const { return results_[index]; }

 private:
  friend class write_buffer;
  std::vector<produced_batch> batches_;
  std::vector<produce_result> results_;  // once done
  std::size_t bytes_ = 0;
  time_point opened_at_, last_deadline_, next_deadline_ = time_point::max();
  time_point due_ = time_point::max();  // the earliest that a topic's own interval asks for
  bool may_go_early_ = false;           // as soon as there is a token: not all of it is of topics with a longer interval
  bool done_ = false;
  object_id object_;  // nil until it is uploaded
  event changed_;
  std::shared_ptr<flush> previous_;  // dropped when done, else every flush ever made stays
};

struct ticket {
  std::shared_ptr<flush> in;
  std::size_t index = 0;
};

class write_buffer {
 public:
  write_buffer(runtime& rt, object_store& objects, metadata::replica& log, block_cache& cache,
               write_buffer_settings settings, metrics::registry& metrics);
  ~write_buffer();

  // Seals, uploads and commits until cancelled.
  awaitable<void> run();

  // The batch is in the buffer when this returns; batches are committed in the order of the calls. `deadline`: when the
  // request that brought it is given up by its client.
  ticket add(produced_batch batch, time_point deadline);
  // Waits while the buffer is full.
  awaitable<void> admission();
  bool is_full() const { return bytes_ >= settings_.buffer_bytes_max; }
  // Flushes what is there and waits until nothing is on its way.
  awaitable<void> drain();
  // Returns when this object of ours is on its way no more: its bytes are in the cache, if it was committed. Others may know
  // of a commit before this agent does.
  awaitable<void> settled(object_id object);

 private:
  awaitable<void> work();
  awaitable<void> seal_when_due();
  void set_due(flush& f, const produced_batch& batch, time_point deadline);
  awaitable<void> upload(std::shared_ptr<flush> f);
  awaitable<void> store(flush& f);
  awaitable<void> wake_at_deadlines();
  void withhold_gaps(const flush& f, built_object& built);
  void fail(flush& f);
  void note_gap(const produced_batch& lost);
  void forget_old_gaps();
  void take_outcome(flush& f, const built_object& built, const metadata::commit_outcome& outcome);
  void remember(const flush& f, const built_object& built);
  void report(const flush& f, const built_object& built) const;
  std::shared_ptr<flush> open_flush();

  runtime& rt_;
  object_store& objects_;
  metadata::replica& log_;
  block_cache& cache_;
  write_buffer_settings settings_;
  put_budget budget_;
  std::deque<std::shared_ptr<flush>> open_;      // not sealed yet; the last one takes what arrives
  std::deque<std::shared_ptr<flush>> under_way_; // sealed, not done
  std::shared_ptr<flush> last_sealed_;
  std::size_t bytes_ = 0;
  bool draining_ = false;
  // The earliest batch of a producer and partition that was lost on its way and has not come again, here or at another agent.
  struct gap {
    std::int16_t producer_epoch = 0;
    std::int32_t base_sequence = 0;
    time_point noted_at;  // of the newest loss
  };
  bool is_filled(const gap& g, producer_id producer, topic_partition where) const;
  std::map<std::pair<producer_id, topic_partition>, gap> gaps_;
  time_point next_forget_{};
  event changed_, room_, settled_;
  throttled_log not_stored_;  // a store that is away fails several flushes a second
  task_group tasks_;
  metrics::counter &flushes_by_budget_, &flushes_by_size_, &failures_, &withheld_, &flushed_bytes_, &flushed_batches_;
  metrics::histogram &flush_seconds_, &wait_seconds_, &put_seconds_, &flush_sizes_;
};
}  // namespace yaks::ingest
