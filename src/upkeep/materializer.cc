#include "upkeep/materializer.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

#include "base/mutation.hpp"
#include "runtime/fault_points.hpp"

namespace yaks::upkeep {
namespace {
// Partitions that nobody writes to become due by age alone. So many are looked at, so often: about a millisecond, and a million
// pass by in a quarter of an hour.
constexpr std::size_t looked_at_at_once = 5000;
constexpr duration time_between_looks = 5s;
}  // namespace

materializer::materializer(runtime& rt, metadata::metastore& store, metadata::replica& log, term& office,
                           materializer_settings settings, metrics::registry& metrics)
    : rt_(rt),
      store_(store),
      log_(log),
      office_(office),
      settings_(settings),
      chunks_(metrics.add_counter("yaks_materializer_chunks_total", "Chunks of ranges written into the index.")),
      ranges_(metrics.add_counter("yaks_materializer_ranges_total", "Ranges written into the index.")),
      failures_(metrics.add_counter("yaks_materializer_failures_total", "Writes into the index that failed; they are repeated.")),
      seconds_(metrics.add_histogram("yaks_materializer_duration_seconds", "Time of a write into the index with its command.",
                                     metrics::latency_seconds_buckets())) {}

void materializer::applied(const metadata::changes& changes) {
  for (const auto& p : changes.advanced)
    if (const auto* now = log_.current().find_partition(p); now && now->ranges.size() >= settings_.ranges_kept + settings_.ranges_per_chunk)
      candidates_.insert(p);
  if (!candidates_.empty()) changed_.notify_all();
}

std::size_t materializer::due(const metadata::partition& p) const {
  auto n = p.ranges.size();
  if (n == 0) return 0;
  if (n >= settings_.ranges_kept + settings_.ranges_per_chunk) return (n - settings_.ranges_kept) / settings_.ranges_per_chunk * settings_.ranges_per_chunk;
  // An object's name tells when it was made, by the store's clock.
  auto age = std::chrono::milliseconds(log_.log_time() - timestamp_ms(log_.current().find_object(p.ranges.front().object).id.value().v7_unix_ms()));
  bool is_due = age > settings_.age_for_any_chunk || (age > settings_.age_for_small_chunk && n >= settings_.small_chunk);
  if (!is_due) return 0;
  // Those of its ranges that are old too: the young ones wait for company.
  auto young = std::ranges::find_if(p.ranges, [&](const metadata::range& r) {
    return log_.log_time() - timestamp_ms(log_.current().find_object(r.object).id.value().v7_unix_ms()) <
           std::chrono::duration_cast<std::chrono::milliseconds>(settings_.age_for_small_chunk).count() / 2;
  });
  return std::size_t(young - p.ranges.begin());
}

// Partitions that nothing is written to any more become due by age alone.
void materializer::look_around() {
  const auto& topics = log_.current().topics_by_name();
  auto topic = topics.lower_bound(next_topic_);
  if (topic != topics.end() && topic->first != next_topic_) next_partition_ = 0;
  for (std::size_t n = 0; n < looked_at_at_once && topic != topics.end(); ++topic, next_partition_ = 0) {
    const auto& t = *topic->second;
    for (; next_partition_ < t.partitions.size() && n < looked_at_at_once; ++n, ++next_partition_)
      if (due(t.partitions[next_partition_]) > 0)
        candidates_.insert({t.id, partition_index(std::int32_t(next_partition_))});
    if (next_partition_ < t.partitions.size()) break;
  }
  next_topic_ = topic == topics.end() ? "" : topic->first;
  if (topic == topics.end()) next_partition_ = 0;
}

awaitable<void> materializer::run() {
  auto next_look = rt_.now();
  for (unsigned failures = 0;;) {
    co_await rt_.sleep_for(failures == 0 ? settings_.interval : backoff(rt_, failures, settings_.interval, 30s));
    if (candidates_.empty()) co_await changed_.wait_until(rt_, next_look);
    if (!office_.held()) {
      candidates_.clear();  // somebody else's; look_around() finds them again should they become ours
      next_look = rt_.now() + time_between_looks;
      continue;
    }
    if (next_look <= rt_.now()) {
      look_around();
      next_look = rt_.now() + time_between_looks;
    }
    if (candidates_.empty()) continue;
    auto begun = rt_.now();
    auto written = co_await run_once();
    if (!written) {
      failures_.add();
      ++failures;
      continue;
    }
    failures = 0;
    seconds_.observe(std::chrono::duration<double>(rt_.now() - begun).count());
  }
}

awaitable<std::optional<std::size_t>> materializer::run_once() {
  auto turn = office_.index_turns().next_turn();
  co_await turn.wait();
  auto term = office_.held();
  if (!term) co_return std::nullopt;
  metadata::index_write write;
  std::map<topic_partition, std::uint32_t> generations;
  std::map<metadata::object_number, metadata::indexed_object> objects;
  const auto& state = log_.current();
  while (!candidates_.empty() && write.chunks.size() < settings_.chunks_max) {
    auto where = *candidates_.begin();
    candidates_.erase(candidates_.begin());
    const auto* p = state.find_partition(where);
    if (!p || state.trims().contains(where)) continue;  // the index must have followed first: it would see a gap
    auto n = due(*p);
    if (n == 0) continue;
    generations[where] = p->index_generation;
    for (std::size_t first = 0; first < n; first += settings_.ranges_per_chunk) {
      auto last = std::min(n, first + settings_.ranges_per_chunk);
      write.chunks.push_back({where, {p->ranges.begin() + std::ptrdiff_t(first), p->ranges.begin() + std::ptrdiff_t(last)}});
      for (const auto& r : write.chunks.back().ranges) {
        const auto& o = state.find_object(r.object);
        objects.try_emplace(r.object, metadata::indexed_object{r.object, o.id, o.bytes});
      }
    }
  }
  if (write.chunks.empty()) co_return 0;
  for (auto& [number, o] : objects) write.objects.push_back(o);
  auto chunks = write.chunks.size();
  std::size_t ranges = 0;
  for (const auto& c : write.chunks) ranges += c.ranges.size();
  if (mutated("index not written"))
    for (auto& c : write.chunks) c.ranges.erase(c.ranges.begin(), std::prev(c.ranges.end()));
  auto ends = co_await store_.index().add(*term, std::move(write));
  maybe_fault(rt_, "after a chunk is written, before the state lets go of it");
  if (!ends) {
    office_.doubt();
    spdlog::warn("cannot write ranges into the index ({}); trying again", name(ends.error()));
    for (const auto& [where, generation] : generations) candidates_.insert(where);
    co_return std::nullopt;
  }
  metadata::advance_index command;
  for (const auto& [where, end] : *ends)
    command.partitions.push_back({where.topic, where.partition, end, generations[where]});
  auto done = co_await log_.submit(std::move(command));
  if (!done) co_return std::nullopt;
  chunks_.add(double(chunks));
  ranges_.add(double(ranges));
  co_return chunks;
}
}  // namespace yaks::upkeep
