#include "upkeep/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/utf8.hpp"
#include "objects/object_key.hpp"
#include "upkeep/snapshots.hpp"

namespace yaks::upkeep {
namespace {
using sum = storage_report::sum;
void add(sum& to, std::uint64_t bytes) {
  ++to.objects;
  to.bytes += bytes;
}

// Everything up to the head of the log.
awaitable<result<metadata::state, std::string>> read_state(runtime& rt, metadata::metastore& store, object_store& objects, timestamp_ms& now) {
  auto loaded = co_await load_newest_snapshot(rt, store, objects);
  metadata::state state = loaded ? std::move(*loaded) : metadata::state();
  for (;;) {
    auto tail = co_await store.log().read_after(state.position());
    if (!tail) co_return failure(fmt::format("cannot read the metadata log: {}", name(tail.error())));
    for (const auto& entry : tail->entries) state.apply(entry);
    now = tail->now;
    if (state.position().sequence >= tail->head) co_return std::move(state);
  }
}

std::string size_text(std::uint64_t bytes) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double n = double(bytes);
  std::size_t unit = 0;
  for (; n >= 1024 && unit + 1 < std::size(units); ++unit) n /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", n, units[unit]);
}
}  // namespace

awaitable<result<storage_report, std::string>> make_storage_report(runtime& rt, metadata::metastore& store, object_store& objects,
                                                                   report_settings settings) {
  storage_report report;
  auto read = co_await read_state(rt, store, objects, report.time);
  if (!read) co_return failure(read.error());
  const auto& state = *read;
  report.at = state.position().sequence;
  for (const auto& [name, t] : state.topics_by_name()) {
    storage_report::topic_line line{name, t->partitions.size(), 0, 0};
    for (const auto& p : t->partitions) {
      line.bytes += p.bytes;
      line.records += std::uint64_t(p.high_watermark - p.log_start);
    }
    report.topics.push_back(std::move(line));
  }
  report.trims_owed = state.trims().size();
  report.topics_owed = state.drops().size();
  report.objects_owed = state.released().size();
  report.merges_owed = state.merges().size();

  auto& index = store.index();
  auto totals = co_await index.totals();
  if (!totals) co_return failure(fmt::format("cannot sum up the objects in the index: {}", name(totals.error())));
  report.live = totals->live;
  report.merged = totals->merged;
  report.oldest_waiting = totals->oldest_waiting;
  // Those that no chunk names yet.
  std::vector<object_id> in_state;
  for (const auto& [number, o] : state.objects()) in_state.push_back(o.id);
  std::set<object_id> in_index;
  constexpr std::size_t at_once = 1000;
  for (std::size_t first = 0; first < in_state.size(); first += at_once) {
    std::vector<object_id> some(in_state.begin() + std::ptrdiff_t(first), in_state.begin() + std::ptrdiff_t(std::min(in_state.size(), first + at_once)));
    auto known = co_await index.known_objects(std::move(some));
    if (!known) co_return failure(fmt::format("cannot look up objects in the index: {}", name(known.error())));
    in_index.insert(known->begin(), known->end());
  }
  for (const auto& [number, o] : state.objects())
    if (!in_index.contains(o.id)) add(report.live, o.bytes);
  std::uint64_t kept = 0;
  for (const auto& t : report.topics) kept += t.bytes;
  report.gone_in_live_bytes = report.live.bytes - std::min(report.live.bytes, kept);

  // Why each one that nobody refers to is still there.
  auto reports = co_await store.reports();
  if (!reports) co_return failure(fmt::format("cannot ask how far the agents are: {}", name(reports.error())));
  std::map<incarnation, log_sequence> reported(reports->begin(), reports->end());
  auto read_by_all = state.position().sequence;
  for (const auto& [who, what] : state.agents()) {
    auto found = reported.find(who);
    read_by_all = std::min(read_by_all, found == reported.end() ? log_sequence(0) : found->second);
  }
  auto forever = timestamp_ms(std::numeric_limits<std::int64_t>::max());
  auto up_to = log_sequence(std::numeric_limits<std::int64_t>::max());
  auto grace_ends = report.time - std::chrono::duration_cast<std::chrono::milliseconds>(settings.grace).count();
  auto all = co_await index.retired(up_to, forever, settings.deletions_max);
  auto by_agents = co_await index.retired(read_by_all, forever, settings.deletions_max);
  auto by_both = co_await index.retired(read_by_all, grace_ends, settings.deletions_max);
  if (!all || !by_agents || !by_both) co_return failure(std::string("cannot ask the index for objects that wait to be deleted"));
  std::set<metadata::object_number> agents_allow, both_allow;
  for (const auto& o : *by_agents) agents_allow.insert(o.number);
  for (const auto& o : *by_both) both_allow.insert(o.number);
  for (const auto& o : *all) {
    bool is_due = both_allow.contains(o.number);
    add(is_due ? report.due : agents_allow.contains(o.number) ? report.within_grace : report.held_by_agents, o.bytes);
    if (is_due) report.deletions.push_back(object_key(settings.key_prefix, o.id));
  }
  if (report.held_by_agents.objects > 0)
    for (const auto& [who, what] : state.agents()) {
      auto found = reported.find(who);
      auto at = found == reported.end() ? log_sequence(0) : found->second;
      if (at == read_by_all)
        report.slow_agents.push_back(fmt::format("{}:{} (node {}) at entry {}", what.registration.host, what.registration.port,
                                                 what.registration.node.value(), at.value()));
    }
  if (!settings.lists_bucket) co_return report;

  report.is_listed = true;
  report.sizes = {{64u << 10, {}}, {1u << 20, {}}, {8u << 20, {}}, {64u << 20, {}}, {0, {}}};
  std::int64_t deadline_ms = 0;
  for (const auto& [who, what] : state.agents()) deadline_ms = std::max(deadline_ms, what.registration.upload_deadline_ms);
  std::set<object_id> held;
  for (const auto& [number, o] : state.objects()) held.insert(o.id);
  for (const auto& [number, o] : state.released()) held.insert(o.id);
  for (int piece = 0; piece < 256; ++piece) {
    auto found = co_await objects.list(fmt::format("{}data/{:02x}/", settings.key_prefix, piece), rt.now() + 60s);
    if (!found) co_return failure(fmt::format("cannot list the bucket: {}", name(found.error())));
    for (const auto& o : *found)
      for (auto& c : report.sizes)
        if (c.below == 0 || o.bytes < c.below) {
          add(c.objects, o.bytes);
          break;
        }
    for (std::size_t first = 0; first < found->size(); first += at_once) {
      auto last = std::min(found->size(), first + at_once);
      std::vector<object_id> ids;
      for (auto i = first; i < last; ++i)
        if (auto id = uuid::parse(std::string_view((*found)[i].key).substr((*found)[i].key.rfind('/') + 1))) ids.push_back(object_id(*id));
      auto known = co_await index.known_objects(ids);
      if (!known) co_return failure(fmt::format("cannot look up objects in the index: {}", name(known.error())));
      std::set<object_id> names(known->begin(), known->end());
      for (auto i = first; i < last; ++i) {
        const auto& o = (*found)[i];
        auto id = uuid::parse(std::string_view(o.key).substr(o.key.rfind('/') + 1));
        if (!id || held.contains(object_id(*id)) || names.contains(object_id(*id))) continue;
        bool is_old = report.time - timestamp_ms(id->v7_unix_ms()) > deadline_ms + 60'000;
        add(is_old ? report.orphaned : report.young, o.bytes);
        if (is_old) report.deletions.push_back(o.key);
      }
    }
  }
  co_return report;
}

std::string as_table(const storage_report& r) {
  std::string out = fmt::format("at entry {} of the metadata log\n\n{:<40} {:>10} {:>14} {:>12}\n", r.at.value(), "topic", "partitions", "records", "bytes");
  for (const auto& t : r.topics)
    out += fmt::format("{:<40} {:>10} {:>14} {:>12}\n", clean_text(t.name), t.partitions, t.records, size_text(t.bytes));
  out += fmt::format("\n{:<40} {:>10} {:>12}\n", "objects", "number", "bytes");
  auto line = [&](std::string_view what, const sum& s) { out += fmt::format("{:<40} {:>10} {:>12}\n", what, s.objects, size_text(s.bytes)); };
  line("live", r.live);
  line("  merged from others", r.merged);
  out += fmt::format("{:<40} {:>10} {:>12}\n", "  of records that are gone", "", size_text(r.gone_in_live_bytes));
  line("to be deleted: now", r.due);
  line("to be deleted: after the grace", r.within_grace);
  line("to be deleted: when all agents know", r.held_by_agents);
  if (r.is_listed) {
    line("to be deleted: never committed", r.orphaned);
    line("uploaded, perhaps about to be committed", r.young);
  }
  if (r.oldest_waiting != no_timestamp)
    out += fmt::format("the one that waits longest has waited for {} s\n", std::max<std::int64_t>(r.time - r.oldest_waiting, 0) / 1000);
  for (const auto& a : r.slow_agents) out += fmt::format("held up by {}\n", a);
  if (r.trims_owed + r.topics_owed + r.objects_owed + r.merges_owed > 0)
    out += fmt::format("the index has yet to follow: {} partitions were trimmed, {} topics deleted, {} objects released, {} merged\n",
                       r.trims_owed, r.topics_owed, r.objects_owed, r.merges_owed);
  if (r.is_listed) {
    out += fmt::format("\n{:<40} {:>10} {:>12}\n", "objects by size", "number", "bytes");
    for (const auto& c : r.sizes) line(c.below == 0 ? "larger" : "below " + size_text(c.below), c.objects);
  }
  return out;
}

std::string as_json(const storage_report& r) {
  using nlohmann::json;
  auto of = [](const sum& s) { return json{{"objects", s.objects}, {"bytes", s.bytes}}; };
  json topics = json::array();
  for (const auto& t : r.topics)
    topics.push_back({{"name", clean_text(t.name)}, {"partitions", t.partitions}, {"records", t.records}, {"bytes", t.bytes}});
  json out{{"sequence", r.at.value()},
           {"time_ms", r.time.value()},
           {"topics", topics},
           {"live", {{"objects", r.live.objects}, {"bytes", r.live.bytes}, {"gone_bytes", r.gone_in_live_bytes}}},
           {"merged", of(r.merged)},
           {"to_delete", {{"now", of(r.due)}, {"after_grace", of(r.within_grace)}, {"when_all_agents_know", of(r.held_by_agents)}}},
           {"oldest_waiting_ms", r.oldest_waiting.value()},
           {"slow_agents", r.slow_agents},
           {"index_owed", {{"trims", r.trims_owed}, {"topics", r.topics_owed}, {"objects", r.objects_owed}, {"merges", r.merges_owed}}}};
  if (r.is_listed) {
    out["to_delete"]["never_committed"] = of(r.orphaned);
    out["young"] = of(r.young);
    json sizes = json::array();
    for (const auto& c : r.sizes) {
      auto one = of(c.objects);
      if (c.below > 0) one["below_bytes"] = c.below;
      sizes.push_back(one);
    }
    out["sizes"] = sizes;
  }
  return out.dump(2) + "\n";
}
}  // namespace yaks::upkeep
