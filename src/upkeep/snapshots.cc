#include "upkeep/snapshots.hpp"

#include <fmt/format.h>
#include <malloc.h>
#include <spdlog/spdlog.h>

#include "metadata/snapshot.hpp"
#include "records/crc32c.hpp"
#include "runtime/fault_points.hpp"

namespace yaks::upkeep {
namespace {
constexpr duration get_patience = 60s;

enum class unread {
  away,     // the store did not answer: it will
  missing,  // there is no such object (any more)
  useless,  // damaged, or of a newer version
};

// Says why in the log, where it is more than an outage.
awaitable<result<metadata::state, unread>> read_snapshot(runtime& rt, object_store& objects, metadata::snapshot_record record) {
  auto bytes = co_await objects.get(record.key, 0, record.bytes, rt.now() + get_patience);
  if (!bytes) {
    switch (bytes.error()) {
      case object_error::unavailable:
      case object_error::slow_down:
      case object_error::unknown:
        co_return failure(unread::away);
      case object_error::not_found:
        co_return failure(unread::missing);
      case object_error::corrupt:
      case object_error::denied:
        break;
    }
    spdlog::error("cannot read the snapshot {} of the metadata: {}", record.key, name(bytes.error()));
    co_return failure(unread::useless);
  }
  std::optional<metadata::state> read;
  std::string why;
  auto work = [&] {
    try {
      read = metadata::snapshot_codec::decode(bytes->view());
      if (read->position() != record.at || read->digest() != record.digest) {
        read.reset();
        why = "it is not the one that was recorded";
      }
    } catch (const metadata::log_format_error& error) {
      why = error.what();
    }
  };
  co_await rt.run_blocking(work);
  if (read) co_return std::move(*read);
  reached(rt, "a snapshot that cannot be used");
  spdlog::error("the snapshot {} of the metadata cannot be used: {}", record.key, why);
  co_return failure(unread::useless);
}
}  // namespace

awaitable<std::optional<metadata::state>> load_newest_snapshot(runtime& rt, metadata::metastore& store, object_store& objects) {
  std::vector<metadata::snapshot_record> missed;  // the list in which one was missing
  for (unsigned attempt = 0;;) {
    auto records = co_await store.snapshots();
    if (!records) {
      if (attempt % 10 == 0) spdlog::warn("cannot ask for snapshots of the metadata ({}); trying again", name(records.error()));
      co_await rt.sleep_for(backoff(rt, attempt++, 50ms, 1s));
      continue;
    }
    bool again = false;
    for (const auto& record : *records) {
      auto read = co_await read_snapshot(rt, objects, record);
      if (read) {
        spdlog::info("metadata up to entry {} comes from the snapshot {}", record.at.sequence.value(), record.key);
        co_return std::move(*read);
      }
      if (read.error() == unread::away) {
        spdlog::warn("the object store does not hand over the snapshot {} of the metadata; trying again", record.key);
        co_await rt.sleep_for(backoff(rt, attempt++, 50ms, 1s));
        again = true;
        break;
      }
      if (read.error() == unread::missing) {
        // Two newer ones may have been made since the list was read, and this one dropped. Where the list is the same
        // when it is read again, it is really gone.
        again = missed != *records;
        if (again) {
          missed = *records;
          break;
        }
        spdlog::error("the object store has no snapshot {} of the metadata", record.key);
      }
    }
    if (!again) co_return std::nullopt;
  }
}

snapshotter::snapshotter(runtime& rt, metadata::metastore& store, object_store& objects, const metadata::replica& log,
                         const membership::members& members, snapshot_settings settings, metrics::registry& metrics)
    : rt_(rt),
      store_(store),
      objects_(objects),
      log_(log),
      members_(members),
      settings_(std::move(settings)),
      made_(metrics.add_counter("yaks_snapshots_total", "Snapshots of the metadata that this agent made.")),
      failures_(metrics.add_counter("yaks_snapshot_failures_total", "Snapshots that could not be made or recorded.")),
      seconds_(metrics.add_histogram("yaks_snapshot_duration_seconds", "Time to make a snapshot.", metrics::latency_seconds_buckets())),
      bytes_(metrics.add_gauge("yaks_snapshot_bytes", "Size of the newest snapshot that this agent made.")) {}

bool snapshotter::is_too_soon() const {
  // A log that nobody trims makes starts slow: what agents that are away need comes second then.
  constexpr std::int64_t many = 100;
  return newest_since_ && rt_.now() - *newest_since_ < settings_.log_kept &&
         log_.current().position().sequence - newest_ < many * settings_.entries;
}

awaitable<void> snapshotter::run() {
  for (unsigned failures = 0;;) {
    co_await rt_.sleep_for(failures == 0 ? settings_.look_interval : backoff(rt_, failures, settings_.look_interval, 60s));
    if (!log_.is_ready() || !members_.is_first() || log_.current().position().sequence - newest_ < settings_.entries) continue;
    if (is_too_soon()) continue;
    auto records = co_await store_.snapshots();
    if (!records) {
      ++failures;
      continue;
    }
    if (!records->empty() && records->front().at.sequence != newest_) {  // another agent has made one
      newest_ = records->front().at.sequence;
      newest_since_ = rt_.now();
    }
    if (log_.current().position().sequence - newest_ < settings_.entries || is_too_soon()) continue;
    auto begun = rt_.now();
    bool is_made = co_await make_one();
    // A second copy of the state has come and gone. glibc would keep its memory for the next one, which is minutes away.
    co_await rt_.run_blocking([] { malloc_trim(0); });
    if (is_made) {
      failures = 0;
      made_.add();
      seconds_.observe(std::chrono::duration<double>(rt_.now() - begun).count());
    } else {
      failures_.add();
      ++failures;
    }
  }
}

awaitable<bool> snapshotter::make_one() {
  auto loaded = co_await load_newest_snapshot(rt_, store_, objects_);
  metadata::state state = loaded ? std::move(*loaded) : metadata::state();
  auto target = log_.current().position().sequence;
  while (state.position().sequence < target) {
    auto tail = co_await store_.log().read_after(state.position());
    if (!tail || tail->entries.empty()) {
      if (!tail) spdlog::warn("cannot read the log for a snapshot: {}", name(tail.error()));
      co_return false;
    }
    auto work = [&] {
      for (const auto& entry : tail->entries) state.apply(entry);
    };
    co_await rt_.run_blocking(work);
  }
  shared_bytes bytes;
  std::uint32_t crc = 0;
  auto at = state.position();
  auto digest = state.digest();
  auto encode = [&] {
    bytes = metadata::snapshot_codec::encode(state);
    crc = records::crc32c(bytes.view());
    state = {};  // here: a million partitions take a while to go
  };
  co_await rt_.run_blocking(encode);
  auto high = rt_.random(), low = rt_.random();
  metadata::snapshot_record record{.at = at,
                                   .key = fmt::format("{}snapshots/{:020}-{}", settings_.key_prefix, at.sequence.value(),
                                                      uuid::v4(high, low).text()),
                                   .bytes = bytes.size(),
                                   .digest = digest};
  std::vector<shared_bytes> body{bytes};
  auto stored = co_await objects_.put(record.key, std::move(body), crc, rt_.now() + get_patience);
  if (!stored) {
    spdlog::warn("a snapshot of the metadata was not stored: {}", name(stored.error()));
    co_return false;
  }
  maybe_fault(rt_, "after a snapshot is stored, before it is recorded");
  auto dropped = co_await store_.add_snapshot(record);
  if (!dropped) {
    // Perhaps it is recorded, perhaps not: its object stays, or somebody would find a record without one.
    spdlog::warn("a snapshot of the metadata may not have been recorded: {}", name(dropped.error()));
    co_return false;
  }
  newest_ = record.at.sequence;
  newest_since_ = rt_.now();
  bytes_.set(double(bytes.size()));
  spdlog::info("snapshot of the metadata up to entry {}: {} bytes", record.at.sequence.value(), bytes.size());
  if (!dropped->empty()) (void)co_await objects_.remove(std::move(*dropped), rt_.now() + get_patience);
  co_return true;
}
}  // namespace yaks::upkeep
