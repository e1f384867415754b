// Goal: what is special about the embedded store: its schema, its directory, appends that share a transaction, full
// disks. Method: a directory of its own per test; a limit of pages stands for a full disk.
#include "metastores/sqlite/sqlite_metastore.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "metastores/sqlite/database.hpp"
#include "runtime/real_runtime.hpp"

namespace yaks::metastores {
namespace {
using metadata::log_error;
using metadata::metastore_error;

class sqlite_store : public testing::Test {
 public:
  sqlite_store() {
    auto pattern = (std::filesystem::temp_directory_path() / "yaks-sqlite-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~sqlite_store() override { std::filesystem::remove_all(directory_); }
  std::string failure_of_open(std::string directory) {
    std::string what;
    auto body = [&]() -> awaitable<void> {
      sqlite_metastore store(rt_, metrics_, {.directory = directory, .lock_patience = 1ms});
      try {
        co_await store.open();
      } catch (const metastore_error& error) {
        what = error.what();
        co_return;
      }
      co_await store.close();
    };
    rt_.run(body());
    rt_.context().restart();
    return what;
  }
  // Opens a store, runs the test's part, closes it.
  void with_store(std::function<awaitable<void>(metadata::metastore&)> part) {
    auto body = [&]() -> awaitable<void> {
      sqlite_metastore store(rt_, metrics_, {.directory = directory_});
      co_await store.open();
      co_await part(store);
      co_await store.close();
    };
    rt_.run(body());
    rt_.context().restart();
  }
  std::string directory_;
  real_runtime rt_;
  metrics::registry metrics_;
};

TEST_F(sqlite_store, makes_its_directory) {
  EXPECT_EQ(failure_of_open(directory_ + "/a/b"), "");
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/a/b/metadata.db"));
}

TEST_F(sqlite_store, says_when_its_directory_is_a_file) {
  std::ofstream(directory_ + "/file") << "x";
  EXPECT_THAT(failure_of_open(directory_ + "/file"), testing::HasSubstr("YAKS_DATA_DIR"));
}

TEST_F(sqlite_store, says_when_its_file_is_none_of_sqlites) {
  std::ofstream(directory_ + "/metadata.db") << std::string(8192, 'x');
  EXPECT_THAT(failure_of_open(directory_), testing::HasSubstr("metadata.db"));
}

TEST_F(sqlite_store, refuses_a_newer_schema) {
  EXPECT_EQ(failure_of_open(directory_), "");
  {
    sqlite::database db(directory_ + "/metadata.db");
    db.execute("update schema_version set version = version + 1");
  }
  EXPECT_THAT(failure_of_open(directory_), testing::HasSubstr("newer yaks"));
}

TEST_F(sqlite_store, a_database_of_before_gets_the_sums_of_its_objects) {
  with_store([](metadata::metastore& store) -> awaitable<void> {
    metadata::range one{.base_offset = offset(0), .object = 1, .bytes = 50, .record_count = 10, .batch_count = 1, .max_timestamp = timestamp_ms(1)};
    metadata::index_write w{{{{topic_id(uuid::v4(1, 1)), partition_index(0)}, {one}}}, {{1, object_id(uuid::v7(1, 1, 1)), 100}}};
    EXPECT_TRUE(co_await store.index().add(1, w));
    std::vector<metadata::indexed_object> gone{{2, object_id(uuid::v7(2, 2, 2)), 30}, {3, object_id(uuid::v7(3, 3, 3)), 4}};
    EXPECT_TRUE(co_await store.index().release(1, gone));
    EXPECT_TRUE(co_await store.index().retire(1, log_sequence(1), timestamp_ms(77)));
  });
  {
    sqlite::database db(directory_ + "/metadata.db");
    for (const char* trigger : {"object_comes", "object_comes_gone", "object_goes", "object_returns", "object_is_forgotten", "object_is_lost"})
      db.execute((std::string("drop trigger ") + trigger).c_str());
    db.execute("drop table object_sums");
    db.execute("update schema_version set version = 6");
  }
  with_store([](metadata::metastore& store) -> awaitable<void> {
    auto totals = co_await store.index().totals();
    EXPECT_TRUE(totals && totals->live.objects == 1 && totals->live.bytes == 100 && totals->waiting.objects == 2 && totals->waiting.bytes == 34);
    EXPECT_TRUE(totals && totals->oldest_waiting == timestamp_ms(77) && totals->merged.objects == 0);
  });
}

TEST_F(sqlite_store, a_full_disk_loses_nothing_and_room_ends_it) {
  EXPECT_EQ(failure_of_open(directory_), "");
  auto beside = [&](const char* sql) { sqlite::database(directory_ + "/metadata.db").execute(sql); };
  beside("create table ballast as select zeroblob(1000000) as bytes");
  auto body = [&]() -> awaitable<void> {
    sqlite_metastore store(rt_, metrics_, {.directory = directory_, .pages_max = 600});  // 2.4 MB
    co_await store.open();
    std::exception_ptr failed;
    try {
      auto big = shared_bytes::copy_of(as_bytes(std::string(1000000, 'x')));
      incarnation self(uuid::v4(1, 2));
      auto tail = co_await store.log().append({}, {self, 1}, big);
      EXPECT_TRUE(tail.has_value());
      metadata::log_position at{log_sequence(1), {self, 1}};
      auto full = co_await store.log().append(at, {self, 2}, big);
      EXPECT_TRUE(!full && (full.error() == log_error::unavailable || full.error() == log_error::unknown));
      auto read = co_await store.log().read_after(at);
      EXPECT_TRUE(read && read->entries.empty() && read->head == log_sequence(1));
      auto small = co_await store.log().append(at, {self, 3}, shared_bytes::copy_of(as_bytes("x")));
      EXPECT_TRUE(small && small->head == log_sequence(2));  // it still fits
      beside("drop table ballast");
      auto again = co_await store.log().append({log_sequence(2), {self, 3}}, {self, 4}, big);
      EXPECT_TRUE(again && again->head == log_sequence(3));
      auto all = co_await store.log().read_after({});
      EXPECT_TRUE(all && all->entries.size() == 3);
    } catch (...) {
      failed = std::current_exception();
    }
    co_await store.close();
    if (failed) std::rethrow_exception(failed);
  };
  rt_.run(body());
}
// Also when it was made before pages could be given back.
TEST_F(sqlite_store, its_file_shrinks_when_what_was_in_it_is_gone) {
  auto bytes = [&] { return std::filesystem::file_size(directory_ + "/metadata.db"); };
  auto body = [&](std::int64_t first) -> awaitable<void> {
    sqlite_metastore store(rt_, metrics_, {.directory = directory_});
    co_await store.open();
    std::exception_ptr failed;
    try {
      auto big = shared_bytes::copy_of(as_bytes(std::string(1000000, 'x')));
      incarnation self(uuid::v4(1, 2));
      metadata::log_position at;
      if (first > 1) at = {log_sequence(first - 1), {self, std::uint64_t(first - 1)}};
      for (auto n = first; n < first + 20; ++n) {
        EXPECT_TRUE(co_await store.log().append(at, {self, std::uint64_t(n)}, big));
        at = {log_sequence(n), {self, std::uint64_t(n)}};
        if (n < first + 18) continue;
        metadata::snapshot_record record{.at = at, .key = "s" + std::to_string(n), .bytes = 1, .digest = 1};
        EXPECT_TRUE(co_await store.add_snapshot(record));
      }
      for (std::uint64_t term = 1; term <= 10; ++term) EXPECT_TRUE(co_await store.index().begin_term(100 * std::uint64_t(first) + term));
    } catch (...) {
      failed = std::current_exception();
    }
    co_await store.close();
    if (failed) std::rethrow_exception(failed);
  };
  sqlite::database(directory_ + "/metadata.db").execute("pragma auto_vacuum = none; vacuum");
  rt_.run(body(1));
  rt_.context().restart();
  EXPECT_LT(bytes(), 5'000'000u);
  rt_.run(body(21));
  EXPECT_LT(bytes(), 5'000'000u);
}
}  // namespace
}  // namespace yaks::metastores
