#include "metastores/postgres/postgres_metastore.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <ranges>
#include <set>
#include <unordered_map>

#include "base/check.hpp"
#include "metadata/range_chunk.hpp"
#include "metastores/postgres/errors.hpp"
#include "metastores/postgres/migrations.hpp"

namespace yaks::metastores {
using metadata::append_id;
using metadata::log_entry;
using metadata::log_error;
using metadata::log_position;
using metadata::log_tail;
using metadata::metastore_error;
using postgres::connect_error;
using postgres::connection;
using postgres::connection_lost;
using postgres::outcome;
using postgres::parameters;

namespace {
constexpr std::int32_t log_id = 0;  // the only log of this version
constexpr std::int32_t lock_class =
    0x79616b73;  // "yaks": the first half of the advisory lock; the node id is the other

// LISTEN, NOTIFY and lock names are per database, as the schema is.
constexpr int chunks_at_once = 500;  // read for a trim: half a megabyte, and a few milliseconds of the agent's thread
constexpr const char* channel = "yaks_log";

parameters position_parameters(log_position applied) {
  parameters with;
  with.int32(log_id)
      .int64(applied.sequence.value())
      .uuid(applied.id.writer.value())
      .int64(std::int64_t(applied.id.number));
  return with;
}

awaitable<void> must(connection& on, const char* sql) {
  auto got = co_await on.query(sql);
  if (!got.is_done()) throw postgres::set_up_error(got);
}

// The rows after the first, which tells of the head. All payloads share one buffer.
std::vector<log_entry> entries_of(const outcome& got) {
  std::size_t bytes = 0;
  for (int row = 1; row < got.row_count(); ++row) bytes += got.bytes(row, 4).size();
  auto memory = chunk::make(bytes);
  shared_bytes all(memory, {memory->data(), bytes});
  std::vector<log_entry> entries;
  entries.reserve(std::size_t(got.row_count()));
  std::size_t at = 0;
  for (int row = 1; row < got.row_count(); ++row) {
    auto payload = got.bytes(row, 4);
    if (!payload.empty()) std::memcpy(memory->data() + at, payload.data(), payload.size());
    entries.push_back({.sequence = log_sequence(got.int64(row, 0)),
                       .id = {incarnation(got.uuid(row, 1)), std::uint64_t(got.int64(row, 2))},
                       .time = timestamp_ms(got.int64(row, 3)),
                       .payload = all.slice(at, payload.size())});
    at += payload.size();
  }
  return entries;
}

awaitable<void> nothing() {
  co_return;
}
}  // namespace

postgres_metastore::postgres_metastore(runtime& rt, metrics::registry& metrics, postgres_settings settings)
    : rt_(rt),
      settings_(std::move(settings)),
      metrics_(metrics),
      appender_(rt, settings_, "appender", metrics_.reconnects(),
                {[this] { return application_name(); }, [this](connection& on) { return set_up_appender(on); }}),
      reader_(rt, settings_, "reader", metrics_.reconnects(),
              {[this] { return application_name(); }, [this](connection& on) { return set_up_reader(on); }}),
      watcher_(rt, settings_, "watcher", metrics_.reconnects(),
               {[this] { return application_name(); }, [this](connection& on) { return set_up_watcher(on); },
                [this](const postgres::notification& what) { heard(what); }}),
      indexer_(rt, settings_, "indexer", metrics_.reconnects(),
               {[this] { return application_name(); }, [this](connection& on) { return set_up_indexer(on); }}),
      tasks_(rt.executor()) {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) == 0) host_ = name;
  token_ = fmt::format("{:08x}", std::uint32_t(rt_.random()));
}

postgres_metastore::~postgres_metastore() = default;

// At most 63 bytes, or PostgreSQL cuts it. The token tells our own sessions from those of another container's
// process 1.
std::string postgres_metastore::application_name() const {
  auto who = node_ ? fmt::format("yaks node {} host", node_->value()) : std::string("yaks host");
  return fmt::format("{} {:.20} pid {} {}", who, host_, ::getpid(), token_);
}

std::string postgres_metastore::description() const {
  return fmt::format("PostgreSQL {} at {}", settings_.database, postgres::where(settings_));
}

// ---- opening
// ---------------------------------------------------------------------------------------------------------

awaitable<std::unique_ptr<connection>> postgres_metastore::connect_patiently() {
  auto due = rt_.now() + settings_.open_patience;
  for (unsigned attempt = 0;; ++attempt) {
    std::string problem;
    bool is_final = false;
    try {
      co_return co_await connection::connect(rt_, settings_, application_name());
    } catch (const connect_error& error) {
      problem = explain(error, settings_);
      is_final = error.sqlstate.starts_with("28") || error.sqlstate == "3D000";
    }
    if (is_final || rt_.now() >= due) throw metastore_error(problem);
    if (attempt == 0) spdlog::info("{} Trying for a moment.", problem);
    co_await rt_.sleep_for(backoff(rt_, attempt, settings_.retry_first, settings_.retry_most));
  }
}

namespace {
// Not from the runtime's chance, which is repeatable by design.
std::string new_secret() {
  std::array<std::uint8_t, 32> chance;
  if (::getentropy(chance.data(), chance.size()) != 0) throw metastore_error("the system has no random bytes to give");
  std::string text;
  for (auto byte : chance) text += fmt::format("{:02x}", byte);
  return text;
}
}  // namespace

awaitable<void> postgres_metastore::open() {
  YAKS_CHECK(!is_open_, "a metastore is opened once");
  auto high = rt_.random(), low = rt_.random();
  auto new_cluster_id = uuid::v4(high, low).kafka_text();
  {
    auto on = co_await connect_patiently();
    if (on->server_version() < 120000)
      throw metastore_error(
          fmt::format("PostgreSQL at {} is too old: yaks needs 12 or newer", postgres::where(settings_)));
    std::string problem;
    try {
      cluster_id_ = co_await postgres::migrate(*on, settings_, new_cluster_id);
      peer_secret_ = co_await postgres::peer_secret(*on, new_secret());
    } catch (const connection_lost& lost) {
      problem = lost.what();
    }
    if (!problem.empty())
      throw metastore_error(fmt::format("lost the connection to PostgreSQL at {} while starting: {}",
                                        postgres::where(settings_), problem));
  }
  is_open_ = true;
  tasks_.spawn(appender_.run());
  tasks_.spawn(reader_.run());
  tasks_.spawn(watcher_.run());
  tasks_.spawn(indexer_.run());
  tasks_.spawn(send_notifications());
  tasks_.spawn(keep_node_id());
}

awaitable<void> postgres_metastore::close() {
  co_await run_then_close(nothing(), tasks_);
  is_holding_ = false;
}

awaitable<void> postgres_metastore::set_up_appender(connection& on) {
  co_await must(on, "prepare append as select * from yaks.append($1, $2, $3, $4, $5, $6, $7)");
  co_await must(on, "prepare rename as select set_config('application_name', $1, false)");
}

awaitable<void> postgres_metastore::set_up_reader(connection& on) {
  co_await must(on, "prepare read_after as select * from yaks.read_after($1, $2, $3, $4)");
  co_await must(on, "prepare renew_lease as select * from yaks.renew_lease($1, $2, $3, $4, $5, $6, $7, $8)");
  co_await must(on,
                "prepare held_node_ids as select objid::bigint from pg_locks where locktype = 'advisory' and granted "
                "and database = (select oid from pg_database where datname = current_database()) "
                "and classid = $1::int::oid and objsubid = 2");
  co_await must(on,
                "prepare snapshots as select seq, incarnation, number, key, bytes, digest from yaks.snapshots "
                "where log_id = $1 order by seq desc limit 2");
  co_await must(on, "prepare reports as select incarnation, applied_seq from yaks.agents");
  co_await must(on, "prepare end_lease as delete from yaks.agents where incarnation = $1");
  co_await must(on, "prepare rename as select set_config('application_name', $1, false)");
}

awaitable<void> postgres_metastore::set_up_indexer(connection& on) {
  co_await must(on,
                "prepare add_measured as select * from yaks.add_measured($1, $2, $3::bigint[], $4::uuid[], $5::bigint[], "
                "$6::bigint[], $7::bigint[], "
                "$8::uuid[], $9::integer[], $10::bigint[], $11::bigint[], $12::integer[], $13::bigint[], $14::bigint[], "
                "$15::bigint[], "
                "$16::bigint[], $17::bytea[])");
  co_await must(on, "prepare begin_term as select yaks.begin_term($1, $2)");
  co_await must(
      on,
      "prepare change_measured as select yaks.change_measured($1, $2, $3::uuid[], $4::integer[], $5::bigint[], $6::uuid[], "
      "$7::integer[], $8::bigint[], $9::bigint[], $10::integer[], $11::bigint[], $12::bigint[], $13::bigint[], "
      "$14::bigint[], "
      "$15::bytea[], $16::bigint[], $17::bigint[], $18::uuid[], $19::integer[], $20::bigint[], $21, $22::bigint[], $23, $24, "
      "$25)");
  co_await must(
      on,
      "prepare chunks_across as select u.i - 1, c.base_offset, c.first_object, c.ranges "
      "from unnest($2::uuid[], $3::integer[], $4::bigint[], $5::bigint[]) with ordinality as u(t, p, f, o, i) "
      "join yaks.range_chunks c on c.log_id = $1 and c.topic_id = u.t and c.partition = u.p and c.base_offset < u.o "
      "and c.end_offset > u.f order by u.i, c.base_offset");
  co_await must(
      on,
      "prepare chunks_from as select 0::bigint, base_offset, first_object, ranges from yaks.range_chunks where log_id = $1 "
      "and topic_id = $2 and partition = $3 and end_offset > $4 order by base_offset limit $5");
  co_await must(
      on,
      "prepare object_uses as select number, id, bytes, live_bytes, released::integer::bigint, merged::integer::bigint "
      "from yaks.objects where log_id = $1 and number = any($2::bigint[])");
  co_await must(
      on,
      "prepare chunks_before as select u.i - 1, c.base_offset, c.first_object, c.ranges "
      "from unnest($2::uuid[], $3::integer[], $4::bigint[]) with ordinality as u(t, p, o, i) "
      "join yaks.range_chunks c on c.log_id = $1 and c.topic_id = u.t and c.partition = u.p and c.base_offset < u.o "
      "order by u.i, c.base_offset limit $5");
  co_await must(
      on,
      "prepare chunks_at as select u.i - 1, c.base_offset, c.first_object, c.ranges "
      "from unnest($2::uuid[], $3::integer[], $4::bigint[]) with ordinality as u(t, p, o, i) cross join lateral ("
      "select d.base_offset, d.first_object, d.ranges, d.end_offset from yaks.range_chunks d where d.log_id = $1 "
      "and d.topic_id = u.t and d.partition = u.p and d.base_offset <= u.o order by d.base_offset desc limit 1) c "
      "where c.end_offset > u.o");
  // Those of one time together: they lie in the same objects.
  co_await must(
      on,
      "prepare chunks_of_topic as select partition::bigint, base_offset, first_object, ranges from yaks.range_chunks "
      "where log_id = $1 and topic_id = $2 order by first_object limit $3");
  co_await must(
      on, "prepare release_objects as select yaks.release_objects($1, $2, $3::bigint[], $4::uuid[], $5::bigint[])");
  co_await must(on, "prepare retire_objects as select yaks.retire_objects($1, $2, $3, $4)");
  co_await must(on,
                "prepare retired_objects as select number, id, bytes from yaks.objects where log_id = $1 and released "
                "and ranges = 0 "
                "and retired_seq <= $2 and retired_ms < $3 order by retired_seq limit $4");
  co_await must(on, "prepare forget_objects as select yaks.forget_objects($1, $2, $3::bigint[])");
  co_await must(on, "prepare known_objects as select id from yaks.objects where log_id = $1 and id = any($2::uuid[])");
  co_await must(
      on,
      "prepare totals as select s.live_objects, s.live_bytes, s.waiting_objects, s.waiting_bytes, s.merged_objects, s.merged_bytes, "
      "coalesce((select o.retired_ms from yaks.objects o where o.log_id = $1 and o.released and o.ranges = 0 and o.retired_seq is not null "
      "order by o.retired_seq limit 1), -1) from yaks.object_sums s where s.log_id = $1");
  co_await must(
      on,
      "prepare find_chunk as select base_offset, first_object, ranges from yaks.range_chunks where log_id = $1 and "
      "topic_id = $2 and partition = $3 and base_offset <= $4 and end_offset > $4 order by base_offset desc limit 1");
  co_await must(
      on,
      "prepare find_time as select base_offset, first_object, ranges from yaks.range_chunks where log_id = $1 and "
      "topic_id = $2 and partition = $3 and end_offset > $4 and max_timestamp >= $5 order by base_offset limit 1");
  co_await must(
      on,
      "prepare find_largest as select base_offset, first_object, ranges from yaks.range_chunks where log_id = $1 and "
      "topic_id = $2 and partition = $3 and end_offset > $4 order by max_timestamp desc, base_offset limit 1");
  co_await must(
      on,
      "prepare find_objects as select number, id from yaks.objects where log_id = $1 and number = any($2::bigint[])");
  co_await must(on,
                "prepare write_read_model as select yaks.write_read_model($1, $2, $3::uuid[], $4::uuid[], $5::text[], "
                "$6::bigint[], "
                "$7::integer[], $8::text[], $9::uuid[], $10::integer[], $11::bigint[], $12::bigint[], $13::bigint[], "
                "$14::text[], "
                "$15::text[], $16::uuid[], $17::integer[], $18::bigint[], $19::integer[], $20::text[], $21::bigint[])");
  co_await must(on, "prepare known_topics as select topic_id from yaks.topics where log_id = $1");
  co_await must(on, "prepare known_groups as select distinct group_name from yaks.committed_offsets where log_id = $1");
}

awaitable<void> postgres_metastore::set_up_watcher(connection& on) {
  co_await must(on, fmt::format("listen {}", channel).c_str());
  // Others' entries are worth a wait for the disk; that somebody should look is not.
  co_await must(on, "prepare notify as select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)");
  co_await must(on, "prepare add_snapshot as select * from yaks.add_snapshot($1, $2, $3, $4, $5, $6, $7)");
  co_await must(on, "prepare hold as select set_config('application_name', $3, false), pg_try_advisory_lock($1, $2)");
  co_await must(
      on,
      "prepare holder as select coalesce(a.application_name, ''), coalesce(host(a.client_addr), 'a local socket'), "
      "to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS TZ') "
      "from pg_locks l join pg_stat_activity a using (pid) where l.locktype = 'advisory' and l.granted "
      "and l.database = (select oid from pg_database where datname = current_database()) "
      "and l.classid = $1::int::oid and l.objid = $2::bigint::oid and l.objsubid = 2");
  lock_session_pid_ = 0;  // the lock went with the session before
  lock_changed_.notify_all();
  changed_ = true;  // something may have been missed meanwhile
  change_.notify_all();
}

// ---- the log
// ---------------------------------------------------------------------------------------------------------

postgres_metastore::answer postgres_metastore::failed(const std::optional<outcome>& got, bool is_append,
                                                      const char* what) {
  if (!got) return failure(log_error::unavailable);  // never sent
  if (got->what == outcome::kind::lost) return failure(is_append ? log_error::unknown : log_error::unavailable);
  auto error = postgres::error_of(got->severity, got->sqlstate, is_append);
  if (error != log_error::trimmed && error != log_error::diverged)
    spdlog::error("PostgreSQL cannot {} the metadata log: {} (SQLSTATE {})", what, got->message, got->sqlstate);
  return failure(error);
}

awaitable<postgres_metastore::answer> postgres_metastore::append(log_position applied, append_id id,
                                                                 shared_bytes payload) {
  YAKS_CHECK(is_open_, "a metastore is opened first");
  if (payload.size() > metadata::entry_bytes_max) co_return failure(log_error::refused);
  auto begun = rt_.now();
  auto with = position_parameters(applied);
  with.uuid(id.writer.value()).int64(std::int64_t(id.number)).bytes(payload);
  auto got = co_await appender_.call("append", std::move(with));
  answer tail = log_tail{};
  if (!got || !got->is_done()) {
    tail = failed(got, true, "append to");
  } else if (got->was_warned || got->row_count() == 0) {
    tail = failure(log_error::unknown);
  } else {
    tail->head = log_sequence(got->int64(0, 0));
    tail->now = timestamp_ms(got->int64(0, 3));
    tail->entries = entries_of(*got);
    auto previous = tail->entries.empty() ? newest_time_ : tail->entries.back().time;
    // Our own entry is not sent back to us. It follows unless the limit cuts the tail before it.
    std::size_t bytes = payload.size();
    for (auto& e : tail->entries) bytes += e.payload.size();
    auto last = tail->entries.empty() ? applied.sequence : tail->entries.back().sequence;
    if (last + 1 == tail->head && (tail->entries.empty() || bytes <= metadata::tail_bytes_max))
      tail->entries.push_back({.sequence = tail->head, .id = id, .time = tail->now, .payload = std::move(payload)});
    want_notification(previous, tail->now);
    if (!tail->entries.empty()) newest_time_ = tail->entries.back().time;
  }
  metrics_.count(operation::append, rt_.now() - begun, tail ? std::nullopt : std::optional(tail.error()));
  co_return tail;
}

awaitable<postgres_metastore::answer> postgres_metastore::read_after(log_position applied) {
  YAKS_CHECK(is_open_, "a metastore is opened first");
  auto begun = rt_.now();
  auto got = co_await reader_.call("read_after", position_parameters(applied));
  answer tail = log_tail{};
  if (!got || !got->is_done() || got->row_count() == 0) {
    tail = failed(got, false, "read");
  } else {
    tail->head = log_sequence(got->int64(0, 0));
    tail->now = timestamp_ms(got->int64(0, 3));
    tail->entries = entries_of(*got);
    if (!tail->entries.empty()) newest_time_ = tail->entries.back().time;
  }
  metrics_.count(operation::read, rt_.now() - begun, tail ? std::nullopt : std::optional(tail.error()));
  co_return tail;
}

awaitable<void> postgres_metastore::wait_for_change() {
  while (!changed_) co_await change_.wait();
  changed_ = false;
}

void postgres_metastore::heard(const postgres::notification& what) {
  if (what.sender_pid == watcher_.backend_pid()) return;  // our own
  notified_at_ = rt_.now();
  changed_ = true;
  change_.notify_all();
}

// Each notification makes every agent read: n agents that append at a steady rate, each with a notification, would read
// n times n times. So the entries of a while share one, and the while grows with the number of agents; it stays below
// the replicas' poll interval. Who sends it, everybody knows without asking: the writer of the first entry of each slot
// of the store's clock.
duration postgres_metastore::notify_slot() const {
  return std::clamp<duration>(live_agents_ * settings_.notify_per_agent, settings_.notify_interval,
                              settings_.notify_interval_most);
}

// After an append at `time`, in front of which the log has an entry at `previous`.
void postgres_metastore::want_notification(timestamp_ms previous, timestamp_ms time) {
  auto slot_ms = std::chrono::ceil<std::chrono::milliseconds>(notify_slot()).count();
  notify_now_ = notify_now_ || previous.value() / slot_ms != time.value() / slot_ms;
  notify_wanted_ = true;
  appended_at_ = rt_.now();
  notify_.notify_all();
}

awaitable<void> postgres_metastore::send_notifications() {
  for (;;) {
    while (!notify_wanted_) co_await notify_.wait();
    // Not the first of its slot: that of the next one will do. Where none comes, whoever is first by chance.
    if (!notify_now_) {
      auto slot = notify_slot();
      auto due = appended_at_ + slot + duration(std::int64_t(rt_.random_below(std::uint64_t(slot.count()) + 1)));
      while (!notify_now_ && rt_.now() < due) co_await notify_.wait_until(rt_, due);
      // One that was sent before our append but crossed it on the way does not count.
      if (!notify_now_ && notified_at_ > appended_at_ + settings_.notify_interval) {
        notify_wanted_ = false;
        continue;
      }
    }
    notify_now_ = false;
    notify_wanted_ = false;
    notified_at_ = rt_.now();
    auto begun = rt_.now();
    parameters with;
    with.text(channel).text(std::to_string(log_id));
    auto got = co_await watcher_.call("notify", std::move(with));
    std::optional<log_error> error;  // nothing depends on it: others poll as well
    if (!got || !got->is_done()) error = log_error::unavailable;
    metrics_.count(operation::notify, rt_.now() - begun, error);
    co_await rt_.sleep_until(begun + settings_.notify_interval);
  }
}

awaitable<result<std::vector<incarnation>, log_error>> postgres_metastore::renew_lease(metadata::lease mine,
                                                                                       duration ttl) {
  YAKS_CHECK(is_open_, "a metastore is opened first");
  parameters with;
  with.uuid(mine.who.value())
      .int32(mine.what.node.value())
      .text(mine.what.host)
      .int32(mine.what.port)
      .text(mine.what.zone)
      .text(mine.what.version)
      .int64(mine.applied.value())
      .int64(std::chrono::duration_cast<std::chrono::milliseconds>(ttl).count());
  auto got = co_await reader_.call("renew_lease", std::move(with));
  if (!got || !got->is_done()) {
    if (got && got->what != outcome::kind::lost)
      spdlog::error("PostgreSQL cannot renew this agent's lease: {} (SQLSTATE {})", got->message, got->sqlstate);
    co_return failure(log_error::unavailable);
  }
  std::vector<incarnation> live;
  for (int row = 0; row < got->row_count(); ++row) live.push_back(incarnation(got->uuid(row, 0)));
  live_agents_ = live.size();
  co_return live;
}

// The lock goes with its session, and the session with its process: at once where the operating system closes the connection.
awaitable<result<std::set<node_id>, log_error>> postgres_metastore::held_node_ids() {
  YAKS_CHECK(is_open_, "a metastore is opened first");
  parameters with;
  with.int32(lock_class);
  auto got = co_await reader_.call("held_node_ids", std::move(with));
  if (!got || !got->is_done()) co_return failure(log_error::unavailable);
  std::set<node_id> held;
  for (int row = 0; row < got->row_count(); ++row) held.insert(node_id(std::int32_t(got->int64(row, 0))));
  co_return held;
}

awaitable<result<std::vector<std::pair<incarnation, log_sequence>>, log_error>> postgres_metastore::reports() {
  YAKS_CHECK(is_open_, "a metastore is opened first");
  auto got = co_await reader_.call("reports", parameters());
  if (!got || !got->is_done()) co_return failure(log_error::unavailable);
  std::vector<std::pair<incarnation, log_sequence>> all;
  for (int row = 0; row < got->row_count(); ++row)
    all.emplace_back(incarnation(got->uuid(row, 0)), log_sequence(got->int64(row, 1)));
  co_return all;
}

awaitable<void> postgres_metastore::end_lease(incarnation who) {
  parameters with;
  with.uuid(who.value());
  (void)co_await reader_.call("end_lease", std::move(with));
}

awaitable<result<std::vector<metadata::snapshot_record>, log_error>> postgres_metastore::snapshots() {
  YAKS_CHECK(is_open_, "a metastore is opened first");
  parameters with;
  with.int32(log_id);
  auto got = co_await reader_.call("snapshots", std::move(with));
  if (!got || !got->is_done()) co_return failure(log_error::unavailable);
  std::vector<metadata::snapshot_record> all;
  for (int row = 0; row < got->row_count(); ++row)
    all.push_back(
        {.at = {log_sequence(got->int64(row, 0)), {incarnation(got->uuid(row, 1)), std::uint64_t(got->int64(row, 2))}},
         .key = got->text(row, 3),
         .bytes = std::uint64_t(got->int64(row, 4)),
         .digest = std::uint64_t(got->int64(row, 5))});
  co_return all;
}

awaitable<result<std::vector<std::string>, log_error>> postgres_metastore::add_snapshot(
    metadata::snapshot_record made) {
  YAKS_CHECK(is_open_, "a metastore is opened first");
  parameters with;
  with.int32(log_id)
      .int64(made.at.sequence.value())
      .uuid(made.at.id.writer.value())
      .int64(std::int64_t(made.at.id.number))
      .text(made.key)
      .int64(std::int64_t(made.bytes))
      .int64(std::int64_t(made.digest));
  // Not on the reader: deleting what is trimmed takes a while, and barriers must not wait for it.
  auto got = co_await watcher_.call("add_snapshot", std::move(with));
  if (!got || !got->is_done()) {
    if (got && got->what != outcome::kind::lost)
      spdlog::error("PostgreSQL cannot take a snapshot's record: {} (SQLSTATE {})", got->message, got->sqlstate);
    co_return failure(log_error::unknown);
  }
  std::vector<std::string> dropped;
  for (int row = 0; row < got->row_count(); ++row) dropped.push_back(got->text(row, 0));
  co_return dropped;
}

// ---- the index -----------------------------------------------------------------------------------------------------
// On a connection of its own: a fetch of old data must not wait behind an append, nor a barrier behind it.

namespace {
// An array as PostgreSQL reads one in text.
template <class Items, class Write>
std::string array_of(const Items& items, Write write) {
  std::string text = "{";
  for (const auto& item : items) {
    if (text.size() > 1) text += ',';
    text += write(item);
  }
  return text + "}";
}
std::string hex_text(std::string_view bytes) {
  constexpr const char* digits = "0123456789abcdef";
  std::string text = "\"\\\\x";
  text.reserve(text.size() + 2 * bytes.size() + 1);
  for (unsigned char c : bytes) {
    text += digits[c >> 4];
    text += digits[c & 15];
  }
  return text + "\"";
}
}  // namespace

namespace {
std::string topics_of(const std::vector<topic_partition>& all) {
  return array_of(all, [](const auto& p) { return p.topic.value().text(); });
}
std::string partitions_of(const std::vector<topic_partition>& all) {
  return array_of(all, [](const auto& p) { return std::to_string(p.partition.value()); });
}

// The columns of chunks, each as an array.
void add_chunks(parameters& with, const std::vector<metadata::index_chunk>& chunks) {
  auto numbers = [&](auto of) {
    return array_of(chunks, [&](const metadata::index_chunk& c) { return std::to_string(of(c)); });
  };
  auto sum = [](const metadata::index_chunk& c, auto of) {
    std::int64_t all = 0;
    for (const auto& r : c.ranges) all += of(r);
    return all;
  };
  std::vector<topic_partition> places;
  places.reserve(chunks.size());
  for (const auto& c : chunks) places.push_back(c.where);
  with.text(topics_of(places))
      .text(partitions_of(places))
      .text(numbers([](const auto& c) { return c.ranges.front().base_offset.value(); }))
      .text(numbers([](const auto& c) { return c.ranges.back().end_offset().value(); }))
      .text(numbers([](const auto& c) { return c.ranges.size(); }))
      .text(numbers([&](const auto& c) { return sum(c, [](const metadata::range& r) { return r.record_count; }); }))
      .text(numbers([&](const auto& c) { return sum(c, [](const metadata::range& r) { return r.bytes; }); }))
      .text(numbers([](const auto& c) {
        return std::ranges::max(c.ranges, {}, &metadata::range::max_timestamp).max_timestamp.value();
      }))
      .text(numbers([](const auto& c) { return c.ranges.front().object; }))
      .text(array_of(chunks, [](const auto& c) { return hex_text(metadata::encode_ranges(c.ranges)); }));
}

std::pair<std::vector<topic_partition>, std::string> columns_of(const std::vector<metadata::index_place>& all) {
  std::vector<topic_partition> places;
  for (const auto& p : all) places.push_back(p.where);
  return {std::move(places), array_of(all, [](const auto& p) { return std::to_string(p.at.value()); })};
}

template <class Numbers>
std::string numbers_of(const Numbers& all) {
  return array_of(all, [](auto n) { return std::to_string(n); });
}

parameters in_term(std::uint64_t term) {
  parameters with;
  with.int32(log_id).int64(std::int64_t(term));
  return with;
}

void add_objects(parameters& with, const std::vector<metadata::indexed_object>& objects) {
  with.text(array_of(objects, [](const auto& o) { return std::to_string(o.number); }))
      .text(array_of(objects, [](const auto& o) { return o.id.value().text(); }))
      .text(array_of(objects, [](const auto& o) { return std::to_string(o.bytes); }));
}
}  // namespace

awaitable<result<outcome, log_error>> postgres_metastore::change_index(const char* prepared, parameters with,
                                                                       const char* what) {
  YAKS_CHECK(is_open_, "a metastore is opened first");
  auto got = co_await indexer_.call(prepared, std::move(with));
  if (got && got->is_done()) co_return std::move(*got);
  if (got && got->what != outcome::kind::lost) {
    if (got->sqlstate == "YK004") co_return failure(log_error::old_term);
    spdlog::error("PostgreSQL cannot {}: {} (SQLSTATE {})", what, got->message, got->sqlstate);
  }
  co_return failure(log_error::unavailable);
}

awaitable<result<void, log_error>> postgres_metastore::begin_term(std::uint64_t term) {
  auto done = co_await change_index("begin_term", in_term(term), "begin a term of upkeep");
  if (!done) co_return failure(done.error());
  co_return result<void, log_error>{};
}

awaitable<result<std::vector<std::pair<topic_partition, offset>>, log_error>> postgres_metastore::add(
    std::uint64_t term, metadata::index_write what) {
  auto with = in_term(term);
  add_objects(with, what.objects);
  struct held {
    std::uint64_t ranges = 0, bytes = 0;
  };
  std::unordered_map<metadata::object_number, held> each;
  for (const auto& c : what.chunks)
    for (const auto& r : c.ranges) {
      ++each[r.object].ranges;
      each[r.object].bytes += r.bytes;
    }
  with.text(array_of(what.objects, [&](const auto& o) { return std::to_string(each[o.number].ranges); }))
      .text(array_of(what.objects, [&](const auto& o) { return std::to_string(each[o.number].bytes); }));
  add_chunks(with, what.chunks);
  auto got = co_await change_index("add_measured", std::move(with), "take ranges into the index");
  if (!got) co_return failure(got.error());
  std::vector<std::pair<topic_partition, offset>> ends;
  for (int row = 0; row < got->row_count(); ++row)
    ends.push_back(
        {{topic_id(got->uuid(row, 0)), partition_index(std::int32_t(got->int64(row, 1)))}, offset(got->int64(row, 2))});
  co_return ends;
}

// What changes in the index with one transaction.
struct postgres_metastore::chunk_changes {
  std::vector<topic_partition> gone;  // chunks, by partition and base
  std::vector<offset> gone_bases;
  std::vector<metadata::index_chunk> come;
  struct delta {
    std::int64_t ranges = 0, bytes = 0;
  };
  std::map<metadata::object_number, delta> deltas;  // of the objects' counts
  std::vector<topic_partition> ending;                     // partitions whose index ends at or after the offsets below
  std::vector<offset> ends;
  std::optional<topic_id> over;  // nothing of it is left
  std::optional<metadata::indexed_object> merged;  // is new, and named by chunks that come

  void remove(topic_partition where, const std::vector<metadata::range>& chunk) { cut(where, chunk, chunk.size()); }
  // Only its first ranges go, the rest is a chunk of its own.
  void cut(topic_partition where, const std::vector<metadata::range>& chunk, std::size_t n) {
    gone.push_back(where);
    gone_bases.push_back(chunk.front().base_offset);
    auto rest = chunk.begin() + std::ptrdiff_t(n);
    for (auto r = chunk.begin(); r != rest; ++r) count(*r, -1);
    if (rest != chunk.end()) come.push_back({where, {rest, chunk.end()}});
  }
  void add(topic_partition where, std::vector<metadata::range> chunk) {
    for (const auto& r : chunk) count(r, 1);
    come.push_back({where, std::move(chunk)});
  }
  void count(const metadata::range& r, std::int64_t by) {
    deltas[r.object].ranges += by;
    deltas[r.object].bytes += by * std::int64_t(r.bytes);
  }
};

awaitable<result<void, log_error>> postgres_metastore::change_chunks(std::uint64_t term, const chunk_changes& what,
                                                                     const char* why) {
  auto offsets = [](const auto& all) { return array_of(all, [](offset o) { return std::to_string(o.value()); }); };
  auto deltas = what.deltas;  // an object's row is left alone where as much came as went
  std::erase_if(deltas, [](const auto& d) { return d.second.ranges == 0 && d.second.bytes == 0; });
  auto with = in_term(term);
  with.text(topics_of(what.gone)).text(partitions_of(what.gone)).text(offsets(what.gone_bases));
  add_chunks(with, what.come);
  with.text(array_of(deltas, [](const auto& d) { return std::to_string(d.first); }))
      .text(array_of(deltas, [](const auto& d) { return std::to_string(d.second.ranges); }))
      .text(topics_of(what.ending))
      .text(partitions_of(what.ending))
      .text(offsets(what.ends));
  auto merged = what.merged.value_or(metadata::indexed_object{});
  with.uuid(what.over ? what.over->value() : uuid())  // no topic has the nil id
      .text(array_of(deltas, [](const auto& d) { return std::to_string(d.second.bytes); }))
      .int64(std::int64_t(merged.number))
      .uuid(merged.id.value())
      .int64(std::int64_t(merged.bytes));
  auto done = co_await change_index("change_measured", std::move(with), why);
  if (!done) co_return failure(done.error());
  co_return result<void, log_error>{};
}

namespace {
// Base offset, first object and bytes from the second column on. Nothing where they are no chunk.
std::optional<std::vector<metadata::range>> chunk_in(const outcome& rows, int row) {
  auto ranges = metadata::decode_ranges(offset(rows.int64(row, 1)), metadata::object_number(rows.int64(row, 2)),
                                        rows.bytes(row, 3));
  if (!ranges) spdlog::error("a chunk of the index holds bytes that are none: base offset {}", rows.int64(row, 1));
  return ranges;
}
}  // namespace

awaitable<result<void, log_error>> postgres_metastore::trim(std::uint64_t term, std::vector<metadata::index_place> to) {
  auto [places, offsets] = columns_of(to);
  // From the oldest on, some at a time: they may be many. A trim that ends half-way is owed as before.
  for (bool is_done = false; !is_done;) {
    parameters look;
    look.int32(log_id).text(topics_of(places)).text(partitions_of(places)).text(offsets).int64(chunks_at_once);
    auto got = co_await change_index("chunks_before", std::move(look), "read what is to be trimmed");
    if (!got) co_return failure(got.error());
    is_done = got->row_count() < chunks_at_once;
    chunk_changes changes;
    for (int row = 0; row < got->row_count(); ++row) {
      const auto& t = to[std::size_t(got->int64(row, 0))];
      auto ranges = chunk_in(*got, row);
      if (!ranges) co_return failure(log_error::refused);
      auto stays = std::ranges::lower_bound(*ranges, t.at, {}, &metadata::range::base_offset);
      if (stays == ranges->begin() || std::prev(stays)->end_offset() > t.at) {
        spdlog::error("a trim of the index at {} names a place inside a range", t.at.value());
        co_return failure(log_error::refused);
      }
      changes.cut(t.where, *ranges, std::size_t(stays - ranges->begin()));
    }
    if (is_done)
      for (const auto& t : to) {
        changes.ending.push_back(t.where);
        changes.ends.push_back(t.at);
      }
    if (auto done = co_await change_chunks(term, changes, "trim the index"); !done) co_return failure(done.error());
  }
  co_return result<void, log_error>{};
}

awaitable<result<bool, log_error>> postgres_metastore::drop(std::uint64_t term, topic_id topic,
                                                            std::size_t chunks_max) {
  parameters look;
  look.int32(log_id).uuid(topic.value()).int64(std::int64_t(chunks_max));
  auto got = co_await change_index("chunks_of_topic", std::move(look), "read what is to be dropped");
  if (!got) co_return failure(got.error());
  chunk_changes changes;
  for (int row = 0; row < got->row_count(); ++row) {
    auto ranges = chunk_in(*got, row);
    if (!ranges) co_return failure(log_error::refused);
    changes.remove({topic, partition_index(std::int32_t(got->int64(row, 0)))}, *ranges);
  }
  bool is_over = std::size_t(got->row_count()) < chunks_max;
  if (is_over) changes.over = topic;
  if (auto done = co_await change_chunks(term, changes, "drop a topic from the index"); !done)
    co_return failure(done.error());
  co_return is_over;
}

awaitable<result<void, log_error>> postgres_metastore::replace(std::uint64_t term, metadata::indexed_object into,
                                                               std::vector<metadata::moved_ranges> parts) {
  parameters known;
  known.int32(log_id).text(fmt::format("{{{}}}", into.number));
  auto got = co_await change_index("object_uses", std::move(known), "look up a merged object");
  if (!got) co_return failure(got.error());
  if (got->row_count() > 0) co_return co_await begin_term(term);  // done before, and the term still is
  auto offsets = [&](auto of) { return array_of(parts, [&](const auto& p) { return std::to_string(of(p).value()); }); };
  parameters look;
  look.int32(log_id)
      .text(array_of(parts, [](const auto& p) { return p.where.topic.value().text(); }))
      .text(array_of(parts, [](const auto& p) { return std::to_string(p.where.partition.value()); }))
      .text(offsets([](const auto& p) { return p.from; }))
      .text(offsets([](const auto& p) { return p.to; }));
  got = co_await change_index("chunks_across", std::move(look), "read what is to be merged");
  if (!got) co_return failure(got.error());
  std::vector<std::vector<std::vector<metadata::range>>> chunks(parts.size());
  for (int row = 0; row < got->row_count(); ++row) {
    auto ranges = chunk_in(*got, row);
    if (!ranges) co_return failure(log_error::refused);
    chunks[std::size_t(got->int64(row, 0))].push_back(std::move(*ranges));
  }
  chunk_changes changes;
  changes.merged = into;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& part = parts[i];
    auto come = metadata::merged_chunks(chunks[i], part.from, part.to, into.number, part.position, part.bytes);
    if (!come) {
      spdlog::error("a merge names ranges from offset {} to {} that the index does not hold", part.from.value(), part.to.value());
      co_return failure(log_error::refused);
    }
    for (const auto& c : chunks[i]) changes.remove(part.where, c);
    for (auto& c : *come) changes.add(part.where, std::move(c));
  }
  co_return co_await change_chunks(term, changes, "move ranges into a merged object");
}

awaitable<result<metadata::index_page, log_error>> postgres_metastore::read(topic_partition where, offset from,
                                                                            std::size_t chunks_max) {
  parameters look;
  look.int32(log_id).uuid(where.topic.value()).int32(where.partition.value()).int64(from.value()).int64(std::int64_t(chunks_max));
  auto got = co_await change_index("chunks_from", std::move(look), "read chunks of the index");
  if (!got) co_return failure(got.error());
  metadata::index_page page;
  std::set<metadata::object_number> numbers;
  for (int row = 0; row < got->row_count(); ++row) {
    auto ranges = chunk_in(*got, row);
    if (!ranges) co_return failure(log_error::refused);
    for (const auto& r : *ranges) numbers.insert(r.object);
    page.chunks.push_back(std::move(*ranges));
  }
  if (numbers.empty()) co_return page;
  parameters objects;
  objects.int32(log_id).text(numbers_of(numbers));
  got = co_await change_index("object_uses", std::move(objects), "look up objects");
  if (!got) co_return failure(got.error());
  for (int row = 0; row < got->row_count(); ++row) {
    metadata::object_number number(got->int64(row, 0));
    page.objects[number] = {{number, object_id(got->uuid(row, 1)), std::uint64_t(got->int64(row, 2))},
                            std::uint64_t(std::max<std::int64_t>(got->int64(row, 3), 0)),
                            got->int64(row, 4) == 1,
                            got->int64(row, 5) == 1};
  }
  co_return page;
}

awaitable<result<void, log_error>> postgres_metastore::release(std::uint64_t term,
                                                               std::vector<metadata::indexed_object> objects) {
  auto with = in_term(term);
  add_objects(with, objects);
  auto done = co_await change_index("release_objects", std::move(with), "release objects");
  if (!done) co_return failure(done.error());
  co_return result<void, log_error>{};
}

awaitable<result<std::uint64_t, log_error>> postgres_metastore::retire(std::uint64_t term, log_sequence at,
                                                                       timestamp_ms time) {
  auto with = in_term(term);
  with.int64(at.value()).int64(time.value());
  auto done = co_await change_index("retire_objects", std::move(with), "retire objects");
  if (!done) co_return failure(done.error());
  co_return std::uint64_t(done->int64(0, 0));
}

awaitable<result<std::vector<metadata::indexed_object>, log_error>> postgres_metastore::retired(log_sequence at,
                                                                                                timestamp_ms time,
                                                                                                std::size_t most) {
  parameters with;
  with.int32(log_id).int64(at.value()).int64(time.value()).int64(std::int64_t(most));
  auto got = co_await change_index("retired_objects", std::move(with), "look for objects to delete");
  if (!got) co_return failure(got.error());
  std::vector<metadata::indexed_object> all;
  for (int row = 0; row < got->row_count(); ++row)
    all.push_back(
        {metadata::object_number(got->int64(row, 0)), object_id(got->uuid(row, 1)), std::uint64_t(got->int64(row, 2))});
  co_return all;
}

awaitable<result<void, log_error>> postgres_metastore::forget(std::uint64_t term,
                                                              std::vector<metadata::object_number> objects) {
  auto with = in_term(term);
  with.text(numbers_of(objects));
  auto done = co_await change_index("forget_objects", std::move(with), "forget deleted objects");
  if (!done) co_return failure(done.error());
  co_return result<void, log_error>{};
}

awaitable<result<std::vector<object_id>, log_error>> postgres_metastore::known_objects(std::vector<object_id> which) {
  parameters with;
  with.int32(log_id).text(array_of(which, [](object_id id) { return id.value().text(); }));
  auto got = co_await change_index("known_objects", std::move(with), "look up objects");
  if (!got) co_return failure(got.error());
  std::vector<object_id> known;
  for (int row = 0; row < got->row_count(); ++row) known.push_back(object_id(got->uuid(row, 0)));
  co_return known;
}

awaitable<result<metadata::object_totals, log_error>> postgres_metastore::totals() {
  parameters with;
  with.int32(log_id);
  auto got = co_await change_index("totals", std::move(with), "sum up objects");
  if (!got) co_return failure(got.error());
  if (got->row_count() == 0) co_return failure(log_error::refused);
  auto sum = [&](int column) { return metadata::object_totals::sum{std::uint64_t(got->int64(0, column)), std::uint64_t(got->int64(0, column + 1))}; };
  co_return metadata::object_totals{.live = sum(0), .waiting = sum(2), .merged = sum(4), .oldest_waiting = timestamp_ms(got->int64(0, 6))};
}

awaitable<postgres_metastore::ranges_found> postgres_metastore::found_chunk(const char* prepared, parameters with) {
  YAKS_CHECK(is_open_, "a metastore is opened first");
  auto got = co_await indexer_.call(prepared, std::move(with));
  if (!got || !got->is_done()) co_return failure(log_error::unavailable);
  std::vector<metadata::indexed_range> found;
  if (got->row_count() == 0) co_return found;
  auto ranges =
      metadata::decode_ranges(offset(got->int64(0, 0)), metadata::object_number(got->int64(0, 1)), got->bytes(0, 2));
  if (!ranges) {
    spdlog::error("a chunk of the index holds bytes that are none: base offset {}", got->int64(0, 0));
    co_return failure(log_error::refused);
  }
  std::set<metadata::object_number> numbers;
  for (const auto& r : *ranges) numbers.insert(r.object);
  parameters objects;
  objects.int32(log_id).text(array_of(numbers, [](metadata::object_number n) { return std::to_string(n); }));
  got = co_await indexer_.call("find_objects", std::move(objects));
  if (!got || !got->is_done()) co_return failure(log_error::unavailable);
  std::map<metadata::object_number, object_id> ids;
  for (int row = 0; row < got->row_count(); ++row)
    ids[metadata::object_number(got->int64(row, 0))] = object_id(got->uuid(row, 1));
  for (const auto& r : *ranges) {
    auto id = ids.find(r.object);
    if (id == ids.end()) co_return failure(log_error::refused);
    found.push_back({r, id->second});
  }
  co_return found;
}

awaitable<postgres_metastore::ranges_found> postgres_metastore::find(topic_partition where, offset at) {
  parameters with;
  with.int32(log_id).uuid(where.topic.value()).int32(where.partition.value()).int64(at.value());
  return found_chunk("find_chunk", std::move(with));
}

awaitable<result<metadata::oldest_ranges, log_error>> postgres_metastore::find_oldest(std::vector<metadata::index_place> where) {
  auto [places, offsets] = columns_of(where);
  parameters look;
  look.int32(log_id).text(topics_of(places)).text(partitions_of(places)).text(offsets);
  auto got = co_await change_index("chunks_at", std::move(look), "look for the oldest ranges");
  if (!got) co_return failure(got.error());
  metadata::oldest_ranges all;
  all.chunks.resize(where.size());
  std::set<metadata::object_number> numbers;
  for (int row = 0; row < got->row_count(); ++row) {
    auto ranges = chunk_in(*got, row);
    if (!ranges) co_return failure(log_error::refused);
    for (const auto& r : *ranges)
      if (r.max_timestamp < timestamp_ms(0)) numbers.insert(r.object);
    all.chunks[std::size_t(got->int64(row, 0))] = std::move(*ranges);
  }
  if (numbers.empty()) co_return all;
  parameters objects;
  objects.int32(log_id).text(numbers_of(numbers));
  got = co_await change_index("find_objects", std::move(objects), "look up objects");
  if (!got) co_return failure(got.error());
  for (int row = 0; row < got->row_count(); ++row)
    all.untimed[metadata::object_number(got->int64(row, 0))] = object_id(got->uuid(row, 1));
  if (all.untimed.size() < numbers.size()) co_return failure(log_error::refused);
  co_return all;
}

awaitable<postgres_metastore::ranges_found> postgres_metastore::find_time(topic_partition where, offset from,
                                                                          timestamp_ms target) {
  parameters with;
  with.int32(log_id).uuid(where.topic.value()).int32(where.partition.value()).int64(from.value()).int64(target.value());
  return found_chunk("find_time", std::move(with));
}

awaitable<postgres_metastore::ranges_found> postgres_metastore::find_largest_time(topic_partition where, offset from) {
  parameters with;
  with.int32(log_id).uuid(where.topic.value()).int32(where.partition.value()).int64(from.value());
  return found_chunk("find_largest", std::move(with));
}

// ---- the tables for SQL --------------------------------------------------------------------------------------------

namespace {
std::string quoted(std::string_view text) {
  std::string all = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') all += '\\';
    all += c;
  }
  return all + "\"";
}
}  // namespace

awaitable<result<bool, log_error>> postgres_metastore::write(metadata::read_model_write what) {
  YAKS_CHECK(is_open_, "a metastore is opened first");
  using metadata::partition_row;
  using metadata::topic_row;
  auto id_text = [](topic_id id) { return id.value().text(); };
  auto of_topics = [&](auto of) { return array_of(what.topics, [&](const topic_row& t) { return of(t); }); };
  auto of_partitions = [&](auto of) {
    return array_of(what.partitions, [&](const partition_row& p) { return std::to_string(of(p).value()); });
  };
  struct row {
    const std::string* group;
    const metadata::offset_row* offset;
  };
  std::vector<row> rows;
  for (const auto& g : what.groups)
    for (const auto& o : g.offsets) rows.push_back({&g.name, &o});
  auto of_rows = [&](auto of) { return array_of(rows, [&](const row& r) { return of(r); }); };
  parameters with;
  with.int32(log_id)
      .int64(what.as_of.value())
      .text(array_of(what.deleted, id_text))
      .text(of_topics([&](const topic_row& t) { return id_text(t.id); }))
      .text(of_topics([](const topic_row& t) { return quoted(t.name); }))
      .text(of_topics([](const topic_row& t) { return std::to_string(t.created.value()); }))
      .text(of_topics([](const topic_row& t) { return std::to_string(t.partitions); }))
      .text(of_topics([](const topic_row& t) { return quoted(t.configs); }))
      .text(array_of(what.partitions, [&](const partition_row& p) { return id_text(p.where.topic); }))
      .text(of_partitions([](const partition_row& p) { return p.where.partition; }))
      .text(of_partitions([](const partition_row& p) { return p.log_start; }))
      .text(of_partitions([](const partition_row& p) { return p.high_watermark; }))
      .text(array_of(what.partitions, [](const partition_row& p) { return std::to_string(p.bytes); }))
      .text(array_of(what.groups, [](const metadata::group_rows& g) { return quoted(g.name); }))
      .text(of_rows([](const row& r) { return quoted(*r.group); }))
      .text(of_rows([&](const row& r) { return id_text(r.offset->where.topic); }))
      .text(of_rows([](const row& r) { return std::to_string(r.offset->where.partition.value()); }))
      .text(of_rows([](const row& r) { return std::to_string(r.offset->what.committed.value()); }))
      .text(of_rows([](const row& r) { return std::to_string(r.offset->what.leader_epoch); }))
      .text(of_rows([](const row& r) { return quoted(r.offset->what.metadata); }))
      .text(of_rows([](const row& r) { return std::to_string(r.offset->what.committed_at.value()); }));
  auto got = co_await indexer_.call("write_read_model", std::move(with));
  if (!got || !got->is_done()) {
    if (got && got->what != outcome::kind::lost)
      spdlog::error("PostgreSQL cannot take the tables for SQL: {} (SQLSTATE {})", got->message, got->sqlstate);
    co_return failure(log_error::unavailable);
  }
  co_return got->int64(0, 0) == 1;
}

awaitable<result<metadata::read_model::known, log_error>> postgres_metastore::read_known() {
  YAKS_CHECK(is_open_, "a metastore is opened first");
  known all;
  parameters topics, groups;
  topics.int32(log_id);
  auto got = co_await indexer_.call("known_topics", std::move(topics));
  if (!got || !got->is_done()) co_return failure(log_error::unavailable);
  for (int i = 0; i < got->row_count(); ++i) all.topics.insert(topic_id(got->uuid(i, 0)));
  groups.int32(log_id);
  got = co_await indexer_.call("known_groups", std::move(groups));
  if (!got || !got->is_done()) co_return failure(log_error::unavailable);
  for (int i = 0; i < got->row_count(); ++i) all.groups.insert(got->text(i, 0));
  co_return all;
}

// ---- the node id
// -----------------------------------------------------------------------------------------------------

awaitable<std::optional<std::string>> postgres_metastore::try_to_hold() {
  auto session = watcher_.backend_pid();
  if (session != 0 && session == lock_session_pid_) co_return "";
  parameters hold;
  hold.int32(lock_class).int32(node_->value()).text(application_name());
  auto got = co_await watcher_.call("hold", std::move(hold));
  if (!got || !got->is_done()) co_return std::nullopt;
  if (auto taken = got->bytes(0, 1); !taken.empty() && taken[0] != std::byte{0}) {
    lock_session_pid_ = watcher_.backend_pid();
    co_return "";
  }
  parameters who;
  who.int32(lock_class).int64(std::int64_t(std::uint32_t(node_->value())));
  got = co_await watcher_.call("holder", std::move(who));
  if (!got || !got->is_done()) co_return std::nullopt;
  if (got->row_count() == 0) co_return std::nullopt;  // free again by now
  // A session of ours that the server has not missed yet holds it for us.
  if (got->text(0, 0) == application_name()) co_return "";
  co_return fmt::format("\"{}\" from {}, since {}", got->text(0, 0), got->text(0, 1), got->text(0, 2));
}

awaitable<void> postgres_metastore::hold_node_id(node_id id, duration patience) {
  YAKS_CHECK(is_open_ && !node_, "one node id per process, after open");
  node_ = id;
  // The session of an agent that was killed is gone at once as a rule: only a longer wait is worth a word.
  auto due = rt_.now() + patience, silent_until = rt_.now() + std::min<duration>(1s, patience);
  bool has_spoken = false;
  for (;;) {
    auto holder = co_await try_to_hold();
    if (holder && holder->empty()) break;
    if (holder && !has_spoken && rt_.now() >= silent_until && rt_.now() < due) {
      spdlog::info("node id {} (YAKS_NODE_ID) is held by {}: waiting up to {} s for it", id.value(), *holder,
                   std::chrono::ceil<std::chrono::seconds>(due - rt_.now()).count());
      has_spoken = true;
    }
    if (rt_.now() >= due) {
      node_.reset();
      if (!holder)
        throw metastore_error(
            fmt::format("cannot ask PostgreSQL at {} for node id {}", postgres::where(settings_), id.value()));
      throw metastore_error(
          fmt::format("node id {} is held by {}: give this agent another one (YAKS_NODE_ID), or stop that one",
                      id.value(), *holder));
    }
    co_await rt_.sleep_for(100ms);
  }
  is_holding_ = true;
  lock_changed_.notify_all();
  for (auto* session :
       {&appender_, &reader_}) {  // so that people recognise them; they reconnect under this name as well
    parameters name;
    name.text(application_name());
    (void)co_await session->call("rename", std::move(name));
  }
}

// Takes the lock again after the watcher had to reconnect.
awaitable<void> postgres_metastore::keep_node_id() {
  for (;;) {
    while (!is_holding_ || lock_session_pid_ != 0) co_await lock_changed_.wait();
    auto holder = co_await try_to_hold();
    if (holder) {
      bool is_other = !holder->empty();
      if (is_other && !is_held_by_other_)
        spdlog::error("node id {} was lost while PostgreSQL was away, and is held by {} now", node_->value(), *holder);
      is_held_by_other_ = is_other;
    }
    if (lock_session_pid_ == 0) co_await rt_.sleep_for(1s);
  }
}
}  // namespace yaks::metastores
