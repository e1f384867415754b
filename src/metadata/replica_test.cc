// Goal: every submitted command is applied exactly once or surely never, whatever the store answers; a barrier never
// returns early; replicas agree; nothing is left running. Method: one to three replicas on one log in memory, in
// virtual time: single faults by hand, then random ones over many seeds, then calm and convergence.
#include "metadata/replica.hpp"

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "metadata/metadata_testing.hpp"

namespace yaks::metadata {
namespace {
// Time that moves when nothing can run.
class virtual_runtime final : public runtime {
 public:
  explicit virtual_runtime(std::uint64_t seed) : random_(seed) {}
  time_point now() const override { return now_; }
  timestamp_ms wall_clock() const override {
    return timestamp_ms(1'700'000'000'000 +
                        std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch()).count());
  }
  std::uint64_t random() override { return random_(); }
  asio::any_io_executor executor() override { return context_.get_executor(); }
  awaitable<void> run_blocking(std::move_only_function<void()> work) override {
    work();
    co_return;
  }
  awaitable<void> sleep_until(time_point due) override {
    event woken;
    struct place {
      std::multimap<time_point, event*>& all;
      std::multimap<time_point, event*>::iterator mine;
      ~place() { all.erase(mine); }
    } sleeper{sleepers_, sleepers_.emplace(due, &woken)};
    while (now_ < due) co_await woken.wait();
  }
  // Runs `main` to its end; an hour of virtual time is a hang.
  void run(awaitable<void> main) {
    std::optional<std::exception_ptr> ended;
    asio::co_spawn(context_, std::move(main), [&](std::exception_ptr e) { ended = e; });
    for (context_.restart(); !ended; context_.restart()) {
      if (context_.poll() > 0) continue;
      YAKS_CHECK(!sleepers_.empty() && now_ < time_point(1h), "the test waits for ever");
      now_ = std::max(now_, sleepers_.begin()->first);
      for (auto s = sleepers_.begin(); s != sleepers_.end() && s->first <= now_; ++s) s->second->notify_all();
    }
    context_.restart();
    context_.poll();
    if (*ended) std::rethrow_exception(*ended);
  }

 private:
  asio::io_context context_{1};
  time_point now_{};
  std::multimap<time_point, event*> sleepers_;
  std::mt19937_64 random_;
};

// The log, and one agent's view of it with faults by hand or by chance.
struct shared_log {
  std::vector<log_entry> entries;
  log_sequence trimmed{0};
  event changed;
  result<log_tail, log_error> read(runtime& rt, log_position after) const {
    auto at = after.sequence.value();
    if (after.sequence < trimmed) return failure(log_error::trimmed);
    if (at > std::int64_t(entries.size()) || (at > 0 && entries[std::size_t(at) - 1].id != after.id))
      return failure(log_error::diverged);
    log_tail tail{{}, log_sequence(std::int64_t(entries.size())), rt.wall_clock()};
    std::size_t bytes = 0;
    for (auto i = std::size_t(at); i < entries.size() && (bytes += entries[i].payload.size()) <= piece_bytes; ++i)
      tail.entries.push_back(entries[i]);
    return tail;
  }
  std::size_t piece_bytes = tail_bytes_max;
  void add(runtime& rt, append_id id, shared_bytes payload) {
    entries.push_back({log_sequence(std::int64_t(entries.size()) + 1), id, rt.wall_clock(), std::move(payload)});
    changed.notify_all();
  }
  void add(runtime& rt, append_id id, std::vector<command> commands) {
    entry_writer writer;
    for (auto& c : commands) writer.add(c);
    add(rt, id, writer.take());
  }
};

enum class append_fault { none, unavailable, lost_answer, lost_request, late };

class faulty_store final : public log_store {
 public:
  faulty_store(runtime& rt, shared_log& log) : rt_(rt), log_(log), late_(rt.executor()) {}

  std::function<append_fault(append_id)> on_append = [](append_id) { return append_fault::none; };
  std::function<bool()> on_read = [] { return true; };  // false: unavailable
  std::function<duration()> delay = [] { return 1ms; };
  bool notifies = true;
  std::uint64_t appends = 0, reads = 0;

  awaitable<result<log_tail, log_error>> append(log_position applied, append_id id, shared_bytes payload) override {
    ++appends;
    auto fault = on_append(id);
    co_await rt_.sleep_for(delay());
    if (fault == append_fault::unavailable) co_return failure(log_error::unavailable);
    if (fault == append_fault::late) late_.spawn(add_later(id, payload));
    if (fault == append_fault::lost_request || fault == append_fault::late) co_return failure(log_error::unknown);
    log_.add(rt_, id, std::move(payload));
    auto tail = log_.read(rt_, applied);
    co_await rt_.sleep_for(delay());
    if (fault == append_fault::lost_answer) co_return failure(log_error::unknown);
    co_return tail;
  }
  awaitable<result<log_tail, log_error>> read_after(log_position applied) override {
    ++reads;
    bool works = on_read();
    co_await rt_.sleep_for(delay());
    if (!works) co_return failure(log_error::unavailable);
    auto tail = log_.read(rt_, applied);
    co_await rt_.sleep_for(delay());
    co_return tail;
  }
  awaitable<void> wait_for_change() override {
    do co_await log_.changed.wait();
    while (!notifies);
  }
  bool is_shared() const override { return true; }
  awaitable<void> close() { return run_then_close(nothing(), late_); }

 private:
  static awaitable<void> nothing() { co_return; }
  awaitable<void> add_later(append_id id, shared_bytes payload) {
    co_await rt_.sleep_for(duration(std::int64_t(rt_.random_below(3'000'000'000))));
    log_.add(rt_, id, std::move(payload));
  }
  runtime& rt_;
  shared_log& log_;
  task_group late_;
};

struct agent_under_test {
  agent_under_test(virtual_runtime& rt, shared_log& log, std::int32_t node, replica_settings settings = {})
      : store(rt, log), log_replica(rt, store, with(std::move(settings), node), metrics, [this](const changes& c) {
          if (on_applied) on_applied(c);
        }) {}
  static replica_settings with(replica_settings s, std::int32_t node) {
    s.registration = test_registration(node);
    return s;
  }
  faulty_store store;
  metrics::registry metrics;
  std::function<void(const changes&)> on_applied;
  replica log_replica;
};

class replica_test : public testing::Test {
 protected:
  // Runs `body` beside the replicas of `agents`, then cancels and joins everything.
  void run(std::vector<agent_under_test*> agents, awaitable<void> body) { rt.run(run_all(agents, std::move(body))); }
  awaitable<void> run_all(std::vector<agent_under_test*> agents, awaitable<void> body) {
    std::exception_ptr failed;
    task_group tasks(rt.executor());
    try {
      co_await run_then_close(start_all(agents, std::move(body), tasks), tasks);
    } catch (...) {
      failed = std::current_exception();
    }
    for (auto* a : agents) co_await a->store.close();
    if (failed) std::rethrow_exception(failed);
  }
  awaitable<void> start_all(std::vector<agent_under_test*> agents, awaitable<void> body, task_group& tasks) {
    for (auto* a : agents) tasks.spawn(a->log_replica.run());
    bool done = false;
    event ended;
    tasks.spawn(then_tell(std::move(body), done, ended));
    while (!done) co_await ended.wait();
  }
  static awaitable<void> then_tell(awaitable<void> body, bool& done, event& ended) {
    std::exception_ptr failed;
    try {
      co_await std::move(body);
    } catch (...) {
      failed = std::current_exception();
    }
    done = true;
    ended.notify_all();
    if (failed) std::rethrow_exception(failed);
  }
  static awaitable<void> collect(replica& r, std::uint32_t count, std::vector<std::int64_t>& firsts) {
    auto got = co_await r.submit(allocate_producer_ids{count});
    firsts.push_back(got ? got->first.value() : -1);
  }
  static awaitable<void> commit(replica& r, int& done) {
    auto got = co_await r.submit(commit_group_offsets{"g", {}}, pace::unhurried);
    done += got.has_value();
  }
  static awaitable<void> note_barrier(replica& r, std::vector<bool>& answers) {
    answers.push_back(co_await r.barrier());
  }

  virtual_runtime rt{1};
  shared_log log;
};

TEST_F(replica_test, commands_that_wait_share_an_append_and_keep_their_order) {
  agent_under_test a(rt, log, 1);
  std::vector<std::int64_t> firsts;
  auto body = [&](task_group& tasks) -> awaitable<void> {
    co_await a.log_replica.wait_until_ready();
    auto before = a.store.appends;
    for (std::uint32_t i = 0; i < 100; ++i) tasks.spawn(collect(a.log_replica, i + 1, firsts));
    while (firsts.size() < 100) co_await rt.sleep_for(1ms);
    EXPECT_LE(a.store.appends - before, 2u);
  };
  task_group tasks(rt.executor());
  run({&a}, run_then_close(body(tasks), tasks));
  for (std::int64_t i = 0; i < 100; ++i) EXPECT_EQ(firsts[std::size_t(i)], i * (i + 1) / 2);  // 0, 1, 1 + 2, …
}

TEST_F(replica_test, commands_in_no_hurry_rest_between_appends_and_go_with_those_in_a_hurry) {
  agent_under_test a(rt, log, 1);
  int done = 0;
  auto body = [&](task_group& tasks) -> awaitable<void> {
    co_await a.log_replica.wait_until_ready();
    co_await rt.sleep_for(1s);
    auto before = a.store.appends;
    auto begun = rt.now();
    tasks.spawn(commit(a.log_replica, done));
    while (done < 1) co_await rt.sleep_for(1ms);
    EXPECT_LE(rt.now() - begun, 5ms) << "a lone one goes at once";
    for (int i = 0; i < 1000; ++i) {
      tasks.spawn(commit(a.log_replica, done));
      co_await rt.sleep_for(1ms);
    }
    EXPECT_LE(a.store.appends - before, 22u);
    EXPECT_GE(a.store.appends - before, 18u);
    tasks.spawn(commit(a.log_replica, done));
    co_await rt.sleep_for(1ms);
    begun = rt.now();
    (void)co_await a.log_replica.submit(allocate_producer_ids{1});
    EXPECT_LE(rt.now() - begun, 10ms);
    EXPECT_EQ(done, 1002);
  };
  task_group tasks(rt.executor());
  run({&a}, run_then_close(body(tasks), tasks));
}

TEST_F(replica_test, a_command_too_large_for_an_entry_is_refused_at_once) {
  agent_under_test a(rt, log, 1);
  auto body = [&]() -> awaitable<void> {
    co_await a.log_replica.wait_until_ready();
    auto got = co_await a.log_replica.submit(create_topic{test_topic(1), std::string(entry_bytes_max, 'x'), 1, {}});
    EXPECT_EQ(got.error(), submit_error::too_large);
    // Two that fit alone but not together take two entries.
    std::vector<create_topic> two(2, {test_topic(1), std::string(entry_bytes_max * 2 / 3, 'x'), 1, {}});
    two[1] = {test_topic(2), std::string(entry_bytes_max * 2 / 3, 'y'), 1, {}};
    auto before = a.store.appends;
    for (auto& answer : co_await a.log_replica.submit_all(two)) EXPECT_EQ(answer.value().error, apply_error::none);
    EXPECT_EQ(a.store.appends - before, 2u);
  };
  run({&a}, body());
}

class lost_answers : public replica_test, public testing::WithParamInterface<append_fault> {};
TEST_P(lost_answers, are_settled_by_exactly_one_application) {
  agent_under_test a(rt, log, 1);
  a.store.on_append = [n = 0](append_id) mutable { return ++n % 3 != 0 ? GetParam() : append_fault::none; };
  auto body = [&]() -> awaitable<void> {
    for (std::int64_t i = 0; i < 30; ++i) {
      auto got = co_await a.log_replica.submit(allocate_producer_ids{1});
      EXPECT_EQ(got.value().first, producer_id(i));
    }
    co_await rt.sleep_for(10s);  // the late ones have come
    EXPECT_TRUE(co_await a.log_replica.barrier());
    EXPECT_EQ(a.log_replica.current().next_producer_id(), producer_id(30));
    EXPECT_EQ(a.log_replica.current().agents().size(), 1u);
  };
  run({&a}, body());
}
INSTANTIATE_TEST_SUITE_P(each, lost_answers,
                         testing::Values(append_fault::unavailable, append_fault::lost_answer,
                                         append_fault::lost_request, append_fault::late));

TEST_F(replica_test, a_barrier_sees_what_was_appended_anywhere_before_it) {
  agent_under_test a(rt, log, 1), b(rt, log, 2);
  b.store.notifies = false;
  auto body = [&]() -> awaitable<void> {
    co_await a.log_replica.wait_until_ready();
    co_await b.log_replica.wait_until_ready();
    for (std::int64_t i = 0; i < 200; ++i) {
      b.store.delay = [&] { return duration(std::int64_t(rt.random_below(20'000'000))); };
      co_await a.log_replica.submit(allocate_producer_ids{1});
      auto since = rt.now();
      if (i % 2 == 0)
        EXPECT_TRUE(co_await b.log_replica.barrier());
      else
        EXPECT_TRUE(co_await b.log_replica.barrier_since(since));
      EXPECT_EQ(b.log_replica.current().next_producer_id(), producer_id(i + 1));
      co_await rt.sleep_for(duration(std::int64_t(rt.random_below(50'000'000))));
    }
  };
  run({&a, &b}, body());
}

// The read that is under way when a barrier comes may have passed the head already: it does not count.
TEST_F(replica_test, barriers_share_one_read_that_begins_after_them) {
  agent_under_test a(rt, log, 1, {.poll_interval = 10s});
  a.store.delay = [] { return 10ms; };
  std::vector<bool> answers;
  auto body = [&](task_group& tasks) -> awaitable<void> {
    co_await a.log_replica.wait_until_ready();
    EXPECT_TRUE(co_await a.log_replica.barrier());
    auto before = a.store.reads;
    tasks.spawn(note_barrier(a.log_replica, answers));
    co_await rt.sleep_for(15ms);  // past the moment at which the read looks at the log
    log.add(rt, {test_incarnation(9), 1}, {test_registration(9, log_sequence(std::int64_t(log.entries.size())))});
    for (int i = 0; i < 50; ++i) tasks.spawn(note_barrier(a.log_replica, answers));
    while (answers.size() < 51) co_await rt.sleep_for(1ms);
    EXPECT_EQ(a.store.reads - before, 2u);
    EXPECT_TRUE(a.log_replica.current().agents().contains(test_incarnation(9)));
  };
  task_group tasks(rt.executor());
  run({&a}, run_then_close(body(tasks), tasks));
  EXPECT_EQ(answers, std::vector<bool>(51, true));
}

TEST_F(replica_test, barrier_since_takes_a_read_that_began_later) {
  agent_under_test a(rt, log, 1, {.poll_interval = 10s});
  auto body = [&]() -> awaitable<void> {
    co_await a.log_replica.wait_until_ready();
    co_await rt.sleep_for(1s);
    auto since = rt.now();
    co_await rt.sleep_for(1ms);
    EXPECT_TRUE(co_await a.log_replica.barrier());
    auto before = a.store.reads;
    EXPECT_TRUE(co_await a.log_replica.barrier_since(since));
    EXPECT_EQ(a.store.reads, before);
    EXPECT_TRUE(co_await a.log_replica.barrier_since(rt.now()));
    EXPECT_EQ(a.store.reads, before + 1);
  };
  run({&a}, body());
}

TEST_F(replica_test, barriers_are_false_in_bounded_time_while_the_store_is_away) {
  agent_under_test a(rt, log, 1);
  bool works = true;
  a.store.on_read = [&] { return works; };
  std::vector<bool> answers;
  auto body = [&](task_group& tasks) -> awaitable<void> {
    co_await a.log_replica.wait_until_ready();
    works = false;
    for (int round = 0; round < 20; ++round) {
      auto begun = rt.now();
      for (int i = 0; i < 10; ++i) tasks.spawn(note_barrier(a.log_replica, answers));
      while (answers.size() < 10u * unsigned(round + 1)) co_await rt.sleep_for(1ms);
      EXPECT_LE(rt.now() - begun, 2 * 1s + 10ms);  // at most two back-offs and three reads
    }
    EXPECT_EQ(answers, std::vector<bool>(200, false));
    co_await rt.sleep_for(61s);
    EXPECT_FALSE(a.log_replica.is_fresh());
    works = true;
    co_await rt.sleep_for(2s);
    EXPECT_TRUE(a.log_replica.is_fresh());
    EXPECT_TRUE(co_await a.log_replica.barrier());
  };
  task_group tasks(rt.executor());
  run({&a}, run_then_close(body(tasks), tasks));
}

TEST_F(replica_test, an_agent_far_behind_reads_in_pieces) {
  log.piece_bytes = 300;
  log.add(rt, {test_incarnation(9), 1}, {test_registration(9)});
  for (std::uint64_t i = 2; i < 500; ++i) log.add(rt, {test_incarnation(9), i}, {allocate_producer_ids{1}});
  agent_under_test a(rt, log, 1);
  auto body = [&]() -> awaitable<void> {
    co_await a.log_replica.wait_until_ready();
    EXPECT_EQ(a.log_replica.current().next_producer_id(), producer_id(498));
    for (std::uint64_t i = 500; i < 1000; ++i) log.add(rt, {test_incarnation(9), i}, {allocate_producer_ids{1}});
    auto got = co_await a.log_replica.submit(allocate_producer_ids{1});  // its own entry lies behind many pieces
    EXPECT_EQ(got.value().first, producer_id(998));
  };
  run({&a}, body());
}

// Objects are named by this clock and judged by the entries' time: were it behind, every commit would come too late.
TEST_F(replica_test, the_logs_time_is_never_behind_its_entries) {
  log.add(rt, {test_incarnation(9), 1}, {test_registration(9)});
  log.entries[0].time = rt.wall_clock() + 3'600'000;  // then the store's clock jumped back
  agent_under_test a(rt, log, 1);
  auto body = [&]() -> awaitable<void> {
    co_await a.log_replica.wait_until_ready();
    EXPECT_GE(a.log_replica.log_time(), a.log_replica.current().time());
    EXPECT_EQ(a.log_replica.current().time(), log.entries[0].time);
  };
  run({&a}, body());
}

TEST_F(replica_test, a_fenced_agent_starts_over_before_it_loses_a_command) {
  agent_under_test a(rt, log, 1);
  auto body = [&]() -> awaitable<void> {
    co_await a.log_replica.wait_until_ready();
    auto first = a.log_replica.self();
    log.add(rt, {test_incarnation(9), 1}, {test_registration(9, log_sequence(1)), fence_agent{first}});
    co_await rt.sleep_for(1s);
    EXPECT_NE(a.log_replica.self(), first);
    EXPECT_TRUE(a.log_replica.is_ready());
    EXPECT_EQ((co_await a.log_replica.submit(allocate_producer_ids{1})).value().first, producer_id(0));
  };
  run({&a}, body());
}

TEST_F(replica_test, an_append_that_arrives_after_the_fence_is_surely_not_done) {
  agent_under_test a(rt, log, 1);
  auto body = [&]() -> awaitable<void> {
    co_await a.log_replica.wait_until_ready();
    a.store.on_append = [&, fenced = false](append_id id) mutable {
      if (!std::exchange(fenced, true))
        log.add(rt, {test_incarnation(9), 1}, {test_registration(9, log_sequence(1)), fence_agent{id.writer}});
      return append_fault::none;
    };
    auto got = co_await a.log_replica.submit(allocate_producer_ids{1});
    EXPECT_EQ(got.error(), submit_error::not_appended);
    EXPECT_EQ(a.log_replica.current().next_producer_id(), producer_id(0));
    EXPECT_EQ((co_await a.log_replica.submit(allocate_producer_ids{1})).value().first, producer_id(0));
  };
  run({&a}, body());
}

TEST_F(replica_test, a_fenced_agent_whose_node_id_is_taken_stops) {
  agent_under_test a(rt, log, 1, {.holds_node_id = [] { return false; }});
  auto body = [&]() -> awaitable<void> {
    co_await a.log_replica.wait_until_ready();
    log.add(rt, {test_incarnation(9), 1}, {test_registration(1, log_sequence(1))});
    (void)co_await a.log_replica.submit(allocate_producer_ids{1});
    co_await rt.sleep_for(10s);
  };
  task_group waits(rt.executor());
  auto stops = [&]() -> awaitable<void> {
    auto waiter = [&]() -> awaitable<void> { co_await body(); };
    waits.spawn(waiter());
    try {
      co_await a.log_replica.run();
      ADD_FAILURE() << "it goes on";
    } catch (const replica_stopped& stopped) {
      EXPECT_NE(std::string_view(stopped.what()).find("node id 1"), std::string_view::npos) << stopped.what();
    }
    EXPECT_FALSE(co_await a.log_replica.barrier());
    EXPECT_EQ((co_await a.log_replica.submit(allocate_producer_ids{1})).error(), submit_error::not_appended);
  };
  rt.run(run_then_close(stops(), waits));
}

TEST_F(replica_test, a_log_that_lost_entries_or_was_trimmed_stops_the_agent) {
  for (bool trims : {false, true}) {
    shared_log mine;
    agent_under_test a(rt, mine, 1);
    std::string said;
    auto damage = [&]() -> awaitable<void> {
      co_await a.log_replica.wait_until_ready();
      co_await a.log_replica.submit(allocate_producer_ids{1});
      if (trims)
        mine.trimmed = log_sequence(100);
      else
        mine.entries.pop_back();
      co_await rt.sleep_for(10s);
    };
    task_group tasks(rt.executor());
    auto body = [&]() -> awaitable<void> {
      tasks.spawn(damage());
      try {
        co_await a.log_replica.run();
      } catch (const replica_stopped& stopped) {
        said = stopped.what();
      }
    };
    rt.run(run_then_close(body(), tasks));
    EXPECT_NE(said.find(trims ? "no longer holds" : "has lost entries"), std::string::npos) << said;
  }
}

TEST_F(replica_test, an_entry_of_a_newer_format_stops_the_agent) {
  log.add(rt, {test_incarnation(9), 1}, shared_bytes::copy_of(as_bytes("\2")));
  agent_under_test a(rt, log, 1);
  EXPECT_THROW(rt.run(a.log_replica.run()), replica_stopped);
}

TEST_F(replica_test, a_format_that_was_enabled_stops_an_agent_that_does_not_know_it) {
  auto newer = test_registration(9);
  newer.format_max = newest_log_format + 1;
  log.add(rt, {test_incarnation(9), 1}, {newer, enable_format{newer.format_max}});
  agent_under_test a(rt, log, 1);
  try {
    rt.run(a.log_replica.run());
    FAIL() << "it went on";
  } catch (const replica_stopped& why) {
    EXPECT_NE(std::string(why.what()).find("run a newer yaks"), std::string::npos) << why.what();
  }
  EXPECT_EQ(log.entries.size(), 1u);  // it left the log alone

  state loaded;  // the same from a snapshot
  loaded.apply(log.entries[0]);
  agent_under_test b(rt, log, 2);
  EXPECT_THROW(b.log_replica.begin_from(std::move(loaded)), replica_stopped);
}

TEST_F(replica_test, a_failure_of_those_who_are_told_ends_the_replica) {
  agent_under_test a(rt, log, 1);
  a.on_applied = [](const changes&) { throw std::logic_error("told"); };
  EXPECT_THROW(rt.run(a.log_replica.run()), std::logic_error);
}

TEST_F(replica_test, commands_that_wait_have_a_bound_and_abandoned_ones_leave_first) {
  agent_under_test a(rt, log, 1, {.pending_bytes_max = 100'000});
  bool works = true;
  a.store.on_append = [&](append_id) { return works ? append_fault::none : append_fault::unavailable; };
  std::vector<std::int64_t> firsts;
  auto body = [&]() -> awaitable<void> {
    co_await a.log_replica.wait_until_ready();
    works = false;
    {
      task_group clients(rt.executor());
      auto come_and_go = [&]() -> awaitable<void> {
        for (int i = 0; i < 1000; ++i) clients.spawn(collect(a.log_replica, 1, firsts));
        co_await rt.sleep_for(1s);
      };
      co_await run_then_close(come_and_go(), clients);
    }
    EXPECT_GT(firsts.size(), 500u);
    for (auto refused : firsts) EXPECT_EQ(refused, -1);
    firsts.clear();
    task_group clients(rt.executor());
    auto stay = [&]() -> awaitable<void> {
      for (int i = 0; i < 10; ++i) clients.spawn(collect(a.log_replica, 1, firsts));
      co_await rt.sleep_for(1s);
      EXPECT_TRUE(firsts.empty());  // there was room again: they wait
      works = true;
      while (firsts.size() < 10) co_await rt.sleep_for(1ms);
      for (auto first : firsts) EXPECT_GE(first, 0);
    };
    co_await run_then_close(stay(), clients);
  };
  run({&a}, body());
}

// ---- chance --------------------------------------------------------------------------------------------------------

// Each submit carries a number of its own, so that one applied twice, or never, or in another order shows.
struct ledger {
  std::set<std::uint64_t> done, refused, unknown;
};

awaitable<void> submit_many(virtual_runtime& rt, replica& r, std::uint64_t client, ledger& known, int& running) {
  ++running;
  for (std::uint64_t i = 0; i < 15; ++i) {
    auto n = client * 1000 + i;
    known.unknown.insert(n);
    auto got = co_await r.submit(commit_group_offsets{
        "g", {{test_topic(1), partition_index(std::int32_t(client)), offset(std::int64_t(i)), 0, std::to_string(n)}}});
    known.unknown.erase(n);
    (got ? known.done : known.refused).insert(n);
    if (rt.random_below(3) == 0) co_await rt.sleep_for(duration(std::int64_t(rt.random_below(200'000'000))));
  }
  --running;
}

TEST(replica_chaos, replicas_converge_and_every_command_counts_once) {
  std::uint64_t retries = 0, voids = 0, refused = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    virtual_runtime rt(seed);
    shared_log log;
    if (seed % 3 == 0) log.piece_bytes = 200;
    std::vector<std::unique_ptr<agent_under_test>> agents;
    bool calm = false;
    auto percent = [&](std::uint64_t n) { return !calm && rt.random_below(100) < n; };
    for (std::int32_t i = 0; i < std::int32_t(2 + seed % 2); ++i) {
      agents.push_back(std::make_unique<agent_under_test>(rt, log, i + 1));
      auto& store = agents.back()->store;
      store.notifies = i % 2 == 0;
      store.on_append = [&](append_id) {
        return percent(10)   ? append_fault::late
               : percent(10) ? append_fault::lost_answer
               : percent(10) ? append_fault::lost_request
               : percent(10) ? append_fault::unavailable
                             : append_fault::none;
      };
      store.on_read = [&] { return !percent(20); };
      store.delay = [&] { return duration(std::int64_t(rt.random_below(percent(20) ? 300'000'000 : 3'000'000))); };
    }
    log.add(rt, {test_incarnation(1), 1}, {test_registration(99), create_topic{test_topic(1), "t", 100, {}}});
    ledger known;
    int running = 0;
    task_group tasks(rt.executor());
    auto body = [&]() -> awaitable<void> {
      for (auto& a : agents) tasks.spawn(a->log_replica.run());
      std::uint64_t client = 0;
      for (auto& a : agents)
        for (int i = 0; i < 4; ++i) tasks.spawn(submit_many(rt, a->log_replica, client++, known, running));
      co_await rt.sleep_for(1ms);
      std::uint64_t stranger = 2;
      for (int i = 0;; ++i) {  // somebody fences one of them now and then
        if (running == 0) break;
        co_await rt.sleep_for(duration(std::int64_t(rt.random_below(2'000'000'000))));
        if (i < 4 && percent(50))
          log.add(rt, {test_incarnation(stranger++), 1},
                  {test_registration(98, log_sequence(std::int64_t(log.entries.size()))),
                   fence_agent{agents[rt.random_below(agents.size())]->log_replica.self()}});
      }
      calm = true;
      co_await rt.sleep_for(5s);
      for (auto& a : agents) EXPECT_TRUE(co_await a->log_replica.barrier());
      for (auto& a : agents) {
        EXPECT_EQ(a->log_replica.current().position(), agents[0]->log_replica.current().position());
        EXPECT_EQ(a->log_replica.current().digest(), agents[0]->log_replica.current().digest());
        EXPECT_EQ(a->log_replica.current().digest(), a->log_replica.current().recompute_digest());
      }
    };
    rt.run(run_then_close(body(), tasks));
    for (auto& a : agents) rt.run(a->store.close());
    EXPECT_TRUE(known.unknown.empty());
    // What the log says, told by a state of its own: each command at most once, those of a client in their order.
    state s;
    std::map<std::uint64_t, int> times;
    std::map<std::int32_t, std::int64_t> last;
    for (const auto& entry : log.entries) {
      auto applied = s.apply(entry);
      voids += applied.is_void;
      if (applied.is_void) continue;
      for (const auto& c : decode_entry(entry.payload.view()))
        if (const auto* o = std::get_if<commit_group_offsets>(&c)) {
          ++times[std::stoull(o->offsets[0].metadata)];
          auto [before, is_new] = last.try_emplace(o->offsets[0].partition.value(), -1);
          EXPECT_LT(before->second, o->offsets[0].committed.value());
          before->second = o->offsets[0].committed.value();
        }
    }
    for (auto n : known.done) EXPECT_EQ(times[n], 1) << n;
    for (auto n : known.refused) EXPECT_EQ(times[n], 0) << n;
    EXPECT_EQ(known.done.size() + known.refused.size(), agents.size() * 4 * 15);
    refused += known.refused.size();
    retries += log.entries.size();
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(voids, 100u);  // the faults did happen
  EXPECT_GT(refused, 0u);
  EXPECT_GT(retries, 1000u);
}

// Cancelled after any number of milliseconds, with faults and with commands and barriers under way: everything ends,
// and the checks of task_group and event find nothing left.
TEST(replica_chaos, cancelling_at_any_time_leaves_nothing) {
  for (std::uint64_t ms = 0; ms < 150; ++ms) {
    virtual_runtime rt(ms);
    shared_log log;
    agent_under_test a(rt, log, 1);
    a.store.on_append = [&](append_id) { return append_fault(rt.random_below(5)); };
    a.store.on_read = [&] { return rt.random_below(3) != 0; };
    ledger known;
    int running = 0;
    std::vector<bool> answers;
    auto ask = [&]() -> awaitable<void> {
      for (;;) answers.push_back(co_await a.log_replica.barrier());
    };
    task_group tasks(rt.executor());
    auto body = [&]() -> awaitable<void> {
      tasks.spawn(a.log_replica.run());
      tasks.spawn(submit_many(rt, a.log_replica, 1, known, running));
      tasks.spawn(submit_many(rt, a.log_replica, 2, known, running));
      tasks.spawn(ask());
      co_await rt.sleep_for(ms * 1ms);
    };
    rt.run(run_then_close(body(), tasks));
    rt.run(a.store.close());
    EXPECT_EQ(tasks.size(), 0u);
  }
}
}  // namespace
}  // namespace yaks::metadata
