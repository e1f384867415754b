#include "metastores/sqlite/sqlite_metastore.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <algorithm>
#include <map>

#include "base/check.hpp"
#include "metadata/range_chunk.hpp"
#include "metastores/sqlite/database.hpp"

namespace yaks::metastores {
using metadata::append_id;
using metadata::log_entry;
using metadata::log_error;
using metadata::log_position;
using metadata::log_tail;
using metadata::metastore_error;
using sqlite::database_error;
using sqlite::scoped_reset;

namespace {
// Migration N brings a database from version N-1 to N. Never changed once released: only added to.
constexpr const char* migrations[] = {
    R"(create table head(log_id integer primary key, seq integer not null, time_ms integer not null, incarnation blob not null,
                         number integer not null, trimmed_seq integer not null, trimmed_incarnation blob not null,
                         trimmed_number integer not null);
       create table entries(log_id integer not null, seq integer not null, incarnation blob not null, number integer not null,
                            time_ms integer not null, payload blob not null, primary key (log_id, seq)) without rowid;
       create table cluster(cluster_id text not null);
       insert into head values(0, 0, 0, zeroblob(16), 0, 0, zeroblob(16), 0);)",
    R"(create table snapshots(log_id integer not null, seq integer not null, incarnation blob not null, number integer not null,
                              key text not null, bytes integer not null, digest integer not null, primary key (log_id, seq));)",
    R"(create table objects(number integer primary key, id blob not null, bytes integer not null);
       create table range_chunks(topic_id blob not null, partition integer not null, base_offset integer not null,
                                 end_offset integer not null, range_count integer not null, max_timestamp integer not null,
                                 first_object integer not null, ranges blob not null,
                                 primary key (topic_id, partition, base_offset)) without rowid;
       create table index_ends(topic_id blob not null, partition integer not null, end_offset integer not null,
                               primary key (topic_id, partition)) without rowid;)",
    // Ids are blobs: hex(topic_id) shows one.
    R"(create table read_model(as_of_seq integer not null);
       insert into read_model values(0);
       create table topics(topic_id blob primary key, name text not null, created_at_ms integer not null, partitions integer not null,
                           configs text not null) without rowid;
       create table partitions(topic_id blob not null, partition integer not null, log_start integer not null,
                               high_watermark integer not null, bytes integer not null,
                               primary key (topic_id, partition)) without rowid;
       create table committed_offsets(group_name text not null, topic_id blob not null, partition integer not null,
                                      committed_offset integer not null, leader_epoch integer not null, metadata text not null,
                                      committed_at_ms integer not null,
                                      primary key (group_name, topic_id, partition)) without rowid;
       create view topic_sizes as
         select t.name as topic, t.partitions, coalesce(sum(p.high_watermark - p.log_start), 0) as records,
                coalesce(sum(p.bytes), 0) as bytes
         from topics t left join partitions p on p.topic_id = t.topic_id group by t.topic_id;
       create view group_lag as
         select c.group_name, t.name as topic, c.partition, c.committed_offset, coalesce(p.high_watermark, 0) as high_watermark,
                max(coalesce(p.high_watermark, 0) - c.committed_offset, 0) as lag,
                datetime(c.committed_at_ms / 1000, 'unixepoch') as committed_at
         from committed_offsets c join topics t on t.topic_id = c.topic_id
         left join partitions p on p.topic_id = c.topic_id and p.partition = c.partition;)",
    R"(alter table objects add column ranges integer not null default 0;
       alter table objects add column released integer not null default 0;
       alter table objects add column retired_seq integer;
       alter table objects add column retired_ms integer;
       create index objects_gone on objects(retired_seq) where released = 1 and ranges = 0;
       create index objects_id on objects(id);
       create table upkeep(term integer not null);
       insert into upkeep values(0);)",
    R"(alter table objects add column live_bytes integer not null default 0;
       alter table objects add column merged integer not null default 0;)",
    // The sums of object_totals, kept by whatever changes a row of an object. Its bytes and whether it is merged never change.
    R"(create table object_sums(live_objects integer not null, live_bytes integer not null, waiting_objects integer not null,
                                waiting_bytes integer not null, merged_objects integer not null, merged_bytes integer not null);
       insert into object_sums
         select coalesce(sum(not gone), 0), coalesce(sum(bytes * not gone), 0), coalesce(sum(gone), 0), coalesce(sum(bytes * gone), 0),
                coalesce(sum(merged * not gone), 0), coalesce(sum(bytes * merged * not gone), 0)
         from (select bytes, merged, released = 1 and ranges = 0 as gone from objects);
       create trigger object_comes after insert on objects when not (new.released = 1 and new.ranges = 0) begin
         update object_sums set live_objects = live_objects + 1, live_bytes = live_bytes + new.bytes,
                                merged_objects = merged_objects + new.merged, merged_bytes = merged_bytes + new.bytes * new.merged;
       end;
       create trigger object_comes_gone after insert on objects when new.released = 1 and new.ranges = 0 begin
         update object_sums set waiting_objects = waiting_objects + 1, waiting_bytes = waiting_bytes + new.bytes;
       end;
       create trigger object_goes after update of ranges, released on objects
         when new.released = 1 and new.ranges = 0 and not (old.released = 1 and old.ranges = 0) begin
         update object_sums set live_objects = live_objects - 1, live_bytes = live_bytes - new.bytes,
                                waiting_objects = waiting_objects + 1, waiting_bytes = waiting_bytes + new.bytes,
                                merged_objects = merged_objects - new.merged, merged_bytes = merged_bytes - new.bytes * new.merged;
       end;
       create trigger object_returns after update of ranges, released on objects
         when old.released = 1 and old.ranges = 0 and not (new.released = 1 and new.ranges = 0) begin
         update object_sums set live_objects = live_objects + 1, live_bytes = live_bytes + new.bytes,
                                waiting_objects = waiting_objects - 1, waiting_bytes = waiting_bytes - new.bytes,
                                merged_objects = merged_objects + new.merged, merged_bytes = merged_bytes + new.bytes * new.merged;
       end;
       create trigger object_is_forgotten after delete on objects when old.released = 1 and old.ranges = 0 begin
         update object_sums set waiting_objects = waiting_objects - 1, waiting_bytes = waiting_bytes - old.bytes;
       end;
       create trigger object_is_lost after delete on objects when not (old.released = 1 and old.ranges = 0) begin
         update object_sums set live_objects = live_objects - 1, live_bytes = live_bytes - old.bytes,
                                merged_objects = merged_objects - old.merged, merged_bytes = merged_bytes - old.bytes * old.merged;
       end;)",
};
constexpr std::int64_t schema_version = std::size(migrations);

// Version of the schema with counts of ranges per object, and with their bytes.
constexpr std::int64_t measured_since = 6;

byte_view bytes_of(const incarnation& writer) {
  return writer.value().bytes;
}

append_id id_from(byte_view writer, std::int64_t number) {
  uuid id;
  if (writer.size() == id.bytes.size()) std::ranges::copy(writer, id.bytes.begin());
  return {incarnation(id), std::uint64_t(number)};
}

std::string cannot_use(const std::string& directory, const std::string& why) {
  return fmt::format("cannot use the data directory {} (YAKS_DATA_DIR): {}", directory, why);
}

// The directory's lock. Its file is never removed: a process that waits for it must find the same one.
class directory_lock {
 public:
  explicit directory_lock(const std::string& directory) : path_(directory + "/lock") {
    file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file_ < 0) throw metastore_error(cannot_use(directory, fmt::format("{}: {}", path_, std::strerror(errno))));
  }
  ~directory_lock() { ::close(file_); }
  directory_lock(const directory_lock&) = delete;
  directory_lock& operator=(const directory_lock&) = delete;
  bool try_take() {
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) return false;
    auto who = fmt::format("process {}", ::getpid());
    // Only for the sentence that a second process prints: the lock itself is what counts.
    if (::ftruncate(file_, 0) != 0 || ::pwrite(file_, who.data(), who.size(), 0) < 0)
      spdlog::debug("cannot write {}: {}", path_, std::strerror(errno));
    return true;
  }
  std::string holder() const {
    char text[64] = {};
    auto got = ::pread(file_, text, sizeof text - 1, 0);
    return got > 0 ? std::string(text, std::size_t(got)) : std::string("another process");
  }

 private:
  std::string path_;
  int file_;
};
// As long-lived as a statement that binds it.
struct place {
  explicit place(topic_partition where) : topic(where.topic.value()), partition(where.partition.value()) {}
  uuid topic;
  std::int64_t partition;
  sqlite::statement& bind(sqlite::statement& s) const { return s.bind(1, byte_view(topic.bytes)).bind(2, partition); }
};
uuid uuid_of(byte_view bytes) {
  uuid id;
  if (bytes.size() == id.bytes.size()) std::ranges::copy(bytes, id.bytes.begin());
  return id;
}

// What one transaction does to chunks, and with finish() to the counts of the objects that they name: each object's row is
// written once, however many chunks name it, and not at all where as much came as went.
class chunk_writer {
 public:
  explicit chunk_writer(sqlite::database& db)
      : insert_(db, "insert into range_chunks values(?, ?, ?, ?, ?, ?, ?, ?)"),
        remove_(db, "delete from range_chunks where topic_id = ? and partition = ? and base_offset = ?"),
        count_(db, "update objects set ranges = ranges + ?, live_bytes = live_bytes + ? where number = ?") {}
  struct sum {
    std::int64_t ranges = 0, bytes = 0;
  };
  void count(std::span<const metadata::range> ranges, int by) {
    for (const auto& r : ranges) {
      auto& s = sums_[r.object];
      s.ranges += by;
      s.bytes += by * std::int64_t(r.bytes);
    }
  }
  void insert(const place& at, std::span<const metadata::range> ranges) {
    insert_uncounted(at, ranges);
    count(ranges, 1);
  }
  // Of a chunk that is counted.
  void insert_uncounted(const place& at, std::span<const metadata::range> ranges) {
    auto bytes = metadata::encode_ranges(ranges);
    at.bind(insert_)
        .bind(3, ranges.front().base_offset.value())
        .bind(4, ranges.back().end_offset().value())
        .bind(5, std::int64_t(ranges.size()))
        .bind(6, std::ranges::max(ranges, {}, &metadata::range::max_timestamp).max_timestamp.value())
        .bind(7, std::int64_t(ranges.front().object))
        .bind(8, as_bytes(bytes))
        .run();
  }
  void remove(const place& at, std::span<const metadata::range> ranges) {
    at.bind(remove_).bind(3, ranges.front().base_offset.value()).run();
    count(ranges, -1);
  }
  // What came or went of an object so far; it is not written by finish() then.
  sum take(metadata::object_number number) {
    auto found = sums_.extract(number);
    return found ? found.mapped() : sum{};
  }
  void finish() {
    for (const auto& [number, s] : sums_)
      if (s.ranges != 0 || s.bytes != 0) count_.bind(1, s.ranges).bind(2, s.bytes).bind(3, std::int64_t(number)).run();
    sums_.clear();
  }

 private:
  sqlite::statement insert_, remove_, count_;
  std::map<metadata::object_number, sum> sums_;
};
}  // namespace

struct sqlite_metastore::call {  // shared by the caller that waits and the worker; either may go first
  bool is_append = false;
  log_position applied;
  append_id id;
  shared_bytes payload;
  std::function<void(storage&)> job;  // instead of all that
  std::optional<answer> outcome;
  event answered;
};

// Everything here runs where blocking is allowed, one call at a time; the executor looks at it only between the calls.
struct sqlite_metastore::storage {
  storage(const std::string& directory, std::unique_ptr<directory_lock> held)
      : lock(std::move(held)), path(directory + "/metadata.db"), db(path) {}

  std::unique_ptr<directory_lock> lock;
  std::string path;
  sqlite::database db;
  log_position head, trimmed;
  timestamp_ms time{0};
  std::string failure;     // the last one, for the log; "" where none
  bool is_broken = false;  // see the header
  struct statements {
    explicit statements(sqlite::database& db)
        : begin(db, "begin immediate"),
          commit(db, "commit"),
          rollback(db, "rollback"),
          insert(db,
                 "insert into entries(log_id, seq, incarnation, number, time_ms, payload) values(0, ?, ?, ?, ?, ?)"),
          update(db, "update head set seq = ?, time_ms = ?, incarnation = ?, number = ? where log_id = 0"),
          read(db,
               "select seq, incarnation, number, time_ms, payload from entries where log_id = 0 and seq > ? order by "
               "seq"),
          at(db, "select incarnation, number from entries where log_id = 0 and seq = ?") {}
    sqlite::statement begin, commit, rollback, insert, update, read, at;
  };
  std::optional<statements> prepared;  // after the migrations

  std::string migrate(const std::string& new_cluster_id) {
    db.execute("begin immediate");
    db.execute("create table if not exists schema_version(version integer not null)");
    std::int64_t version = 0;
    {
      sqlite::statement read(db, "select version from schema_version");
      if (read.step()) version = read.integer(0);
    }
    if (version > schema_version)
      throw metastore_error(
          fmt::format("{} was written by a newer yaks (schema version {}, this one knows {}): start the newer yaks, or "
                      "choose another "
                      "directory with YAKS_DATA_DIR",
                      path, version, schema_version));
    for (auto next = version; next < schema_version; ++next) {
      db.execute(migrations[next]);
      if (next + 1 == measured_since && version > 0) count_all();
    }
    if (version == 0) {
      db.execute("insert into schema_version values(0)");
      sqlite::statement(db, "insert into cluster values(?)").bind_text(1, new_cluster_id).run();
    }
    if (version < schema_version)
      sqlite::statement(db, "update schema_version set version = ?").bind(1, schema_version).run();
    db.execute("commit");
    prepared.emplace(db);
    load_head();
    sqlite::statement read(db, "select cluster_id from cluster");
    return read.step() ? read.text(0) : "";
  }

  // What there was before ranges were counted and measured.
  void count_all() {
    db.execute("update objects set ranges = 0");
    chunk_writer counts(db);
    sqlite::statement read(db, "select base_offset, first_object, ranges from range_chunks");
    while (read.step())
      if (auto ranges = metadata::decode_ranges(offset(read.integer(0)), metadata::object_number(read.integer(1)), read.bytes(2)))
        counts.count(*ranges, 1);
    counts.finish();
  }

  void load_head() {
    sqlite::statement read(db,
                           "select seq, time_ms, incarnation, number, trimmed_seq, trimmed_incarnation, trimmed_number "
                           "from head where log_id = 0");
    if (!read.step()) throw database_error(SQLITE_CORRUPT, "the row of the log's head is missing");
    head = {log_sequence(read.integer(0)), id_from(read.bytes(2), read.integer(3))};
    time = timestamp_ms(read.integer(1));
    trimmed = {log_sequence(read.integer(4)), id_from(read.bytes(5), read.integer(6))};
  }

  // What is wrong with a reader that stands at `position`, if anything is.
  std::optional<log_error> problem_of(log_position position) {
    bool same;
    if (position.sequence == head.sequence) {
      same = position.id == head.id;
    } else if (position.sequence < trimmed.sequence) {
      return log_error::trimmed;
    } else if (position.sequence == trimmed.sequence) {
      same = position.id == trimmed.id;
    } else if (position.sequence > head.sequence) {
      same = false;
    } else {
      scoped_reset end{prepared->at};
      prepared->at.bind(1, position.sequence.value());
      same = prepared->at.step() && id_from(prepared->at.bytes(0), prepared->at.integer(1)) == position.id;
    }
    if (same) return std::nullopt;
    return log_error::diverged;
  }

  // From the disk, up to the limit. One buffer holds all payloads.
  std::vector<log_entry> read_after(log_sequence after) {
    std::vector<log_entry> entries;
    std::size_t bytes = 0;
    scoped_reset end{prepared->read};
    prepared->read.bind(1, after.value());
    while (prepared->read.step()) {
      auto payload = prepared->read.bytes(4);
      bytes += payload.size();
      if (bytes > metadata::tail_bytes_max && !entries.empty()) break;
      entries.push_back({.sequence = log_sequence(prepared->read.integer(0)),
                         .id = id_from(prepared->read.bytes(1), prepared->read.integer(2)),
                         .time = timestamp_ms(prepared->read.integer(3)),
                         .payload = shared_bytes::copy_of(payload)});
    }
    return entries;
  }

  // Answers every call, in order. Appends are one transaction.
  void serve(std::span<const std::shared_ptr<call>> calls, timestamp_ms wall_clock) {
    std::vector<log_entry> added;
    std::vector<call*> appending;
    bool begun = false;  // the commit, which may succeed although it fails here
    try {
      if (is_broken) throw database_error(SQLITE_IOERR_FSYNC, "writing failed before");
      timestamp_ms now = std::max(time, wall_clock);
      for (auto& c : calls) {
        if (auto problem = problem_of(c->applied)) {
          c->outcome = yaks::failure(*problem);
          continue;
        }
        if (!c->is_append) continue;
        appending.push_back(c.get());
        added.push_back({.sequence = head.sequence + std::int64_t(appending.size()),
                         .id = c->id,
                         .time = now,
                         .payload = c->payload});
      }
      if (!added.empty()) {
        prepared->begin.run();
        for (auto& e : added)
          prepared->insert.bind(1, e.sequence.value())
              .bind(2, bytes_of(e.id.writer))
              .bind(3, std::int64_t(e.id.number))
              .bind(4, e.time.value())
              .bind(5, e.payload.view())
              .run();
        auto& last = added.back();
        prepared->update.bind(1, last.sequence.value())
            .bind(2, last.time.value())
            .bind(3, bytes_of(last.id.writer))
            .bind(4, std::int64_t(last.id.number))
            .run();
        begun = true;
        prepared->commit.run();
        head = {last.sequence, last.id};
        time = last.time;
      }
      auto first_added = head.sequence - std::int64_t(added.size()) + 1;
      for (auto& c : calls) {
        if (c->outcome) continue;
        log_tail tail{.entries = {}, .head = head.sequence, .now = std::max(time, wall_clock)};
        if (c->applied.sequence + 1 >= first_added) {  // all that is new is at hand
          std::size_t bytes = 0;
          for (auto i = std::size_t(c->applied.sequence + 1 - first_added); i < added.size(); ++i) {
            bytes += added[i].payload.size();
            if (bytes > metadata::tail_bytes_max && !tail.entries.empty()) break;
            tail.entries.push_back(added[i]);
          }
        } else {
          tail.entries = read_after(c->applied.sequence);
        }
        c->outcome = std::move(tail);
      }
      failure.clear();
    } catch (const database_error& error) {
      failure = error.is_full() ? fmt::format("no space left for {}: make room, yaks goes on by itself", path)
                                : fmt::format("{}: {} (SQLite code {})", path, error.what(), error.code);
      if (error.is_lost_write() && !is_broken) {
        is_broken = true;
        failure += "; nothing more is written: check the disk, then start yaks again";
      }
      for (auto& c : calls)
        if (!c->outcome)
          c->outcome = yaks::failure(c->is_append && begun ? log_error::unknown
                                     : is_broken           ? log_error::refused
                                                           : log_error::unavailable);
      recover();
    }
  }

  // One transaction, with the head read again after it.
  void do_job(call& c) {
    try {
      if (is_broken) throw database_error(SQLITE_IOERR_FSYNC, "writing failed before");
      prepared->begin.run();
      c.job(*this);
      prepared->commit.run();
      load_head();
      c.outcome = log_tail{};
      try {
        give_back();
      } catch (const database_error&) {  // what was asked for is done; there is a next time
      }
    } catch (const database_error& error) {
      failure = fmt::format("{}: {} (SQLite code {})", path, error.what(), error.code);
      if (error.is_lost_write()) is_broken = true;
      c.outcome = yaks::failure(log_error::unavailable);
      recover();
    }
  }

  // Free pages beyond a tenth of the file go back to the file system, at most 4 MiB at a time: the file does not stay as large as
  // it ever was, and what comes and goes all the time is not moved about.
  void give_back() {
    auto number = [&](const char* pragma) {
      sqlite::statement read(db, pragma);
      return read.step() ? read.integer(0) : 0;
    };
    auto free = number("pragma freelist_count"), all = number("pragma page_count");
    constexpr std::int64_t pages_at_once = 1024, pages_kept = 256;
    if (free < all / 10 + pages_kept) return;
    db.execute(fmt::format("pragma incremental_vacuum({})", std::min(pages_at_once, free - all / 10)).c_str());
  }

  // A file from before pages could be given back is written anew, once; it must not have grown so large that starting takes long.
  void make_vacuumable() {
    sqlite::statement read(db, "pragma auto_vacuum");
    if (!read.step() || read.integer(0) == 2) return;
    read.reset();
    sqlite::statement pages(db, "pragma page_count");
    bool is_small = pages.step() && pages.integer(0) < (1 << 16);
    pages.reset();
    if (!is_small) return;
    db.execute("pragma auto_vacuum = incremental");
    db.execute("vacuum");
  }

  void recover() {
    try {
      if (db.in_transaction()) prepared->rollback.run();
      load_head();
    } catch (const database_error& error) {
      is_broken = true;
      failure += fmt::format("; reading it again failed too ({}): start yaks again", error.what());
    }
  }
};

sqlite_metastore::sqlite_metastore(runtime& rt, metrics::registry& metrics, sqlite_settings settings)
    : rt_(rt), settings_(std::move(settings)), metrics_(metrics), tasks_(rt.executor()) {}

sqlite_metastore::~sqlite_metastore() = default;

std::string sqlite_metastore::description() const {
  return "SQLite file " + settings_.directory + "/metadata.db";
}

void sqlite_metastore::take_over() {
  head_ = storage_->head;
  time_ = storage_->time;
}

awaitable<void> sqlite_metastore::open() {
  auto high = rt_.random(), low = rt_.random();
  auto new_cluster_id = uuid::v4(high, low).kafka_text();
  std::unique_ptr<directory_lock> lock;
  co_await rt_.run_blocking([&] {
    std::error_code failed;
    std::filesystem::create_directories(settings_.directory, failed);
    if (failed) throw metastore_error(cannot_use(settings_.directory, failed.message()));
    lock = std::make_unique<directory_lock>(settings_.directory);
  });
  auto due = rt_.now() + settings_.lock_patience, silent_until = rt_.now() + std::min<duration>(1s, settings_.lock_patience);
  bool has_spoken = false;
  while (!lock->try_take()) {
    if (!has_spoken && rt_.now() >= silent_until && rt_.now() < due) {
      spdlog::info("the data directory {} is in use by {}: waiting up to {} s for it", settings_.directory, lock->holder(),
                   std::chrono::ceil<std::chrono::seconds>(due - rt_.now()).count());
      has_spoken = true;
    }
    if (rt_.now() >= due)
      throw metastore_error(fmt::format(
          "the data directory {} is in use by {}: stop it, or give this one a directory of its own (YAKS_DATA_DIR)",
          settings_.directory, lock->holder()));
    co_await rt_.sleep_for(50ms);
  }
  auto work_here = [&] {
    try {
      storage_ = std::make_unique<storage>(settings_.directory, std::move(lock));
      storage_->make_vacuumable();
      cluster_id_ = storage_->migrate(new_cluster_id);
      if (settings_.pages_max > 0)
        storage_->db.execute(fmt::format("pragma max_page_count = {}", settings_.pages_max).c_str());
    } catch (const database_error& error) {
      storage_.reset();
      throw metastore_error(fmt::format("cannot open {}/metadata.db: {}{}", settings_.directory, error.what(),
                                        error.is_full() ? " (no space left)" : ""));
    } catch (...) {
      storage_.reset();
      throw;
    }
  };
  co_await rt_.run_blocking(work_here);
  take_over();
  tasks_.spawn(work());
}

awaitable<void> sqlite_metastore::hold_node_id(node_id id, duration) {
  YAKS_CHECK(storage_, "a metastore is opened first");
  held_ = {id};
  co_return;
}

awaitable<sqlite_metastore::answer> sqlite_metastore::append(log_position applied, append_id id, shared_bytes payload) {
  YAKS_CHECK(storage_, "a metastore is opened first");
  if (payload.size() > metadata::entry_bytes_max) co_return failure(log_error::refused);
  auto mine = std::make_shared<call>();
  mine->is_append = true;
  mine->applied = applied;
  mine->id = id;
  mine->payload = std::move(payload);
  auto begun = rt_.now();
  auto got = co_await answer_of(mine);
  metrics_.count(operation::append, rt_.now() - begun, got ? std::nullopt : std::optional(got.error()));
  co_return got;
}

awaitable<sqlite_metastore::answer> sqlite_metastore::read_after(log_position applied) {
  YAKS_CHECK(storage_, "a metastore is opened first");
  auto begun = rt_.now();
  if (applied == head_) {
    metrics_.count(operation::read, {}, {});
    co_return log_tail{.entries = {}, .head = head_.sequence, .now = std::max(time_, rt_.wall_clock())};
  }
  auto mine = std::make_shared<call>();
  mine->applied = applied;
  auto got = co_await answer_of(mine);
  metrics_.count(operation::read, rt_.now() - begun, got ? std::nullopt : std::optional(got.error()));
  co_return got;
}

awaitable<sqlite_metastore::answer> sqlite_metastore::answer_of(std::shared_ptr<call> mine) {
  waiting_.push_back(mine);
  waiting_changed_.notify_all();
  while (!mine->outcome) co_await mine->answered.wait();
  co_return std::move(*mine->outcome);
}

awaitable<void> sqlite_metastore::work() {
  for (;;) {
    while (waiting_.empty()) co_await waiting_changed_.wait();
    std::vector<std::shared_ptr<call>> calls;
    while (!waiting_.empty() && calls.size() < settings_.calls_max) {
      calls.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    auto wall_clock = rt_.wall_clock();
    std::vector<std::shared_ptr<call>> jobs;
    std::erase_if(calls, [&](auto& c) {
      if (!c->job) return false;
      jobs.push_back(c);
      return true;
    });
    auto serve = [&] {
      if (!calls.empty()) storage_->serve(calls, wall_clock);
      for (auto& j : jobs) storage_->do_job(*j);
    };
    co_await rt_.run_blocking(serve);
    take_over();
    // A full disk fails every call until there is room: said once in a while, not several times a second.
    if (auto& failure = storage_->failure; !failure.empty() && (failure != said_ || rt_.now() - said_at_ >= 5s)) {
      spdlog::error("{}", failure);
      said_ = failure, said_at_ = rt_.now();
    }
    for (auto& c : calls) c->answered.notify_all();
    for (auto& j : jobs) j->answered.notify_all();
  }
}

awaitable<bool> sqlite_metastore::run_job(std::function<void(storage&)> job) {
  YAKS_CHECK(storage_, "a metastore is opened first");
  auto mine = std::make_shared<call>();
  mine->job = std::move(job);
  auto done = co_await answer_of(mine);
  co_return done.has_value();
}

awaitable<result<std::vector<metadata::snapshot_record>, log_error>> sqlite_metastore::snapshots() {
  // Shared with the job, which outlives this frame when the caller is cancelled.
  auto all = std::make_shared<std::vector<metadata::snapshot_record>>();
  auto done = co_await run_job([all](storage& s) {
    sqlite::statement read(s.db, "select seq, incarnation, number, key, bytes, digest from snapshots order by seq desc limit 2");
    while (read.step())
      all->push_back({.at = {log_sequence(read.integer(0)), id_from(read.bytes(1), read.integer(2))},
                      .key = read.text(3),
                      .bytes = std::uint64_t(read.integer(4)),
                      .digest = std::uint64_t(read.integer(5))});
  });
  if (!done) co_return failure(log_error::unavailable);
  co_return std::move(*all);
}

awaitable<result<std::vector<std::string>, log_error>> sqlite_metastore::add_snapshot(metadata::snapshot_record made) {
  auto dropped = std::make_shared<std::vector<std::string>>();
  auto done = co_await run_job([dropped, made](storage& s) {
    {
      sqlite::statement newer(s.db, "select key from snapshots where seq >= ?");
      newer.bind(1, made.at.sequence.value());
      if (newer.step()) {
        if (newer.text(0) != made.key) dropped->push_back(made.key);
        return;
      }
    }
    sqlite::statement(s.db, "insert into snapshots(log_id, seq, incarnation, number, key, bytes, digest) values(0, ?, ?, ?, ?, ?, ?)")
        .bind(1, made.at.sequence.value())
        .bind(2, bytes_of(made.at.id.writer))
        .bind(3, std::int64_t(made.at.id.number))
        .bind_text(4, made.key)
        .bind(5, std::int64_t(made.bytes))
        .bind(6, std::int64_t(made.digest))
        .run();
    std::int64_t older = 0;
    {
      sqlite::statement second(s.db, "select seq from snapshots order by seq desc limit 1 offset 1");
      if (!second.step()) return;
      older = second.integer(0);
    }
    {
      sqlite::statement old(s.db, "select key from snapshots where seq < ?");
      old.bind(1, older);
      while (old.step()) dropped->push_back(old.text(0));
    }
    sqlite::statement(s.db, "delete from snapshots where seq < ?").bind(1, older).run();
    sqlite::statement(s.db, "delete from entries where log_id = 0 and seq <= ?").bind(1, older).run();
    sqlite::statement(s.db, "update head set trimmed_seq = s.seq, trimmed_incarnation = s.incarnation, trimmed_number = s.number "
                            "from (select seq, incarnation, number from snapshots where seq = ?1) s where trimmed_seq < ?1")
        .bind(1, older)
        .run();
  });
  if (!done) co_return failure(log_error::unavailable);
  co_return std::move(*dropped);
}

// ---- the index -----------------------------------------------------------------------------------------------------

awaitable<result<void, log_error>> sqlite_metastore::change_index(std::uint64_t term, std::function<void(storage&)> job) {
  auto is_over = std::make_shared<bool>(false);
  auto done = co_await run_job([is_over, term, job = std::move(job)](storage& s) {
    sqlite::statement read(s.db, "select term from upkeep");
    auto known = read.step() ? std::uint64_t(read.integer(0)) : 0;
    read.reset();
    *is_over = known > term;
    if (*is_over) return;
    if (known < term) sqlite::statement(s.db, "update upkeep set term = ?").bind(1, std::int64_t(term)).run();
    job(s);
  });
  if (!done) co_return failure(log_error::unavailable);
  if (*is_over) co_return failure(log_error::old_term);
  co_return result<void, log_error>{};
}

awaitable<result<void, log_error>> sqlite_metastore::begin_term(std::uint64_t term) {
  return change_index(term, [](storage&) {});
}

awaitable<result<std::vector<std::pair<topic_partition, offset>>, log_error>> sqlite_metastore::add(std::uint64_t term,
                                                                                                    metadata::index_write what) {
  auto ends = std::make_shared<std::map<topic_partition, offset>>();
  auto shared = std::make_shared<metadata::index_write>(std::move(what));
  auto done = co_await change_index(term, [ends, shared](storage& s) {
    chunk_writer chunks(s.db);
    sqlite::statement end(s.db, "select end_offset from index_ends where topic_id = ? and partition = ?"),
        set_end(s.db, "insert or replace into index_ends values(?, ?, ?)");
    for (const auto& c : shared->chunks) {
      place at(c.where);
      auto base = c.ranges.front().base_offset;
      offset known = base;
      {
        sqlite::scoped_reset again{end};
        if (at.bind(end).step()) known = offset(end.integer(0));
      }
      if (known == base) {
        chunks.insert(at, c.ranges);
        known = c.ranges.back().end_offset();
        at.bind(set_end).bind(3, known.value()).run();
      }
      (*ends)[c.where] = known;
    }
    sqlite::statement object(s.db, "insert into objects(number, id, bytes, ranges, live_bytes) values(?, ?, ?, ?4, ?5) "
                                   "on conflict(number) do update set ranges = ranges + ?4, live_bytes = live_bytes + ?5");
    for (const auto& o : shared->objects) {
      auto held = chunks.take(o.number);
      object.bind(1, std::int64_t(o.number))
          .bind(2, byte_view(o.id.value().bytes))
          .bind(3, std::int64_t(o.bytes))
          .bind(4, held.ranges)
          .bind(5, held.bytes)
          .run();
    }
    chunks.finish();
  });
  if (!done) co_return failure(done.error());
  co_return std::vector<std::pair<topic_partition, offset>>(ends->begin(), ends->end());
}

awaitable<result<void, log_error>> sqlite_metastore::trim(std::uint64_t term, std::vector<metadata::index_place> to) {
  auto is_refused = std::make_shared<bool>(false);
  auto done = co_await change_index(term, [is_refused, all = std::move(to)](storage& s) {
    chunk_writer chunks(s.db);
    std::vector<std::vector<metadata::range>> rests(all.size());  // all or nothing
    sqlite::statement look(s.db, "select base_offset, first_object, ranges from range_chunks where topic_id = ? and partition = ? "
                                 "and base_offset < ? order by base_offset");
    for (std::size_t i = 0; i < all.size(); ++i) {
      auto [where, end] = all[i];
      place at(where);
      sqlite::scoped_reset again{look};
      at.bind(look).bind(3, end.value());
      while (look.step()) {
        auto ranges = metadata::decode_ranges(offset(look.integer(0)), metadata::object_number(look.integer(1)), look.bytes(2));
        *is_refused = !ranges || !rests[i].empty();
        if (*is_refused) return;
        auto stays = std::ranges::lower_bound(*ranges, end, {}, &metadata::range::base_offset);
        *is_refused = std::prev(stays)->end_offset() > end;
        if (*is_refused) return;
        chunks.count(std::span(ranges->begin(), stays), -1);
        rests[i].assign(stays, ranges->end());
      }
    }
    sqlite::statement gone(s.db, "delete from range_chunks where topic_id = ? and partition = ? and base_offset < ?"),
        move_end(s.db, "insert into index_ends values(?, ?, ?3) on conflict do update set end_offset = ?3 where end_offset < ?3");
    for (std::size_t i = 0; i < all.size(); ++i) {
      place at(all[i].where);
      at.bind(gone).bind(3, all[i].at.value()).run();
      if (!rests[i].empty()) chunks.insert_uncounted(at, rests[i]);
      at.bind(move_end).bind(3, all[i].at.value()).run();
    }
    chunks.finish();
  });
  if (!done) co_return failure(done.error());
  if (*is_refused) {
    spdlog::error("a trim of the index in {}/metadata.db names a place inside a range, or a chunk is damaged", settings_.directory);
    co_return failure(log_error::refused);
  }
  co_return result<void, log_error>{};
}

awaitable<result<bool, log_error>> sqlite_metastore::drop(std::uint64_t term, topic_id topic, std::size_t chunks_max) {
  auto all = std::make_shared<bool>(false);
  auto is_refused = std::make_shared<bool>(false);
  auto done = co_await change_index(term, [all, is_refused, topic, chunks_max](storage& s) {
    auto id = topic.value();
    chunk_writer chunks(s.db);
    std::vector<std::pair<place, std::vector<metadata::range>>> some;
    {
      sqlite::statement read(s.db, "select partition, base_offset, first_object, ranges from range_chunks where topic_id = ? limit ?");
      read.bind(1, byte_view(id.bytes)).bind(2, std::int64_t(chunks_max));
      while (read.step()) {
        auto ranges = metadata::decode_ranges(offset(read.integer(1)), metadata::object_number(read.integer(2)), read.bytes(3));
        *is_refused = !ranges;
        if (*is_refused) return;
        some.emplace_back(place({topic, partition_index(std::int32_t(read.integer(0)))}), std::move(*ranges));
      }
    }
    for (const auto& [at, ranges] : some) chunks.remove(at, ranges);
    chunks.finish();
    *all = some.size() < chunks_max;
    if (*all) sqlite::statement(s.db, "delete from index_ends where topic_id = ?").bind(1, byte_view(id.bytes)).run();
  });
  if (!done) co_return failure(done.error());
  if (*is_refused) {
    spdlog::error("a chunk of the index in {}/metadata.db is damaged", settings_.directory);
    co_return failure(log_error::refused);
  }
  co_return *all;
}

awaitable<result<void, log_error>> sqlite_metastore::replace(std::uint64_t term, metadata::indexed_object into,
                                                             std::vector<metadata::moved_ranges> parts) {
  auto is_refused = std::make_shared<bool>(false);
  auto done = co_await change_index(term, [is_refused, into, parts = std::move(parts)](storage& s) {
    {
      sqlite::statement known(s.db, "select 1 from objects where number = ?");
      known.bind(1, std::int64_t(into.number));
      if (known.step()) return;
    }
    struct change {
      place at;
      std::vector<std::vector<metadata::range>> go, come;
    };
    std::vector<change> changes;  // all or nothing
    for (const auto& part : parts) {
      change c{place(part.where), {}, {}};
      sqlite::statement read(s.db, "select base_offset, first_object, ranges from range_chunks where topic_id = ? and partition = ? "
                                   "and base_offset < ? and end_offset > ? order by base_offset");
      c.at.bind(read).bind(3, part.to.value()).bind(4, part.from.value());
      while (read.step()) {
        auto ranges = metadata::decode_ranges(offset(read.integer(0)), metadata::object_number(read.integer(1)), read.bytes(2));
        if (ranges) c.go.push_back(std::move(*ranges));
      }
      auto come = metadata::merged_chunks(c.go, part.from, part.to, into.number, part.position, part.bytes);
      if (!come) {
        *is_refused = true;
        return;
      }
      c.come = std::move(*come);
      changes.push_back(std::move(c));
    }
    sqlite::statement(s.db, "insert into objects(number, id, bytes, merged) values(?, ?, ?, 1)")
        .bind(1, std::int64_t(into.number))
        .bind(2, byte_view(into.id.value().bytes))
        .bind(3, std::int64_t(into.bytes))
        .run();
    chunk_writer chunks(s.db);
    for (const auto& c : changes) {
      for (const auto& chunk : c.go) chunks.remove(c.at, chunk);
      for (const auto& chunk : c.come) chunks.insert(c.at, chunk);
    }
    chunks.finish();
  });
  if (!done) co_return failure(done.error());
  if (*is_refused) {
    spdlog::error("a merge names ranges that the index in {}/metadata.db does not hold", settings_.directory);
    co_return failure(log_error::refused);
  }
  co_return result<void, log_error>{};
}

awaitable<result<metadata::index_page, log_error>> sqlite_metastore::read(topic_partition where, offset from, std::size_t chunks_max) {
  auto page = std::make_shared<metadata::index_page>();
  auto is_broken = std::make_shared<bool>(false);
  auto done = co_await run_job([page, is_broken, where = place(where), from, chunks_max](storage& s) {
    sqlite::statement look(s.db, "select base_offset, first_object, ranges from range_chunks where topic_id = ? and partition = ? "
                                 "and end_offset > ? order by base_offset limit ?");
    where.bind(look).bind(3, from.value()).bind(4, std::int64_t(chunks_max));
    sqlite::statement object(s.db, "select id, bytes, live_bytes, released, merged from objects where number = ?");
    while (look.step()) {
      auto ranges = metadata::decode_ranges(offset(look.integer(0)), metadata::object_number(look.integer(1)), look.bytes(2));
      *is_broken |= !ranges;
      if (!ranges) return;
      for (const auto& r : *ranges) {
        if (page->objects.contains(r.object)) continue;
        sqlite::scoped_reset again{object};
        object.bind(1, std::int64_t(r.object));
        if (!object.step()) continue;
        page->objects[r.object] = {{r.object, object_id(uuid_of(object.bytes(0))), std::uint64_t(object.integer(1))},
                                   std::uint64_t(std::max<std::int64_t>(object.integer(2), 0)), object.integer(3) == 1, object.integer(4) == 1};
      }
      page->chunks.push_back(std::move(*ranges));
    }
  });
  if (!done) co_return failure(log_error::unavailable);
  if (*is_broken) {
    spdlog::error("a chunk of the index in {}/metadata.db is damaged", settings_.directory);
    co_return failure(log_error::refused);
  }
  co_return std::move(*page);
}

awaitable<result<void, log_error>> sqlite_metastore::release(std::uint64_t term, std::vector<metadata::indexed_object> objects) {
  return change_index(term, [objects = std::move(objects)](storage& s) {
    sqlite::statement row(s.db, "insert into objects(number, id, bytes, released) values(?, ?, ?, 1) on conflict do update set released = 1");
    for (const auto& o : objects)
      row.bind(1, std::int64_t(o.number)).bind(2, byte_view(o.id.value().bytes)).bind(3, std::int64_t(o.bytes)).run();
  });
}

awaitable<result<std::uint64_t, log_error>> sqlite_metastore::retire(std::uint64_t term, log_sequence at, timestamp_ms time) {
  auto n = std::make_shared<std::uint64_t>(0);
  auto done = co_await change_index(term, [n, at, time](storage& s) {
    sqlite::statement(s.db, "update objects set retired_seq = ?, retired_ms = ? where released = 1 and ranges = 0 and retired_seq is null")
        .bind(1, at.value())
        .bind(2, time.value())
        .run();
    *n = std::uint64_t(sqlite3_changes(s.db.handle()));
  });
  if (!done) co_return failure(done.error());
  co_return *n;
}

awaitable<result<std::vector<metadata::indexed_object>, log_error>> sqlite_metastore::retired(log_sequence at, timestamp_ms time,
                                                                                              std::size_t most) {
  auto all = std::make_shared<std::vector<metadata::indexed_object>>();
  auto done = co_await run_job([all, at, time, most](storage& s) {
    sqlite::statement read(s.db, "select number, id, bytes from objects where released = 1 and ranges = 0 and retired_seq <= ? "
                                 "and retired_ms < ? order by retired_seq limit ?");
    read.bind(1, at.value()).bind(2, time.value()).bind(3, std::int64_t(most));
    while (read.step())
      all->push_back({metadata::object_number(read.integer(0)), object_id(uuid_of(read.bytes(1))), std::uint64_t(read.integer(2))});
  });
  if (!done) co_return failure(log_error::unavailable);
  co_return std::move(*all);
}

awaitable<result<void, log_error>> sqlite_metastore::forget(std::uint64_t term, std::vector<metadata::object_number> objects) {
  return change_index(term, [objects = std::move(objects)](storage& s) {
    sqlite::statement row(s.db, "delete from objects where number = ? and released = 1 and ranges = 0 and retired_seq is not null");
    for (auto number : objects) row.bind(1, std::int64_t(number)).run();
  });
}

awaitable<result<std::vector<object_id>, log_error>> sqlite_metastore::known_objects(std::vector<object_id> which) {
  auto found = std::make_shared<std::vector<object_id>>();
  auto done = co_await run_job([found, which = std::move(which)](storage& s) {
    sqlite::statement read(s.db, "select 1 from objects where id = ?");
    for (auto id : which) {
      sqlite::scoped_reset again{read};
      read.bind(1, byte_view(id.value().bytes));
      if (read.step()) found->push_back(id);
    }
  });
  if (!done) co_return failure(log_error::unavailable);
  co_return std::move(*found);
}

awaitable<result<metadata::object_totals, log_error>> sqlite_metastore::totals() {
  auto all = std::make_shared<metadata::object_totals>();
  auto done = co_await run_job([all](storage& s) {
    sqlite::statement read(s.db, "select live_objects, live_bytes, waiting_objects, waiting_bytes, merged_objects, merged_bytes from object_sums");
    if (!read.step()) throw database_error(SQLITE_CORRUPT, "the sums of objects are missing");
    auto sum = [&](int column) { return metadata::object_totals::sum{std::uint64_t(read.integer(column)), std::uint64_t(read.integer(column + 1))}; };
    all->live = sum(0);
    all->waiting = sum(2);
    all->merged = sum(4);
    sqlite::statement oldest(s.db, "select retired_ms from objects where released = 1 and ranges = 0 and retired_seq is not null "
                                   "order by retired_seq limit 1");
    if (oldest.step()) all->oldest_waiting = timestamp_ms(oldest.integer(0));
  });
  if (!done) co_return failure(log_error::unavailable);
  co_return *all;
}

awaitable<sqlite_metastore::ranges_found> sqlite_metastore::found_chunk(
    std::function<void(storage&, std::function<void(std::int64_t, std::int64_t, byte_view)>)> look) {
  struct answers {
    std::vector<metadata::indexed_range> found;
    bool is_broken = false;
  };
  auto all = std::make_shared<answers>();
  auto done = co_await run_job([all, look = std::move(look)](storage& s) {
    look(s, [&](std::int64_t base, std::int64_t first_object, byte_view bytes) {
      auto ranges = metadata::decode_ranges(offset(base), metadata::object_number(first_object), bytes);
      if (!ranges) {
        all->is_broken = true;
        return;
      }
      sqlite::statement object(s.db, "select id from objects where number = ?");
      for (const auto& r : *ranges) {
        sqlite::scoped_reset again{object};
        object.bind(1, std::int64_t(r.object));
        if (!object.step()) all->is_broken = true;
        else all->found.push_back({r, object_id(uuid_of(object.bytes(0)))});
      }
    });
  });
  if (!done) co_return failure(log_error::unavailable);
  if (all->is_broken) {
    spdlog::error("a chunk of the index in {}/metadata.db is damaged", settings_.directory);
    co_return failure(log_error::refused);
  }
  co_return std::move(all->found);
}

awaitable<sqlite_metastore::ranges_found> sqlite_metastore::find(topic_partition where, offset at) {
  return found_chunk([where = place(where), at](storage& s, auto take) {
    sqlite::statement look(s.db, "select base_offset, first_object, ranges from range_chunks where topic_id = ? and partition = ? "
                                 "and base_offset <= ?3 and end_offset > ?3 order by base_offset desc limit 1");
    where.bind(look).bind(3, at.value());
    if (look.step()) take(look.integer(0), look.integer(1), look.bytes(2));
  });
}

awaitable<result<metadata::oldest_ranges, log_error>> sqlite_metastore::find_oldest(std::vector<metadata::index_place> where) {
  struct answers {
    metadata::oldest_ranges found;
    bool is_broken = false;
  };
  auto all = std::make_shared<answers>();
  auto done = co_await run_job([all, where = std::move(where)](storage& s) {
    sqlite::statement look(s.db, "select base_offset, first_object, ranges from range_chunks where topic_id = ? and partition = ? "
                                 "and base_offset <= ?3 and end_offset > ?3 order by base_offset desc limit 1"),
        object(s.db, "select id from objects where number = ?");
    for (const auto& w : where) {
      auto& chunk = all->found.chunks.emplace_back();
      place at(w.where);
      sqlite::scoped_reset again{look};
      if (!at.bind(look).bind(3, w.at.value()).step()) continue;
      auto ranges = metadata::decode_ranges(offset(look.integer(0)), metadata::object_number(look.integer(1)), look.bytes(2));
      all->is_broken |= !ranges;
      if (!ranges) return;
      chunk = std::move(*ranges);
      for (const auto& r : chunk) {
        if (r.max_timestamp >= timestamp_ms(0) || all->found.untimed.contains(r.object)) continue;
        sqlite::scoped_reset next{object};
        object.bind(1, std::int64_t(r.object));
        all->is_broken |= !object.step();
        if (all->is_broken) return;
        all->found.untimed[r.object] = object_id(uuid_of(object.bytes(0)));
      }
    }
  });
  if (!done) co_return failure(log_error::unavailable);
  if (all->is_broken) {
    spdlog::error("a chunk of the index in {}/metadata.db is damaged", settings_.directory);
    co_return failure(log_error::refused);
  }
  co_return std::move(all->found);
}

awaitable<sqlite_metastore::ranges_found> sqlite_metastore::find_time(topic_partition where, offset from, timestamp_ms target) {
  return found_chunk([where = place(where), from, target](storage& s, auto take) {
    sqlite::statement look(s.db, "select base_offset, first_object, ranges from range_chunks where topic_id = ? and partition = ? "
                                 "and end_offset > ? and max_timestamp >= ? order by base_offset limit 1");
    where.bind(look).bind(3, from.value()).bind(4, target.value());
    if (look.step()) take(look.integer(0), look.integer(1), look.bytes(2));
  });
}

awaitable<sqlite_metastore::ranges_found> sqlite_metastore::find_largest_time(topic_partition where, offset from) {
  return found_chunk([where = place(where), from](storage& s, auto take) {
    sqlite::statement look(s.db, "select base_offset, first_object, ranges from range_chunks where topic_id = ? and partition = ? "
                                 "and end_offset > ? order by max_timestamp desc, base_offset limit 1");
    where.bind(look).bind(3, from.value());
    if (look.step()) take(look.integer(0), look.integer(1), look.bytes(2));
  });
}

// ---- the tables for SQL --------------------------------------------------------------------------------------------

awaitable<result<bool, log_error>> sqlite_metastore::write(metadata::read_model_write what) {
  auto shared = std::make_shared<metadata::read_model_write>(std::move(what));
  auto written = std::make_shared<bool>(false);
  auto done = co_await run_job([shared, written](storage& s) {
    {
      sqlite::statement as_of(s.db, "select as_of_seq from read_model");
      if (as_of.step() && as_of.integer(0) > shared->as_of.value()) return;
    }
    sqlite::statement(s.db, "update read_model set as_of_seq = ?").bind(1, shared->as_of.value()).run();
    for (const char* sql : {"delete from committed_offsets where topic_id = ?", "delete from partitions where topic_id = ?",
                            "delete from topics where topic_id = ?"}) {
      sqlite::statement gone(s.db, sql);
      for (auto id : shared->deleted) {
        auto topic = id.value();
        gone.bind(1, byte_view(topic.bytes)).run();
      }
    }
    sqlite::statement topic(s.db, "insert or replace into topics values(?, ?, ?, ?, ?)"),
        partition(s.db, "insert or replace into partitions values(?, ?, ?, ?, ?)"),
        drop_group(s.db, "delete from committed_offsets where group_name = ?"),
        add_offset(s.db, "insert into committed_offsets values(?, ?, ?, ?, ?, ?, ?)");
    for (const auto& t : shared->topics) {
      auto id = t.id.value();
      topic.bind(1, byte_view(id.bytes)).bind_text(2, t.name).bind(3, t.created.value()).bind(4, t.partitions).bind_text(5, t.configs).run();
    }
    for (const auto& p : shared->partitions) {
      place at(p.where);
      at.bind(partition).bind(3, p.log_start.value()).bind(4, p.high_watermark.value()).bind(5, std::int64_t(p.bytes)).run();
    }
    for (const auto& g : shared->groups) {
      drop_group.bind_text(1, g.name).run();
      for (const auto& o : g.offsets) {
        place at(o.where);
        add_offset.bind_text(1, g.name)
            .bind(2, byte_view(at.topic.bytes))
            .bind(3, at.partition)
            .bind(4, o.what.committed.value())
            .bind(5, std::int64_t(o.what.leader_epoch))
            .bind_text(6, o.what.metadata)
            .bind(7, o.what.committed_at.value())
            .run();
      }
    }
    *written = true;
  });
  if (!done) co_return failure(log_error::unavailable);
  co_return *written;
}

awaitable<result<metadata::read_model::known, log_error>> sqlite_metastore::read_known() {
  auto all = std::make_shared<known>();
  auto done = co_await run_job([all](storage& s) {
    sqlite::statement topic(s.db, "select topic_id from topics");
    while (topic.step()) all->topics.insert(topic_id(uuid_of(topic.bytes(0))));
    sqlite::statement group(s.db, "select distinct group_name from committed_offsets");
    while (group.step()) all->groups.insert(group.text(0));
  });
  if (!done) co_return failure(log_error::unavailable);
  co_return std::move(*all);
}

awaitable<void> sqlite_metastore::wait_for_change() {
  for (;;) co_await never_.wait();
}

namespace {
awaitable<void> nothing() {
  co_return;
}
}  // namespace

awaitable<void> sqlite_metastore::close() {
  co_await run_then_close(nothing(), tasks_);
  held_.clear();
  if (!storage_) co_return;
  auto end = [&] { storage_.reset(); };
  co_await rt_.run_blocking(end);
}
}  // namespace yaks::metastores
