#include "upkeep/reclaimer.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

#include "base/mutation.hpp"
#include "objects/object_key.hpp"
#include "runtime/fault_points.hpp"

namespace yaks::upkeep {
namespace {
std::int64_t ms(duration d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d).count(); }
}  // namespace

reclaimer::reclaimer(runtime& rt, metadata::metastore& store, metadata::replica& log, object_store& objects, term& office,
                     reclaimer_settings settings, metrics::registry& metrics)
    : rt_(rt),
      store_(store),
      log_(log),
      objects_(objects),
      office_(office),
      settings_(std::move(settings)),
      deleted_(metrics.add_counter("yaks_objects_deleted_total", "Objects of record data that were deleted.")),
      deleted_bytes_(metrics.add_counter("yaks_objects_deleted_bytes_total", "Bytes of objects that were deleted, without their footers.")),
      failures_(metrics.add_counter("yaks_reclaim_failures_total", "Rounds of freeing and deleting that failed; they are repeated.")) {
  metrics.add_callback("yaks_objects_live", "Objects that the index or the state refers to. Set by the agent that does the upkeep.",
                       [this] { return double(totals_.live.objects); });
  metrics.add_callback("yaks_objects_live_bytes", "Bytes of those objects.", [this] { return double(totals_.live.bytes); });
  metrics.add_callback("yaks_objects_waiting", "Objects that nobody refers to and that wait to be deleted.",
                       [this] { return double(totals_.waiting.objects); });
  metrics.add_callback("yaks_objects_waiting_bytes", "Bytes of those objects.", [this] { return double(totals_.waiting.bytes); });
  metrics.add_callback("yaks_objects_oldest_waiting_seconds", "How long the one that waits longest has waited.", [this] {
    return totals_.oldest_waiting == no_timestamp ? 0.0 : double(std::max<std::int64_t>(log_.log_time() - totals_.oldest_waiting, 0)) / 1000;
  });
}

bool reclaimer::owes() const {
  const auto& state = log_.current();
  return !state.merges().empty() || !state.trims().empty() || !state.drops().empty() || !state.released().empty() ||
         retired_in_ != state.upkeep().number;
}

awaitable<void> reclaimer::run() {
  auto next_delete = rt_.now(), next_totals = rt_.now();
  for (unsigned failures = 0;;) {
    co_await rt_.sleep_for(failures == 0 ? settings_.interval : backoff(rt_, failures, settings_.interval, 60s));
    if (!office_.held()) {
      totals_ = {};
      continue;
    }
    bool is_done = !owes() || co_await settle();
    if (is_done && rt_.now() >= next_delete) {
      auto deleted = co_await delete_retired();
      is_done = deleted.has_value();
      // A full batch has another one behind it.
      if (deleted && *deleted < settings_.keys_max) next_delete = rt_.now() + std::min<duration>(settings_.grace / 10 + 1ms, 5s);
    }
    if (is_done && rt_.now() >= next_totals) {
      co_await look_at_totals();
      next_totals = rt_.now() + settings_.totals_interval;
    }
    failures = is_done ? 0 : failures + 1;
    if (!is_done) failures_.add();
  }
}

awaitable<void> reclaimer::look_at_totals() {
  auto totals = co_await store_.index().totals();
  if (totals) totals_ = *totals;
}

awaitable<bool> reclaimer::pay_merges(std::uint64_t term, const std::vector<std::uint64_t>& numbers) {
  for (auto number : numbers) {
    const auto& state = log_.current();
    auto debt = state.merges().find(number);
    if (debt == state.merges().end()) co_return false;  // the term is over: somebody else has settled it
    const auto& object = state.find_object(number);
    metadata::indexed_object into{number, object.id, object.bytes};
    std::vector<metadata::moved_ranges> parts;
    for (const auto& p : debt->second) parts.push_back({{p.topic, p.partition}, p.from, p.to, p.position, p.bytes});
    auto done = co_await store_.index().replace(term, into, std::move(parts));
    maybe_fault(rt_, "after ranges have moved in the index, before the state knows");
    if (!done) {
      office_.doubt();
      if (done.error() != metadata::log_error::old_term)
        spdlog::warn("cannot move ranges into a merged object in the index ({}); trying again", name(done.error()));
      co_return false;
    }
  }
  co_return true;
}

awaitable<bool> reclaimer::settle() {
  auto turn = office_.index_turns().next_turn();
  co_await turn.wait();
  auto term = office_.held();
  if (!term) co_return false;
  auto& index = store_.index();
  auto failed = [&](const char* what, metadata::log_error error) {
    office_.doubt();
    if (error != metadata::log_error::old_term) spdlog::warn("cannot {} in the index ({}); trying again", what, name(error));
    return false;
  };
  // The debts of this moment, before the first wait.
  metadata::settle_upkeep command{.term = *term, .trims = {}, .drops = {}, .objects = {}, .merges = {}};
  const auto& now = log_.current();
  for (const auto& [number, parts] : now.merges()) command.merges.push_back(number);
  for (const auto& [where, to] : now.trims()) {
    if (command.trims.size() == settings_.trims_max) break;
    command.trims.push_back({where, to});
  }
  std::optional<topic_id> dropped;
  if (!now.drops().empty()) dropped = *now.drops().begin();
  std::vector<metadata::indexed_object> released;
  for (const auto& [number, o] : now.released()) {
    if (released.size() == settings_.objects_max) break;
    released.push_back({number, o.id, o.bytes});
    command.objects.push_back(number);
  }

  if (!command.merges.empty() && !co_await pay_merges(*term, command.merges)) co_return false;
  if (mutated("merged object retired too early") && !command.merges.empty())
    (void)co_await index.retire(*term, now.position().sequence, log_.log_time());

  std::vector<metadata::index_place> trims(command.trims.size());
  std::ranges::transform(command.trims, trims.begin(), [](const auto& t) { return metadata::index_place{t.first, t.second}; });
  if (!trims.empty())
    if (auto done = co_await index.trim(*term, std::move(trims)); !done) co_return failed("trim ranges", done.error());

  if (dropped) {
    auto done = co_await index.drop(*term, *dropped, settings_.chunks_max);
    if (!done) co_return failed("drop a topic", done.error());
    if (*done) command.drops.push_back(*dropped);
  }

  if (!released.empty())
    if (auto done = co_await index.release(*term, std::move(released)); !done) co_return failed("release objects", done.error());

  maybe_fault(rt_, "after the index has followed, before the log says so");
  // Even an empty one: what went in the term before may not have been retired.
  auto settled = co_await log_.submit(std::move(command));
  if (!settled) co_return false;
  maybe_fault(rt_, "after the log says so, before objects are retired");
  if (office_.held() != term) co_return false;
  auto retired = co_await index.retire(*term, log_.current().position().sequence, log_.log_time());
  if (!retired) co_return failed("retire objects", retired.error());
  retired_in_ = *term;
  co_return true;
}

// Every agent that is registered has read the log up to there, and reads nothing by an older state. An agent that registers later
// begins with a newer one; one that was fenced is no agent any more.
awaitable<std::optional<log_sequence>> reclaimer::read_by_all() {
  // Before the reports are asked for: who registers after this has applied it.
  auto up_to = log_.oldest_read();
  std::vector<incarnation> registered;
  for (const auto& [who, what] : log_.current().agents()) registered.push_back(who);
  auto reports = co_await store_.reports();
  if (!reports) co_return std::nullopt;
  std::map<incarnation, log_sequence> reported(reports->begin(), reports->end());
  if (mutated("readers not waited for")) co_return up_to;
  for (auto who : registered) {
    auto found = reported.find(who);
    up_to = std::min(up_to, found == reported.end() ? log_sequence(0) : found->second);
  }
  co_return up_to;
}

awaitable<std::optional<std::size_t>> reclaimer::delete_retired() {
  // Where nothing is appended and nobody polls (embedded), the log's clock stands still until it is asked for.
  if (!co_await log_.barrier_since(rt_.now() - 1s)) co_return std::nullopt;
  auto term = office_.held();
  if (!term) co_return std::nullopt;
  auto up_to = co_await read_by_all();
  if (!up_to) co_return std::nullopt;
  auto grace_ms = mutated("grace skipped") ? 0 : ms(settings_.grace);
  auto gone = co_await store_.index().retired(*up_to, log_.log_time() - grace_ms, settings_.keys_max);
  if (!gone) co_return std::nullopt;
  if (gone->empty()) co_return 0;
  std::vector<std::string> keys;
  std::vector<metadata::object_number> numbers;
  std::uint64_t bytes = 0;
  for (const auto& o : *gone) {
    keys.push_back(object_key(settings_.key_prefix, o.id));
    numbers.push_back(o.number);
    bytes += o.bytes;
  }
  auto removed = co_await objects_.remove(std::move(keys), rt_.now() + settings_.delete_patience);
  if (!removed) {
    spdlog::warn("cannot delete {} objects that nobody refers to ({}); trying again", gone->size(), name(removed.error()));
    co_return std::nullopt;
  }
  maybe_fault(rt_, "after objects are deleted, before they are forgotten");
  auto turn = office_.index_turns().next_turn();
  co_await turn.wait();
  if (office_.held() != term) co_return std::nullopt;  // whoever holds it now deletes them again, which is harmless
  auto forgotten = co_await store_.index().forget(*term, std::move(numbers));
  if (!forgotten) {
    office_.doubt();
    co_return std::nullopt;
  }
  deleted_.add(double(gone->size()));
  deleted_bytes_.add(double(bytes));
  co_return gone->size();
}
}  // namespace yaks::upkeep
