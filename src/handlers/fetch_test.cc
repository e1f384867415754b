// Goal: Fetch returns what Kafka would: whole batches, KIP-74's limits, codes, long polls that end when they should, in
// every version; a tailing consumer costs nothing. Method: frames through the dispatcher of a whole agent in virtual
// time; calls of the stores are counted.
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <set>

#include "handlers/test_broker.hpp"
#include "metadata/metadata_testing.hpp"

namespace yaks::handlers {
namespace {
using namespace yaks::test;
using wire::error_code;

TEST(fetch, every_version_returns_records_and_watermarks) {
  broker_world w;
  w.play_versions(wire::api_key::fetch, [&](std::int16_t v) -> awaitable<void> {
    if (v == 3) {
      co_await w.make_topic("t");
      co_await w.produce("t", 0, batch_bytes({"a", "b"}));
    }
    auto p = co_await w.fetch("t", 0, 0, v);
    EXPECT_EQ(p.error_code, error_code::none);
    EXPECT_EQ(p.high_watermark, 2);
    if (v >= 4) EXPECT_EQ(p.last_stable_offset, 2);
    if (v >= 5) EXPECT_EQ(p.log_start_offset, 0);
    EXPECT_EQ(records_of(p), (std::vector<seen_record>{{0, "a"}, {1, "b"}}));
    auto committed = w.fetch_of("t", 0);
    committed.isolation_level = 1;
    auto answer = co_await w.ask(v, committed);
    EXPECT_EQ(records_of(answer.responses[0].partitions[0]).size(), 2u);
    if (v >= 4) EXPECT_TRUE(answer.responses[0].partitions[0].aborted_transactions);
  });
}

TEST(fetch, inside_a_batch_at_the_end_beyond_and_below) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    co_await w.produce("t", 0, batch_bytes({"a", "b", "c"}));
    co_await w.produce("t", 0, batch_bytes({"d", "e", "f"}));
    auto inside = records_of(co_await w.fetch("t", 4));
    EXPECT_EQ(inside, (std::vector<seen_record>{{3, "d"}, {4, "e"}, {5, "f"}}));  // the whole batch, no earlier one
    auto end = co_await w.fetch("t", 6);
    EXPECT_EQ(end.error_code, error_code::none);
    EXPECT_TRUE(records_of(end).empty());
    EXPECT_EQ((co_await w.fetch("t", 7)).error_code, error_code::offset_out_of_range);
    EXPECT_EQ((co_await w.fetch("t", -1)).error_code, error_code::offset_out_of_range);
    EXPECT_EQ((co_await w.fetch("t", 0, 1)).error_code, error_code::unknown_topic_or_partition);
    EXPECT_EQ((co_await w.fetch("nowhere", 0)).error_code, error_code::unknown_topic_or_partition);
  });
}

TEST(fetch, limits_are_those_of_kip_74) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t", 4);
    for (int partition : {1, 2, 3})
      for (int i = 0; i < 4; ++i) co_await w.produce("t", partition, batch_bytes({std::string(1000, char('a' + i))}));
    auto counts = [&](std::int32_t bytes_max, std::int32_t partition_max) -> awaitable<std::vector<std::size_t>> {
      wire::fetch_request r{.max_wait_ms = 0, .min_bytes = 1, .max_bytes = bytes_max};
      r.topics.push_back({.topic = "t"});
      for (int partition : {0, 1, 2, 3})  // the first one is empty
        r.topics[0].partitions.push_back(
            {.partition = partition, .fetch_offset = 0, .partition_max_bytes = partition_max});
      auto a = co_await w.ask(11, r);
      std::vector<std::size_t> n;
      for (const auto& p : a.responses[0].partitions) n.push_back(records_of(p).size());
      co_return n;
    };
    using v = std::vector<std::size_t>;
    EXPECT_EQ(co_await counts(1 << 20, 1 << 20), (v{0, 4, 4, 4}));
    EXPECT_EQ(co_await counts(1, 1), (v{0, 1, 0, 0}));  // one oversize batch, of the first that has any
    EXPECT_EQ(co_await counts(0, 0), (v{0, 1, 0, 0}));
    EXPECT_EQ(co_await counts(1 << 20, 100), (v{0, 1, 0, 0}));  // later ones obey their limit
    EXPECT_EQ(co_await counts(1 << 20, 2300), (v{0, 2, 2, 2}));
    EXPECT_EQ(co_await counts(5700, 2300), (v{0, 2, 2, 1}));
    EXPECT_EQ(co_await counts(2300, 1 << 20), (v{0, 2, 0, 0}));
    EXPECT_EQ(co_await counts(-5, -5), (v{0, 1, 0, 0}));
  });
}

struct long_poll : testing::Test {
  broker_world w;
  wire::fetch_request waiting_at(std::string_view topic, std::int64_t from, std::int32_t bytes_min = 1) {
    auto r = w.fetch_of(topic, from);
    r.max_wait_ms = 5000;
    r.min_bytes = bytes_min;
    return r;
  }
  // Runs `change` after a second, beside the poll; answers how long the poll took.
  awaitable<std::pair<wire::fetch_response, duration>> poll_beside(wire::fetch_request r,
                                                                   std::function<awaitable<void>()> change) {
    task_group beside(w.rt.executor());
    wire::fetch_response answer;
    duration took{};
    auto later = [&]() -> awaitable<void> {
      co_await w.rt.sleep_for(1s);
      co_await change();
    };
    auto body = [&]() -> awaitable<void> {
      beside.spawn(later());
      auto begun = w.rt.now();
      answer = co_await w.ask(11, r);
      took = w.rt.now() - begun;
      while (beside.size() > 0) co_await w.rt.sleep_for(1ms);
    };
    co_await run_then_close(body(), beside);
    co_return std::pair{std::move(answer), took};
  }
};

TEST_F(long_poll, is_woken_by_a_produce) {
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    auto gets = w.store.gets;
    auto [answer, took] = co_await poll_beside(
        waiting_at("t", 0), [&]() -> awaitable<void> { co_await w.produce("t", 0, batch_bytes({"a"})); });
    EXPECT_EQ(records_of(answer.responses[0].partitions[0]), (std::vector<seen_record>{{0, "a"}}));
    EXPECT_GE(took, 1s);
    EXPECT_LE(took, 1s + 100ms);
    EXPECT_EQ(w.store.gets, gets);
    EXPECT_EQ(w.waiting.size(), 0u);
  });
}

TEST_F(long_poll, waits_for_min_bytes_and_answers_what_there_is_at_its_end) {
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    auto [answer, took] = co_await poll_beside(
        waiting_at("t", 0, 1000), [&]() -> awaitable<void> { co_await w.produce("t", 0, batch_bytes({"a"})); });
    EXPECT_EQ(records_of(answer.responses[0].partitions[0]).size(), 1u);
    EXPECT_GE(took, 5s);
    EXPECT_LE(took, 5s + 200ms);
    auto [enough, soon] = co_await poll_beside(waiting_at("t", 1, 1000), [&]() -> awaitable<void> {
      co_await w.produce("t", 0, batch_bytes({std::string(2000, 'x')}));
    });
    EXPECT_EQ(records_of(enough.responses[0].partitions[0]).size(), 1u);
    EXPECT_LE(soon, 2s);
  });
}

TEST_F(long_poll, is_ended_by_its_time) {
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    auto begun = w.rt.now();
    auto answer = co_await w.ask(11, waiting_at("t", 0));
    EXPECT_EQ(answer.responses[0].partitions[0].error_code, error_code::none);
    EXPECT_GE(w.rt.now() - begun, 5s);
    EXPECT_LE(w.rt.now() - begun, 5s + 200ms);
  });
}

TEST_F(long_poll, an_error_does_not_wait) {
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t", 2);
    auto r = waiting_at("t", 0);
    r.topics[0].partitions.push_back({.partition = 1, .fetch_offset = 99, .partition_max_bytes = 1000});
    auto begun = w.rt.now();
    auto answer = co_await w.ask(11, r);
    EXPECT_EQ(answer.responses[0].partitions[0].error_code, error_code::none);
    EXPECT_EQ(answer.responses[0].partitions[1].error_code, error_code::offset_out_of_range);
    r.topics[0].partitions[1] = {
        .partition = 1, .current_leader_epoch = 3, .fetch_offset = 0, .partition_max_bytes = 1000};
    answer = co_await w.ask(11, r);
    EXPECT_EQ(answer.responses[0].partitions[1].error_code, error_code::unknown_leader_epoch);
    EXPECT_LE(w.rt.now() - begun, 500ms);
  });
}

TEST_F(long_poll, is_ended_by_deletion) {
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    auto [answer, took] = co_await poll_beside(waiting_at("t", 0), [&]() -> awaitable<void> {
      (void)co_await w.replica.submit(metadata::delete_topic{at.topic});
    });
    EXPECT_EQ(answer.responses[0].partitions[0].error_code, error_code::unknown_topic_or_partition);
    EXPECT_LE(took, 1s + 200ms);
  });
}

TEST_F(long_poll, is_ended_when_the_agent_stops) {
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    auto [answer, took] = co_await poll_beside(waiting_at("t", 0), [&]() -> awaitable<void> {
      w.waiting.stop();
      co_return;
    });
    EXPECT_EQ(answer.responses[0].partitions[0].error_code, error_code::none);
    EXPECT_LE(took, 1s + 200ms);
  });
}

TEST_F(long_poll, cancelled_leaves_nothing_behind) {
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    task_group asking(w.rt.executor());
    auto body = [&]() -> awaitable<void> {
      for (int i = 0; i < 10; ++i)
        asking.spawn(
            [](long_poll& self) -> awaitable<void> { (void)co_await self.w.ask(11, self.waiting_at("t", 0)); }(*this));
      co_await w.rt.sleep_for(1s);
      EXPECT_EQ(w.waiting.size(), 10u);
    };
    co_await run_then_close(body(), asking);
    EXPECT_EQ(w.waiting.size(), 0u);
    EXPECT_EQ(w.memory.held(), 0u);
  });
}

// A topic that is made again is another one: who asks by id hears that the old one is gone.
TEST(fetch, by_topic_id_an_unknown_one_has_its_own_code) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    for (std::int16_t v = 13; v <= 18; ++v) {
      auto at = co_await w.make_topic("t");
      auto r = w.fetch_of("t", 0);
      EXPECT_EQ((co_await w.ask(v, r)).responses[0].partitions[0].error_code, error_code::none);
      r.topics[0].partitions[0].partition = 5;
      EXPECT_EQ((co_await w.ask(v, r)).responses[0].partitions[0].error_code, error_code::unknown_topic_or_partition);
      (void)co_await w.replica.submit(metadata::delete_topic{at.topic});
      co_await w.make_topic("t");
      auto answer = co_await w.ask(v, r);
      EXPECT_EQ(answer.responses[0].partitions[0].error_code, error_code::unknown_topic_id);
      EXPECT_EQ(topic_id(answer.responses[0].topic_id), at.topic);
      (void)co_await w.replica.submit(metadata::delete_topic{w.replica.current().find_topic("t")->id});
    }
  });
}

struct sessions : testing::Test {
  broker_world w;
  // A request of a session: what it adds or changes.
  wire::fetch_request request(std::int32_t id, std::int32_t epoch) {
    return {.max_wait_ms = 0, .min_bytes = 1, .max_bytes = 50 << 20, .session_id = id, .session_epoch = epoch};
  }
  void add(wire::fetch_request& r, std::string_view topic, std::int32_t partition, std::int64_t from) {
    r.topics.push_back({.topic = topic,
                        .topic_id = w.id_of(topic),
                        .partitions = {{.partition = partition, .fetch_offset = from, .partition_max_bytes = 1 << 20}}});
  }
  // "topic-partition" of each answered one, in order.
  static std::vector<std::int32_t> partitions_of(const wire::fetch_response& a) {
    std::vector<std::int32_t> all;
    for (const auto& t : a.responses)
      for (const auto& p : t.partitions) all.push_back(p.partition_index);
    return all;
  }
};
using partitions = std::vector<std::int32_t>;

TEST_F(sessions, tell_only_what_has_changed_in_every_version) {
  w.play_versions(wire::api_key::fetch, [&](std::int16_t v) -> awaitable<void> {
    if (v < 7) co_return;
    auto name = fmt::format("t{}", v);
    co_await w.make_topic(name, 3);
    auto open = request(0, 0);
    for (int p : {0, 1, 2}) add(open, name, p, 0);
    auto a = co_await w.ask(v, open);
    EXPECT_EQ(a.error_code, error_code::none);
    EXPECT_GT(a.session_id, 0);
    EXPECT_EQ(partitions_of(a), (partitions{0, 1, 2}));
    auto id = a.session_id;
    a = co_await w.ask(v, request(id, 1));
    EXPECT_EQ(a.session_id, id);
    EXPECT_TRUE(a.responses.empty());
    co_await w.produce(name, 1, batch_bytes({"a"}));
    a = co_await w.ask(v, request(id, 2));
    EXPECT_EQ(partitions_of(a), (partitions{1}));
    EXPECT_EQ(records_of(a.responses[0].partitions[0]).size(), 1u);
    auto moved = request(id, 3);  // the client has it: its offset has changed
    add(moved, name, 1, 1);
    EXPECT_TRUE((co_await w.ask(v, moved)).responses.empty());
    // Watermarks are news too.
    (void)co_await w.replica.submit(
        metadata::move_log_start{topic_id(w.id_of(name)), partition_index(1), offset(1)});
    a = co_await w.ask(v, request(id, 4));
    EXPECT_EQ(partitions_of(a), (partitions{1}));
    EXPECT_EQ(a.responses[0].partitions[0].log_start_offset, 1);
    EXPECT_TRUE((co_await w.ask(v, request(id, 5))).responses.empty());
    auto forgets = request(id, 6);
    forgets.forgotten_topics_data.push_back({.topic = name, .topic_id = w.id_of(name), .partitions = {0, 1, 77}});
    co_await w.produce(name, 0, batch_bytes({"b"}));
    EXPECT_TRUE((co_await w.ask(v, forgets)).responses.empty());
    co_await w.produce(name, 2, batch_bytes({"c"}));
    EXPECT_EQ(partitions_of(co_await w.ask(v, request(id, 7))), (partitions{2}));
  });
}

TEST_F(sessions, errors_are_told_every_time) {
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t", 2);
    auto open = request(0, 0);
    add(open, "t", 0, 0);
    add(open, "t", 1, 99);
    auto a = co_await w.ask(12, open);
    for (int epoch : {1, 2}) {
      a = co_await w.ask(12, request(a.session_id, epoch));
      EXPECT_EQ(partitions_of(a), (partitions{1}));
      EXPECT_EQ(a.responses[0].partitions[0].error_code, error_code::offset_out_of_range);
    }
    auto mended = request(a.session_id, 3);
    add(mended, "t", 1, 0);
    EXPECT_EQ(partitions_of(co_await w.ask(12, mended)), (partitions{1}));  // it is well again
    EXPECT_TRUE((co_await w.ask(12, request(a.session_id, 4))).responses.empty());
    (void)co_await w.replica.submit(metadata::delete_topic{at.topic});
    EXPECT_EQ(partitions_of(co_await w.ask(12, request(a.session_id, 5))), (partitions{0, 1}));
  });
}

TEST_F(sessions, a_wrong_id_or_epoch_ends_nothing) {
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    auto open = request(0, 0);
    add(open, "t", 0, 0);
    auto id = (co_await w.ask(12, open)).session_id;
    EXPECT_EQ((co_await w.ask(12, request(id ^ 1, 1))).error_code, error_code::fetch_session_id_not_found);
    EXPECT_EQ((co_await w.ask(12, request(0, 1))).error_code, error_code::fetch_session_id_not_found);
    EXPECT_EQ((co_await w.ask(12, request(id, 2))).error_code, error_code::invalid_fetch_session_epoch);
    EXPECT_EQ((co_await w.ask(13, request(id, 1))).error_code, error_code::fetch_session_topic_id_error);
    EXPECT_EQ((co_await w.ask(12, request(id, 1))).error_code, error_code::none);
    EXPECT_EQ((co_await w.ask(12, request(id, 1))).error_code, error_code::invalid_fetch_session_epoch);
    // Another connection, perhaps of another agent, does not know it.
    auto mine = std::exchange(w.connection.fetch_session, nullptr);
    EXPECT_EQ((co_await w.ask(12, request(id, 2))).error_code, error_code::fetch_session_id_not_found);
    w.connection.fetch_session = mine;
    EXPECT_EQ((co_await w.ask(12, request(id, 2))).error_code, error_code::none);
  });
}

TEST_F(sessions, end_when_they_are_closed_replaced_or_empty) {
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    auto& budget = w.services.fetch_sessions;
    auto open = request(0, 0);
    add(open, "t", 0, 0);
    auto id = (co_await w.ask(12, open)).session_id;
    EXPECT_EQ(budget.sessions(), 1u);
    EXPECT_EQ(budget.partitions(), 1u);
    auto again = open;
    again.session_id = id;
    auto next = (co_await w.ask(12, again)).session_id;
    EXPECT_NE(next, id);
    EXPECT_EQ(budget.sessions(), 1u);
    auto last = request(next, -1);
    add(last, "t", 0, 0);
    auto a = co_await w.ask(12, last);
    EXPECT_EQ(a.session_id, 0);
    EXPECT_EQ(partitions_of(a), (partitions{0}));
    EXPECT_EQ(budget.sessions(), 0u);
    EXPECT_EQ(budget.partitions(), 0u);
    id = (co_await w.ask(12, open)).session_id;
    auto empty = request(id, 1);
    empty.forgotten_topics_data.push_back({.topic = "t", .topic_id = {}, .partitions = {0}});
    // The topic's id is no part of its name below version 13.
    a = co_await w.ask(12, empty);
    EXPECT_EQ(a.session_id, 0);
    EXPECT_EQ(budget.sessions(), 0u);
  });
}

TEST_F(sessions, memory_is_bounded) {
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t", 10);
    auto& budget = w.services.fetch_sessions;
    EXPECT_TRUE(budget.take(200'000 - 5));  // other connections'
    auto open = request(0, 0);
    for (int p = 0; p < 6; ++p) add(open, "t", p, 0);
    auto a = co_await w.ask(12, open);
    EXPECT_EQ(a.session_id, 0);  // declined, and answered all the same
    EXPECT_EQ(partitions_of(a).size(), 6u);
    open.topics.pop_back();
    auto id = (co_await w.ask(12, open)).session_id;
    EXPECT_GT(id, 0);
    auto more = request(id, 1);
    add(more, "t", 7, 0);
    EXPECT_EQ((co_await w.ask(12, more)).error_code, error_code::fetch_session_id_not_found);
    EXPECT_EQ(budget.partitions(), 200'000u - 5);
    budget.give_back(200'000 - 5);
  });
}

// Else the first partitions of a session would be read for ever, and the others never.
TEST_F(sessions, who_had_records_waits_for_the_others) {
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t", 3);
    for (int round = 0; round < 3; ++round)
      for (int p : {0, 1, 2}) co_await w.produce("t", p, batch_bytes({std::string(1000, 'x')}));
    auto open = request(0, 0);
    for (int p : {0, 1, 2}) add(open, "t", p, 0);
    open.max_bytes = 1;
    std::set<std::int32_t> read;
    auto a = co_await w.ask(12, open);
    for (int epoch = 1;; ++epoch) {
      for (const auto& t : a.responses)
        for (const auto& p : t.partitions)
          if (!records_of(p).empty()) read.insert(p.partition_index);
      if (epoch == 3) break;
      auto next = request(a.session_id, epoch);
      next.max_bytes = 1;
      a = co_await w.ask(12, next);
    }
    EXPECT_EQ(read, (std::set<std::int32_t>{0, 1, 2}));
  });
}

TEST(fetch, a_tailing_consumer_causes_no_get_and_no_read_of_the_log) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    std::size_t reads = 0;
    std::int64_t next = 0;
    for (int i = 0; i < 50; ++i) {
      co_await w.produce("t", 0, batch_bytes({"a", "b"}));
      w.log.hooks.before_read = [&]() -> std::optional<metadata::log_error> { return ++reads, std::nullopt; };
      auto p = co_await w.fetch("t", next);
      w.log.hooks.before_read = {};
      EXPECT_EQ(records_of(p).size(), 2u);
      next += 2;
    }
    EXPECT_EQ(w.store.gets, 0u);
    EXPECT_EQ(reads, 0u);
  });
}

// Answers leave in order: one that is ready holds its memory until those before it have left.
TEST(fetch, one_behind_a_long_poll_takes_no_memory_that_the_long_poll_needs) {
  broker_world w(1, {.flush_interval = 1ms}, 3'000);
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("quiet");
    co_await w.make_topic("full");
    co_await w.produce("full", 0, batch_bytes({std::string(2'500, 'x')}));
    std::deque<std::optional<response>> answers(2);  // of one connection; sent from the front, as they are complete
    auto ask = [&](std::size_t i, wire::fetch_request r) -> awaitable<void> {
      answers[i] = co_await w.send(w.frame_of(11, r));
    };
    task_group requests(w.rt.executor());
    auto body = [&]() -> awaitable<void> {
      auto poll = w.fetch_of("quiet", 0);
      poll.max_wait_ms = 60'000;
      requests.spawn(ask(0, poll));
      requests.spawn(ask(1, w.fetch_of("full", 0)));
      co_await w.rt.sleep_for(1s);
      co_await w.produce("quiet", 0, batch_bytes({std::string(1'000, 'y')}));
      co_await w.rt.sleep_for(1s);
      EXPECT_TRUE(answers[0]);
      answers[0].reset();  // sent
      co_await w.rt.sleep_for(1s);
      EXPECT_TRUE(answers[1]);
    };
    co_await run_then_close(body(), requests);
    answers.clear();
    EXPECT_EQ(w.memory.held(), 0u);
  });
}

TEST(fetch, an_empty_answer_is_never_older_than_its_question) {
  for (std::int32_t bytes_min : {0, 1}) {
    broker_world w;
    w.play([&]() -> awaitable<void> {
      auto at = co_await w.make_topic("t");
      // Another agent's commit, which nobody has told this one of.
      w.log.hooks.lose_notification = [] { return true; };
      metastores::memory_metastore other(w.rt, w.log);
      co_await other.open();
      incarnation self(uuid::v4(77, 77));
      metadata::entry_writer registration, commit;
      registration.add(
          metadata::register_agent{.node = node_id(2), .upload_deadline_ms = 600'000, .as_of = w.log.head().sequence});
      object_id object(uuid::v7(w.world.wall_clock().value(), 5, 5));
      auto batch = shared_bytes::copy_of(batch_bytes({"elsewhere"}));
      metadata::commit_object c{.object = object, .object_bytes = batch.size()};
      c.topics.push_back({at.topic, {{at.partition, {{.bytes = std::uint32_t(batch.size()), .record_count = 1}}}}});
      commit.add(c);
      co_await w.objects.put(object_key("", object), {batch}, records::crc32c(batch.view()), {});
      (void)co_await other.log().append({}, {self, 1}, registration.take());
      (void)co_await other.log().append({}, {self, 2}, commit.take());
      auto r = w.fetch_of("t", 0);
      r.min_bytes = bytes_min;
      auto answer = co_await w.ask(11, r);
      EXPECT_EQ(records_of(answer.responses[0].partitions[0]), (std::vector<seen_record>{{0, "elsewhere"}}));
    });
  }
}

TEST(fetch, nothing_is_denied_while_the_log_cannot_be_read_and_data_is_served) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    co_await w.produce("t", 0, batch_bytes({"a"}));
    w.log.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    EXPECT_EQ((co_await w.fetch("nowhere", 0)).error_code, error_code::kafka_storage_error);
    EXPECT_EQ((co_await w.fetch("t", 1)).error_code, error_code::kafka_storage_error);
    EXPECT_EQ((co_await w.fetch("t", 9)).error_code, error_code::kafka_storage_error);
    EXPECT_EQ(records_of(co_await w.fetch("t", 0)).size(), 1u);
    co_await w.rt.sleep_for(61s);  // now even what is cached may be too old
    EXPECT_EQ((co_await w.fetch("t", 0)).error_code, error_code::kafka_storage_error);
  });
}

// The log cannot be read when the name is looked up, and can when its absence is confirmed.
TEST(fetch, a_topic_that_was_made_while_the_log_could_not_be_read_is_not_denied) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    int reads = 0;
    w.log.hooks.before_read = [&]() -> std::optional<metadata::log_error> {
      if (++reads <= 2) return metadata::log_error::unavailable;
      if (reads == 3) {
        metadata::entry_writer entry;
        entry.add(metadata::test_registration(9, w.log.head().sequence));
        entry.add(metadata::create_topic{metadata::test_topic(5), "t", 1, {}});
        (void)w.log.append(w.log.head(), {metadata::test_incarnation(9), 1}, entry.take());
      }
      return std::nullopt;
    };
    EXPECT_EQ((co_await w.fetch("t", 0)).error_code, error_code::kafka_storage_error);
    EXPECT_GE(reads, 3);
    w.log.hooks.before_read = {};
    EXPECT_EQ((co_await w.fetch("t", 0)).error_code, error_code::none);
  });
}

TEST(fetch, a_recreated_topic_never_shows_old_data) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    co_await w.produce("t", 0, batch_bytes({"old"}));
    (void)co_await w.replica.submit(metadata::delete_topic{at.topic});
    co_await w.make_topic("t");
    EXPECT_TRUE(records_of(co_await w.fetch("t", 0)).empty());
    co_await w.produce("t", 0, batch_bytes({"new"}));
    EXPECT_EQ(records_of(co_await w.fetch("t", 0)), (std::vector<seen_record>{{0, "new"}}));
  });
}
}  // namespace
}  // namespace yaks::handlers
