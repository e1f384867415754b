// Goal: the ledger gives back what it was told, refuses to overwrite a run, and a broken history that is read from it
// is found to be broken. Method: real SQLite files in a temporary folder; the writer is fed from several threads.
#include "oracle/ledger.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>

namespace yaks::oracle {
namespace {
struct ledger_test : testing::Test {
  std::string folder;
  run_facts facts{.run = 0xfedcba9876543210,
                  .seed = 4,
                  .topic_prefix = "t",
                  .topics = 2,
                  .partitions = 3,
                  .producers = 4,
                  .records = 500,
                  .value_bytes = 100,
                  .idempotent = false,
                  .ordered = true};

  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "yaks-ledger-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  ledger_row row(std::uint32_t producer, std::uint64_t sequence, outcome what = outcome::acknowledged) const {
    std::uint32_t slot = slot_of(facts.seed, producer, sequence, facts.slots());
    return {{producer, sequence, slot, what == outcome::acknowledged ? static_cast<std::int64_t>(sequence) : -1,
             0xffffffff00000000 + sequence, what},
            what == outcome::acknowledged ? "" : "MSG_TIMED_OUT"};
  }
  // What a person would do with the sqlite3 shell.
  void tamper(const char* sql) const {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open((folder + "/ledger.db").c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    EXPECT_GT(sqlite3_changes(db), 0);
    sqlite3_close(db);
  }
};

TEST_F(ledger_test, gives_back_what_it_was_told) {
  std::vector<ledger_row> rows{row(0, 0), row(3, 499, outcome::unknown), row(1, 7, outcome::not_stored)};
  rows[0].sent.offset = -1;  // acknowledged without an offset
  {
    ledger book = ledger::create(folder, facts);
    book.add(rows);
    EXPECT_FALSE(book.read().finished);
    book.set_finished();
  }
  history told = ledger::open(folder).read();
  EXPECT_TRUE(told.finished);
  EXPECT_EQ(told.facts, facts);
  ASSERT_EQ(told.outcomes.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(told.outcomes[i], rows[i].sent);
}

TEST_F(ledger_test, several_threads_write_through_the_writer) {
  ledger book = ledger::create(folder, facts);
  {
    ledger_writer writer(book);
    std::vector<std::jthread> threads;
    for (std::uint32_t producer = 0; producer < facts.producers; ++producer)
      threads.emplace_back([&, producer] {
        std::vector<ledger_row> rows;
        for (std::uint64_t sequence = 0; sequence < facts.records; ++sequence) {
          rows.push_back(row(producer, sequence));
          if (sequence % 7 == 0) writer.add(rows);
        }
        writer.add(rows);
        EXPECT_TRUE(rows.empty());
      });
    threads.clear();
    writer.finish();
    EXPECT_FALSE(writer.failed());
  }
  history told = book.read();
  EXPECT_EQ(told.outcomes.size(), 2000u);
  EXPECT_NO_THROW(checker{told});  // each record once
}

TEST_F(ledger_test, the_writer_reports_a_failure_and_does_not_hang) {
  ledger book = ledger::create(folder, facts);
  tamper("insert into run values ('x', 'y'); drop table outcomes; update run set value = 'z' where key = 'x'");
  ledger_writer writer(book);
  std::vector<ledger_row> rows(ledger_writer::rows_max, row(0, 0));
  writer.add(rows);
  rows.push_back(row(0, 1));
  writer.add(rows);
  EXPECT_THROW(writer.finish(), std::runtime_error);
  EXPECT_TRUE(writer.failed());
}

TEST_F(ledger_test, an_earlier_run_is_not_overwritten) {
  ledger::create(folder, facts);
  try {
    ledger::create(folder, facts);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("--verify-only"));
  }
}

TEST_F(ledger_test, a_folder_without_a_ledger_is_named) {
  try {
    ledger::open(folder);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(folder));
  }
}

TEST_F(ledger_test, a_place_that_the_run_does_not_have_is_refused) {
  ledger book = ledger::create(folder, facts);
  book.add({row(0, 0)});
  tamper("update outcomes set topic = 'elsewhere'");
  EXPECT_THROW(book.read(), std::runtime_error);
  tamper("update outcomes set topic = 't-0', partition = 3");
  EXPECT_THROW(book.read(), std::runtime_error);
}

// A correct log of what the ledger has, then one lie in the ledger at a time.
TEST_F(ledger_test, a_broken_history_is_found) {
  facts.producers = 1;
  facts.topics = facts.partitions = 1;
  ledger book = ledger::create(folder, facts);
  std::vector<ledger_row> rows;
  for (std::uint64_t sequence = 0; sequence < facts.records; ++sequence) rows.push_back(row(0, sequence));
  book.add(rows);
  book.set_finished();

  auto broken = [&] {
    checker checks(book.read());
    checks.set_range(0, 0, 500);
    for (std::uint64_t sequence = 0; sequence < facts.records; ++sequence) {
      parsed_record record{.id = {.run = facts.run, .producer = 0, .slot = 0, .sequence = sequence},
                           .checksum = 0xffffffff00000000 + sequence};
      checks.add({0, static_cast<std::int64_t>(sequence), record});
    }
    std::array<std::uint64_t, invariant_count> counts;
    std::ranges::transform(checks.finish().verdicts, counts.begin(), &verdict::violations);
    return counts;
  };
  using counts = std::array<std::uint64_t, invariant_count>;
  EXPECT_EQ(broken(), (counts{}));
  tamper("update outcomes set offset = 600 where sequence = 3");
  EXPECT_EQ(broken(), (counts{1, 0, 0, 0, 0, 0}));
  tamper("update outcomes set outcome = 'not_stored' where sequence = 4");
  EXPECT_EQ(broken(), (counts{1, 1, 0, 0, 0, 0}));
  tamper("update outcomes set offset = 6 where sequence = 5");
  EXPECT_EQ(broken(), (counts{2, 1, 1, 0, 0, 0}));
  tamper("update outcomes set checksum = 1 where sequence = 7");
  EXPECT_EQ(broken(), (counts{2, 1, 1, 0, 0, 1}));
}
}  // namespace
}  // namespace yaks::oracle
