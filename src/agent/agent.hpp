// One agent: builds the parts, starts them in order, stops them in reverse. The only place that knows all of them.
//
// It is given the outside (time, network, stores) and never asks which kind it is: the same agent runs on sockets with
// PostgreSQL and S3, embedded, and in a simulation.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/block_cache.hpp"
#include "config/settings.hpp"
#include "console/cluster_numbers.hpp"
#include "console/own_numbers.hpp"
#include "console/topic_survey.hpp"
#include "fetch/byte_budget.hpp"
#include "fetch/fetcher.hpp"
#include "fetch/offset_lookup.hpp"
#include "fetch/range_reader.hpp"
#include "fetch/waiters.hpp"
#include "handlers/dispatcher.hpp"
#include "handlers/services.hpp"
#include "groups/desk.hpp"
#include "ingest/write_buffer.hpp"
#include "membership/members.hpp"
#include "metadata/metastore.hpp"
#include "metadata/replica.hpp"
#include "metrics/registry.hpp"
#include "net/http_server.hpp"
#include "net/network.hpp"
#include "objects/object_store.hpp"
#include "peers/peer_client.hpp"
#include "peers/peer_server.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"
#include "runtime/task_group.hpp"
#include "server/kafka_server.hpp"
#include "upkeep/materializer.hpp"
#include "upkeep/merger.hpp"
#include "upkeep/reclaimer.hpp"
#include "upkeep/retention.hpp"
#include "upkeep/read_model.hpp"
#include "upkeep/snapshots.hpp"
#include "upkeep/sweeper.hpp"
#include "upkeep/term.hpp"

namespace yaks {
// Asks an agent to stop, from a signal handler on the agent's executor or from a test.
class stop_request {
 public:
  void ask() {
    asked_ = true;
    changed_.notify_all();
  }
  bool is_asked() const { return asked_; }
  awaitable<void> wait() {
    while (!asked_) co_await changed_.wait();
  }

 private:
  bool asked_ = false;
  event changed_;
};

// What an agent needs to share its cache with others: without it, it neither asks nor answers.
struct peer_access {
  network& net;
  std::unique_ptr<listener> at;
  std::string secret;
};

class agent {
 public:
  // `store` is open and holds the node id. `serving` gets the listener, bound already, so that a taken port is found before
  // anything else starts. All references outlive the agent.
  agent(runtime& rt, std::unique_ptr<listener> serving, metadata::metastore& store, object_store& objects,
        const config::settings& settings, metrics::registry& metrics, std::optional<peer_access> sharing = {});
  ~agent();

  // Serves until asked to stop: then takes no more connections, flushes what is buffered, answers, and returns; what is not
  // done within the shutdown timeout is broken off. Throws what ends an agent (metadata::replica_stopped).
  awaitable<void> run(stop_request& stop);
  bool is_ready() const { return serving_ && log_.is_fresh(); }
  std::uint16_t port() const { return server_.port(); }
  // For the dashboard, which whoever runs the agent serves beside it.
  console::own_numbers& numbers() { return numbers_; }
  console::topic_survey& topic_survey() { return topic_survey_; }
  std::vector<console::other_agent> other_agents() const;
  // What it knows of the metadata; for those who compare agents.
  const metadata::replica& log() const { return log_; }
  // Called once, when clients are served.
  std::function<void()> on_ready = [] {};

 private:
  awaitable<void> load();
  awaitable<void> serve(stop_request& stop);
  awaitable<void> shut_down();
  awaitable<void> finish(time_point deadline);
  void applied(const metadata::changes& changes);
  std::vector<peers::peer> cache_peers() const;
  void stored(topic_id topic, const ingest::stored_share& share);

  runtime& rt_;
  metadata::metastore& store_;
  object_store& objects_;
  duration shutdown_timeout_;
  metadata::replica log_;
  membership::members members_;
  upkeep::snapshotter snapshots_;
  upkeep::term office_;
  upkeep::materializer materializer_;
  upkeep::read_model_writer read_model_;
  upkeep::retention retention_;
  upkeep::reclaimer reclaimer_;
  upkeep::sweeper sweeper_;
  upkeep::merger merger_;
  block_cache cache_;
  ingest::write_buffer buffer_;
  std::unique_ptr<listener> peer_listener_;
  std::optional<peers::peer_client> peer_client_;  // nothing where no cache is shared, like the other two
  fetch::range_reader reader_;
  std::optional<peers::peer_server> peer_server_;
  std::optional<http::server> peer_http_;
  fetch::waiters waiting_;
  fetch::byte_budget fetch_memory_;
  fetch::index_reader index_;
  fetch::fetcher fetcher_;
  fetch::offset_lookup lookup_;
  handlers::producer_ids ids_;
  handlers::topic_metrics topics_;
  groups::desk groups_;
  handlers::services services_;
  handlers::dispatcher dispatcher_;
  kafka_server server_;
  console::own_numbers numbers_;
  console::topic_survey topic_survey_;
  task_group tasks_;
  bool serving_ = false;
};
}  // namespace yaks
