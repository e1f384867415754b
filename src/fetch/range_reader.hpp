// Brings ranges of objects into memory: block cache, else the agent that has them (peers/), else a ranged GET, which
// ranges that lie next to each other in one object share. However many ask for a range at the same time, it is read
// once.
//
// What arrives, from a peer or from the store, is checked against the batches' checksums. Bytes from a peer that do not
// match are read from the store; bytes from the store that do not match are read once more; then the range is `corrupt`
// to whoever asked, and the next one tries again.
//
// What this agent is writing itself is waited for: a commit is known from the log a moment before its bytes are in the cache.
//
// Ranges of old objects are a backfill's: their GETs pass a gate, may read over larger gaps, and what they bring never
// takes the tail's room in the cache. A long run of one old object is read with a single GET, as far as its readers have
// come and a window further (scan.hpp); that GET goes to the store, also where another agent would have the object.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "cache/block_cache.hpp"
#include "fetch/backfill_gate.hpp"
#include "fetch/located_range.hpp"
#include "fetch/scan.hpp"
#include "metrics/registry.hpp"
#include "objects/object_store.hpp"
#include "peers/protocol.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::peers {
class peer_client;
struct peer;
}  // namespace yaks::peers

namespace yaks::fetch {
// What a fetch wants of one partition, in order.
struct wanted_ranges {
  std::vector<located_range> asked;
  std::vector<located_range> ahead;  // what follows: it will be asked for next, probably
  std::uint64_t ahead_bytes = 0;     // of that, to be read now; the rest tells how long the last run is
};

// How much of what follows is worth knowing: so many bytes, and of the run that they end in so many more.
struct ahead_limits {
  std::uint64_t bytes = 0, run_bytes = 0;
  std::size_t ranges = 0;
  bool is_for_new_runs = true;  // where the range behind `bytes` is there or on its way, the run need not be known
};

struct scan_settings {
  std::uint64_t bytes_min = 2 << 20;         // shorter runs are read with GETs of their own
  std::uint64_t bytes_min_of_peer = 8 << 20;  // the same, where another agent may have them in memory
  std::uint64_t bytes_max = 64 << 20;        // of one GET
  std::size_t ranges_max = 2000;             // the same: about 150 KB of memory
  std::size_t ranges_max_per_fetch = 40000;  // that one fetch looks up for all its partitions: 3 MB, when many begin at once
  std::uint64_t window_max = 8 << 20;        // read before somebody asks
  std::uint64_t piece_bytes = 1 << 20;       // at a time
  std::size_t open_max = 128;                // each holds a connection
  duration yields_after = 1s;                // one that stands still so long gives its place to another one
  duration patience = 10s;                   // a reader that does not come back so long has gone

  // In proportion to the window; no GET is longer than `bytes_max`, and where that is 0, there are none.
  static scan_settings with(std::uint64_t bytes_max, std::uint64_t window_max) {
    scan_settings s;
    s.bytes_max = bytes_max;
    s.window_max = s.bytes_min_of_peer = window_max;
    s.bytes_min = window_max / 4;
    s.piece_bytes = window_max / 8;
    s.open_max = bytes_max == 0 ? 0 : s.open_max;
    return s;
  }
};

struct range_reader_settings {
  std::string key_prefix;
  duration get_deadline = 30s;
  // Ranges of one object share a GET when at most this much lies between them, up to so many bytes in all.
  std::uint32_t merge_gap_bytes_max = 64 << 10;
  std::uint32_t backfill_gap_bytes_max = 256 << 10;
  std::uint32_t merged_bytes_max = 8 << 20;
  // An object that was made longer ago than this, by the log's clock, is a backfill's. Without a clock none is.
  duration fresh_for = 60s;
  std::function<timestamp_ms()> log_time;
  backfill_settings backfill;
  std::uint64_t ahead_bytes_max = 32 << 20;  // that are being read before somebody asks, or were read by scans
  scan_settings scans;
  // Returns when an object that this agent is writing has been committed, and is in the cache then; at once for any other.
  std::function<awaitable<void>(object_id)> settled;
};

class range_reader final : public peers::range_source {
 public:
  // `peers` may be null: then there are none. It outlives the reader.
  range_reader(runtime& rt, object_store& objects, block_cache& cache, range_reader_settings settings,
               metrics::registry& metrics, peers::peer_client* peers = nullptr);
  ~range_reader() override;
  using entry = block_cache::entry;
  // Keeps the reader's GETs until cancelled; requests that come and go do not end them.
  awaitable<void> run();
  // What the cache has; null otherwise. For planning only: what is held while a fetch waits for memory would be beyond
  // all budgets.
  entry peek(const located_range& range) const { return cache_.peek(range.key()); }
  // One answer per range that is asked for, in order: the range, or why it could not be read. Also begins to read what
  // will be asked for next, as far as there is room; whoever asks for it meanwhile joins.
  awaitable<std::vector<result<entry, object_error>>> read(std::vector<wanted_ranges> partitions);
  awaitable<std::vector<result<entry, object_error>>> read(std::vector<located_range> ranges);
  // How much one fetch may read ahead: not so much that it washes itself out of the cache.
  std::uint64_t ahead_bytes_per_fetch() const;
  // How much that follows `last` it should bring with it, when a fetch asks for `bytes` up to there. Says it once for
  // each place: a fetch need not look for what is known already.
  ahead_limits ahead_of(const located_range& last, std::uint64_t bytes);
  bool has_or_loads(const located_range& range) const;
  std::size_t ahead_ranges_per_fetch() const { return settings_.scans.ranges_max_per_fetch; }

  std::optional<std::vector<shared_bytes>> in_memory(const peers::question& q) override;
  awaitable<std::optional<std::vector<shared_bytes>>> load(peers::question q) override;

 private:
  struct loading {  // shared by those who wait for it and the task that fills it
    std::optional<result<entry, object_error>> answer;
    event answered;
    bool is_awaited = false;  // by somebody; else it is made ahead
    bool from_store = false;  // no peer is asked, or not any more
    scan_table::pointer by;  // where a scan brings it
  };
  struct job {
    located_range range;
    std::shared_ptr<loading> fills;
  };
  enum class purpose { fetch, peer };
  enum class get_reason { own, for_peer, peer_failed };  // counted, to tell why the store was asked
  using answers = std::vector<result<entry, object_error>>;
  struct under_way {  // one of each per range
    std::vector<entry> known;
    std::vector<std::shared_ptr<loading>> waits;
  };
  under_way begin(std::vector<located_range> ranges, purpose why);
  awaitable<answers> finish(under_way reading);
  bool is_backfill(object_id object) const;
  void read_ahead(const std::vector<wanted_ranges>& partitions);
  // For nobody yet.
  std::shared_ptr<loading> begin_load(const located_range& range);
  // ---- scans
  scan_table::pointer scan_of(const located_range& range) const;  // the one whose reader asks for it
  scan_table::pointer scan_to(const located_range& range) const;  // one that will come to it
  void begin_scans(const wanted_ranges& wanted);
  bool can_open_scan() const;
  bool may_scan(const located_range& first, std::uint64_t bytes) const;
  void ask(const scan_table::pointer& s, std::uint64_t to);
  std::uint64_t scan_window() const;
  awaitable<void> run_scan(scan_table::pointer s);
  awaitable<result<shared_bytes, object_error>> next_of(const scan& s, std::unique_ptr<object_stream>& stream,
                                                        std::uint64_t bytes);
  void start(std::vector<job> jobs, bool may_ask_peers);
  awaitable<void> get_when_settled(std::vector<job> jobs, get_reason why);
  void start_gets(std::vector<job> jobs, get_reason why);
  awaitable<void> ask_peer(peers::peer whom, std::vector<job> jobs);
  awaitable<void> get(std::vector<job> jobs);
  // Which ranges stay slices of what came with them: those of a scan's piece are wanted and forgotten together.
  enum class sharing { large, all };
  // Bytes of the jobs' object from `begin` on.
  void deliver(const std::vector<job>& jobs, std::uint64_t begin, const shared_bytes& bytes, sharing slices);
  awaitable<void> get_alone(job j);
  awaitable<result<shared_bytes, object_error>> get_bytes(object_id object, std::uint64_t begin, std::uint64_t bytes);
  awaitable<backfill_gate::pass> pass_gate(object_id object, std::uint64_t bytes, std::function<bool()> is_awaited);
  void settle(const job& j, result<entry, object_error> answer);
  void give(const job& j, result<entry, object_error> answer);
  static entry checked(const located_range& range, shared_bytes bytes);

  runtime& rt_;
  object_store& objects_;
  block_cache& cache_;
  range_reader_settings settings_;
  peers::peer_client* peers_;
  backfill_gate gate_;
  std::unordered_map<range_key, std::shared_ptr<loading>> loads_;
  std::uint64_t ahead_bytes_ = 0;
  scan_table scans_;
  task_group tasks_;
  metrics::counter &downloads_, &downloaded_bytes_, &failures_, &corrupt_, &joined_, &local_loads_, &read_ahead_,
      &backfill_bytes_, &scans_begun_, &scans_resumed_;
  metrics::histogram& get_seconds_;
  // By why, and whether the object is old.
  metrics::counter* gets_[3][2];
};
}  // namespace yaks::fetch
