// Goal: OffsetCommit and OffsetFetch keep what a group says, FindCoordinator names this agent, InitProducerId never
// repeats itself, in every version. ApiVersions and the refusals of the dispatcher stand here too: what a client meets
// first. Method: frames through the dispatcher of a whole agent in virtual time.
#include <gtest/gtest.h>

#include <set>

#include "handlers/test_broker.hpp"

namespace yaks::handlers {
namespace {
using namespace yaks::test;
using wire::error_code;

struct offsets : testing::Test {
  broker_world w;
  wire::offset_commit_request commit(std::int16_t v, std::string_view group, std::int32_t partition, std::int64_t at,
                                     std::string_view text = "") {
    wire::offset_commit_request r{.group_id = group};
    r.topics.push_back(
        {.partitions = {{.partition_index = partition, .committed_offset = at, .committed_metadata = text}}});
    if (v >= 10)
      r.topics[0].topic_id = w.replica.current().find_topic("t")->id.value();
    else
      r.topics[0].name = "t";
    return r;
  }
  // (offset, metadata, error of the partition) of one partition, or of all where there is none.
  using found = std::vector<std::tuple<std::int32_t, std::int64_t, std::string>>;
  awaitable<found> read(std::int16_t v, std::string_view group, std::optional<std::int32_t> partition) {
    wire::offset_fetch_request r;
    found all;
    if (v < 8) {
      r.group_id = group;
      if (partition) r.topics = {{.name = "t", .partition_indexes = {*partition}}};
      auto a = co_await w.ask(v, r);
      for (const auto& t : a.topics)
        for (const auto& p : t.partitions)
          all.emplace_back(p.partition_index, p.committed_offset, p.metadata.value_or("null"));
    } else {
      auto& g = r.groups.emplace_back();
      g.group_id = group;
      if (partition) {
        g.topics = {{.partition_indexes = {*partition}}};
        if (v >= 10)
          g.topics->at(0).topic_id = w.replica.current().find_topic("t")->id.value();
        else
          g.topics->at(0).name = "t";
      }
      auto a = co_await w.ask(v, r);
      for (const auto& t : a.groups.at(0).topics)
        for (const auto& p : t.partitions)
          all.emplace_back(p.partition_index, p.committed_offset, p.metadata.value_or("null"));
    }
    co_return all;
  }
};

TEST_F(offsets, round_trip_in_every_version) {
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t", 3);
    for (std::int16_t v = 2; v <= 10; ++v) {
      auto a = co_await w.ask(v, commit(v, "g", v % 2, 100 + v, "note"));
      EXPECT_EQ(a.topics[0].partitions[0].error_code, error_code::none) << v;
      for (std::int16_t f = 1; f <= 10; ++f) {
        EXPECT_EQ(co_await read(f, "g", v % 2), (found{{v % 2, 100 + v, "note"}})) << v << " " << f;
        EXPECT_EQ(co_await read(f, "g", 2), (found{{2, -1, ""}})) << f;  // nothing committed, no error
        EXPECT_EQ(co_await read(f, "unknown", 0), (found{{0, -1, ""}})) << f;
        if (f >= 2) EXPECT_EQ((co_await read(f, "g", std::nullopt)).size(), v == 2 ? 1u : 2u) << f;
      }
    }
  });
}

TEST_F(offsets, refusals) {
  w.play([&]() -> awaitable<void> {
    auto at = co_await w.make_topic("t");
    auto code = [&](std::int16_t v, wire::offset_commit_request r) -> awaitable<error_code> {
      auto a = co_await w.ask(v, r);
      co_return a.topics.at(0).partitions.at(0).error_code;
    };
    std::string most(4096, 'm'), more(4097, 'm');
    EXPECT_EQ(co_await code(8, commit(8, "g", 0, 1, most)), error_code::none);
    EXPECT_EQ(co_await code(8, commit(8, "g", 0, 1, more)), error_code::offset_metadata_too_large);
    EXPECT_EQ(co_await read(9, "g", 0), (found{{0, 1, most}}));
    EXPECT_EQ(co_await code(8, commit(8, "g", 9, 1)), error_code::unknown_topic_or_partition);
    auto r = commit(8, "g", 0, 1);
    r.generation_id_or_member_epoch = 3;
    EXPECT_EQ(co_await code(8, r), error_code::illegal_generation);
    r = commit(8, "g", 0, 1);
    r.topics[0].name = "nowhere";
    EXPECT_EQ(co_await code(8, r), error_code::unknown_topic_or_partition);
    r = commit(10, "g", 0, 1);
    r.topics[0].topic_id = uuid::v4(4, 4);
    EXPECT_EQ(co_await code(10, r), error_code::unknown_topic_id);
    wire::offset_fetch_request f;
    f.groups.push_back({.group_id = "g", .topics = {{{.topic_id = uuid::v4(4, 4), .partition_indexes = {0}}}}});
    auto a = co_await w.ask(10, f);
    EXPECT_EQ(a.groups[0].topics[0].partitions[0].error_code, error_code::unknown_topic_id);
    // A topic made anew has no offsets of the old one.
    (void)co_await w.replica.submit(metadata::delete_topic{at.topic});
    co_await w.make_topic("t");
    EXPECT_EQ(co_await read(9, "g", 0), (found{{0, -1, ""}}));
  });
}

// By its name, the topic is the one that the log knows when the commit is in it; by its id, the one that was meant.
TEST_F(offsets, of_a_topic_that_was_made_again_meanwhile) {
  w.play([&]() -> awaitable<void> {
    for (std::int16_t v = 2; v <= 10; ++v) {
      auto old = co_await w.make_topic("t", 2);
      co_await w.make_topic("other");
      auto r = commit(v, "g", 0, 5);
      r.topics[0].partitions.push_back({.partition_index = 1, .committed_offset = 6});
      r.topics.push_back({.partitions = {{.partition_index = 0, .committed_offset = 7}}});
      r.topics[1].name = "other";
      r.topics[1].topic_id = w.id_of("other");
      w.make_again_before_next_append("t", 1, {}, 3);
      auto a = co_await w.ask(v, r);
      EXPECT_EQ(a.topics[0].partitions[0].error_code, v >= 10 ? error_code::unknown_topic_id : error_code::none) << v;
      EXPECT_EQ(a.topics[0].partitions[1].error_code, v >= 10 ? error_code::unknown_topic_id : error_code::unknown_topic_or_partition)
          << v;  // the new one has one partition
      EXPECT_EQ(a.topics[1].partitions[0].error_code, error_code::none) << v;
      EXPECT_NE(w.id_of("t"), old.topic.value());
      EXPECT_EQ(co_await read(9, "g", 0), (found{{0, v >= 10 ? -1 : 5, ""}})) << v;
      for (std::string name : {"t", "other"}) (void)co_await w.replica.submit(metadata::delete_topic{topic_id(w.id_of(name))});
    }
  });
}

TEST_F(offsets, of_a_topic_that_was_made_again_meanwhile_are_deleted) {
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t", 2);
    co_await w.make_topic("other");
    auto c = commit(9, "g", 0, 7);
    c.topics[0].name = "other";
    EXPECT_EQ((co_await w.ask(9, c)).topics[0].partitions[0].error_code, error_code::none);
    w.make_again_before_next_append("t", 1, {}, 3);
    wire::offset_delete_request r{.group_id = "g"};
    r.topics = {{.name = "t", .partitions = {{0}, {1}}}, {.name = "other", .partitions = {{0}}}};
    auto a = co_await w.ask(0, r);
    EXPECT_EQ(a.error_code, error_code::none);
    EXPECT_EQ(a.topics[0].partitions[0].error_code, error_code::none);
    EXPECT_EQ(a.topics[0].partitions[1].error_code, error_code::unknown_topic_or_partition);
    EXPECT_EQ(a.topics[1].partitions[0].error_code, error_code::none);
    EXPECT_EQ(co_await read(9, "g", std::nullopt), found{});
    // What somebody commits to the new one, just before it is asked for again, goes.
    w.log.hooks.before_append = {};
    EXPECT_EQ((co_await w.ask(9, commit(9, "g", 0, 5))).topics[0].partitions[0].error_code, error_code::none);
    a = co_await w.ask(0, r);
    EXPECT_EQ(a.topics[0].partitions[0].error_code, error_code::none);
    EXPECT_EQ(co_await read(9, "g", std::nullopt), found{});
  });
}

TEST_F(offsets, a_log_that_cannot_be_read_is_no_empty_answer) {
  w.play([&]() -> awaitable<void> {
    co_await w.make_topic("t");
    w.log.hooks.before_read = [] { return std::optional(metadata::log_error::unavailable); };
    for (std::int16_t v = 1; v <= 10; ++v) {
      wire::offset_fetch_request r;
      if (v < 8)
        r.group_id = "g", r.topics = {{.name = "t", .partition_indexes = {0}}};
      else
        r.groups.push_back({.group_id = "g"});
      auto a = co_await w.ask(v, r);
      auto code = v == 1  ? a.topics.at(0).partitions.at(0).error_code
                  : v < 8 ? a.error_code
                          : a.groups.at(0).error_code;
      EXPECT_EQ(code, error_code::coordinator_not_available) << v;
    }
    auto a = co_await w.ask(8, commit(8, "g", 7, 1));
    EXPECT_EQ(a.topics[0].partitions[0].error_code, error_code::coordinator_not_available);
  });
}

TEST(find_coordinator, names_this_agent_for_groups_and_refuses_transactions) {
  broker_world w;
  w.play_versions(wire::api_key::find_coordinator, [&](std::int16_t v) -> awaitable<void> {
    for (std::int8_t type : {std::int8_t(0), std::int8_t(1)}) {
      if (v == 0 && type == 1) continue;  // knows groups only
      wire::find_coordinator_request r{.key = "k", .key_type = type};
      if (v >= 4) r.key = "", r.coordinator_keys = {"k", "l"};
      auto a = co_await w.ask(v, r);
      if (v >= 4) EXPECT_EQ(a.coordinators.size(), 2u);
      auto code = v >= 4 ? a.coordinators.at(1).error_code : a.error_code;
      auto host = v >= 4 ? a.coordinators.at(1).host : a.host;
      EXPECT_EQ(code == error_code::none, type == 0);
      EXPECT_EQ(host, type == 0 ? "broker.example" : "");
    }
  });
}

TEST(init_producer_id, is_fresh_every_time_and_refuses_transactions) {
  broker_world w;
  std::set<std::int64_t> ids;
  std::size_t asked = 0;
  w.play_versions(wire::api_key::init_producer_id, [&](std::int16_t v) -> awaitable<void> {
    for (int i = 0; i < 400; ++i, ++asked) {  // more than one block in all
      wire::init_producer_id_request r;
      if (v >= 3) r.producer_id = 5, r.producer_epoch = 1;
      auto a = co_await w.ask(v, r);
      EXPECT_EQ(a.error_code, error_code::none);
      EXPECT_EQ(a.producer_epoch, 0);
      ids.insert(a.producer_id);
    }
    auto a = co_await w.ask(v, wire::init_producer_id_request{.transactional_id = "tx"});
    EXPECT_EQ(a.error_code, error_code::unsupported_version);
    EXPECT_EQ(a.producer_id, -1);
    EXPECT_EQ((co_await w.ask(v, wire::init_producer_id_request{.transactional_id = ""})).error_code,
              error_code::invalid_request);
  });
  EXPECT_EQ(ids.size(), asked);
}

TEST(init_producer_id, many_at_once_share_an_append_and_one_that_goes_away_harms_nobody) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    bool away = true;
    w.log.hooks.before_append = [&](metadata::append_id) {
      return away ? std::optional(metadata::log_error::unavailable) : std::nullopt;
    };
    std::set<std::int64_t> ids;
    auto one = [&]() -> awaitable<void> {
      ids.insert((co_await w.ask(4, wire::init_producer_id_request{})).producer_id);
    };
    task_group first(w.rt.executor()), rest(w.rt.executor());
    auto leaving = [&]() -> awaitable<void> {
      first.spawn(one());  // the one that fetches the block
      co_await w.rt.sleep_for(10ms);
      for (int i = 0; i < 20; ++i) rest.spawn(one());
      co_await w.rt.sleep_for(10ms);
    };
    auto all = [&]() -> awaitable<void> {
      co_await run_then_close(leaving(), first);  // its connection ends
      away = false;
      while (rest.size() > 0) co_await w.rt.sleep_for(1ms);
    };
    co_await run_then_close(all(), rest);
    EXPECT_EQ(ids.size(), 20u);
    EXPECT_FALSE(ids.contains(-1));
  });
}

TEST(describe_cluster, every_version) {
  broker_world w;
  w.play_versions(wire::api_key::describe_cluster, [&](std::int16_t v) -> awaitable<void> {
    auto a = co_await w.ask(v, wire::describe_cluster_request{});
    EXPECT_EQ(a.cluster_id, "the-cluster");
    EXPECT_EQ(a.brokers.at(0).host, "broker.example");
    EXPECT_EQ(a.cluster_authorized_operations, std::numeric_limits<std::int32_t>::min());
    if (v >= 1) {
      a = co_await w.ask(v, wire::describe_cluster_request{.endpoint_type = 2});
      EXPECT_EQ(a.error_code, error_code::mismatched_endpoint_type);
    }
  });
}

TEST(api_versions, every_version_and_those_that_are_newer) {
  broker_world w;
  w.play_versions(wire::api_key::api_versions, [&](std::int16_t v) -> awaitable<void> {
    wire::api_versions_request r{.client_software_name = "a-client", .client_software_version = "1.2.3"};
    auto a = co_await w.ask(v, r);
    EXPECT_EQ(a.error_code, error_code::none);
    EXPECT_EQ(a.api_keys.size(), wire::apis.size());
    for (const auto& k : a.api_keys) {
      const auto* api = wire::find_api(k.api_key);
      EXPECT_TRUE(api && k.max_version == api->served.last && k.min_version == api->shown_first);
    }
    if (v >= 3) {
      EXPECT_EQ(w.connection.client_software_name, "a-client");
      r.client_software_name = "-bad-";
      EXPECT_EQ((co_await w.ask(v, r)).error_code, error_code::invalid_request);
      r.client_software_name = "";
      EXPECT_EQ((co_await w.ask(v, r)).error_code, error_code::invalid_request);
    }
    // A later version, whose body nobody knows.
    auto frame = w.frame_of(4, wire::api_versions_request{});
    for (int newer : {5, 6, 99}) {
      auto unknown = shared_bytes::copy_of(frame.view());
      unknown.writable()[3] = std::byte(newer);
      auto out = co_await w.send(unknown);
      EXPECT_EQ(out.what, response::outcome::answer);
      std::string bytes;
      for (const auto& s : out.segments) bytes += as_text(s.view());
      auto decoded = wire::decode_body<wire::api_versions_response>(as_bytes(bytes).subspan(8), 0);
      EXPECT_TRUE(decoded && decoded->error_code == error_code::unsupported_version &&
                  decoded->api_keys.size() == wire::apis.size());
    }
  });
}

TEST(dispatcher, what_it_cannot_answer_closes_the_connection) {
  broker_world w;
  w.play([&]() -> awaitable<void> {
    auto closes = [&](shared_bytes frame) -> awaitable<bool> {
      co_return (co_await w.send(std::move(frame))).what == response::outcome::close;
    };
    auto fetch = w.frame_of(11, w.fetch_of("t", 0));
    auto with = [](shared_bytes frame, std::size_t at, int value) {
      auto copy = shared_bytes::copy_of(frame.view());
      copy.writable()[at] = std::byte(value);
      return copy;
    };
    EXPECT_TRUE(co_await closes(with(fetch, 1, 99)));  // no such API
    EXPECT_TRUE(co_await closes(with(fetch, 3, 2)));   // versions that are not served
    EXPECT_TRUE(co_await closes(with(fetch, 3, 13)));
    for (std::size_t size = 0; size < fetch.size(); ++size) EXPECT_TRUE(co_await closes(fetch.slice(0, size))) << size;
    // And the next connection does not notice.
    EXPECT_EQ((co_await w.ask(11, w.fetch_of("t", 0))).error_code, error_code::none);
  });
}
}  // namespace
}  // namespace yaks::handlers
