// For tests: all of an agent but its sockets, in virtual time. Requests go in as frames and come out as frames, through
// the dispatcher, in any version.
#pragma once
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "handlers/dispatcher.hpp"
#include "handlers/services.hpp"
#include "ingest/test_world.hpp"
#include "metadata/metadata_testing.hpp"
#include "wire/frame.hpp"
#include "wire/messages.hpp"

namespace yaks::test {
// Which message answers a request.
template <class Request>
struct answer_to;
#define YAKS_ANSWER(name)                  \
  template <>                              \
  struct answer_to<wire::name##_request> { \
    using type = wire::name##_response;    \
  }
YAKS_ANSWER(produce);
YAKS_ANSWER(fetch);
YAKS_ANSWER(list_offsets);
YAKS_ANSWER(metadata);
YAKS_ANSWER(offset_commit);
YAKS_ANSWER(offset_fetch);
YAKS_ANSWER(find_coordinator);
YAKS_ANSWER(join_group);
YAKS_ANSWER(heartbeat);
YAKS_ANSWER(leave_group);
YAKS_ANSWER(sync_group);
YAKS_ANSWER(describe_groups);
YAKS_ANSWER(list_groups);
YAKS_ANSWER(sasl_handshake);
YAKS_ANSWER(sasl_authenticate);
YAKS_ANSWER(api_versions);
YAKS_ANSWER(create_topics);
YAKS_ANSWER(delete_topics);
YAKS_ANSWER(delete_records);
YAKS_ANSWER(init_producer_id);
YAKS_ANSWER(offset_for_leader_epoch);
YAKS_ANSWER(describe_acls);
YAKS_ANSWER(describe_configs);
YAKS_ANSWER(alter_configs);
YAKS_ANSWER(describe_log_dirs);
YAKS_ANSWER(create_partitions);
YAKS_ANSWER(delete_groups);
YAKS_ANSWER(elect_leaders);
YAKS_ANSWER(incremental_alter_configs);
YAKS_ANSWER(alter_partition_reassignments);
YAKS_ANSWER(list_partition_reassignments);
YAKS_ANSWER(offset_delete);
YAKS_ANSWER(describe_client_quotas);
YAKS_ANSWER(describe_user_scram_credentials);
YAKS_ANSWER(describe_quorum);
YAKS_ANSWER(describe_cluster);
YAKS_ANSWER(describe_producers);
YAKS_ANSWER(consumer_group_heartbeat);
YAKS_ANSWER(consumer_group_describe);
YAKS_ANSWER(list_config_resources);
YAKS_ANSWER(describe_topic_partitions);
#undef YAKS_ANSWER

class broker_world : public ingest_world {
 public:
  explicit broker_world(std::uint64_t seed = 1, ingest::write_buffer_settings write = {.flush_interval = 1ms},
                        std::size_t fetch_memory = 256u << 20)
      : ingest_world(seed, write),
        reader(rt, store, cache, {}, metrics),
        memory(fetch_memory),
        index(session.index(), replica, 10'000, metrics),
        fetcher(rt, replica, reader, index, waiting, memory, 50u << 20),
        lookup(rt, replica, reader, index, memory),
        ids(replica),
        topics(metrics),
        members(rt, session, replica,
                {.self = {.node = node_id(1), .host = "broker.example", .port = 9092}}, metrics),
        groups(rt, replica, members, {}, metrics),
        services{rt,
                 replica,
                 members,
                 buffer,
                 fetcher,
                 lookup,
                 ids,
                 topics,
                 groups,
                 {.cluster_id = "the-cluster",
                  .advertised_host = "broker.example",
                  .advertised_port = 9092}},
        dispatcher(services, metrics) {
    applied = [this](const metadata::changes& c) {
      waiting.wake(c);
      groups.applied(c);
      for (auto id : c.deleted) topics.forget(id);
    };
  }

  void play(std::function<awaitable<void>()> scene, duration patience = 24h) {
    ingest_world::play(
        [this, scene]() -> awaitable<void> {
          tasks.spawn(reader.run());
          tasks.spawn(groups.run());
          co_await scene();
        },
        patience);
  }
  // Every version that is served, each in a fresh scene of the same world.
  void play_versions(wire::api_key key, std::function<awaitable<void>(std::int16_t)> scene) {
    play([key, scene]() -> awaitable<void> {
      auto served = wire::find_api(key)->served;
      for (auto v = served.first; v <= served.last; ++v) {
        SCOPED_TRACE(fmt::format("version {}", v));
        co_await scene(v);
      }
    });
  }

  template <class Request>
  static shared_bytes frame_of(std::int16_t version, const Request& message, std::int32_t correlation_id = 77) {
    auto bytes = wire::flatten(wire::encode_request_frame(correlation_id, "test-client", version, message));
    return shared_bytes::copy_of(as_bytes(bytes).subspan(4));
  }
  awaitable<response> send(shared_bytes frame) {
    return dispatcher.handle({.frame = std::move(frame), .connection = connection, .arrived_at = rt.now()});
  }
  // The decoded answer. Each goes through bytes both ways.
  template <class Request>
  awaitable<typename answer_to<Request>::type> ask(std::int16_t version, Request message,
                                                   std::int16_t answer_version = -1) {
    using answer = typename answer_to<Request>::type;
    if (answer_version < 0) answer_version = version;
    auto out = co_await send(frame_of(version, message));
    EXPECT_EQ(out.what, response::outcome::answer) << out.why;
    std::string bytes;
    for (const auto& s : out.segments) bytes += as_text(s.view());
    if (bytes.size() < 8) co_return answer{};
    EXPECT_EQ(std::size_t(load_big_endian<std::int32_t>(as_bytes(bytes).data())) + 4, bytes.size());
    EXPECT_EQ(load_big_endian<std::int32_t>(as_bytes(bytes).data() + 4), 77);
    std::size_t header = 8 + (wire::response_header_version(Request::api, answer_version) == 1 ? 1 : 0);
    auto decoded = wire::decode_body<answer>(as_bytes(bytes).subspan(header), answer_version);
    EXPECT_TRUE(decoded);
    co_return decoded ? std::move(*decoded) : answer{};
  }

  // Before this agent's next append, another one deletes the topic and makes one of the same name, `times` times: this one hears of it
  // by that append.
  void make_again_before_next_append(std::string name, std::int32_t partitions = 1, std::vector<metadata::config_value> configs = {},
                                     int times = 1) {
    log.hooks.before_append = [this, name, partitions, configs, times](metadata::append_id) mutable -> std::optional<metadata::log_error> {
      if (times-- <= 0) return std::nullopt;
      auto n = 100 + others++;
      const auto* old = replica.current().find_topic(name);
      topic_id id(uuid::v4(n, n));
      metadata::entry_writer entry;
      entry.add(metadata::test_registration(std::int32_t(n), log.head().sequence));
      entry.add(metadata::delete_topic{old->id});
      entry.add(metadata::create_topic{id, name, partitions, configs});
      EXPECT_TRUE(log.append(log.head(), {metadata::test_incarnation(n), 1}, entry.take()));
      return std::nullopt;
    };
  }

  // ---- shorthands
  awaitable<wire::produce_response::topic_entry::partition_entry> produce(std::string topic, std::int32_t partition,
                                                                          std::vector<std::byte> batch,
                                                                          std::int16_t version = 9,
                                                                          std::int16_t acks = -1,
                                                                          std::int32_t timeout_ms = 30'000) {
    wire::produce_request r{.acks = acks, .timeout_ms = timeout_ms};
    r.topic_data.push_back({.name = topic, .topic_id = id_of(topic), .partition_data = {{partition, wire::blob{batch}}}});
    auto answer = co_await ask(version, r);
    YAKS_CHECK(answer.responses.size() == 1 && answer.responses[0].partition_responses.size() == 1,
               "one answer per partition");
    co_return answer.responses[0].partition_responses[0];
  }
  // What names a topic from Produce 13 and Fetch 13 on; a made-up one where there is no such topic.
  uuid id_of(std::string_view topic) const {
    const auto* found = replica.current().find_topic(topic);
    return found ? found->id.value() : uuid::v4(99, 99);
  }
  wire::fetch_request fetch_of(std::string_view topic, std::int64_t from, std::int32_t partition = 0) {
    wire::fetch_request r{
        .max_wait_ms = 0, .min_bytes = 1, .max_bytes = 50 << 20, .session_id = 0, .session_epoch = -1};
    r.topics.push_back(
        {.topic = topic,
         .topic_id = id_of(topic),
         .partitions = {{.partition = partition, .fetch_offset = from, .partition_max_bytes = 1 << 20}}});
    return r;
  }
  awaitable<wire::fetch_response::topic_entry::partition_entry> fetch(std::string topic, std::int64_t from,
                                                                      std::int32_t partition = 0,
                                                                      std::int16_t version = 11) {
    auto answer = co_await ask(version, fetch_of(topic, from, partition));
    YAKS_CHECK(answer.responses.size() == 1 && answer.responses[0].partitions.size() == 1, "one answer per partition");
    co_return answer.responses[0].partitions[0];
  }

  fetch::range_reader reader;
  fetch::waiters waiting;
  fetch::byte_budget memory;
  fetch::index_reader index;
  fetch::fetcher fetcher;
  fetch::offset_lookup lookup;
  handlers::producer_ids ids;
  handlers::topic_metrics topics;
  membership::members members;
  groups::desk groups;
  handlers::services services;
  handlers::dispatcher dispatcher;
  connection_context connection;
  std::uint64_t others = 0;
};

struct seen_record {
  std::int64_t offset;
  std::string value;
  bool operator==(const seen_record&) const = default;
};
inline void PrintTo(const seen_record& r, std::ostream* out) {
  *out << r.offset << ":" << r.value.substr(0, 20);
}

// The records of an answer, batches checked as a client would.
inline std::vector<seen_record> records_of(const wire::fetch_response::topic_entry::partition_entry& p) {
  std::vector<seen_record> all;
  std::string bytes;
  if (p.records)
    for (const auto& s : p.records->parts) bytes += as_text(s.view());
  records::batch_reader reader(as_bytes(bytes));
  while (auto batch = reader.next()) {
    EXPECT_TRUE(batch->crc_matches());
    EXPECT_EQ(batch->leader_epoch(), 0);
    auto body = records::plain_body::open(*batch, 1 << 28);
    if (!body) {
      ADD_FAILURE() << "the batch does not decompress";
      break;
    }
    records::record_reader inside(body->bytes());
    for (records::record_view record; inside.next(record);)
      all.push_back({batch->base_offset().value() + record.offset_delta,
                     std::string(as_text(record.value.value_or(byte_view{})))});
  }
  EXPECT_FALSE(reader.fault());
  return all;
}
}  // namespace yaks::test
