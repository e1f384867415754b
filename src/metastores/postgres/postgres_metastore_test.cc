// Goal: what is special about the PostgreSQL store: migrations, sentences for operators, lost connections, the lock of
// the node id, notifications, the clock. Method: a database of its own per test on a real server; faults by
// pg_terminate_backend and by locks that the test holds.
#include "metastores/postgres/postgres_metastore.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include "metastores/postgres/migrations.hpp"
#include "metastores/postgres/test_database.hpp"
#include "runtime/real_runtime.hpp"

namespace yaks::metastores {
namespace {
using metadata::append_id;
using metadata::log_error;
using metadata::log_position;
using metadata::log_tail;
using metadata::metastore_error;
using testing::HasSubstr;

incarnation writer(std::uint64_t n) {
  return incarnation(uuid::v4(n, n));
}
shared_bytes payload_of(std::string_view text) {
  return shared_bytes::copy_of(as_bytes(text));
}

class postgres_store : public testing::Test {
 protected:
  void SetUp() override {
    auto conninfo = postgres::test_conninfo();
    if (!conninfo) GTEST_SKIP() << postgres::no_test_server;
    database_ = std::make_unique<postgres::test_database>(*conninfo);
    settings_ = database_->settings();
    settings_.open_patience = 0s;
  }
  std::string failure_of_open() {
    std::string what;
    auto body = [&]() -> awaitable<void> {
      postgres_metastore store(rt_, metrics_, settings_);
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
  void with_store(std::function<awaitable<void>(postgres_metastore&)> part) {
    settings_.run_migrations = true;
    auto body = [&]() -> awaitable<void> {
      postgres_metastore store(rt_, metrics_, settings_);
      co_await store.open();
      std::exception_ptr failed;
      try {
        co_await part(store);
      } catch (...) {
        failed = std::current_exception();
      }
      co_await store.close();
      if (failed) std::rethrow_exception(failed);
    };
    rt_.run(body());
  }
  template <class Condition>
  awaitable<bool> becomes(Condition condition) {
    for (auto due = rt_.now() + 20s; !condition() && rt_.now() < due;) co_await rt_.sleep_for(5ms);
    co_return condition();
  }
  // An append of this database waits for a lock.
  std::function<bool()> appends_wait() {
    return [this] {
      return database_->sql(
                 "select count(*) from pg_stat_activity where datname = current_database() "
                 "and wait_event_type = 'Lock'") == "1";
    };
  }
  static constexpr int sessions = 4;  // appender, reader, watcher, indexer
  // All of them are there; the indexer, which comes last and by itself, has prepared its last statement.
  std::function<bool()> sessions_are_ready() {
    return [this] {
      return database_->sql(
                 "select count(*) filter (where query like 'prepare%') || ' ' || bool_or(query like 'prepare known_groups%') "
                 "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()") ==
             std::to_string(sessions) + " true";
    };
  }
  // Ends sessions of this database that have prepared (or last ran) a statement like this.
  int terminate(const std::string& query_like) {
    return std::stoi(database_->sql(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() "
        "and pid <> pg_backend_pid() and query like '" +
        query_like + "'"));
  }

  real_runtime rt_;
  metrics::registry metrics_;
  std::unique_ptr<postgres::test_database> database_;
  postgres_settings settings_;
};

// A lock that somebody else holds on the head row, until it is let go.
class held_head {
 public:
  explicit held_head(const postgres_settings& s)
      : on_(PQconnectdb(("host=" + s.host + " port=" + std::to_string(s.port) + " user=" + s.user +
                         " password=" + s.password + " dbname=" + s.database)
                            .c_str()),
            &PQfinish) {
    run("begin; select from yaks.head for update");
  }
  std::string clock() { return run("select floor(extract(epoch from clock_timestamp()) * 1000)::bigint"); }
  void let_go() { run("commit"); }

 private:
  std::string run(const char* sql) {
    std::unique_ptr<PGresult, decltype(&PQclear)> got(PQexec(on_.get(), sql), &PQclear);
    return PQntuples(got.get()) > 0 && PQnfields(got.get()) > 0 ? PQgetvalue(got.get(), 0, 0) : "";
  }
  std::unique_ptr<PGconn, decltype(&PQfinish)> on_;
};

// ---- migrations and sentences
// ------------------------------------------------------------------------------------------

TEST_F(postgres_store, refuses_an_empty_database_and_migrates_it_when_asked) {
  EXPECT_THAT(failure_of_open(), HasSubstr("YAKS_RUN_MIGRATIONS=true"));
  settings_.run_migrations = true;
  EXPECT_EQ(failure_of_open(), "");
  settings_.run_migrations = false;
  EXPECT_EQ(failure_of_open(), "");
  EXPECT_EQ(database_->sql("select version from yaks.schema_version"), std::to_string(postgres::schema_version()));
  EXPECT_EQ(database_->sql("select length(cluster_id) from yaks.cluster"), "22");
}

TEST_F(postgres_store, refuses_a_newer_schema_also_when_it_may_migrate) {
  settings_.run_migrations = true;
  EXPECT_EQ(failure_of_open(), "");
  database_->sql("update yaks.schema_version set version = version + 1");
  EXPECT_THAT(failure_of_open(), HasSubstr("newer yaks"));
  settings_.run_migrations = false;
  EXPECT_THAT(failure_of_open(), HasSubstr("newer yaks"));
}

TEST_F(postgres_store, agents_that_start_together_migrate_once) {
  settings_.run_migrations = true;
  std::vector<std::string> clusters;
  auto one = [&]() -> awaitable<void> {
    postgres_metastore store(rt_, metrics_, settings_);
    co_await store.open();
    clusters.push_back(store.cluster_id());
    co_await store.close();
  };
  task_group tasks(rt_.executor());
  auto body = [&]() -> awaitable<void> {
    for (int i = 0; i < 4; ++i) tasks.spawn(one());
    while (tasks.size() > 0) co_await rt_.sleep_for(1ms);
  };
  rt_.run(run_then_close(body(), tasks));
  EXPECT_EQ(clusters.size(), 4u);
  for (auto& cluster : clusters) EXPECT_EQ(cluster, clusters[0]);
}

TEST_F(postgres_store, a_database_of_before_gets_the_sums_of_its_objects) {
  with_store([](postgres_metastore& opened) -> awaitable<void> {
    metadata::metastore& store = opened;
    metadata::range one{.base_offset = offset(0), .object = 1, .bytes = 50, .record_count = 10, .batch_count = 1, .max_timestamp = timestamp_ms(1)};
    metadata::index_write w{{{{topic_id(uuid::v4(1, 1)), partition_index(0)}, {one}}}, {{1, object_id(uuid::v7(1, 1, 1)), 100}}};
    EXPECT_TRUE(co_await store.index().add(1, w));
    std::vector<metadata::indexed_object> gone{{2, object_id(uuid::v7(2, 2, 2)), 30}, {3, object_id(uuid::v7(3, 3, 3)), 4}};
    EXPECT_TRUE(co_await store.index().release(1, gone));
    EXPECT_TRUE(co_await store.index().retire(1, log_sequence(1), timestamp_ms(77)));
  });
  rt_.context().restart();
  for (const char* trigger : {"objects_come", "objects_go", "objects_change"})
    database_->sql(std::string("drop trigger ") + trigger + " on yaks.objects");
  for (const char* function : {"sum_objects_that_came", "sum_objects_that_went", "sum_objects_that_changed", "add_sums"})
    database_->sql(std::string("drop function yaks.") + function);
  database_->sql("drop table yaks.object_sums");
  database_->sql("update yaks.schema_version set version = 10");
  with_store([](postgres_metastore& opened) -> awaitable<void> {
    metadata::metastore& store = opened;
    auto totals = co_await store.index().totals();
    EXPECT_TRUE(totals && totals->live.objects == 1 && totals->live.bytes == 100 && totals->waiting.objects == 2 && totals->waiting.bytes == 34);
    EXPECT_TRUE(totals && totals->oldest_waiting == timestamp_ms(77) && totals->merged.objects == 0);
  });
}

TEST_F(postgres_store, says_what_is_wrong_with_the_connection) {
  auto good = settings_;
  settings_.password = "wrong";
  EXPECT_THAT(failure_of_open(), testing::AllOf(HasSubstr("YAKS_DB_PASSWORD"), HasSubstr(good.user)));
  settings_ = good;
  settings_.database = "no_such_database";
  EXPECT_THAT(failure_of_open(), testing::AllOf(HasSubstr("YAKS_DB_NAME"), HasSubstr("no_such_database")));
  settings_ = good;
  settings_.port = 1;
  EXPECT_THAT(failure_of_open(), testing::AllOf(HasSubstr("YAKS_DB_PORT"), HasSubstr("refused")));
  settings_ = good;
  settings_.host = "no-such-host.invalid";
  EXPECT_THAT(failure_of_open(), testing::AllOf(HasSubstr("YAKS_DB_HOST"), HasSubstr("no-such-host.invalid")));
}

// ---- appends that go wrong
// ---------------------------------------------------------------------------------------------

struct pending_append {
  std::optional<result<log_tail, log_error>> answer;
  awaitable<void> run(postgres_metastore& store, log_position applied, append_id id) {
    answer = co_await store.log().append(applied, id, payload_of("x"));
  }
};

TEST_F(postgres_store, a_session_that_dies_during_an_append_leaves_it_unknown) {
  with_store([this](postgres_metastore& store) -> awaitable<void> {
    auto first = co_await store.log().append({}, {writer(1), 1}, payload_of("x"));
    EXPECT_TRUE(first.has_value());
    log_position at{log_sequence(1), {writer(1), 1}};
    pending_append lost;
    task_group tasks(rt_.executor());
    auto part = [&]() -> awaitable<void> {
      held_head lock(settings_);
      tasks.spawn(lost.run(store, at, {writer(1), 2}));
      EXPECT_TRUE(co_await becomes(appends_wait()));
      EXPECT_FALSE(lost.answer.has_value());
      EXPECT_EQ(terminate("prepare append%"), 1);  // the text of the prepared statement that runs
      EXPECT_TRUE(co_await becomes([&] { return lost.answer.has_value(); }));
      EXPECT_TRUE(lost.answer && !*lost.answer && lost.answer->error() == log_error::unknown);
      lock.let_go();
      // The same again, over a new connection.
      auto again = co_await store.log().append(at, {writer(1), 2}, payload_of("x"));
      EXPECT_TRUE(again && again->head == log_sequence(2) && again->entries.size() == 1);
    };
    co_await run_then_close(part(), tasks);
    EXPECT_THAT(metrics_.text(), HasSubstr("yaks_metastore_calls_total{operation=\"append\",outcome=\"unknown\"} 1"));
    EXPECT_THAT(metrics_.text(), HasSubstr("yaks_metastore_reconnects_total 1"));
  });
}

TEST_F(postgres_store, several_outstanding_appends_are_all_unknown_when_their_session_dies) {
  with_store([this](postgres_metastore& store) -> awaitable<void> {
    std::array<pending_append, 5> lost;
    task_group tasks(rt_.executor());
    auto part = [&]() -> awaitable<void> {
      auto warm = co_await store.log().read_after({});
      EXPECT_TRUE(warm.has_value());
      held_head lock(settings_);
      for (std::uint64_t i = 0; i < lost.size(); ++i) tasks.spawn(lost[i].run(store, {}, {writer(1), i + 1}));
      EXPECT_TRUE(co_await becomes(appends_wait()));
      EXPECT_EQ(terminate("prepare append%"), 1);
      for (auto& one : lost) {
        EXPECT_TRUE(co_await becomes([&] { return one.answer.has_value(); }));
        EXPECT_TRUE(one.answer && !*one.answer && one.answer->error() == log_error::unknown);
      }
    };
    co_await run_then_close(part(), tasks);
  });
}

// So PostgreSQL reports a commit whose wait for a standby was cut short: done here, not replicated.
TEST_F(postgres_store, a_warning_at_an_append_leaves_it_unknown) {
  with_store([this](postgres_metastore& store) -> awaitable<void> {
    database_->sql(
        "alter function yaks.append rename to append_quietly; "
        "create function yaks.append(a integer, b bigint, c uuid, d bigint, e uuid, f bigint, g bytea) "
        "returns table (entry_seq bigint, entry_incarnation uuid, entry_number bigint, entry_time_ms bigint, "
        "entry_payload bytea) "
        "language plpgsql as $$begin "
        "if f = 2 then raise warning 'canceling wait for synchronous replication due to user request'; end if; "
        "return query select * from yaks.append_quietly(a, b, c, d, e, f, g); end$$");
    std::array<pending_append, 3> appends;
    task_group tasks(rt_.executor());
    auto part = [&]() -> awaitable<void> {
      for (std::uint64_t i = 0; i < appends.size(); ++i) tasks.spawn(appends[i].run(store, {}, {writer(1), i + 1}));
      for (auto& one : appends) EXPECT_TRUE(co_await becomes([&] { return one.answer.has_value(); }));
    };
    co_await run_then_close(part(), tasks);
    EXPECT_TRUE(*appends[0].answer);
    EXPECT_TRUE(!*appends[1].answer && appends[1].answer->error() == log_error::unknown);
    EXPECT_TRUE(*appends[2].answer);  // the one that was warned is the only one in doubt
    auto all = co_await store.log().read_after({});
    EXPECT_TRUE(all && all->entries.size() == 3);
  });
}

TEST_F(postgres_store, reads_answer_while_an_append_waits) {
  with_store([this](postgres_metastore& store) -> awaitable<void> {
    auto first = co_await store.log().append({}, {writer(1), 1}, payload_of("x"));
    EXPECT_TRUE(first.has_value());
    pending_append waits;
    task_group tasks(rt_.executor());
    auto part = [&]() -> awaitable<void> {
      held_head lock(settings_);
      tasks.spawn(waits.run(store, {}, {writer(1), 2}));
      auto read = co_await store.log().read_after({});
      EXPECT_TRUE(read && read->head == log_sequence(1));
      EXPECT_FALSE(waits.answer.has_value());
      EXPECT_TRUE(co_await becomes(appends_wait()));
      co_await rt_.sleep_for(20ms);  // the append's transaction has begun long before
      auto released_at = std::stoll(lock.clock());
      lock.let_go();
      EXPECT_TRUE(co_await becomes([&] { return waits.answer.has_value(); }));
      // The entry's time is read after the lock was got, not when the append began to wait.
      EXPECT_TRUE(waits.answer && *waits.answer && (*waits.answer)->entries.size() == 2);
      if (waits.answer && *waits.answer) EXPECT_GE((*waits.answer)->entries.back().time.value(), released_at);
    };
    co_await run_then_close(part(), tasks);
  });
}

TEST_F(postgres_store, time_stands_rather_than_run_backwards) {
  with_store([this](postgres_metastore& store) -> awaitable<void> {
    auto first = co_await store.log().append({}, {writer(1), 1}, payload_of("x"));
    EXPECT_TRUE(first.has_value());
    database_->sql("update yaks.head set time_ms = time_ms + 3600000");
    auto next = co_await store.log().append({log_sequence(1), {writer(1), 1}}, {writer(1), 2}, payload_of("x"));
    auto after = co_await store.log().append({log_sequence(2), {writer(1), 2}}, {writer(1), 3}, payload_of("x"));
    EXPECT_TRUE(first && next && after);
    if (!first || !next || !after) co_return;
    EXPECT_EQ(next->entries[0].time - first->entries[0].time, 3600000);
    EXPECT_EQ(after->entries[0].time, next->entries[0].time);
    EXPECT_EQ(after->now, next->entries[0].time);
  });
}

TEST_F(postgres_store, a_schema_that_is_dropped_is_refused_not_retried) {
  with_store([this](postgres_metastore& store) -> awaitable<void> {
    auto first = co_await store.log().append({}, {writer(1), 1}, payload_of("x"));
    EXPECT_TRUE(first.has_value());
    EXPECT_TRUE(co_await becomes(sessions_are_ready()));
    database_->sql("drop schema yaks cascade");
    auto append = co_await store.log().append({log_sequence(1), {writer(1), 1}}, {writer(1), 2}, payload_of("x"));
    EXPECT_TRUE(!append && append.error() == log_error::refused);
    auto read = co_await store.log().read_after({});
    EXPECT_TRUE(!read && read.error() == log_error::refused);
    // The same for sessions that come later, and cannot even prepare their statements.
    EXPECT_EQ(terminate("prepare%"), sessions);
    std::optional<log_error> later;
    for (auto due = rt_.now() + 20s; rt_.now() < due && later != log_error::refused;) {
      read = co_await store.log().read_after({});
      if (!read) later = read.error();
    }
    EXPECT_EQ(later, log_error::refused);
  });
}

// The entry by which the state lets go of ranges may be appended again after a crash of the server: by then they must not be lost.
TEST_F(postgres_store, what_the_index_takes_waits_for_the_disk) {
  with_store([this](postgres_metastore&) -> awaitable<void> {
    EXPECT_EQ(database_->sql("begin; set local synchronous_commit = off; select count(*) from yaks.add_measured(0, 1, "
                             "'{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'); show synchronous_commit"),
              "on");
    co_return;
  });
}

TEST_F(postgres_store, appends_wait_for_the_disk_whatever_the_role_says) {
  with_store([this](postgres_metastore& store) -> awaitable<void> {
    database_->sql("alter database " + settings_.database + " set synchronous_commit = off");
    database_->sql("alter database " + settings_.database + " set default_transaction_isolation = 'repeatable read'");
    EXPECT_TRUE(co_await becomes(sessions_are_ready()));
    EXPECT_EQ(terminate("prepare%"), sessions);  // they come back under the new defaults
    auto first = co_await store.log().append({}, {writer(1), 1}, payload_of("x"));
    for (int i = 0; i < 100 && !first; ++i) first = co_await store.log().append({}, {writer(1), 1}, payload_of("x"));
    EXPECT_TRUE(first.has_value());
    // The function itself sees to it, whoever calls it.
    auto append_at = [](int sequence, const std::string& id, int number) {
      return "select * from yaks.append(0, " + std::to_string(sequence) + ", '" + id + "', " + std::to_string(number) +
             ", '" + writer(1).value().text() + "', 2, 'x')";
    };
    auto append = append_at(1, writer(1).value().text(), 1);
    EXPECT_THROW(database_->sql("begin isolation level repeatable read; " + append), std::runtime_error);
    EXPECT_EQ(database_->sql("begin isolation level read committed; set local synchronous_commit = off; " + append +
                             "; show synchronous_commit"),
              "on");
  });
}

// ---- node id and notifications
// -----------------------------------------------------------------------------------------

TEST_F(postgres_store, the_node_id_is_taken_again_after_its_session_broke) {
  with_store([this](postgres_metastore& store) -> awaitable<void> {
    co_await store.hold_node_id(node_id(3), 1s);
    EXPECT_TRUE(store.holds_node_id());
    auto holders = [&] {
      return database_->sql(
          "select count(*) from pg_locks where locktype = 'advisory' and objid = 3 and granted and "
          "database = (select oid from pg_database where datname = current_database())");
    };
    EXPECT_EQ(holders(), "1");
    auto holder_pid = [&] {
      return database_->sql(
          "select pid from pg_locks where locktype = 'advisory' and objid = 3 and granted and "
          "database = (select oid from pg_database where datname = current_database())");
    };
    auto before = holder_pid();
    EXPECT_THAT(database_->sql("select application_name from pg_stat_activity where pid = " + before),
                testing::StartsWith("yaks node 3 host "));
    database_->sql("select pg_terminate_backend(" + before + ")");
    EXPECT_TRUE(co_await becomes([&] { return holder_pid() != before && holders() == "1"; }));
    EXPECT_TRUE(store.holds_node_id());
  });
}

TEST_F(postgres_store, a_node_id_that_somebody_else_took_meanwhile_is_known_to_be_lost) {
  with_store([this](postgres_metastore& store) -> awaitable<void> {
    co_await store.hold_node_id(node_id(4), 1s);
    // Somebody who waits for the lock gets it as soon as our session dies.
    std::unique_ptr<PGconn, decltype(&PQfinish)> rival(
        PQconnectdb(("host=" + settings_.host + " port=" + std::to_string(settings_.port) + " user=" + settings_.user +
                     " password=" + settings_.password + " dbname=" + settings_.database)
                        .c_str()),
        &PQfinish);
    PQsendQuery(rival.get(), "select pg_advisory_lock(2036427635, 4)");
    PQflush(rival.get());
    EXPECT_TRUE(co_await becomes([&] {
      return database_->sql(
                 "select count(*) from pg_locks where locktype = 'advisory' and objid = 4 and not granted") == "1";
    }));
    EXPECT_TRUE(store.holds_node_id());
    database_->sql(
        "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = 4 and granted");
    EXPECT_TRUE(co_await becomes([&] { return !store.holds_node_id(); }));
    rival.reset();
    EXPECT_TRUE(co_await becomes([&] { return store.holds_node_id(); }));
  });
}

TEST_F(postgres_store, notifications_go_on_after_their_session_broke) {
  with_store([this](postgres_metastore& store) -> awaitable<void> {
    int changes = 0;
    auto watch = [&]() -> awaitable<void> {
      for (;;) {
        co_await store.log().wait_for_change();
        ++changes;
      }
    };
    task_group tasks(rt_.executor());
    auto part = [&]() -> awaitable<void> {
      tasks.spawn(watch());
      auto listeners = [&] {
        return database_->sql(
            "select count(*) from pg_stat_activity where datname = current_database() and query like 'prepare "
            "holder%'");
      };
      EXPECT_TRUE(co_await becomes([&] { return listeners() == "1" && changes > 0; }));
      int before = changes;
      database_->sql("notify yaks_log, '0'");
      EXPECT_TRUE(co_await becomes([&] { return changes > before; }));
      before = changes;
      EXPECT_EQ(terminate("prepare holder%"), 1);
      EXPECT_TRUE(
          co_await becomes([&] { return changes > before && listeners() == "1"; }));  // what was missed is looked for
      before = changes;
      database_->sql("notify yaks_log, '0'");
      EXPECT_TRUE(co_await becomes([&] { return changes > before; }));
    };
    co_await run_then_close(part(), tasks);
  });
}

// As many as there are slots of the clock with an entry, and those that follow a slot when nobody else does.
TEST_F(postgres_store, entries_of_many_agents_share_notifications_and_the_last_one_has_one_too) {
  settings_.notify_per_agent = 100ms;
  settings_.notify_interval_most = 200ms;
  with_store([this](postgres_metastore& store) -> awaitable<void> {
    for (std::uint64_t n = 1; n <= 2; ++n) {
      auto live = co_await store.renew_lease({writer(n), {}, log_sequence(0)}, 60s);
      EXPECT_TRUE(live.has_value());
    }
    std::unique_ptr<PGconn, decltype(&PQfinish)> listener(
        PQconnectdb(("host=" + settings_.host + " port=" + std::to_string(settings_.port) + " user=" + settings_.user +
                     " password=" + settings_.password + " dbname=" + settings_.database)
                        .c_str()),
        &PQfinish);
    PQclear(PQexec(listener.get(), "listen yaks_log"));
    std::int64_t heard = 0;
    auto listen = [&] {
      PQconsumeInput(listener.get());
      while (auto* one = PQnotifies(listener.get())) {
        ++heard;
        PQfreemem(one);
      }
      return heard;
    };
    log_position at;
    auto append = [&]() -> awaitable<void> {
      append_id id{writer(1), at.id.number + 1};
      auto tail = co_await store.log().append(at, id, payload_of("x"));
      if (!tail) throw std::runtime_error("an append failed");
      at = {tail->head, id};
    };
    auto begun = rt_.now();
    for (int i = 0; i < 50; ++i) co_await append();
    auto slots = std::stoll(database_->sql("select count(distinct time_ms / 200) from yaks.entries"));
    auto followed = (rt_.now() - begun) / 200ms + 1;
    EXPECT_LE(listen(), slots + followed);
    EXPECT_TRUE(co_await becomes([&] { return listen() > 0; }));
    co_await rt_.sleep_for(500ms);  // whatever was still owed is sent
    auto before = listen();
    co_await append();
    co_await append();  // as a rule in the same slot: nobody follows, so it has its own
    EXPECT_TRUE(co_await becomes([&] { return listen() == before + 2; }));
  });
}

TEST_F(postgres_store, calls_are_unavailable_while_there_is_no_connection) {
  settings_.call_patience = 500ms;
  with_store([this](postgres_metastore& store) -> awaitable<void> {
    auto first = co_await store.log().append({}, {writer(1), 1}, payload_of("x"));
    EXPECT_TRUE(first.has_value());
    log_position at{log_sequence(1), {writer(1), 1}};
    database_->server_sql("alter database " + settings_.database + " with connection limit 0");
    database_->server_sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = '" +
                          settings_.database + "'");
    std::optional<log_error> of_append, of_read;
    auto fails = [&]() -> awaitable<void> {
      for (auto due = rt_.now() + 20s;
           rt_.now() < due && of_append != log_error::unavailable;) {  // unknown at first, maybe
        auto append = co_await store.log().append(at, {writer(1), 2}, payload_of("x"));
        if (!append) of_append = append.error();
      }
      auto read = co_await store.log().read_after(at);
      if (!read) of_read = read.error();
    };
    co_await fails();
    EXPECT_EQ(of_append, log_error::unavailable);
    EXPECT_EQ(of_read, log_error::unavailable);
    database_->server_sql("alter database " + settings_.database + " with connection limit -1");
    result<log_tail, log_error> again = failure(log_error::unavailable);
    for (auto due = rt_.now() + 20s; rt_.now() < due && !again;)
      again = co_await store.log().append(at, {writer(1), 2}, payload_of("x"));
    EXPECT_TRUE(again && again->head == log_sequence(2));  // what was unavailable was not done
  });
}
}  // namespace
}  // namespace yaks::metastores
