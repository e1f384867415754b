// Goal: an agent starts, serves, stops without losing what is in flight, ends when its log must not be trusted, and
// shares its log with others: what one acknowledges, the next fetch on any other sees. Method: whole agents in one
// process of virtual time, on a network, a log and objects in memory; clients speak frames.
#include "agent/agent.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <boost/asio/error.hpp>

#include "base/endian.hpp"
#include "ingest/test_world.hpp"
#include "net/memory_network.hpp"
#include "runtime/first_of.hpp"
#include "wire/frame.hpp"
#include "wire/messages.hpp"

namespace yaks {
namespace {
using namespace yaks::test;
using wire::error_code;

config::settings settings_of(std::int32_t node) {
  config::settings s{};
  s.cache_peers.heartbeat = 5s;
  s.cache_peers.lease = 15s;
  s.cache_peers.poll = 10s;
  s.materializer.snapshot_entries = 200;
  s.materializer.interval = 100ms;
  s.materializer.batch_size = 1000;
  s.materializer.chunk_ranges = 100;
  s.materializer.read_model_interval = 5s;
  s.upkeep = {
      .retention_ms = -1, .retention_bytes = -1, .retention_interval = 10s, .delete_grace = 60s, .sweep_interval = 6h,
      .merge_bytes_per_second = 32 << 20, .merge_interval = 60s, .merge_age = 1h, .merge_object_bytes = 64 << 20, .merge_min_runs = 8,
      .merge_write_ratio = 1.2, .merge_live_ratio = 0.5};
  s.process.node_id = node;
  s.process.shutdown_timeout = 10s;
  s.listener.host = "0.0.0.0";
  s.listener.advertised_host = fmt::format("agent{}", node);
  s.listener.request_bytes_max = 100 << 20;
  s.listener.connections_max = 1000;
  s.listener.idle_timeout = 600s;
  s.topics.auto_create = true;
  s.topics.default_partitions = 1;
  s.topics.message_bytes_max = 1 << 20;
  s.groups.initial_rebalance_delay = 100ms;
  s.groups.session_timeout_min = 1s;
  s.groups.session_timeout_max = 30min;
  s.groups.members_max = 100;
  s.groups.offsets_retention = 7 * 24h;
  s.write.flush_interval = 250ms;
  s.write.flush_bytes = 5 << 20;
  s.write.buffer_bytes_max = 128 << 20;
  s.write.upload_deadline = 600s;
  s.read.response_bytes_max = 50 << 20;
  s.read.memory_bytes = 256 << 20;
  s.read.cache_bytes = 64 << 20;
  s.read.log_stale_after = 60s;
  return s;
}

class client {
 public:
  explicit client(std::unique_ptr<byte_stream> stream) : stream_(std::move(stream)) {}
  template <class Request>
  awaitable<void> send(std::int16_t version, const Request& message) {
    co_await stream_->write_all(wire::encode_request_frame(++last_, "test", version, message).segments);
  }
  template <class Answer>
  awaitable<Answer> receive(std::int16_t version) {
    auto size = std::size_t(load_big_endian<std::int32_t>(as_bytes(co_await bytes(4)).data()));
    auto frame = co_await bytes(size);
    std::size_t header = 4 + (wire::response_header_version(Answer::api, version) == 1 ? 1 : 0);
    auto decoded = wire::decode_body<Answer>(as_bytes(frame).subspan(header), version);
    EXPECT_TRUE(decoded);
    co_return decoded ? std::move(*decoded) : Answer{};
  }
  awaitable<wire::produce_response::topic_entry::partition_entry> produced() {
    auto a = co_await receive<wire::produce_response>(9);
    co_return a.responses.at(0).partition_responses.at(0);
  }
  awaitable<void> produce(std::string topic, std::string value, records::batch_settings settings = {},
                          std::int16_t acks = -1, std::int32_t timeout_ms = 30'000) {
    auto batch = batch_bytes({value}, settings);
    wire::produce_request r{.acks = acks, .timeout_ms = timeout_ms};
    r.topic_data.push_back({.name = topic, .partition_data = {{0, wire::blob{batch}}}});
    co_await send(9, r);
  }
  awaitable<error_code> make_topic(std::string topic,
                                   std::vector<wire::create_topics_request::topic_entry::config_entry> configs = {}) {
    wire::create_topics_request r;
    r.topics.push_back({.name = topic, .num_partitions = 1, .replication_factor = 1, .configs = std::move(configs)});
    co_await send(7, r);
    co_return (co_await receive<wire::create_topics_response>(7)).topics.at(0).error_code;
  }
  awaitable<void> fetch(std::string topic, std::int64_t from, std::int32_t wait_ms = 0) {
    wire::fetch_request r{.max_wait_ms = wait_ms, .min_bytes = 1, .max_bytes = 1 << 20};
    r.topics.push_back(
        {.topic = topic, .partitions = {{.partition = 0, .fetch_offset = from, .partition_max_bytes = 1 << 20}}});
    co_await send(11, r);
  }
  awaitable<wire::fetch_response::topic_entry::partition_entry> fetched() {
    auto a = co_await receive<wire::fetch_response>(11);
    co_return a.responses.at(0).partitions.at(0);
  }

 private:
  awaitable<std::string> bytes(std::size_t n) {
    std::string all(n, 0);
    for (std::size_t got = 0; got < n;)
      got += co_await stream_->read_some(std::as_writable_bytes(std::span(all.data(), n)).subspan(got));
    co_return all;
  }
  std::unique_ptr<byte_stream> stream_;
  std::int32_t last_ = 0;
};

// Some agents on one log.
struct cluster {
  explicit cluster(std::uint64_t seed = 1)
      : world(seed), rt(world), log([this] { return world.wall_clock(); }), store(rt, objects), tasks(rt.executor()) {
    sharing.inner = &network;
  }

  struct member {
    metrics::registry metrics;
    metastores::memory_metastore session;
    std::unique_ptr<yaks::agent> the_agent;
    stop_request stop;
    bool ready = false, ended = false;
    std::string failure;
    member(runtime& rt, metastores::memory_log& log, std::int32_t node)
        : session(rt, log, fmt::format("agent {}", node)) {}
  };
  // With a secret, the agent shares its cache with others, at its own port + 1000.
  awaitable<member*> start(std::int32_t node, std::function<void(config::settings&)> change = {},
                           std::string secret = "") {
    auto& m = *members.emplace_back(std::make_unique<member>(rt, log, node));
    co_await m.session.open();
    co_await m.session.hold_node_id(node_id(node), 1s);
    auto s = settings_of(node);
    if (change) change(s);
    m.the_agent = std::make_unique<agent>(rt, network.listen({.host = "0.0.0.0", .port = std::uint16_t(9000 + node)}),
                                          m.session, store, s, m.metrics, peers_at(node, secret));
    m.the_agent->on_ready = [&m] { m.ready = true; };
    tasks.spawn(live(m));
    co_return &m;
  }
  std::optional<peer_access> peers_at(std::int32_t node, std::string secret) {
    if (secret.empty()) return std::nullopt;
    auto at = network.listen({.host = fmt::format("agent{}", node), .port = std::uint16_t(10000 + node)});
    return peer_access{.net = sharing, .at = std::move(at), .secret = std::move(secret)};
  }
  awaitable<void> live(member& m) {
    try {
      co_await m.the_agent->run(m.stop);
    } catch (const std::exception& error) {
      m.failure = error.what();
    }
    m.ended = true;
  }
  awaitable<std::unique_ptr<client>> connect(std::int32_t node) {
    co_return std::make_unique<client>(
        co_await network.connect({.host = "localhost", .port = std::uint16_t(9000 + node)}));
  }
  awaitable<void> until(std::function<bool()> condition) {
    while (!condition()) co_await rt.sleep_for(1ms);
  }
  void play(std::function<awaitable<void>()> scene) { rt.run(run_then_close(scene(), tasks), 1h); }
  // The state that the log has now, on a replica of its own.
  std::vector<std::string> stored(std::string topic) {
    metadata::state state;
    for (const auto& e : log.entries()) (void)state.apply(e);
    const auto* t = state.find_topic(topic);
    return t ? stored_values(state, objects, {t->id, partition_index(0)}) : std::vector<std::string>{};
  }

  simulated_world world;
  simulated_runtime rt;
  metastores::memory_log log;
  memory_store objects;
  controlled_store store;
  memory_network network;
  struct : yaks::network {  // where peers find each other, or not
    memory_network* inner = nullptr;
    std::string unreachable;
    awaitable<std::unique_ptr<byte_stream>> connect(endpoint to) override {
      if (to.host == unreachable) throw boost::system::system_error(asio::error::connection_refused);
      return inner->connect(std::move(to));
    }
    std::unique_ptr<listener> listen(endpoint at) override { return inner->listen(std::move(at)); }
  } sharing;
  std::vector<std::unique_ptr<member>> members;
  task_group tasks;
};

std::string bytes_of(const wire::fetch_response::topic_entry::partition_entry& p) {
  std::string bytes;
  if (p.records)
    for (const auto& s : p.records->parts) bytes += as_text(s.view());
  return bytes;
}
std::vector<std::string> values_of(const wire::fetch_response::topic_entry::partition_entry& p) {
  auto bytes = bytes_of(p);
  std::vector<std::string> values;
  records::batch_reader reader(as_bytes(bytes));
  while (auto batch = reader.next()) {
    records::record_reader inside(batch->body());
    for (records::record_view record; inside.next(record);) values.emplace_back(as_text(*record.value));
  }
  return values;
}

TEST(agent, starts_serves_and_stops) {
  cluster c;
  c.play([&]() -> awaitable<void> {
    auto* a = co_await c.start(1);
    co_await c.until([&] { return a->ready; });
    EXPECT_TRUE(a->the_agent->is_ready());
    auto k = co_await c.connect(1);
    EXPECT_EQ(co_await k->make_topic("t"), error_code::none);
    co_await k->produce("t", "a");
    EXPECT_EQ((co_await k->produced()).base_offset, 0);
    co_await k->fetch("t", 0);
    EXPECT_EQ(values_of(co_await k->fetched()), (std::vector<std::string>{"a"}));
    auto begun = c.rt.now();
    a->stop.ask();
    co_await c.until([&] { return a->ended; });
    EXPECT_EQ(a->failure, "");
    EXPECT_LE(c.rt.now() - begun, 5s);
    EXPECT_FALSE(a->the_agent->is_ready());
  });
}

// What the dashboard and a bill by topic are made of. Also records of acks 0, which nobody waits for, and none twice.
TEST(agent, counts_what_clients_do) {
  cluster c;
  c.play([&]() -> awaitable<void> {
    auto* a = co_await c.start(1);
    co_await c.until([&] { return a->ready; });
    auto total = [&](const char* name, std::string topic = "") {
      double sum = 0;
      a->metrics.visit_series(name, [&](const auto& one) {
        if (topic.empty() || one.with == metrics::labels{{"topic", topic}})
          sum += one.distribution ? double(one.distribution->count()) : one.value;
      });
      return sum;
    };
    auto k = co_await c.connect(1);
    for (auto topic : {"t", "u"}) EXPECT_EQ(co_await k->make_topic(topic), error_code::none);
    co_await k->produce("t", "a", of_producer(7, 0));
    co_await k->produced();
    co_await k->produce("t", "a", of_producer(7, 0));  // again: it is in the log already
    co_await k->produced();
    co_await k->produce("u", "b", {}, 0);
    co_await c.rt.sleep_for(5s);
    EXPECT_EQ(total("yaks_produce_records_total", "t"), 1);
    EXPECT_EQ(total("yaks_produce_records_total", "u"), 1);
    EXPECT_EQ(total("yaks_produce_bytes_total", "t"), double(batch_bytes({"a"}, of_producer(7, 0)).size()));
    EXPECT_DOUBLE_EQ(total("yaks_topic_put_share_total"), total("yaks_buffer_flushes_total"));
    EXPECT_EQ(total("yaks_topic_put_share_total", "u"), 1);
    EXPECT_EQ(total("yaks_buffer_wait_duration_seconds"), total("yaks_buffer_flushes_total"));
    EXPECT_EQ(total("yaks_end_to_end_duration_seconds"), 0);
    co_await k->fetch("t", 0);
    co_await k->fetched();
    EXPECT_EQ(total("yaks_end_to_end_duration_seconds"), 1);
    // And says so to whoever asks for its numbers.
    EXPECT_NE(a->the_agent->numbers().numbers({}).find("\"node\":1,"), std::string::npos);
    EXPECT_TRUE(a->the_agent->other_agents().empty());
    auto* b = co_await c.start(2);
    co_await c.until([&] { return b->ready; });
    co_await c.rt.sleep_for(1s);
    auto others = a->the_agent->other_agents();
    EXPECT_EQ(others.size(), 1u);
    if (!others.empty()) EXPECT_EQ(others[0].node, 2);
    for (auto* m : {a, b}) {
      m->stop.ask();
      co_await c.until([&] { return m->ended; });
    }
  });
}

TEST(agent, stopped_while_it_starts_ends_at_once) {
  cluster c;
  c.log.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
  c.play([&]() -> awaitable<void> {
    auto* a = co_await c.start(1);
    co_await c.rt.sleep_for(5s);
    EXPECT_FALSE(a->ready);
    a->stop.ask();
    co_await c.rt.sleep_for(1s);
    EXPECT_TRUE(a->ended);
    EXPECT_EQ(a->failure, "");
  });
}

TEST(agent, a_stop_answers_what_is_in_flight_and_loses_nothing) {
  cluster c;
  c.store.put_delay = 800ms;
  c.play([&]() -> awaitable<void> {
    auto* a = co_await c.start(1, [](auto& s) { s.write.flush_interval = 5s; });
    co_await c.until([&] { return a->ready; });
    auto k = co_await c.connect(1), silent = co_await c.connect(1), polling = co_await c.connect(1);
    EXPECT_EQ(co_await k->make_topic("t"), error_code::none);
    for (int i = 0; i < 5; ++i) {
      co_await k->produce("t", fmt::format("acks -1 {}", i), of_producer(7, i));
      co_await silent->produce("t", fmt::format("acks 0 {}", i), {}, 0);
      co_await c.rt.sleep_for(300ms);
    }
    co_await polling->fetch("t", 1000, 30'000);
    co_await polling->fetch("t", 10, 30'000);
    co_await c.rt.sleep_for(50ms);
    a->stop.ask();
    for (int i = 0; i < 5; ++i) EXPECT_EQ((co_await k->produced()).error_code, error_code::none) << i;
    co_await c.until([&] { return a->ended; });
    EXPECT_EQ(a->failure, "");
    auto values = c.stored("t");
    EXPECT_EQ(values.size(), 10u);
  });
}

TEST(agent, a_stop_while_the_log_is_away_ends_within_its_timeout) {
  cluster c;
  c.play([&]() -> awaitable<void> {
    auto* a = co_await c.start(1);
    co_await c.until([&] { return a->ready; });
    auto k = co_await c.connect(1);
    EXPECT_EQ(co_await k->make_topic("t"), error_code::none);
    c.log.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    c.log.hooks.before_append = [](metadata::append_id) { return std::optional(metadata::log_error::unavailable); };
    co_await k->produce("t", "a");
    co_await c.rt.sleep_for(1s);
    auto begun = c.rt.now();
    a->stop.ask();
    co_await c.until([&] { return a->ended; });
    EXPECT_LE(c.rt.now() - begun, 10s + 500ms);
    EXPECT_EQ(a->failure, "");
    EXPECT_TRUE(c.stored("t").empty());  // and nobody was told that it was stored
  });
}

TEST(agent, ends_when_the_log_has_lost_entries) {
  cluster c;
  c.play([&]() -> awaitable<void> {
    auto* a = co_await c.start(1);
    co_await c.until([&] { return a->ready; });
    auto k = co_await c.connect(1);
    EXPECT_EQ(co_await k->make_topic("t"), error_code::none);
    co_await k->produce("t", "a");
    EXPECT_EQ((co_await k->produced()).error_code, error_code::none);
    c.log.lose_after(c.log.head().sequence - 1);
    co_await c.rt.sleep_for(2s);  // the next poll finds it
    EXPECT_TRUE(a->ended);
    EXPECT_NE(a->failure.find("lost entries"), std::string::npos) << a->failure;
  });
}

// Where snapshots come fast, the log may be trimmed beyond the one that a starting agent has just read.
TEST(agent, starts_although_the_log_is_trimmed_beyond_its_snapshot_meanwhile) {
  cluster c;
  c.play([&]() -> awaitable<void> {
    auto* a = co_await c.start(1);
    co_await c.until([&] { return a->ready; });
    auto k = co_await c.connect(1);
    EXPECT_EQ(co_await k->make_topic("t"), error_code::none);
    auto snapshots_made = [&]() -> awaitable<std::size_t> { co_return (co_await a->session.snapshots())->size(); };
    std::int32_t sequence = 0;
    auto write_until = [&](log_sequence end) -> awaitable<void> {
      while (c.log.head().sequence < end) {
        co_await k->produce("t", "a", of_producer(7, sequence++));
        EXPECT_EQ((co_await k->produced()).error_code, error_code::none);
      }
      co_await c.rt.sleep_for(3s);  // the snapshot that is due
    };
    co_await write_until(log_sequence(250));
    EXPECT_EQ(co_await snapshots_made(), 1u);
    a->stop.ask();
    co_await c.until([&] { return a->ended; });
    // The newcomer reads the snapshot, and at once the log no longer has what follows it.
    std::size_t told = 0;
    c.store.damage_get = [&](std::size_t, std::string&) {
      c.log.hooks.before_read = [&] {
        return ++told == 1 ? std::optional(metadata::log_error::trimmed) : std::nullopt;
      };
    };
    auto* b = co_await c.start(2);
    co_await c.until([&] { return b->ready || b->ended; });
    EXPECT_GT(told, 1u);
    EXPECT_EQ(b->failure, "");
    EXPECT_TRUE(b->ready);
  });
}

TEST(agent, two_agents_see_each_others_records_at_once) {
  cluster c;
  c.play([&]() -> awaitable<void> {
    auto *a = co_await c.start(1), *b = co_await c.start(2);
    co_await c.until([&] { return a->ready && b->ready; });
    auto ka = co_await c.connect(1), kb = co_await c.connect(2);
    c.log.hooks.lose_notification = [] { return true; };  // so that only the barrier can tell
    EXPECT_EQ(co_await ka->make_topic("t"), error_code::none);
    for (int i = 0; i < 20; ++i) {
      auto& from = i % 2 ? kb : ka;
      auto& to = i % 2 ? ka : kb;
      co_await from->produce("t", std::to_string(i), of_producer(7, i));
      auto p = co_await from->produced();
      EXPECT_EQ(p.error_code, error_code::none);
      EXPECT_EQ(p.base_offset, i);
      co_await to->fetch("t", i);
      EXPECT_EQ(values_of(co_await to->fetched()), (std::vector<std::string>{std::to_string(i)})) << i;
    }
    // The retry of an answer that got lost, at the other one.
    co_await ka->produce("t", "19", of_producer(7, 19));
    auto again = co_await ka->produced();
    EXPECT_EQ(again.error_code, error_code::none);
    EXPECT_EQ(again.base_offset, 19);
    EXPECT_EQ(c.stored("t").size(), 20u);
  });
}

// The sessions of an agent's members are judged by others when it is gone, and not before their time.
TEST(agent, members_of_a_group_outlive_their_agent) {
  cluster c;
  c.play([&]() -> awaitable<void> {
    auto *a = co_await c.start(1), *b = co_await c.start(2);
    co_await c.until([&] { return a->ready && b->ready; });
    std::vector<std::unique_ptr<client>> clients;
    std::vector<wire::join_group_response> joined;
    wire::join_group_request join{.group_id = "g",
                                  .session_timeout_ms = 10'000,
                                  .rebalance_timeout_ms = 10'000,
                                  .protocol_type = "any",
                                  .protocols = {{.name = "p", .metadata = {"m"}}}};
    for (int i = 0; i < 2; ++i) {
      clients.push_back(co_await c.connect(1));
      co_await clients.back()->send(3, join);
    }
    for (auto& k : clients) joined.push_back(co_await k->receive<wire::join_group_response>(3));
    auto& talks = joined[0];
    EXPECT_EQ(talks.generation_id, 1);
    EXPECT_EQ(joined[1].generation_id, 1);
    for (std::size_t i = 0; i < 2; ++i) {
      wire::sync_group_request sync{.group_id = "g", .generation_id = 1, .member_id = joined[i].member_id};
      for (const auto& m : joined[i].members)
        sync.assignments.push_back({.member_id = m.member_id, .assignment = {"a"}});
      co_await clients[i]->send(3, sync);
    }
    for (auto& k : clients) EXPECT_EQ((co_await k->receive<wire::sync_group_response>(3)).error_code, error_code::none);
    clients.clear();
    a->stop.ask();
    co_await c.until([&] { return a->ended; });
    auto gone = c.rt.now();
    auto k = co_await c.connect(2);
    error_code answer = error_code::none;
    while (answer == error_code::none && c.rt.now() < gone + 60s) {
      co_await k->send(3, wire::heartbeat_request{.group_id = "g", .generation_id = 1, .member_id = talks.member_id});
      answer = (co_await k->receive<wire::heartbeat_response>(3)).error_code;
      co_await c.rt.sleep_for(1s);
    }
    EXPECT_EQ(answer, error_code::rebalance_in_progress) << "the other one has not been heard of";
    EXPECT_GE(c.rt.now() - gone, 10s);
    EXPECT_LE(c.rt.now() - gone, 18s);
    join.member_id = talks.member_id;
    co_await k->send(3, join);
    auto again = co_await k->receive<wire::join_group_response>(3);
    EXPECT_EQ(again.generation_id, 2);
    EXPECT_EQ(again.members.size(), 1u);
  });
}

TEST(agent, a_long_poll_is_woken_by_another_agents_produce) {
  cluster c;
  c.play([&]() -> awaitable<void> {
    auto *a = co_await c.start(1), *b = co_await c.start(2);
    co_await c.until([&] { return a->ready && b->ready; });
    auto ka = co_await c.connect(1), kb = co_await c.connect(2);
    EXPECT_EQ(co_await ka->make_topic("t"), error_code::none);
    co_await kb->fetch("t", 0, 30'000);
    co_await c.rt.sleep_for(1s);
    auto begun = c.rt.now();
    co_await ka->produce("t", "a");
    EXPECT_EQ(values_of(co_await kb->fetched()), (std::vector<std::string>{"a"}));
    EXPECT_LE(c.rt.now() - begun, 200ms);
  });
}

// ---- the failure table of docs/guarantees.md, row by row

// An idempotent producer's record, sent to an agent that dies when `moment` says so, without an answer; then, as
// clients do, sent again to another agent, whose answer is returned. What `moment` does to the log is over after the
// death.
awaitable<wire::produce_response::topic_entry::partition_entry> produce_across_a_death(cluster& c,
                                                                                       std::function<bool()> moment) {
  auto* other = co_await c.start(1);
  co_await c.until([&] { return other->ready; });
  auto k = co_await c.connect(1);
  EXPECT_EQ(co_await k->make_topic("t"), error_code::none);
  cluster::member m(c.rt, c.log, 2);
  co_await m.session.open();
  co_await m.session.hold_node_id(node_id(2), 1s);
  m.the_agent = std::make_unique<agent>(c.rt, c.network.listen({.host = "0.0.0.0", .port = 9002}), m.session, c.store,
                                        settings_of(2), m.metrics);
  m.the_agent->on_ready = [&m] { m.ready = true; };
  task_group living(c.rt.executor());
  std::unique_ptr<client> mine;
  auto life = [&]() -> awaitable<void> {
    living.spawn(c.live(m));
    co_await c.until([&] { return m.ready; });
    mine = co_await c.connect(2);
    co_await mine->produce("t", "a", of_producer(7, 0));
    while (!moment()) co_await c.rt.sleep_for(100us);
  };
  co_await run_then_close(life(), living);
  c.log.hooks = {};
  bool answered = false;
  try {
    (void)co_await mine->produced();
    answered = true;
  } catch (const boost::system::system_error&) {
  }
  EXPECT_FALSE(answered);
  m.the_agent.reset();
  co_await m.session.close();
  co_await k->produce("t", "a", of_producer(7, 0));
  co_return co_await k->produced();
}

TEST(failure_table, an_agent_that_is_killed_before_the_put_ends) {
  cluster c;
  c.store.put_delay = 100ms;
  c.play([&]() -> awaitable<void> {
    auto answer = co_await produce_across_a_death(c, [&] { return c.store.puts_under_way > 0; });
    EXPECT_EQ(answer.error_code, error_code::none);
    EXPECT_EQ(answer.base_offset, 0);
  });
  EXPECT_EQ(c.stored("t"), (std::vector<std::string>{"a"}));
}

TEST(failure_table, an_agent_that_is_killed_between_put_and_append) {
  cluster c;
  c.play([&]() -> awaitable<void> {
    auto answer = co_await produce_across_a_death(c, [&] {
      c.log.hooks.before_append = [](metadata::append_id) { return std::optional(metadata::log_error::unavailable); };
      return c.objects.size() == 1;
    });
    EXPECT_EQ(answer.error_code, error_code::none);
    EXPECT_EQ(answer.base_offset, 0);
  });
  EXPECT_EQ(c.stored("t"), (std::vector<std::string>{"a"}));
  EXPECT_EQ(c.objects.size(), 2u);  // one of them is an orphan
}

TEST(failure_table, an_agent_that_is_killed_after_the_append_and_before_the_answer) {
  cluster c;
  c.play([&]() -> awaitable<void> {
    auto answer = co_await produce_across_a_death(c, [&] {
      c.log.hooks.after_append = [](metadata::append_id) { return std::optional(metadata::log_error::unknown); };
      c.log.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
      return c.stored("t").size() == 1;
    });
    EXPECT_EQ(answer.error_code, error_code::none);
    EXPECT_EQ(answer.base_offset, 0);  // the one that it had all along
  });
  EXPECT_EQ(c.stored("t"), (std::vector<std::string>{"a"}));
}

TEST(failure_table, the_log_is_away_for_longer_than_it_may_be) {
  cluster c;
  c.play([&]() -> awaitable<void> {
    auto* a = co_await c.start(1);
    co_await c.until([&] { return a->ready; });
    auto k = co_await c.connect(1);
    EXPECT_EQ(co_await k->make_topic("t"), error_code::none);
    co_await k->produce("t", "a", of_producer(7, 0));
    EXPECT_EQ((co_await k->produced()).error_code, error_code::none);
    auto away_since = c.rt.now();
    c.log.hooks.before_append = [](metadata::append_id) { return std::optional(metadata::log_error::unavailable); };
    c.log.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    // A produce waits, and fails before its client gives up.
    co_await k->produce("t", "b", of_producer(7, 1), -1, 3000);
    auto refused = co_await k->produced();
    EXPECT_TRUE(refused.error_code == error_code::kafka_storage_error ||
                refused.error_code == error_code::request_timed_out);
    EXPECT_LE(c.rt.now() - away_since, 3s);
    EXPECT_GE(c.rt.now() - away_since, 1s);
    // What is known is served, until it may be too old.
    while (c.rt.now() < away_since + 59s) {
      co_await k->fetch("t", 0);
      EXPECT_EQ(values_of(co_await k->fetched()), (std::vector<std::string>{"a"}));
      EXPECT_TRUE(a->the_agent->is_ready());
      co_await c.rt.sleep_for(5s);
    }
    co_await c.rt.sleep_until(away_since + 62s);
    EXPECT_FALSE(a->the_agent->is_ready());
    co_await k->fetch("t", 0);
    EXPECT_EQ((co_await k->fetched()).error_code, error_code::kafka_storage_error);
    c.log.hooks = {};
    co_await c.rt.sleep_for(3s);
    EXPECT_TRUE(a->the_agent->is_ready());
    co_await k->produce("t", "b", of_producer(7, 1));
    auto again = co_await k->produced();
    EXPECT_EQ(again.error_code, error_code::none);
    EXPECT_EQ(again.base_offset, 1);
  });
  EXPECT_EQ(c.stored("t"), (std::vector<std::string>{"a", "b"}));
}

TEST(failure_table, the_object_store_is_away) {
  cluster c;
  c.play([&]() -> awaitable<void> {
    auto* a = co_await c.start(1);
    co_await c.until([&] { return a->ready; });
    auto k = co_await c.connect(1);
    EXPECT_EQ(co_await k->make_topic("t"), error_code::none);
    co_await k->produce("t", "a", of_producer(7, 0));
    EXPECT_EQ((co_await k->produced()).error_code, error_code::none);
    for (auto error : {object_error::unavailable, object_error::slow_down, object_error::unknown}) {
      c.store.fail_put = [=](std::size_t) { return std::optional(error); };
      c.store.fail_get = c.store.fail_put;
      auto begun = c.rt.now();
      co_await k->produce("t", "b", of_producer(7, 1), -1, 3000);
      auto refused = co_await k->produced();
      EXPECT_TRUE(refused.error_code == error_code::kafka_storage_error ||
                  refused.error_code == error_code::request_timed_out);
      EXPECT_LE(c.rt.now() - begun, 3s);
      co_await k->fetch("t", 0);
      EXPECT_EQ(values_of(co_await k->fetched()), (std::vector<std::string>{"a"}));
    }
    c.store.fail_put = c.store.fail_get = {};
    co_await k->produce("t", "b", of_producer(7, 1));
    auto again = co_await k->produced();
    EXPECT_EQ(again.error_code, error_code::none);
    EXPECT_EQ(again.base_offset, 1);
  });
  EXPECT_EQ(c.stored("t"), (std::vector<std::string>{"a", "b"}));
}

// ---- at random

// What the seeds have provoked, all together: a run without it proves nothing.
struct {
  std::uint64_t switches = 0;
} provoked;

// An idempotent producer with five requests in flight; whatever goes wrong, it goes to another agent and sends again,
// in order, all that has no answer.
awaitable<void> produce_somewhere(cluster& c, std::int64_t id, std::string topic, std::vector<std::int64_t>& offsets,
                                  int count) {
  std::unique_ptr<client> k;
  int sent = 0;
  while (int(offsets.size()) < count) {
    bool failed = false;
    try {
      if (!k) {
        k = co_await c.connect(1 + std::int32_t(c.rt.random_below(2)));
        sent = int(offsets.size());
      }
      for (; sent < count && sent < int(offsets.size()) + 5; ++sent) {
        co_await k->produce(topic, fmt::format("p{}-{}", id, sent), of_producer(id, sent), -1, 1500);
        if (c.rt.random_below(3) == 0) co_await c.rt.sleep_for(duration(std::int64_t(c.rt.random_below(30'000'000))));
      }
      auto answer = co_await k->produced();
      if (answer.error_code == error_code::none)
        offsets.push_back(answer.base_offset);
      else
        failed = true;
      // Nobody has sent anything before the earliest one that is not acknowledged.
      YAKS_CHECK(answer.error_code != error_code::out_of_order_sequence_number,
                 "the earliest batch is never out of order");
    } catch (const boost::system::system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      failed = true;
    }
    if (!failed && c.rt.random_below(20) == 0) failed = true;  // the answers of the others get lost
    if (failed) {
      k.reset();
      ++provoked.switches;
      co_await c.rt.sleep_for(duration(std::int64_t(c.rt.random_below(200'000'000))));
    }
  }
}

void random_run(std::uint64_t seed) {
  SCOPED_TRACE(seed);
  cluster c(seed);
  bool faults = true;
  auto chance = [&](unsigned permille) { return faults && c.world.chance.below(1000) < permille; };
  c.store.put_delay_of = [&](std::size_t) { return c.world.chance.between(1ms, 300ms); };
  c.store.fail_put = [&](std::size_t) { return chance(150) ? std::optional(object_error::unavailable) : std::nullopt; };
  constexpr int producers = 4, count = 30;
  std::vector<std::vector<std::int64_t>> offsets(producers);
  c.play([&]() -> awaitable<void> {
    auto change = [](config::settings& s) { s.write.flush_interval = 20ms; };
    auto *a = co_await c.start(1, change), *b = co_await c.start(2, change);
    co_await c.until([&] { return a->ready && b->ready; });
    auto k = co_await c.connect(1);
    EXPECT_EQ(co_await k->make_topic("t"), error_code::none);
    c.log.hooks.before_append = [&](metadata::append_id) {
      return chance(150) ? std::optional(metadata::log_error::unavailable) : std::nullopt;
    };
    c.log.hooks.after_append = [&](metadata::append_id) {
      return chance(150) ? std::optional(metadata::log_error::unknown) : std::nullopt;
    };
    c.log.hooks.before_read = [&] {
      return chance(100) ? std::optional(metadata::log_error::unavailable) : std::nullopt;
    };
    c.log.hooks.lose_notification = [&] { return chance(300); };
    task_group producing(c.rt.executor());
    auto all = [&]() -> awaitable<void> {
      for (int i = 0; i < producers; ++i)
        producing.spawn(produce_somewhere(c, 100 + i, "t", offsets[std::size_t(i)], count));
      auto calm = c.rt.now() + 60s;
      auto restart = c.rt.now() + c.world.chance.between(100ms, 3s);
      bool restarted = false;
      while (producing.size() > 0) {
        co_await c.rt.sleep_for(10ms);
        if (c.rt.now() > calm) faults = false;
        if (!restarted && c.rt.now() > restart) {  // one agent leaves and comes back
          restarted = true;
          a->stop.ask();
          co_await c.until([&] { return a->ended; });
          EXPECT_EQ(a->failure, "");
          a->the_agent.reset();
          co_await a->session.close();
          auto* again = co_await c.start(1, change);
          co_await c.until([&] { return again->ready; });
        }
      }
    };
    co_await run_then_close(all(), producing);
    faults = false;
    // And both say so to consumers.
    for (std::int32_t node : {1, 2}) {
      auto reader = co_await c.connect(node);
      std::vector<std::string> seen;
      auto expected = c.stored("t");
      while (seen.size() < expected.size()) {
        co_await reader->fetch("t", std::int64_t(seen.size()));
        auto p = co_await reader->fetched();
        auto values = values_of(p);
        if (p.error_code != error_code::none || values.empty()) break;
        seen.insert(seen.end(), values.begin(), values.end());
      }
      EXPECT_EQ(seen, expected) << node;
    }
  });
  auto values = c.stored("t");
  EXPECT_EQ(values.size(), std::size_t(producers * count));
  for (int i = 0; i < producers; ++i)
    for (std::size_t n = 0; n < offsets[std::size_t(i)].size(); ++n) {
      auto at = offsets[std::size_t(i)][n];
      EXPECT_TRUE(at >= 0 && std::size_t(at) < values.size() &&
                  values[std::size_t(at)] == fmt::format("p{}-{}", 100 + i, n))
          << i << " " << n;
      EXPECT_TRUE(n == 0 || offsets[std::size_t(i)][n - 1] < at) << i << " " << n;
    }
}

TEST(agents_at_random, producers_that_go_from_one_to_the_other_lose_and_repeat_nothing) {
  for (std::uint64_t seed = 1; seed <= 100 && !testing::Test::HasFailure(); ++seed) random_run(seed);
  EXPECT_GT(provoked.switches, 1000u);
}

// Broken off between any two steps, as by a failure of another part: nothing is used after its end, and what was
// acknowledged is in the log.
TEST(agents_at_random, broken_off_at_any_moment_keeps_what_it_acknowledged) {
  std::size_t acknowledged_in_all = 0;
  for (std::uint64_t seed = 1; seed <= 150 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    cluster c(seed);
    c.store.put_delay_of = [&](std::size_t) { return c.world.chance.between(1ms, 100ms); };
    std::vector<std::vector<std::int64_t>> offsets(3);
    c.play([&]() -> awaitable<void> {
      auto* first = co_await c.start(1, [](config::settings& s) { s.write.flush_interval = 20ms; });
      co_await c.until([&] { return first->ready; });
      auto k = co_await c.connect(1);
      EXPECT_EQ(co_await k->make_topic("t"), error_code::none);
      first->stop.ask();
      co_await c.until([&] { return first->ended; });
      // The one that is broken off.
      cluster::member m(c.rt, c.log, 2);
      co_await m.session.open();
      co_await m.session.hold_node_id(node_id(2), 1s);
      m.the_agent = std::make_unique<agent>(c.rt, c.network.listen({.host = "0.0.0.0", .port = 9002}), m.session,
                                            c.store, settings_of(2), m.metrics);
      m.the_agent->on_ready = [&m] { m.ready = true; };
      task_group living(c.rt.executor()), clients(c.rt.executor());
      auto producing = [&](std::size_t i) -> awaitable<void> {
        auto mine = co_await c.connect(2);
        for (int n = 0; n < 200; ++n) {
          co_await mine->produce("t", fmt::format("p{}-{}", i, n), of_producer(std::int64_t(i), n));
          if (n >= 4) offsets[i].push_back((co_await mine->produced()).base_offset);
        }
      };
      auto polling = [&]() -> awaitable<void> {
        auto mine = co_await c.connect(2);
        for (std::int64_t at = 0;;) {
          co_await mine->fetch("t", at, 1000);
          at += std::int64_t(values_of(co_await mine->fetched()).size());
        }
      };
      auto life = [&]() -> awaitable<void> {
        living.spawn(c.live(m));
        co_await c.until([&] { return m.ready; });
        for (std::size_t i = 0; i < offsets.size(); ++i) clients.spawn(producing(i));
        clients.spawn(polling());
        co_await c.rt.sleep_for(c.world.chance.between(0ms, 600ms));
      };
      auto death = [&]() -> awaitable<void> { co_await run_then_close(life(), living); };
      auto quiet = [&]() -> awaitable<void> {
        try {
          co_await run_then_close(death(), clients);
        } catch (const boost::system::system_error&) {  // of clients whose connection broke
        }
      };
      co_await quiet();
      EXPECT_TRUE(m.ended);
      m.the_agent.reset();
      co_await m.session.close();
    });
    auto values = c.stored("t");
    for (std::size_t i = 0; i < offsets.size(); ++i)
      for (std::size_t n = 0; n < offsets[i].size(); ++n, ++acknowledged_in_all)
        EXPECT_TRUE(std::size_t(offsets[i][n]) < values.size() &&
                    values[std::size_t(offsets[i][n])] == fmt::format("p{}-{}", i, n));
  }
  EXPECT_GT(acknowledged_in_all, 500u);
}

// ---- caches that are shared

double number(const cluster::member& m, std::string name) {
  auto text = m.metrics.text();
  auto at = text.find("\n" + name + " ");
  if (at == std::string::npos) return -1;
  return std::stod(text.substr(at + name.size() + 2));
}

TEST(agents, what_one_wrote_the_others_read_from_its_memory) {
  cluster c;
  c.play([&]() -> awaitable<void> {
    std::vector<cluster::member*> all;
    std::vector<std::unique_ptr<client>> clients;
    for (int node = 1; node <= 3; ++node) all.push_back(co_await c.start(node, {}, "secret"));
    for (auto* m : all) co_await c.until([&] { return m->ready && number(*m, "yaks_groupcache_peers") == 2; });
    for (int node = 1; node <= 3; ++node) clients.push_back(co_await c.connect(node));
    EXPECT_EQ(co_await clients[0]->make_topic("t"), error_code::none);
    std::int64_t next = 0;
    for (int round = 0; round < 30; ++round) {
      auto& writer = *clients[std::size_t(round % 3)];
      co_await writer.produce("t", fmt::format("{}", round));
      EXPECT_EQ((co_await writer.produced()).base_offset, next);
      for (auto& k : clients) {
        co_await k->fetch("t", next);
        EXPECT_EQ(values_of(co_await k->fetched()), (std::vector{fmt::format("{}", round)}));
      }
      ++next;
    }
    EXPECT_EQ(c.store.gets, 0u);
    for (auto* m : all) {
      EXPECT_EQ(number(*m, "yaks_groupcache_peer_loads_total"), 20);
      EXPECT_EQ(number(*m, "yaks_groupcache_served_total"), 20);
      EXPECT_EQ(number(*m, "yaks_groupcache_peer_errors_total"), 0);
      EXPECT_EQ(number(*m, "yaks_groupcache_local_loads_total"), 0);
      EXPECT_GE(number(*m, "yaks_groupcache_cache_gets_total"), number(*m, "yaks_groupcache_cache_hits_total"));
    }
  });
}

// A long poll on another agent is woken by the log, maybe before the writer itself has heard of its commit.
TEST(agents, a_commit_that_the_writer_has_not_heard_of_costs_no_get) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    cluster c(seed);
    c.play([&]() -> awaitable<void> {
      auto *a = co_await c.start(1, {}, "secret"), *b = co_await c.start(2, {}, "secret");
      for (auto* m : {a, b}) co_await c.until([&] { return m->ready && number(*m, "yaks_groupcache_peers") == 1; });
      auto at_a = co_await c.connect(1), at_b = co_await c.connect(2);
      EXPECT_EQ(co_await at_a->make_topic("t"), error_code::none);
      for (int i = 0; i < 10; ++i) {
        co_await at_b->fetch("t", i, 30'000);
        co_await c.rt.sleep_for(100ms);
        co_await at_a->produce("t", "a");
        EXPECT_EQ(values_of(co_await at_b->fetched()), (std::vector<std::string>{"a"}));
        (void)co_await at_a->produced();
      }
      EXPECT_EQ(c.store.gets, 0u);
    });
  }
}

TEST(agents, where_the_writer_is_gone_the_others_read_an_object_once_for_all_of_them) {
  cluster c;
  c.play([&]() -> awaitable<void> {
    std::vector<cluster::member*> all;
    for (int node = 1; node <= 4; ++node) all.push_back(co_await c.start(node, {}, "secret"));
    for (auto* m : all) co_await c.until([&] { return m->ready && number(*m, "yaks_groupcache_peers") == 3; });
    auto writer = co_await c.connect(1);
    EXPECT_EQ(co_await writer->make_topic("t"), error_code::none);
    for (int i = 0; i < 10; ++i) {
      co_await writer->produce("t", fmt::format("{}", i));
      (void)co_await writer->produced();
    }
    all[0]->stop.ask();
    co_await c.until([&] { return all[0]->ended; });
    for (int node = 2; node <= 4; ++node)
      co_await c.until([&] { return number(*all[std::size_t(node - 1)], "yaks_groupcache_peers") == 2; });
    std::vector<std::unique_ptr<client>> clients;
    for (int node = 2; node <= 4; ++node) clients.push_back(co_await c.connect(node));
    for (auto& k : clients) co_await k->fetch("t", 0);  // all at the same time
    for (auto& k : clients) EXPECT_EQ(values_of(co_await k->fetched()).size(), 10u);
    EXPECT_EQ(c.store.gets, 10u);
  });
}

// Objects have records as they were sent; a peer's memory has them with the log's offsets and times, also where it
// reads an object on behalf of another agent only.
TEST(agents, append_times_are_the_same_through_whichever_agent) {
  cluster c;
  c.play([&]() -> awaitable<void> {
    std::vector<cluster::member*> all;
    std::vector<std::unique_ptr<client>> clients;
    for (int node = 1; node <= 4; ++node) all.push_back(co_await c.start(node, {}, "secret"));
    for (auto* m : all) co_await c.until([&] { return m->ready && number(*m, "yaks_groupcache_peers") == 3; });
    for (int node = 1; node <= 4; ++node) clients.push_back(co_await c.connect(node));
    EXPECT_EQ(co_await clients[0]->make_topic("t", {{"message.timestamp.type", "LogAppendTime"}}), error_code::none);
    for (int i = 0; i < 20; ++i) {
      co_await clients[0]->produce("t", fmt::format("{}", i));
      (void)co_await clients[0]->produced();
    }
    std::vector<std::string> answers;
    for (int i : {0, 1}) {  // the writer, and one that asks the writer
      co_await clients[std::size_t(i)]->fetch("t", 0);
      answers.push_back(bytes_of(co_await clients[std::size_t(i)]->fetched()));
    }
    EXPECT_EQ(c.store.gets, 0u);
    EXPECT_EQ(number(*all[1], "yaks_groupcache_peer_loads_total"), 20);
    all[0]->stop.ask();
    co_await c.until([&] { return all[0]->ended; });
    for (int i : {2, 3}) co_await c.until([&] { return number(*all[std::size_t(i)], "yaks_groupcache_peers") == 2; });
    for (int i : {2, 3}) {  // these read the objects, each some of them
      co_await clients[std::size_t(i)]->fetch("t", 0);
      answers.push_back(bytes_of(co_await clients[std::size_t(i)]->fetched()));
    }
    EXPECT_GT(number(*all[2], "yaks_groupcache_served_total"), 0);
    EXPECT_GT(number(*all[2], "yaks_groupcache_peer_loads_total"), 0);
    for (const auto& answer : answers) {
      EXPECT_EQ(answer, answers.front());
      records::batch_reader reader(as_bytes(answer));
      std::int64_t next = 0;
      while (auto batch = reader.next()) {
        EXPECT_TRUE(batch->is_log_append_time() && batch->crc_matches());
        EXPECT_EQ(batch->base_offset().value(), next++);
      }
      EXPECT_EQ(next, 20);
    }
  });
}

TEST(agents, a_peer_that_cannot_help_costs_a_get_and_no_error) {
  for (std::string how : {"another secret", "does not listen"}) {
    cluster c;
    c.play([&]() -> awaitable<void> {
      auto* a = co_await c.start(1, {}, how == "another secret" ? "secret of its own" : "secret");
      auto* b = co_await c.start(2, {}, "secret");
      for (auto* m : {a, b}) co_await c.until([&] { return m->ready && number(*m, "yaks_groupcache_peers") == 1; });
      auto at_a = co_await c.connect(1), at_b = co_await c.connect(2);
      EXPECT_EQ(co_await at_a->make_topic("t"), error_code::none);
      for (int i = 0; i < 5; ++i) {
        co_await at_a->produce("t", "a");
        (void)co_await at_a->produced();
      }
      if (how == "does not listen") c.sharing.unreachable = "agent1";  // gone, and its lease has not lapsed yet
      for (int i = 0; i < 5; ++i) {
        co_await at_b->fetch("t", i);
        auto got = co_await at_b->fetched();
        EXPECT_EQ(got.error_code, error_code::none);
        EXPECT_GE(values_of(got).size(), 1u);
      }
      EXPECT_EQ(c.store.gets, 5u) << how;
      EXPECT_GE(number(*b, "yaks_groupcache_peer_errors_total"), 1);
    });
  }
}

// An agent that is behind asks a peer for what has been deleted since. The peer finds nothing and says so; the one that asked looks
// for itself, finds nothing either, reads the log to its end, and answers by what holds now; where the log cannot be read, with
// an error that clients try again. Never with other bytes, and nobody waits for anybody for ever.
TEST(agents, what_a_peer_finds_gone_is_answered_by_what_the_log_says_now) {
  for (bool log_is_away : {false, true}) {
    cluster c;
    c.play([&]() -> awaitable<void> {
      std::vector<cluster::member*> all;
      for (int node = 1; node <= 3; ++node) all.push_back(co_await c.start(node, {}, "secret"));
      for (auto* m : all) co_await c.until([&] { return m->ready && number(*m, "yaks_groupcache_peers") == 2; });
      auto writer = co_await c.connect(1);
      EXPECT_EQ(co_await writer->make_topic("t"), error_code::none);
      for (int i = 0; i < 20; ++i) {
        co_await writer->produce("t", fmt::format("{}", i));
        (void)co_await writer->produced();
      }
      all[0]->stop.ask();  // and with it what is in its memory
      co_await c.until([&] { return all[0]->ended; });
      for (int i : {1, 2}) co_await c.until([&] { return number(*all[std::size_t(i)], "yaks_groupcache_peers") == 1; });
      auto ahead = co_await c.connect(2), behind = co_await c.connect(3);
      auto is_away = std::make_shared<bool>(true);
      c.log.hooks.before_read = [is_away] { return *is_away ? std::optional(metadata::log_error::unavailable) : std::nullopt; };
      wire::delete_records_request deletion{.topics = {{.name = "t", .partitions = {{.partition_index = 0, .offset = 15}}}}, .timeout_ms = 30'000};
      co_await ahead->send(1, deletion);
      auto deleted = co_await ahead->receive<wire::delete_records_response>(1);
      EXPECT_EQ(deleted.topics.at(0).partitions.at(0).error_code, error_code::none);
      auto listed = co_await c.store.list("", c.rt.now() + 10s);
      EXPECT_TRUE(listed.has_value());
      std::vector<std::string> data;
      for (const auto& o : *listed)
        if (o.key.find("data/") != o.key.npos) data.push_back(o.key);
      EXPECT_EQ(data.size(), 20u);
      (void)co_await c.store.remove(std::move(data), c.rt.now() + 10s);
      *is_away = log_is_away;
      auto before = c.store.gets;
      auto begun = c.rt.now();
      co_await behind->fetch("t", 0, 1000);
      auto got = co_await behind->fetched();
      EXPECT_EQ(got.error_code, log_is_away ? error_code::kafka_storage_error : error_code::offset_out_of_range);
      EXPECT_TRUE(values_of(got).empty());
      EXPECT_LT(c.rt.now() - begun, 5s);
      // It did take them for there: some were the other's to read, and it was asked.
      EXPECT_GT(c.store.gets, before);
      EXPECT_GT(number(*all[1], "yaks_groupcache_refused_total"), 0);
      EXPECT_GT(number(*all[2], "yaks_groupcache_peer_errors_total"), 0);
      *is_away = false;
      co_await behind->fetch("t", 0, 0);
      EXPECT_EQ((co_await behind->fetched()).error_code, error_code::offset_out_of_range);
      // The log still names these: their bytes are lost, and that is an error of this partition, through either agent.
      for (auto* k : {ahead.get(), behind.get()}) {
        co_await k->fetch("t", 15, 0);
        EXPECT_EQ((co_await k->fetched()).error_code, error_code::kafka_storage_error);
      }
    });
  }
}
}  // namespace
}  // namespace yaks
