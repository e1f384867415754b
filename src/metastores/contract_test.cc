// Goal: every metadata store keeps the contract of metadata/log_store.hpp and metadata/metastore.hpp: one order for
// all, nothing missed, nothing twice, time that never runs backwards, positions that are checked. Method: the same
// tests on each store, on the real runtime, each on a fresh log. PostgreSQL needs a server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "metastores/contract_stores.hpp"
#include "runtime/real_runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::metastores {
namespace {
using metadata::append_id;
using metadata::log_entry;
using metadata::log_error;
using metadata::log_position;
using metadata::lease;
using metadata::log_tail;
using metadata::snapshot_record;
using metadata::metastore;
using metadata::metastore_error;

incarnation writer(std::uint64_t n) {
  return incarnation(uuid::v4(n, n));
}
shared_bytes payload_of(std::string_view text) {
  return shared_bytes::copy_of(as_bytes(text));
}
shared_bytes payload_of_size(std::size_t bytes) {
  return payload_of(std::string(bytes, 'x'));
}
log_position position_of(const log_entry& entry) {
  return {entry.sequence, entry.id};
}

class contract : public testing::TestWithParam<store_kind> {
 protected:
  void SetUp() override {
    std::string why_not;
    store_ = make_store(GetParam(), rt_, why_not);
    if (!store_) GTEST_SKIP() << why_not;
  }
  // Runs the test's coroutine and closes every session that it opened, however it ends.
  void run(awaitable<void> body) { rt_.run(run_then_close_sessions(std::move(body))); }
  awaitable<metastore*> open_session() {
    auto session = store_->make_session();
    co_await session->open();
    sessions_.push_back(std::move(session));
    co_return sessions_.back().get();
  }
  awaitable<void> close_sessions() {
    for (auto& s : sessions_) co_await s->close();
    sessions_.clear();
  }
  // Appends and answers where the caller stands afterwards.
  static awaitable<log_position> append_and_follow(metastore* session, log_position applied, append_id id,
                                                   shared_bytes payload) {
    auto tail = co_await session->log().append(applied, id, payload);
    if (!tail) throw std::runtime_error("append failed: " + std::string(name(tail.error())));
    if (tail->entries.empty()) throw std::runtime_error("append answered nothing");
    co_return position_of(tail->entries.back());
  }
  // Everything after `from`, as a reader that follows until it has seen the head.
  static awaitable<std::vector<log_entry>> read_all(metastore* session, log_position from = {}) {
    std::vector<log_entry> all;
    for (;;) {
      auto tail = co_await session->log().read_after(from);
      if (!tail) throw std::runtime_error("read failed: " + std::string(name(tail.error())));
      for (auto& e : tail->entries) all.push_back(e);
      if (!all.empty()) from = position_of(all.back());
      if (from.sequence >= tail->head) co_return all;
      if (tail->entries.empty()) throw std::runtime_error("a tail that ends before the head brings nothing");
    }
  }

  real_runtime rt_;
  std::unique_ptr<store_under_test> store_;
  std::vector<std::unique_ptr<metastore>> sessions_;

 private:
  awaitable<void> run_then_close_sessions(awaitable<void> body) {
    std::exception_ptr failed;
    try {
      co_await std::move(body);
    } catch (...) {
      failed = std::current_exception();
    }
    co_await close_sessions();
    if (failed) std::rethrow_exception(failed);
  }
};

TEST_P(contract, an_append_answers_what_is_new_to_the_caller) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    EXPECT_EQ(s->cluster_id().size(), 22u);
    EXPECT_EQ(s->log().is_shared(), store_->is_shared());
    auto first = co_await s->log().append({}, {writer(1), 1}, payload_of("one"));
    EXPECT_TRUE(first.has_value());
    if (!first) co_return;
    EXPECT_EQ(first->entries.size(), 1u);
    EXPECT_EQ(first->head, log_sequence(1));
    EXPECT_EQ(first->entries[0].sequence, log_sequence(1));
    EXPECT_EQ(first->entries[0].id, (append_id{writer(1), 1}));
    EXPECT_EQ(as_text(first->entries[0].payload.view()), "one");
    EXPECT_GT(first->entries[0].time, timestamp_ms(1'000'000'000'000));
    EXPECT_GE(first->now, first->entries[0].time);
    // A caller that has applied nothing gets the first entry besides its own.
    auto second = co_await s->log().append({}, {writer(2), 1}, payload_of("two"));
    EXPECT_TRUE(second.has_value());
    if (!second) co_return;
    EXPECT_EQ(second->entries.size(), 2u);
    EXPECT_EQ(as_text(second->entries.at(0).payload.view()), "one");
    EXPECT_EQ(as_text(second->entries.at(1).payload.view()), "two");
    EXPECT_EQ(second->entries.at(1).id, (append_id{writer(2), 1}));
    auto none = co_await s->log().read_after(position_of(second->entries.at(1)));
    EXPECT_TRUE(none && none->entries.empty() && none->head == log_sequence(2));
  };
  run(body());
}

TEST_P(contract, the_log_and_the_cluster_id_survive) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    auto cluster = s->cluster_id(), secret = s->peer_secret();
    EXPECT_EQ(secret.empty(), !store_->is_shared());
    log_position at;
    for (std::uint64_t n = 1; n <= 3; ++n)
      at = co_await append_and_follow(s, at, {writer(1), n}, payload_of(std::to_string(n)));
    co_await close_sessions();
    s = co_await open_session();
    EXPECT_EQ(s->cluster_id(), cluster);
    EXPECT_EQ(s->peer_secret(), secret);
    auto all = co_await read_all(s);
    EXPECT_EQ(all.size(), 3u);
    EXPECT_EQ(as_text(all.back().payload.view()), "3");
    at = co_await append_and_follow(s, at, {writer(1), 4}, payload_of(""));
    EXPECT_EQ(at.sequence, log_sequence(4));
    all = co_await read_all(s);
    EXPECT_TRUE(all.back().payload.empty());
  };
  run(body());
}

awaitable<void> append_one(metastore* session, append_id id, log_position applied, std::vector<log_sequence>& placed) {
  auto tail = co_await session->log().append(applied, id, payload_of(std::to_string(id.number)));
  if (!tail) throw std::runtime_error("append failed");
  for (auto& e : tail->entries)
    if (e.id == id) placed[id.number - 1] = e.sequence;
}

TEST_P(contract, outstanding_appends_are_sequenced_in_the_order_of_the_calls) {
  auto body = [this](task_group& tasks) -> awaitable<void> {
    auto* s = co_await open_session();
    std::vector<log_sequence> placed(50);
    for (std::uint64_t n = 1; n <= placed.size(); ++n) tasks.spawn(append_one(s, {writer(1), n}, {}, placed));
    while (tasks.size() > 0) co_await rt_.sleep_for(1ms);
    EXPECT_TRUE(std::ranges::is_sorted(placed));
    EXPECT_EQ(placed.front(), log_sequence(1));
    EXPECT_EQ(placed.back(), log_sequence(50));
    auto all = co_await read_all(s);
    EXPECT_EQ(all.size(), placed.size());
  };
  task_group tasks(rt_.executor());
  run(run_then_close(body(tasks), tasks));
}

// An agent that applies what its own appends bring, as the replica does, and nothing else.
awaitable<void> append_many(metastore* session, incarnation self, int count, std::vector<log_entry>& seen) {
  log_position at;
  for (int n = 1; n <= count; ++n) {
    append_id id{self, std::uint64_t(n)};
    auto tail = co_await session->log().append(at, id, payload_of(std::to_string(n)));
    if (!tail) throw std::runtime_error("append failed: " + std::string(name(tail.error())));
    for (auto& e : tail->entries) seen.push_back(e);
    // Entries of others may follow it where the store puts several appends into one commit.
    auto is_mine = [&](const log_entry& e) { return e.id == id; };
    if (std::ranges::count_if(tail->entries, is_mine) != 1) throw std::runtime_error("an append answers its own entry");
    at = position_of(seen.back());
  }
}

TEST_P(contract, concurrent_sessions_see_every_entry_once_and_in_order) {
  constexpr int sessions = 4, each = 150;
  auto body = [this](task_group& tasks) -> awaitable<void> {
    std::vector<std::vector<log_entry>> seen(sessions);
    auto* s = co_await open_session();
    for (int i = 0; i < sessions; ++i) {
      if (i > 0 && store_->is_shared()) s = co_await open_session();
      tasks.spawn(append_many(s, writer(std::uint64_t(i) + 1), each, seen[std::size_t(i)]));
    }
    while (tasks.size() > 0) co_await rt_.sleep_for(1ms);
    auto all = co_await read_all(s);
    EXPECT_EQ(all.size(), std::size_t(sessions * each));
    timestamp_ms time{0};
    for (std::size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(all[i].sequence, log_sequence(std::int64_t(i) + 1));
      EXPECT_GE(all[i].time, time);
      time = all[i].time;
    }
    for (auto& mine : seen) {
      EXPECT_LE(mine.size(), all.size());
      EXPECT_FALSE(mine.empty());
      for (std::size_t i = 0; i < std::min(mine.size(), all.size()); ++i) {
        EXPECT_EQ(position_of(mine[i]), position_of(all[i]));  // what is missed or doubled shifts the rest
        EXPECT_EQ(mine[i].time, all[i].time);
        EXPECT_TRUE(std::ranges::equal(mine[i].payload.view(), all[i].payload.view()));
      }
    }
  };
  task_group tasks(rt_.executor());
  run(run_then_close(body(tasks), tasks));
}

TEST_P(contract, a_reader_far_behind_gets_the_log_in_pieces) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    constexpr std::size_t bytes = std::size_t(1500) << 10;  // two fit into one answer, three do not
    log_position at;
    for (std::uint64_t n = 1; n <= 5; ++n)
      at = co_await append_and_follow(s, at, {writer(1), n}, payload_of_size(bytes));
    auto tail = co_await s->log().read_after({});
    EXPECT_TRUE(tail && tail->entries.size() == 2 && tail->head == log_sequence(5));
    auto all = co_await read_all(s);
    EXPECT_EQ(all.size(), 5u);
    EXPECT_EQ(all.back().payload.size(), bytes);
    // An append answers no more than that either; its own entry comes with a later read.
    auto far = co_await s->log().append({}, {writer(2), 1}, payload_of_size(bytes));
    EXPECT_TRUE(far && far->entries.size() == 2 && far->head == log_sequence(6));
    all = co_await read_all(s);
    EXPECT_EQ(all.size(), 6u);
    EXPECT_EQ(all.back().id, (append_id{writer(2), 1}));
  };
  run(body());
}

TEST_P(contract, an_entry_has_a_largest_size) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    auto too_large = co_await s->log().append({}, {writer(1), 1}, payload_of_size(metadata::entry_bytes_max + 1));
    EXPECT_TRUE(!too_large && too_large.error() == log_error::refused);
    auto largest = co_await s->log().append({}, {writer(1), 2}, payload_of_size(metadata::entry_bytes_max));
    EXPECT_TRUE(largest && largest->entries.size() == 1 &&
                largest->entries[0].payload.size() == metadata::entry_bytes_max);
    auto all = co_await read_all(s);
    EXPECT_EQ(all.size(), 1u);
  };
  run(body());
}

TEST_P(contract, a_retry_is_stored_again) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    append_id id{writer(1), 1};
    auto at = co_await append_and_follow(s, {}, id, payload_of("same"));
    at = co_await append_and_follow(s, at, id, payload_of("same"));
    auto all = co_await read_all(s);
    EXPECT_EQ(all.size(), 2u);  // the state machine ignores the second
    EXPECT_EQ(all.at(0).id, all.at(1).id);
  };
  run(body());
}

TEST_P(contract, whoever_stands_where_the_log_is_another_one_is_told) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    std::vector<log_position> at{{}};
    for (std::uint64_t n = 1; n <= 4; ++n)
      at.push_back(co_await append_and_follow(s, at.back(), {writer(1), n}, payload_of("x")));
    // Beyond the end, at the end, in the middle, at the beginning.
    std::vector<log_position> wrong{{log_sequence(5), {writer(1), 5}},
                                    {log_sequence(4), {writer(1), 5}},
                                    {log_sequence(4), {writer(2), 4}},
                                    {log_sequence(2), {writer(1), 1}},
                                    {log_sequence(2), {writer(2), 2}}};
    for (auto& position : wrong) {
      auto read = co_await s->log().read_after(position);
      EXPECT_TRUE(!read && read.error() == log_error::diverged) << position.sequence.value();
      auto append = co_await s->log().append(position, {writer(1), 9}, payload_of("y"));
      EXPECT_TRUE(!append && append.error() == log_error::diverged) << position.sequence.value();
    }
    auto all = co_await read_all(s);
    EXPECT_EQ(all.size(), 4u);  // nothing was inserted

    if (!store_->is_shared()) co_await close_sessions();
    store_->lose_after(log_sequence(2));
    if (!store_->is_shared()) s = co_await open_session();
    for (std::size_t lost : {3u, 4u}) {
      auto read = co_await s->log().read_after(at[lost]);
      EXPECT_TRUE(!read && read.error() == log_error::diverged);
      auto append = co_await s->log().append(at[lost], {writer(1), 5}, payload_of("y"));
      EXPECT_TRUE(!append && append.error() == log_error::diverged);
    }
    // Another history up to the same sequence number is another one still.
    auto other = co_await append_and_follow(s, at[2], {writer(2), 1}, payload_of("z"));
    EXPECT_EQ(other.sequence, log_sequence(3));
    auto read = co_await s->log().read_after(at[3]);
    EXPECT_TRUE(!read && read.error() == log_error::diverged);
    read = co_await s->log().read_after(at[2]);
    EXPECT_TRUE(read && read->entries.size() == 1);
  };
  run(body());
}

TEST_P(contract, whoever_stands_below_the_trim_point_is_told) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    std::vector<log_position> at{{}};
    for (std::uint64_t n = 1; n <= 4; ++n)
      at.push_back(co_await append_and_follow(s, at.back(), {writer(1), n}, payload_of("x")));
    if (!store_->is_shared()) co_await close_sessions();
    store_->trim_to(log_sequence(3));
    if (!store_->is_shared()) s = co_await open_session();
    for (std::size_t below : {0u, 1u, 2u}) {
      auto read = co_await s->log().read_after(at[below]);
      EXPECT_TRUE(!read && read.error() == log_error::trimmed);
      auto append = co_await s->log().append(at[below], {writer(1), 5}, payload_of("y"));
      EXPECT_TRUE(!append && append.error() == log_error::trimmed);
    }
    auto read = co_await s->log().read_after(at[3]);
    EXPECT_TRUE(read && read->entries.size() == 1);
    read = co_await s->log().read_after({log_sequence(3), {writer(1), 4}});
    EXPECT_TRUE(!read && read.error() == log_error::diverged);
    auto next = co_await append_and_follow(s, at[3], {writer(1), 5}, payload_of("y"));
    EXPECT_EQ(next.sequence, log_sequence(5));
  };
  run(body());
}

awaitable<void> wait_for_change(metastore* session, int& changes) {
  for (;;) {
    co_await session->log().wait_for_change();
    ++changes;
  }
}

TEST_P(contract, others_are_woken) {
  if (!store_->is_shared()) GTEST_SKIP() << "one session only";
  auto body = [this](task_group& tasks) -> awaitable<void> {
    auto *a = co_await open_session(), *b = co_await open_session();
    int changes = 0;
    tasks.spawn(wait_for_change(b, changes));
    log_position at;
    for (std::uint64_t n = 1; n <= 3; ++n) {
      int before = changes;
      at = co_await append_and_follow(a, at, {writer(1), n}, payload_of("x"));
      for (auto due = rt_.now() + 10s; changes == before && rt_.now() < due;) co_await rt_.sleep_for(1ms);
      EXPECT_GT(changes, before);
      auto all = co_await read_all(b);
      EXPECT_EQ(all.size(), n);
    }
  };
  task_group tasks(rt_.executor());
  run(run_then_close(body(tasks), tasks));
}

TEST_P(contract, a_node_id_has_one_holder) {
  auto body = [this]() -> awaitable<void> {
    auto* first = co_await open_session();
    EXPECT_FALSE(first->holds_node_id());
    co_await first->hold_node_id(node_id(7), 10ms);
    EXPECT_TRUE(first->holds_node_id());
    EXPECT_EQ(co_await first->held_node_ids(), (std::set{node_id(7)}));
    std::string refusal;
    auto second = store_->make_session();
    bool opened = false;
    try {  // a store for one process refuses to open
      co_await second->open();
      opened = true;
      co_await second->hold_node_id(node_id(7), 10ms);
    } catch (const metastore_error& error) {
      refusal = error.what();
    }
    EXPECT_THAT(refusal, testing::HasSubstr(store_->is_shared() ? "YAKS_NODE_ID" : "YAKS_DATA_DIR"));
    EXPECT_THAT(refusal,
                testing::HasSubstr(GetParam() == store_kind::memory ? "memory session" : std::to_string(getpid())));
    EXPECT_FALSE(second->holds_node_id());
    if (opened) {
      co_await second->hold_node_id(node_id(8), 10ms);
      EXPECT_EQ(co_await first->held_node_ids(), (std::set{node_id(7), node_id(8)}));
      co_await second->close();
      for (;;) {  // the server has to notice
        auto held = co_await first->held_node_ids();
        if (held && *held == std::set{node_id(7)}) break;
        co_await rt_.sleep_for(2ms);
      }
    }
    EXPECT_TRUE(first->holds_node_id());
    co_await close_sessions();
    auto* third = co_await open_session();
    co_await third->hold_node_id(node_id(7), 5s);
    EXPECT_TRUE(third->holds_node_id());
  };
  run(body());
}

TEST_P(contract, two_snapshots_are_kept_and_the_log_is_trimmed_to_the_older) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    std::vector<log_position> at{{}};
    for (std::uint64_t n = 1; n <= 9; ++n)
      at.push_back(co_await append_and_follow(s, at.back(), {writer(1), n}, payload_of("x")));
    auto none = co_await s->snapshots();
    EXPECT_TRUE(none && none->empty());
    auto made = [&](std::size_t n, std::string key) { return snapshot_record{at[n], std::move(key), 10 * n, ~std::uint64_t(n)}; };
    auto add = [&](snapshot_record r) -> awaitable<std::vector<std::string>> {
      auto dropped = co_await s->add_snapshot(std::move(r));
      if (!dropped) throw std::runtime_error("add_snapshot failed");
      co_return *dropped;
    };
    EXPECT_TRUE((co_await add(made(3, "a"))).empty());
    auto all = co_await s->log().read_after({});
    EXPECT_TRUE(all && all->entries.size() == 9);  // one snapshot trims nothing
    EXPECT_TRUE((co_await add(made(5, "b"))).empty());
    EXPECT_EQ(co_await add(made(8, "c")), std::vector<std::string>{"a"});
    // Late ones are not wanted, and say so.
    EXPECT_EQ(co_await add(made(7, "late")), std::vector<std::string>{"late"});
    EXPECT_TRUE((co_await add(made(8, "c"))).empty());  // a repeated one is there
    auto kept = co_await s->snapshots();
    EXPECT_TRUE(kept && *kept == (std::vector<snapshot_record>{made(8, "c"), made(5, "b")}));
    for (std::size_t below : {0u, 3u, 4u}) {
      auto read = co_await s->log().read_after(at[below]);
      EXPECT_TRUE(!read && read.error() == log_error::trimmed) << below;
    }
    auto rest = co_await s->log().read_after(at[5]);
    EXPECT_TRUE(rest && rest->entries.size() == 4);
    auto next = co_await append_and_follow(s, at[9], {writer(1), 10}, payload_of("y"));
    EXPECT_EQ(next.sequence, log_sequence(10));
  };
  run(body());
}

TEST_P(contract, leases_live_until_their_time) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    auto lease_of = [](std::uint64_t n) {
      return lease{.who = writer(n), .what = {.node = node_id(std::int32_t(n)), .host = "h", .port = 1}, .applied = {}};
    };
    auto first = co_await s->renew_lease(lease_of(1), 1h);
    EXPECT_TRUE(first && *first == std::vector<incarnation>{writer(1)});
    if (!store_->is_shared()) co_return;  // nobody else can come
    auto* other = co_await open_session();
    auto both = co_await other->renew_lease(lease_of(2), 1h);
    EXPECT_TRUE(both && both->size() == 2);
    co_await other->end_lease(writer(2));
    auto left = co_await s->renew_lease(lease_of(1), 1h);
    EXPECT_TRUE(left && *left == std::vector<incarnation>{writer(1)});
    auto brief = co_await other->renew_lease(lease_of(3), 1ms);
    EXPECT_TRUE(brief);
    for (;;) {  // it lapses, whenever
      auto live = co_await s->renew_lease(lease_of(1), 1h);
      if (live && *live == std::vector<incarnation>{writer(1)}) break;
      co_await rt_.sleep_for(2ms);
    }
  };
  run(body());
}

TEST_P(contract, the_index_takes_what_follows_and_finds_it_again) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    topic_partition a{topic_id(uuid::v4(1, 1)), partition_index(0)}, b{a.topic, partition_index(7)};
    auto object_of = [](std::uint64_t n) { return metadata::indexed_object{n, object_id(uuid::v7(1000 + std::int64_t(n), n, n)), 100 * n}; };
    // Ranges of ten records, the n-th in object n + 1, its time 1000 n.
    auto chunk_of = [&](topic_partition where, std::int64_t first, std::int64_t last) {
      metadata::index_chunk c{where, {}};
      for (auto n = first; n < last; ++n)
        c.ranges.push_back({.base_offset = offset(10 * n), .object = metadata::object_number(n + 1), .position = std::uint32_t(n),
                            .bytes = 50, .record_count = 10, .batch_count = 1, .max_timestamp = timestamp_ms(1000 * n)});
      return c;
    };
    auto write_of = [&](std::vector<metadata::index_chunk> chunks) {
      metadata::index_write w{std::move(chunks), {}};
      for (std::uint64_t n = 1; n <= 40; ++n) w.objects.push_back(object_of(n));
      return w;
    };
    std::vector<metadata::index_chunk> some{chunk_of(a, 0, 10), chunk_of(a, 10, 15), chunk_of(b, 0, 3)};
    auto ends = co_await s->index().add(1, write_of(some));
    EXPECT_TRUE(ends && ends->size() == 2);
    auto end_of = [&](topic_partition where) {
      for (const auto& [at, end] : *ends)
        if (at == where) return end;
      return offset(-1);
    };
    EXPECT_EQ(end_of(a), offset(150));
    EXPECT_EQ(end_of(b), offset(30));
    // Again, overlapping, or with a gap: left out, and the truth is answered.
    for (auto& c : {chunk_of(a, 0, 10), chunk_of(a, 12, 20), chunk_of(a, 16, 20)}) {
      std::vector<metadata::index_chunk> one{c};
      ends = co_await s->index().add(1, write_of(one));
      EXPECT_TRUE(ends && end_of(a) == offset(150));
    }
    for (std::int64_t at : {0, 5, 99, 100, 149}) {
      auto found = co_await s->index().find(a, offset(at));
      EXPECT_TRUE(found && found->size() == (at < 100 ? 10u : 5u)) << at;
      if (!found || found->empty()) continue;
      EXPECT_EQ(found->front().range.base_offset, offset(at < 100 ? 0 : 100));
      for (const auto& r : *found) {
        auto n = std::uint64_t(r.range.base_offset.value() / 10);
        EXPECT_EQ(r.object, object_of(n + 1).id);
        EXPECT_EQ(r.range, chunk_of(a, std::int64_t(n), std::int64_t(n) + 1).ranges.front());
      }
    }
    auto beyond = co_await s->index().find(a, offset(150));
    EXPECT_TRUE(beyond && beyond->empty());
    auto later = co_await s->index().find_time(a, offset(0), timestamp_ms(9001));
    EXPECT_TRUE(later && later->size() == 5);
    auto behind = co_await s->index().find_time(a, offset(120), timestamp_ms(1));
    EXPECT_TRUE(behind && behind->size() == 5);
    auto none = co_await s->index().find_time(a, offset(0), timestamp_ms(14'001));
    EXPECT_TRUE(none && none->empty());
    auto largest = co_await s->index().find_largest_time(a, offset(0));
    EXPECT_TRUE(largest && largest->size() == 5 && largest->back().range.max_timestamp == timestamp_ms(14'000));
    auto dropped = co_await s->index().drop(1, a.topic, 2);
    EXPECT_TRUE(dropped && !*dropped);
    for (int i = 0; dropped && !*dropped && i < 5; ++i) dropped = co_await s->index().drop(1, a.topic, 2);
    EXPECT_TRUE(dropped && *dropped);
    for (auto where : {a, b}) {
      auto gone = co_await s->index().find(where, offset(0));
      EXPECT_TRUE(gone && gone->empty());
    }
  };
  run(body());
}

TEST_P(contract, the_tables_for_sql_take_the_latest_values) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    auto& tables = s->read_model();
    topic_id one(uuid::v4(1, 1)), two(uuid::v4(2, 2));
    auto offset_of = [](topic_id topic, int partition, std::int64_t at, std::string metadata = "") {
      return metadata::offset_row{{topic, partition_index(partition)}, {offset(at), -1, std::move(metadata), timestamp_ms(1'700'000'000'000)}};
    };
    metadata::read_model_write w{.as_of = log_sequence(7)};
    w.topics = {{one, "one", timestamp_ms(1'700'000'000'000), 3, R"({"retention.ms":"1"})"}, {two, "two", timestamp_ms(1), 1, "{}"}};
    w.partitions = {{{one, partition_index(0)}, offset(1), offset(10), 100}, {{two, partition_index(0)}, offset(0), offset(2), 20}};
    w.groups = {{R"(a "group" \ {with} ,all' of it)", {offset_of(one, 0, 5, R"("\,{}' )"), offset_of(two, 0, 1)}}, {"b", {offset_of(two, 0, 2)}}};
    auto done = co_await tables.write(w);
    EXPECT_TRUE(done && *done);
    done = co_await tables.write(w);  // again is fine
    EXPECT_TRUE(done && *done);
    auto known = co_await tables.read_known();
    EXPECT_TRUE(known && known->topics == (std::set{one, two}));
    EXPECT_TRUE(known && known->groups == (std::set<std::string>{w.groups[0].name, "b"}));
    auto older = co_await tables.write({.as_of = log_sequence(6), .deleted = {one}});
    EXPECT_TRUE(older && !*older);
    // A topic goes with all that is its own; a group that commits nothing any more goes too.
    done = co_await tables.write({.as_of = log_sequence(8), .groups = {{w.groups[0].name, {offset_of(one, 1, 3)}}}, .deleted = {two}});
    EXPECT_TRUE(done && *done);
    known = co_await tables.read_known();
    EXPECT_TRUE(known && known->topics == std::set{one});
    EXPECT_TRUE(known && known->groups == std::set<std::string>{w.groups[0].name});
    done = co_await tables.write({.as_of = log_sequence(9), .groups = {{w.groups[0].name, {}}}});
    EXPECT_TRUE(done && *done);
    known = co_await tables.read_known();
    EXPECT_TRUE(known && known->groups.empty());
  };
  run(body());
}

TEST_P(contract, the_index_counts_what_lies_in_each_object_and_says_what_may_go) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    auto& index = s->index();
    topic_partition a{topic_id(uuid::v4(1, 1)), partition_index(0)}, b{topic_id(uuid::v4(2, 2)), partition_index(3)};
    auto object_of = [](std::uint64_t n) { return metadata::indexed_object{n, object_id(uuid::v7(1000 + std::int64_t(n), n, n)), 100 * n}; };
    // Ranges of ten records, two in each object.
    auto ranges_of = [](std::int64_t first, std::int64_t last) {
      std::vector<metadata::range> all;
      for (auto n = first; n < last; ++n)
        all.push_back({.base_offset = offset(10 * n), .object = metadata::object_number(n / 2 + 1), .position = std::uint32_t(n),
                       .bytes = 50, .record_count = 10, .batch_count = 1, .max_timestamp = timestamp_ms(1000 * n)});
      return all;
    };
    metadata::index_write w{{{a, ranges_of(0, 10)}, {a, ranges_of(10, 20)}, {b, ranges_of(0, 4)}}, {}};
    std::vector<metadata::indexed_object> all;
    for (std::uint64_t n = 1; n <= 10; ++n) all.push_back(object_of(n));
    w.objects = all;
    EXPECT_TRUE(co_await index.begin_term(5));
    EXPECT_TRUE(co_await index.add(5, w));
    auto gone = [&](std::int64_t at, std::int64_t before) -> awaitable<std::vector<metadata::object_number>> {
      auto found = co_await index.retired(log_sequence(at), timestamp_ms(before), 100);
      std::vector<metadata::object_number> numbers;
      EXPECT_TRUE(found.has_value());
      if (found)
        for (const auto& o : *found) {
          EXPECT_EQ(o.id, object_of(o.number).id);
          EXPECT_EQ(o.bytes, object_of(o.number).bytes);
          numbers.push_back(o.number);
        }
      std::ranges::sort(numbers);
      co_return numbers;
    };
    using numbers = std::vector<metadata::object_number>;
    // Released objects stay while a range is counted.
    EXPECT_TRUE(co_await index.release(5, all));
    EXPECT_EQ((co_await index.retire(5, log_sequence(10), timestamp_ms(1000))).value_or(99), 0u);
    // Up to offset 50, in the middle of a chunk and of object 3; objects 1 and 2 are b's too.
    std::vector<metadata::index_place> trims{{a, offset(50)}};
    EXPECT_TRUE(co_await index.trim(5, trims));
    EXPECT_TRUE(co_await index.trim(5, trims));  // again
    auto first = co_await index.find(a, offset(50));
    EXPECT_TRUE(first && first->size() == 5 && first->front().range == ranges_of(5, 6).front());
    auto below = co_await index.find(a, offset(49));
    EXPECT_TRUE(below && below->empty());
    EXPECT_EQ((co_await index.retire(5, log_sequence(11), timestamp_ms(1000))).value_or(99), 0u);
    auto dropped = co_await index.drop(5, b.topic, 100);
    EXPECT_TRUE(dropped && *dropped);
    EXPECT_EQ((co_await index.retire(5, log_sequence(12), timestamp_ms(1000))).value_or(99), 2u);
    trims = {{a, offset(100)}};  // a whole chunk
    EXPECT_TRUE(co_await index.trim(5, trims));
    EXPECT_EQ((co_await index.retire(5, log_sequence(13), timestamp_ms(2000))).value_or(99), 3u);
    EXPECT_EQ(co_await gone(11, 9999), numbers{});
    EXPECT_EQ(co_await gone(12, 1000), numbers{});  // not before
    EXPECT_EQ(co_await gone(12, 1001), (numbers{1, 2}));
    EXPECT_EQ(co_await gone(99, 9999), (numbers{1, 2, 3, 4, 5}));
    auto totals = co_await index.totals();
    EXPECT_TRUE(totals && totals->waiting.objects == 5 && totals->waiting.bytes == 1500 && totals->live.objects == 5 && totals->live.bytes == 4000);
    EXPECT_TRUE(totals && totals->oldest_waiting == timestamp_ms(1000));
    std::vector<metadata::object_number> some{1, 3};
    EXPECT_TRUE(co_await index.forget(5, some));
    EXPECT_EQ(co_await gone(99, 9999), (numbers{2, 4, 5}));
    std::vector<object_id> asked{object_of(1).id, object_of(2).id, object_of(10).id};
    auto known = co_await index.known_objects(asked);
    EXPECT_TRUE(known && std::set(known->begin(), known->end()) == (std::set{object_of(2).id, object_of(10).id}));
    // Beyond the end: what comes next follows there.
    trims = {{a, offset(250)}};
    EXPECT_TRUE(co_await index.trim(5, trims));
    metadata::index_write next{{{a, ranges_of(25, 26)}}, {object_of(13)}};
    auto ends = co_await index.add(5, next);
    EXPECT_TRUE(ends && ends->front().second == offset(260));
    // An object that never was in the index can go too.
    std::vector<metadata::indexed_object> other{object_of(20)};
    EXPECT_TRUE(co_await index.release(5, other));
    EXPECT_TRUE((co_await index.retire(5, log_sequence(20), timestamp_ms(5000))).value_or(0) >= 1);
    EXPECT_TRUE(std::ranges::count(co_await gone(20, 5001), 20u) == 1);
  };
  run(body());
}

TEST_P(contract, ranges_move_into_a_merged_object_and_the_objects_of_before_may_go) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    auto& index = s->index();
    topic_partition a{topic_id(uuid::v4(1, 1)), partition_index(0)}, b{topic_id(uuid::v4(2, 2)), partition_index(3)};
    auto object_of = [](std::uint64_t n) { return metadata::indexed_object{n, object_id(uuid::v7(1000 + std::int64_t(n), n, n)), 100}; };
    // Ranges of ten records and 50 bytes, one of each partition in each object.
    auto ranges_of = [](std::int64_t first, std::int64_t last, std::uint32_t position) {
      std::vector<metadata::range> all;
      for (auto n = first; n < last; ++n)
        all.push_back({.base_offset = offset(10 * n), .object = metadata::object_number(n + 1), .position = position,
                       .bytes = 50, .record_count = 10, .batch_count = 1u | std::uint32_t(n % 2) << 31, .max_timestamp = timestamp_ms(1000 * n)});
      return all;
    };
    metadata::index_write w{{{a, ranges_of(0, 5, 0)}, {a, ranges_of(5, 8, 0)}, {a, ranges_of(8, 10, 0)}, {b, ranges_of(0, 10, 50)}}, {}};
    for (std::uint64_t n = 1; n <= 10; ++n) w.objects.push_back(object_of(n));
    EXPECT_TRUE(co_await index.begin_term(5));
    EXPECT_TRUE(co_await index.add(5, w));
    EXPECT_TRUE(co_await index.release(5, w.objects));
    auto page = co_await index.read(a, offset(55), 2);
    EXPECT_TRUE(page && page->chunks == (std::vector{ranges_of(5, 8, 0), ranges_of(8, 10, 0)}));
    EXPECT_TRUE(page && page->objects.size() == 5 && page->objects.contains(6));
    if (page && page->objects.contains(6)) {
      const auto& o = page->objects.at(6);
      EXPECT_EQ(o.what.id, object_of(6).id);
      EXPECT_EQ(o.what.bytes, 100u);
      EXPECT_EQ(o.live_bytes, 100u);
      EXPECT_TRUE(o.is_released);
      EXPECT_FALSE(o.is_merged);
    }
    page = co_await index.read(a, offset(0), 1);
    EXPECT_TRUE(page && page->chunks.size() == 1 && page->chunks.front().size() == 5);
    page = co_await index.read(a, offset(100), 9);
    EXPECT_TRUE(page && page->chunks.empty() && page->objects.empty());

    // From the middle of a's first chunk to the middle of its last, and all of b.
    metadata::indexed_object merged{20, object_id(uuid::v7(5000, 20, 20)), 850};
    std::vector<metadata::moved_ranges> parts{{a, offset(20), offset(90), 0, 350}, {b, offset(0), offset(100), 350, 500}};
    EXPECT_TRUE(co_await index.replace(5, merged, parts));
    auto is_there = [&]() -> awaitable<void> {
      auto all = co_await index.read(a, offset(0), 100);
      EXPECT_TRUE(all && all->chunks.size() == 1);
      if (!all || all->chunks.size() != 1) co_return;
      auto wanted = ranges_of(0, 10, 0);
      for (std::uint32_t n = 2; n < 9; ++n) wanted[n].object = 20, wanted[n].position = 50 * (n - 2);
      EXPECT_EQ(all->chunks.front(), wanted);
      EXPECT_TRUE(all->objects.contains(20) && all->objects.at(20).live_bytes == 850 && all->objects.at(20).is_merged);
      EXPECT_TRUE(all->objects.contains(1) && all->objects.at(1).live_bytes == 50 && all->objects.at(1).is_sparse(0.6));
      auto found = co_await index.find(b, offset(95));
      EXPECT_TRUE(found && found->size() == 10 && found->back().object == merged.id && found->back().range.position == 800);
      auto late = co_await index.find_time(b, offset(0), timestamp_ms(9000));
      EXPECT_TRUE(late && late->size() == 10);
    };
    co_await is_there();
    EXPECT_TRUE(co_await index.replace(5, merged, parts));  // again is fine
    co_await is_there();
    auto totals = co_await index.totals();
    EXPECT_TRUE(totals && totals->merged.objects == 1 && totals->merged.bytes == 850 && totals->live.objects == 4);
    // Objects 3 to 9 have none left; the merged one is not released.
    EXPECT_EQ((co_await index.retire(5, log_sequence(10), timestamp_ms(1000))).value_or(99), 7u);
    std::vector<metadata::indexed_object> one{merged};
    EXPECT_TRUE(co_await index.release(5, one));
    EXPECT_EQ((co_await index.retire(5, log_sequence(11), timestamp_ms(1000))).value_or(99), 0u);
    // What is trimmed and dropped after a merge was merged before: it goes as if it had always been there.
    std::vector<metadata::index_place> trims{{a, offset(50)}};
    EXPECT_TRUE(co_await index.trim(5, trims));
    page = co_await index.read(a, offset(0), 100);
    EXPECT_TRUE(page && page->chunks.size() == 1 && page->objects.size() == 2 && page->objects.at(20).live_bytes == 700);
    auto dropped = co_await index.drop(5, b.topic, 100);
    EXPECT_TRUE(dropped && *dropped);
    page = co_await index.read(a, offset(0), 100);
    EXPECT_TRUE(page && page->objects.at(20).live_bytes == 200 && page->objects.at(20).is_sparse(0.5));
    // Merged again, with what lies beside it.
    metadata::indexed_object again{21, object_id(uuid::v7(6000, 21, 21)), 250};
    parts = {{a, offset(50), offset(100), 0, 250}};
    EXPECT_TRUE(co_await index.replace(5, again, parts));
    auto all = co_await index.find(a, offset(50));
    EXPECT_TRUE(all && all->size() == 5 && all->back().object == again.id && all->front().object == again.id);
    EXPECT_EQ((co_await index.retire(5, log_sequence(12), timestamp_ms(1000))).value_or(99), 4u);  // 1, 2, 10 and 20
    auto old = co_await index.replace(4, again, parts);
    EXPECT_TRUE(!old && old.error() == log_error::old_term);
  };
  run(body());
}

TEST_P(contract, an_index_write_of_an_earlier_term_is_refused) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    auto& index = s->index();
    EXPECT_TRUE(co_await index.begin_term(7));
    auto is_old = [](const auto& r) { return !r && r.error() == log_error::old_term; };
    metadata::index_write none;
    EXPECT_TRUE(is_old(co_await index.add(6, none)));
    EXPECT_TRUE(is_old(co_await index.begin_term(6)));
    EXPECT_TRUE(is_old(co_await index.trim(6, {})));
    EXPECT_TRUE(is_old(co_await index.drop(6, topic_id(uuid::v4(1, 1)), 1)));
    EXPECT_TRUE(is_old(co_await index.release(6, {})));
    EXPECT_TRUE(is_old(co_await index.retire(6, log_sequence(1), timestamp_ms(1))));
    EXPECT_TRUE(is_old(co_await index.forget(6, {})));
    EXPECT_TRUE(co_await index.retire(7, log_sequence(1), timestamp_ms(1)));
    EXPECT_TRUE(co_await index.retire(8, log_sequence(1), timestamp_ms(1)));  // a later one begins by itself
    EXPECT_TRUE(is_old(co_await index.retire(7, log_sequence(1), timestamp_ms(1))));
  };
  run(body());
}

TEST_P(contract, a_trim_inside_a_range_is_refused_and_changes_nothing) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    auto& index = s->index();
    topic_partition a{topic_id(uuid::v4(1, 1)), partition_index(0)}, b{a.topic, partition_index(1)};
    metadata::range one{.base_offset = offset(0), .object = 1, .bytes = 50, .record_count = 10, .batch_count = 1, .max_timestamp = timestamp_ms(1)};
    metadata::index_write w{{{a, {one}}, {b, {one}}}, {{1, object_id(uuid::v7(1, 1, 1)), 100}}};
    EXPECT_TRUE(co_await index.add(5, w));
    std::vector<metadata::index_place> trims{{a, offset(10)}, {b, offset(5)}};
    auto done = co_await index.trim(5, trims);
    EXPECT_TRUE(!done && done.error() == log_error::refused);
    for (auto where : {a, b}) {
      auto page = co_await index.read(where, offset(0), 10);
      EXPECT_TRUE(page && page->chunks.size() == 1 && page->chunks[0] == std::vector{one} && page->objects.at(1).live_bytes == 100);
    }
  };
  if (GetParam() == store_kind::memory) EXPECT_DEATH(run(body()), "a range is not divided");
  else run(body());
}

// What the index is to hold, in the simplest way: all sums are counted anew whenever they are asked for.
struct naive_index {
  struct object {
    object_id id;
    std::uint64_t bytes = 0;
    bool is_released = false, is_merged = false;
    std::optional<std::pair<log_sequence, timestamp_ms>> retired;
  };
  std::map<topic_partition, std::vector<metadata::range>> ranges;
  std::map<topic_partition, offset> ends;
  std::map<metadata::object_number, object> objects;

  std::pair<std::uint64_t, std::uint64_t> held(metadata::object_number number) const {
    std::pair<std::uint64_t, std::uint64_t> sum;
    for (const auto& [where, all] : ranges)
      for (const auto& r : all)
        if (r.object == number) ++sum.first, sum.second += r.bytes;
    return sum;
  }
  bool is_gone(metadata::object_number number) const { return objects.at(number).is_released && held(number).first == 0; }
  metadata::object_totals totals() const {
    metadata::object_totals all;
    for (const auto& [number, o] : objects) {
      auto add = [&](auto& sum) { ++sum.objects, sum.bytes += o.bytes; };
      add(is_gone(number) ? all.waiting : all.live);
      if (o.is_merged && !is_gone(number)) add(all.merged);
      if (o.retired && (all.oldest_waiting == no_timestamp || o.retired->second < all.oldest_waiting)) all.oldest_waiting = o.retired->second;
    }
    return all;
  }
};

TEST_P(contract, after_any_history_the_index_holds_and_sums_up_what_a_naive_one_does) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    auto& index = s->index();
    naive_index naive;
    constexpr std::uint64_t seed = 20261130;
    std::mt19937_64 chance(seed);
    auto below = [&](std::uint64_t n) { return chance() % n; };
    std::vector<topic_partition> places;
    for (std::uint64_t t = 1; t <= 3; ++t)
      for (int p = 0; p < 3; ++p) places.push_back({topic_id(uuid::v4(t, t)), partition_index(p)});
    auto some_places = [&] {
      auto some = places;
      std::ranges::shuffle(some, chance);
      some.resize(1 + below(some.size()));
      return some;
    };
    metadata::object_number last_object = 0;
    auto new_object = [&](std::uint64_t bytes) {
      ++last_object;
      return metadata::indexed_object{last_object, object_id(uuid::v7(1000 + std::int64_t(last_object), chance(), chance())), bytes};
    };
    // A place between two ranges, or at either end.
    auto some_end = [&](topic_partition where) {
      const auto& all = naive.ranges[where];
      auto i = below(all.size() + 1);
      return i < all.size() ? all[i].base_offset : naive.ends[where];
    };
    auto compare_totals = [&](const std::string& after) -> awaitable<bool> {
      auto got = co_await index.totals();
      auto wanted = naive.totals();
      auto same = [](const auto& a, const auto& b) { return a.objects == b.objects && a.bytes == b.bytes; };
      auto is_same = got && same(got->live, wanted.live) && same(got->waiting, wanted.waiting) && same(got->merged, wanted.merged) &&
                     got->oldest_waiting == wanted.oldest_waiting;
      EXPECT_TRUE(is_same) << after << ": live " << got->live.objects << ", " << got->live.bytes << " for " << wanted.live.objects << ", "
                           << wanted.live.bytes << "; waiting " << got->waiting.objects << ", " << got->waiting.bytes << " for "
                           << wanted.waiting.objects << ", " << wanted.waiting.bytes << "; merged " << got->merged.objects << " for "
                           << wanted.merged.objects << "; since " << got->oldest_waiting.value() << " for " << wanted.oldest_waiting.value();
      co_return is_same;
    };
    auto compare_all = [&]() -> awaitable<void> {
      std::vector<metadata::index_place> asked;
      for (auto where : places) {
        auto page = co_await index.read(where, offset(0), 10'000);
        std::vector<metadata::range> all;
        if (page)
          for (const auto& c : page->chunks) all.insert(all.end(), c.begin(), c.end());
        EXPECT_TRUE(page && all == naive.ranges[where]);
        if (page)
          for (const auto& [number, use] : page->objects) {
            const auto& o = naive.objects.at(number);
            EXPECT_TRUE(use.what.id == o.id && use.what.bytes == o.bytes && use.is_released == o.is_released && use.is_merged == o.is_merged);
            EXPECT_EQ(use.live_bytes, naive.held(number).second);
          }
        asked.push_back({where, some_end(where)});
      }
      auto oldest = co_await index.find_oldest(asked);
      EXPECT_TRUE(oldest && oldest->chunks.size() == asked.size());
      if (!oldest || oldest->chunks.size() != asked.size()) co_return;
      std::map<metadata::object_number, object_id> untimed;
      for (std::size_t i = 0; i < asked.size(); ++i) {
        const auto& all = naive.ranges[asked[i].where];
        const auto& chunk = oldest->chunks[i];
        auto holds = std::ranges::find(all, asked[i].at, &metadata::range::base_offset);
        EXPECT_EQ(chunk.empty(), holds == all.end());
        if (chunk.empty()) continue;
        EXPECT_TRUE(std::ranges::count(chunk, *holds) == 1 && std::ranges::search(all, chunk).size() == chunk.size());
        for (const auto& r : chunk)
          if (r.max_timestamp < timestamp_ms(0)) untimed[r.object] = naive.objects.at(r.object).id;
      }
      EXPECT_EQ(oldest->untimed, untimed);
    };
    std::int64_t now = 1000;
    for (int step = 0; step < 400; ++step) {
      std::string what;
      switch (now += std::int64_t(below(50)); below(8)) {
        case 0:
        case 1: {
          what = "add";
          metadata::index_write w;
          std::vector<metadata::object_number> named;
          for (const auto& [number, o] : naive.objects)
            if (!o.is_released && !o.is_merged && below(4) == 0) named.push_back(number), w.objects.push_back({number, o.id, o.bytes});
          for (auto n = 1 + below(3); n > 0; --n) w.objects.push_back(new_object(1 + below(1000))), named.push_back(last_object);
          for (auto where : some_places()) {
            auto& end = naive.ends.try_emplace(where, offset(0)).first->second;
            for (auto chunks = 1 + below(2); chunks > 0; --chunks) {
              metadata::index_chunk c{where, {}};
              for (auto n = 1 + below(6); n > 0; --n) {
                auto records = std::uint32_t(1 + below(9));
                c.ranges.push_back({.base_offset = end, .object = named[below(named.size())], .position = std::uint32_t(below(1000)),
                                    .bytes = std::uint32_t(1 + below(99)), .record_count = records, .batch_count = 1,
                                    .max_timestamp = timestamp_ms(below(3) == 0 ? -1 : std::int64_t(below(5000)))});
                end = end + records;
              }
              naive.ranges[where].insert(naive.ranges[where].end(), c.ranges.begin(), c.ranges.end());
              w.chunks.push_back(std::move(c));
            }
          }
          for (const auto& o : w.objects) naive.objects.try_emplace(o.number, o.id, o.bytes);
          // Now and then somebody has written it before.
          for (auto times = 1 + below(2); times > 0; --times) {
            auto ends = co_await index.add(5, w);
            EXPECT_TRUE(ends);
            if (ends)
              for (const auto& [where, end] : *ends) EXPECT_EQ(end, naive.ends[where]);
          }
          break;
        }
        case 2:
        case 3: {
          what = "trim";
          std::vector<metadata::index_place> trims;
          for (auto where : some_places()) {
            naive.ends.try_emplace(where, offset(0));
            auto to = below(10) == 0 ? naive.ends[where] + std::int64_t(below(20)) : some_end(where);
            trims.push_back({where, to});
            naive.ends[where] = std::max(naive.ends[where], to);
            std::erase_if(naive.ranges[where], [&](const auto& r) { return r.base_offset < to; });
          }
          for (auto times = 1 + below(2); times > 0; --times) EXPECT_TRUE(co_await index.trim(5, trims));
          break;
        }
        case 4: {
          what = "replace";
          std::vector<metadata::moved_ranges> parts;
          std::uint64_t position = 0;
          auto number = last_object + 1;
          for (auto where : some_places()) {
            auto& all = naive.ranges[where];
            if (all.empty() || parts.size() == 2) continue;
            auto first = below(all.size()), last = first + 1 + below(all.size() - first);
            metadata::moved_ranges part{where, all[first].base_offset, all[last - 1].end_offset(), position, 0};
            for (auto i = first; i < last; ++i) {
              all[i].object = number;
              all[i].position = std::uint32_t(position);
              position += all[i].bytes;
              part.bytes += all[i].bytes;
            }
            parts.push_back(part);
          }
          if (parts.empty()) continue;
          auto into = new_object(position);
          naive.objects[number] = {into.id, into.bytes, false, true, {}};
          for (auto times = 1 + below(2); times > 0; --times) EXPECT_TRUE(co_await index.replace(5, into, parts));
          break;
        }
        case 5: {
          what = "release";
          std::vector<metadata::indexed_object> some;
          for (auto& [number, o] : naive.objects)
            if (below(3) == 0) some.push_back({number, o.id, o.bytes}), o.is_released = true;
          if (below(3) == 0) {  // one that was never in the index
            some.push_back(new_object(77));
            naive.objects[last_object] = {some.back().id, 77, true, false, {}};
          }
          EXPECT_TRUE(co_await index.release(5, some));
          break;
        }
        case 6: {
          what = "retire";
          std::uint64_t n = 0;
          for (auto& [number, o] : naive.objects)
            if (naive.is_gone(number) && !o.retired) ++n, o.retired = {log_sequence(step), timestamp_ms(now)};
          EXPECT_EQ((co_await index.retire(5, log_sequence(step), timestamp_ms(now))).value_or(9999), n);
          break;
        }
        default: {
          if (below(3) == 0) {
            what = "drop";
            auto topic = places[below(places.size())].topic;
            std::erase_if(naive.ranges, [&](const auto& r) { return r.first.topic == topic; });
            std::erase_if(naive.ends, [&](const auto& e) { return e.first.topic == topic; });
            for (bool is_done = false; !is_done;) {
              auto dropped = co_await index.drop(5, topic, 3);
              EXPECT_TRUE(dropped);
              is_done = dropped.value_or(true);
            }
          } else {
            what = "forget";
            std::vector<metadata::object_number> some;
            for (const auto& [number, o] : naive.objects)
              if (o.retired && below(2) == 0) some.push_back(number);
            for (auto number : some) naive.objects.erase(number);
            EXPECT_TRUE(co_await index.forget(5, some));
          }
        }
      }
      if (!co_await compare_totals(fmt::format("seed {}, step {}, {}", seed, step, what))) co_return;
      if (step % 10 == 0) co_await compare_all();
    }
    co_await compare_all();
    std::set<metadata::object_number> wanted, got;
    for (const auto& [number, o] : naive.objects)
      if (o.retired) wanted.insert(number);
    auto retired = co_await index.retired(log_sequence(9999), timestamp_ms(now + 1), 10'000);
    EXPECT_TRUE(retired);
    if (retired)
      for (const auto& o : *retired) got.insert(o.number);
    EXPECT_EQ(got, wanted);
  };
  run(body());
}

TEST_P(contract, what_agents_report_is_told) {
  auto body = [this]() -> awaitable<void> {
    auto* s = co_await open_session();
    lease mine{.who = writer(1), .what = {.node = node_id(1), .host = "h", .port = 1}, .applied = log_sequence(41)};
    EXPECT_TRUE(co_await s->renew_lease(mine, 1h));
    mine.applied = log_sequence(42);
    EXPECT_TRUE(co_await s->renew_lease(mine, 1ms));  // also when the lease has lapsed
    auto told = co_await s->reports();
    EXPECT_TRUE(told && *told == (std::vector<std::pair<incarnation, log_sequence>>{{writer(1), log_sequence(42)}}));
  };
  run(body());
}

INSTANTIATE_TEST_SUITE_P(, contract, testing::Values(store_kind::memory, store_kind::sqlite, store_kind::postgres),
                         testing::PrintToStringParamName());
}  // namespace
}  // namespace yaks::metastores
