#include "oracle/ledger.hpp"

#include <fmt/format.h>
#include <sqlite3.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <utility>

namespace yaks::oracle {
namespace {
constexpr const char* schema = R"sql(
create table run(key text primary key, value text not null);
-- Rows are only ever appended, so there is no index to keep; the reader takes all of them.
create table outcomes(
  producer integer not null, sequence integer not null, topic text not null, partition integer not null,
  offset integer, checksum integer not null,
  outcome text not null check (outcome in ('acknowledged', 'unknown', 'not_stored')), error text);
)sql";

const char* text_of(outcome what) {
  switch (what) {
    case outcome::acknowledged:
      return "acknowledged";
    case outcome::unknown:
      return "unknown";
    case outcome::not_stored:
      return "not_stored";
    case outcome::none:
      break;
  }
  throw std::logic_error("a record without an outcome has no place in the ledger");
}

std::string column_text(sqlite3_stmt* row, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row, column));
  return text ? text : "";
}
}  // namespace

void ledger::closer::operator()(sqlite3* db) const {
  sqlite3_close(db);
}
void ledger::closer::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

ledger::ledger(std::string path, bool make) : path_(std::move(path)) {
  sqlite3* db = nullptr;
  int code = sqlite3_open_v2(path_.c_str(), &db, SQLITE_OPEN_READWRITE | (make ? SQLITE_OPEN_CREATE : 0), nullptr);
  db_.reset(db);
  check(code, SQLITE_OK);
  sqlite3_busy_timeout(db, 10'000);
  execute("pragma journal_mode = wal; pragma synchronous = normal");
}

void ledger::check(int code, int wanted) {
  if (code == wanted) return;
  throw std::runtime_error(
      fmt::format("the ledger {} cannot be used: {}", path_, db_ ? sqlite3_errmsg(db_.get()) : "out of memory"));
}

void ledger::execute(const char* sql) {
  check(sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr), SQLITE_OK);
}

ledger::statement ledger::prepare(const char* sql) {
  sqlite3_stmt* prepared = nullptr;
  check(sqlite3_prepare_v2(db_.get(), sql, -1, &prepared, nullptr), SQLITE_OK);
  return statement(prepared);
}

void ledger::set_fact(const std::string& key, const std::string& value) {
  statement insert = prepare("insert into run values (?, ?) on conflict (key) do update set value = excluded.value");
  sqlite3_bind_text(insert.get(), 1, key.c_str(), -1, SQLITE_TRANSIENT);
  sqlite3_bind_text(insert.get(), 2, value.c_str(), -1, SQLITE_TRANSIENT);
  check(sqlite3_step(insert.get()), SQLITE_DONE);
}

void ledger::refuse_existing(const std::string& directory) {
  std::string path = directory + "/ledger.db";
  if (std::filesystem::exists(path))
    throw std::runtime_error(
        fmt::format("{} is there already: give another --data-dir, or check that run again with "
                    "--verify-only {}",
                    path, directory));
}

ledger ledger::create(const std::string& directory, const run_facts& facts) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) throw std::runtime_error(fmt::format("the folder {} cannot be made: {}", directory, error.message()));
  refuse_existing(directory);
  std::string path = directory + "/ledger.db";
  ledger made(path, true);
  made.execute("begin");
  made.execute(schema);
  made.set_fact("run", fmt::format("{}", facts.run));
  made.set_fact("seed", fmt::format("{}", facts.seed));
  made.set_fact("topic_prefix", facts.topic_prefix);
  made.set_fact("topics", fmt::format("{}", facts.topics));
  made.set_fact("partitions", fmt::format("{}", facts.partitions));
  made.set_fact("producers", fmt::format("{}", facts.producers));
  made.set_fact("records", fmt::format("{}", facts.records));
  made.set_fact("value_bytes", fmt::format("{}", facts.value_bytes));
  made.set_fact("idempotent", facts.idempotent ? "1" : "0");
  made.set_fact("ordered", facts.ordered ? "1" : "0");
  made.set_fact("finished", "0");
  made.execute("commit");
  made.facts_ = facts;
  return made;
}

ledger ledger::open(const std::string& directory) {
  std::string path = directory + "/ledger.db";
  if (!std::filesystem::exists(path))
    throw std::runtime_error(
        fmt::format("there is no ledger.db in {}: name the --data-dir of an earlier run", directory));
  return ledger(path, false);
}

void ledger::add(const std::vector<ledger_row>& rows) {
  if (!insert_) insert_ = prepare("insert into outcomes values (?, ?, ?, ?, ?, ?, ?, ?)");
  std::vector<std::string> topics;
  for (std::uint32_t i = 0; i < facts_.topics; ++i) topics.push_back(facts_.topic(i));
  execute("begin immediate");
  sqlite3_stmt* insert = insert_.get();
  for (const auto& [sent, error] : rows) {
    sqlite3_bind_int64(insert, 1, sent.producer);
    sqlite3_bind_int64(insert, 2, static_cast<sqlite3_int64>(sent.sequence));
    const std::string& topic = topics.at(sent.slot / facts_.partitions);
    sqlite3_bind_text(insert, 3, topic.data(), static_cast<int>(topic.size()), SQLITE_STATIC);
    sqlite3_bind_int64(insert, 4, sent.slot % facts_.partitions);
    if (sent.offset >= 0)
      sqlite3_bind_int64(insert, 5, sent.offset);
    else
      sqlite3_bind_null(insert, 5);
    // SQLite has no unsigned 64-bit integers: the same bits, read as signed.
    sqlite3_bind_int64(insert, 6, static_cast<sqlite3_int64>(sent.checksum));
    sqlite3_bind_text(insert, 7, text_of(sent.what), -1, SQLITE_STATIC);
    if (error.empty())
      sqlite3_bind_null(insert, 8);
    else
      sqlite3_bind_text(insert, 8, error.data(), static_cast<int>(error.size()), SQLITE_STATIC);
    check(sqlite3_step(insert), SQLITE_DONE);
    check(sqlite3_reset(insert), SQLITE_OK);
  }
  execute("commit");
}

void ledger::set_finished() {
  set_fact("finished", "1");
}

history ledger::read() {
  std::map<std::string, std::string> values;
  statement facts = prepare("select key, value from run");
  int code = 0;
  while ((code = sqlite3_step(facts.get())) == SQLITE_ROW)
    values[column_text(facts.get(), 0)] = column_text(facts.get(), 1);
  check(code, SQLITE_DONE);
  auto number = [&](const char* key) -> std::uint64_t {
    auto at = values.find(key);
    if (at == values.end())
      throw std::runtime_error(fmt::format("the ledger {} does not say the run's {}", path_, key));
    return std::stoull(at->second);
  };
  history told;
  told.facts = {.run = number("run"),
                .seed = number("seed"),
                .topic_prefix = values["topic_prefix"],
                .topics = static_cast<std::uint32_t>(number("topics")),
                .partitions = static_cast<std::uint32_t>(number("partitions")),
                .producers = static_cast<std::uint32_t>(number("producers")),
                .records = number("records"),
                .value_bytes = number("value_bytes"),
                .idempotent = number("idempotent") != 0,
                .ordered = number("ordered") != 0};
  told.finished = number("finished") != 0;
  facts_ = told.facts;

  std::map<std::string, std::uint32_t, std::less<>> topics;
  for (std::uint32_t i = 0; i < facts_.topics; ++i) topics[facts_.topic(i)] = i;
  statement rows = prepare("select producer, sequence, topic, partition, offset, checksum, outcome from outcomes");
  sqlite3_stmt* row = rows.get();
  while ((code = sqlite3_step(row)) == SQLITE_ROW) {
    auto topic = topics.find(column_text(row, 2));
    sqlite3_int64 partition = sqlite3_column_int64(row, 3);
    if (topic == topics.end() || partition < 0 || partition >= facts_.partitions)
      throw std::runtime_error(
          fmt::format("the ledger {} names {}/{}, which its run does not have", path_, column_text(row, 2), partition));
    std::string what = column_text(row, 6);
    told.outcomes.push_back({.producer = static_cast<std::uint32_t>(sqlite3_column_int64(row, 0)),
                             .sequence = static_cast<std::uint64_t>(sqlite3_column_int64(row, 1)),
                             .slot = topic->second * facts_.partitions + static_cast<std::uint32_t>(partition),
                             .offset = sqlite3_column_type(row, 4) == SQLITE_NULL ? -1 : sqlite3_column_int64(row, 4),
                             .checksum = static_cast<std::uint64_t>(sqlite3_column_int64(row, 5)),
                             .what = what == "acknowledged" ? outcome::acknowledged
                                     : what == "unknown"    ? outcome::unknown
                                                            : outcome::not_stored});
  }
  check(code, SQLITE_DONE);
  return told;
}

ledger_writer::ledger_writer(ledger& to) : to_(to), thread_([this] { write_loop(); }) {}

ledger_writer::~ledger_writer() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ledger_writer::add(std::vector<ledger_row>& rows) {
  if (rows.empty()) return;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return waiting_.size() < rows_max || failure_; });
  waiting_.insert(waiting_.end(), std::make_move_iterator(rows.begin()), std::make_move_iterator(rows.end()));
  rows.clear();
}

void ledger_writer::finish() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  thread_.join();
  if (failure_) std::rethrow_exception(failure_);
}

bool ledger_writer::failed() const {
  std::lock_guard lock(mutex_);
  return failure_ != nullptr;
}

void ledger_writer::write_loop() {
  using namespace std::chrono_literals;
  std::vector<ledger_row> rows;
  std::unique_lock lock(mutex_);
  while (true) {
    // A pause gathers rows: a transaction costs the same for one as for thousands.
    changed_.wait_for(lock, 100ms, [&] { return closing_; });
    bool last = closing_;
    rows.swap(waiting_);
    lock.unlock();
    std::exception_ptr failure;
    try {
      if (!rows.empty()) to_.add(rows);
    } catch (...) {
      failure = std::current_exception();
    }
    rows.clear();
    lock.lock();
    if (failure) failure_ = failure;
    changed_.notify_all();
    if (failure_ || (last && waiting_.empty())) return;
  }
}
}  // namespace yaks::oracle
