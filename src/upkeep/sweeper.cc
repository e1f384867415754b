#include "upkeep/sweeper.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "runtime/fault_points.hpp"

namespace yaks::upkeep {
namespace {
// The name of an object of record data from its key; nothing where it is something else.
std::optional<object_id> id_of(std::string_view key) {
  auto id = uuid::parse(key.substr(key.rfind('/') + 1));
  if (!id || (std::to_integer<unsigned>(id->bytes[6]) >> 4) != 7) return std::nullopt;
  return object_id(*id);
}
}  // namespace

sweeper::sweeper(runtime& rt, metadata::metastore& store, metadata::replica& log, object_store& objects, term& office,
                 sweeper_settings settings, metrics::registry& metrics)
    : rt_(rt),
      store_(store),
      log_(log),
      objects_(objects),
      office_(office),
      settings_(std::move(settings)),
      passes_(metrics.add_counter("yaks_sweep_passes_total", "Times that the whole bucket has been listed in search of orphans.")),
      lists_(metrics.add_counter("yaks_sweep_lists_total", "Pieces of the bucket that were listed.")),
      listed_(metrics.add_counter("yaks_sweep_listed_objects_total", "Objects in these lists.")),
      deleted_(metrics.add_counter("yaks_orphans_deleted_total", "Objects that were deleted because they had never been committed.")),
      deleted_bytes_(metrics.add_counter("yaks_orphans_deleted_bytes_total", "Bytes of those objects.")),
      failures_(metrics.add_counter("yaks_sweep_failures_total", "Steps of a pass that failed; they are repeated.")) {}

awaitable<void> sweeper::run() {
  if (settings_.interval == duration::zero()) co_return;
  unsigned piece = 0;
  for (unsigned failures = 0;;) {
    co_await rt_.sleep_for(failures == 0 ? settings_.interval / pieces : backoff(rt_, failures, 1s, 5min));
    if (!office_.held()) {
      piece = 0;
      held_.clear();
      continue;
    }
    bool is_done = piece > 0 || co_await begin();
    if (is_done) is_done = (co_await sweep_piece(piece)).has_value();
    if (is_done && piece + 1 == pieces) is_done = co_await sweep_snapshots();
    failures = is_done ? 0 : failures + 1;
    if (!is_done) {
      failures_.add();
      continue;
    }
    if (++piece < pieces) continue;
    piece = 0;
    passes_.add();
    if (orphans_in_pass_ > 0) spdlog::info("{} objects had never been committed and were deleted", orphans_in_pass_);
    orphans_in_pass_ = 0;
  }
}

awaitable<bool> sweeper::begin() {
  // Where nothing is appended and nobody polls (embedded), the log's clock stands still until it is asked for.
  if (!co_await log_.barrier_since(rt_.now() - 1s)) co_return false;
  std::int64_t deadline_ms = 0;
  for (const auto& [who, what] : log_.current().agents()) deadline_ms = std::max(deadline_ms, what.registration.upload_deadline_ms);
  metadata::sweep command{log_.log_time() - deadline_ms - std::chrono::duration_cast<std::chrono::milliseconds>(settings_.margin).count()};
  auto done = co_await log_.submit(command);
  if (!done) co_return false;
  maybe_fault(rt_, "after an entry of a sweep, before anything is deleted");
  before_ = command.before;
  held_.clear();
  auto hold = [&](const auto& objects) {
    for (const auto& [number, o] : objects)
      if (timestamp_ms(o.id.value().v7_unix_ms()) < before_) held_.insert(o.id);
  };
  hold(log_.current().objects());
  hold(log_.current().released());
  co_return true;
}

awaitable<std::optional<std::size_t>> sweeper::sweep_piece(unsigned piece) {
  auto found = co_await objects_.list(fmt::format("{}data/{:02x}/", settings_.key_prefix, piece), rt_.now() + settings_.patience);
  if (!found) {
    spdlog::warn("cannot list the bucket ({}); trying again", name(found.error()));
    co_return std::nullopt;
  }
  lists_.add();
  listed_.add(double(found->size()));
  std::erase_if(*found, [&](const object_info& o) {
    auto id = id_of(o.key);
    return !id || timestamp_ms(id->value().v7_unix_ms()) >= before_ || held_.contains(*id);
  });
  std::size_t deleted = 0;
  for (std::size_t first = 0; first < found->size(); first += settings_.keys_max) {
    auto last = std::min(found->size(), first + settings_.keys_max);
    std::vector<object_id> ids;
    for (auto i = first; i < last; ++i) ids.push_back(*id_of((*found)[i].key));
    auto known = co_await store_.index().known_objects(std::move(ids));
    if (!known) co_return std::nullopt;
    std::set<object_id> in_index(known->begin(), known->end());
    std::vector<std::string> orphans;
    std::uint64_t bytes = 0;
    for (auto i = first; i < last; ++i)
      if (!in_index.contains(*id_of((*found)[i].key))) {
        orphans.push_back((*found)[i].key);
        bytes += (*found)[i].bytes;
      }
    if (orphans.empty()) continue;
    auto n = orphans.size();
    auto removed = co_await objects_.remove(std::move(orphans), rt_.now() + settings_.patience);
    if (!removed) {
      spdlog::warn("cannot delete {} objects that were never committed ({}); trying again", n, name(removed.error()));
      co_return std::nullopt;
    }
    deleted += n;
    deleted_.add(double(n));
    deleted_bytes_.add(double(bytes));
  }
  orphans_in_pass_ += deleted;
  co_return deleted;
}

// The record of a snapshot is refused where there is a newer one: what is older than the newest and has none gets none.
awaitable<bool> sweeper::sweep_snapshots() {
  auto records = co_await store_.snapshots();
  if (!records) co_return false;
  if (records->empty()) co_return true;
  auto prefix = settings_.key_prefix + "snapshots/";
  auto found = co_await objects_.list(prefix, rt_.now() + settings_.patience);
  if (!found) co_return false;
  std::vector<std::string> orphans;
  for (const auto& o : *found) {
    std::int64_t sequence = 0;
    auto digits = std::string_view(o.key).substr(prefix.size());
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), sequence);
    if (error != std::errc() || end == digits.data() + digits.size() || *end != '-') continue;
    bool is_recorded = std::ranges::any_of(*records, [&](const auto& r) { return r.key == o.key; });
    if (!is_recorded && log_sequence(sequence) < records->front().at.sequence && orphans.size() < settings_.keys_max) orphans.push_back(o.key);
  }
  if (orphans.empty()) co_return true;
  co_return (co_await objects_.remove(std::move(orphans), rt_.now() + settings_.patience)).has_value();
}
}  // namespace yaks::upkeep
