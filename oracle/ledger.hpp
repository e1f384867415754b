// The ledger: a SQLite file in which a run notes what its producers were told, so that it can be checked later, by
// another process or by a person with the sqlite3 shell.
//
//   run(key, value)                                       the run_facts, and finished = 1 once all producers ended
//   outcomes(producer, sequence, topic, partition, offset, checksum, outcome, error)
//                                                         outcome: acknowledged, unknown, not_stored
//
// Every function throws std::runtime_error with a sentence that names the file: a full disk, no such file, not a
// ledger.
#pragma once
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "oracle/checker.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace yaks::oracle {
struct ledger_row {
  sent_record sent;
  std::string error;  // librdkafka's name of what went wrong; empty for acknowledged ones
};

// One thread at a time.
class ledger {
 public:
  // Makes DIR/ledger.db; a ledger that is there already is refused, since it may be the only proof of another run.
  static ledger create(const std::string& directory, const run_facts& facts);
  static ledger open(const std::string& directory);
  static void refuse_existing(const std::string& directory);

  void add(const std::vector<ledger_row>& rows);  // one transaction
  void set_finished();
  history read();
  const std::string& path() const { return path_; }

 private:
  struct closer {
    void operator()(sqlite3* db) const;
    void operator()(sqlite3_stmt* statement) const;
  };
  using statement = std::unique_ptr<sqlite3_stmt, closer>;
  ledger(std::string path, bool make);
  void execute(const char* sql);
  statement prepare(const char* sql);
  void check(int code, int wanted);
  void set_fact(const std::string& key, const std::string& value);

  std::string path_;
  std::unique_ptr<sqlite3, closer> db_;
  statement insert_;  // after db_: statements go first
  run_facts facts_;
};

// Writes what several producer threads hand over, on a thread of its own, so that they do not wait for the disk. The
// queue holds at most `rows_max`; producers wait when it is full.
class ledger_writer {
 public:
  static constexpr std::size_t rows_max = 200'000;

  explicit ledger_writer(ledger& to);
  ~ledger_writer();  // writes what is left; failures are lost unless finish() was called
  ledger_writer(const ledger_writer&) = delete;
  ledger_writer& operator=(const ledger_writer&) = delete;

  // Any thread. Takes the rows and leaves the vector empty.
  void add(std::vector<ledger_row>& rows);
  // Waits until everything is written; rethrows what went wrong.
  void finish();
  bool failed() const;  // any thread

 private:
  void write_loop();

  ledger& to_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<ledger_row> waiting_;
  std::exception_ptr failure_;
  bool closing_ = false;
  std::thread thread_;  // last: it uses the others
};
}  // namespace yaks::oracle
