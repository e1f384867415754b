// What handlers ask: the parts above, this agent's name, and the settings that answers depend on. Handlers decode nothing and
// hold no state: a request comes in as a struct, the answer goes out as one.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "fetch/fetcher.hpp"
#include "fetch/offset_lookup.hpp"
#include "groups/desk.hpp"
#include "handlers/fetch_sessions.hpp"
#include "ingest/write_buffer.hpp"
#include "membership/members.hpp"
#include "metadata/replica.hpp"
#include "metrics/registry.hpp"
#include "runtime/first_of.hpp"
#include "runtime/runtime.hpp"
#include "runtime/turnstile.hpp"
#include "server/request_handler.hpp"

namespace yaks::handlers {
struct broker_settings {
  std::string cluster_id;
  std::string advertised_host;
  std::uint16_t advertised_port = 0;
  std::string zone;  // "": none
  bool auto_create_topics = true;
  std::int32_t default_partitions = 1;
  std::uint32_t message_bytes_max = 1048588;  // where the topic does not say
  std::int64_t flush_interval_ms = 250;       // likewise
  std::int64_t retention_ms = 604'800'000, retention_bytes = -1;  // likewise
};

// Hands out producer ids, a block at a time: one append for a thousand producers.
class producer_ids {
 public:
  explicit producer_ids(metadata::replica& log) : log_(log) {}
  // Nothing where the block could not be had.
  awaitable<std::optional<producer_id>> next();

 private:
  static constexpr std::uint32_t block = 1000;
  awaitable<void> refill();
  metadata::replica& log_;
  producer_id next_{0};
  std::uint32_t left_ = 0;
  bool refilling_ = false;
  event refilled_;
};

// Bytes and records by topic, and how old the newest record is when a consumer gets it. Series are made at a topic's first use and
// dropped when it is deleted.
class topic_metrics {
 public:
  explicit topic_metrics(metrics::registry& registry);
  struct series {
    std::string name;
    metrics::counter &produce_bytes, &produce_records, &fetch_bytes, &fetch_records, &put_share;
  };
  series& of(const metadata::topic& topic);
  void forget(topic_id id);
  void stored(const metadata::topic& topic, const ingest::stored_share& share);
  metrics::histogram& end_to_end_seconds() { return end_to_end_; }

 private:
  metrics::registry& registry_;
  std::unordered_map<topic_id, series> by_topic_;
  metrics::histogram& end_to_end_;
};

struct services {
  runtime& rt;
  metadata::replica& log;
  membership::members& members;
  ingest::write_buffer& buffer;
  fetch::fetcher& fetcher;
  fetch::offset_lookup& lookup;
  producer_ids& ids;
  topic_metrics& topics;
  groups::desk& groups;
  broker_settings broker;
  fetch_session_budget fetch_sessions{};
  turnstile long_answers{};  // which are made one at a time
};

// submit_all() for a request that somebody waits for: nothing where the outcomes are not known at `deadline`, because the log
// is away. What was submitted may still happen.
template <class Command>
using outcomes_of = std::vector<result<typename metadata::outcome_of<Command>::type, metadata::submit_error>>;
template <class Command>
awaitable<void> submit_into(metadata::replica& log, std::vector<Command> commands, metadata::pace how,
                            std::optional<outcomes_of<Command>>& out) {
  out = co_await log.submit_all(std::move(commands), how);
}
template <class Command>
awaitable<std::optional<outcomes_of<Command>>> submit_until(services& s, std::vector<Command> commands, time_point deadline,
                                                         metadata::pace how = metadata::pace::hurried) {
  std::optional<outcomes_of<Command>> out;
  co_await first_of(submit_into(s.log, std::move(commands), how, out), s.rt.sleep_until(deadline));
  co_return out;
}
// An answer about more partitions than this is made in pieces, and encoded beside the serving thread, so that it holds up
// nobody else.
inline constexpr std::size_t partitions_per_piece = 4000;

// For requests that do not say how long their client waits: less than any client's default.
inline constexpr duration patience = 10s;

// What a handler knows of the request besides its message.
struct request_context {
  std::int16_t version = 0;
  std::string_view client_id;
  std::string client_host;
  time_point arrived;
  shared_bytes frame;  // what the message's text and record bytes point into
  connection_context* connection = nullptr;  // that it came on
  turnstile::turn* memory_turn = nullptr;  // to be waited for before memory is taken that is held until the answer is sent
};
}  // namespace yaks::handlers
