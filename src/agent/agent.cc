#include "agent/agent.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "agent/version.hpp"
#include "model/topic_config.hpp"
#include "runtime/first_of.hpp"

namespace yaks {
namespace {
// `cache_port` is 0 where no cache is shared.
metadata::register_agent registration_of(const config::settings& s, std::uint16_t port, std::uint16_t cache_port) {
  auto cache_host = s.cache_peers.advertised_host.empty() ? s.listener.advertised_host : s.cache_peers.advertised_host;
  return {.node = node_id(s.process.node_id),
          .format_max = s.process.log_format_max == 0 ? metadata::newest_log_format : s.process.log_format_max,
          .upload_deadline_ms = s.write.upload_deadline.count(),
          .version = version,
          .host = s.listener.advertised_host,
          .port = port,
          .zone = s.process.zone,
          .as_of = {},
          .cache_host = cache_port != 0 ? cache_host : "",
          .cache_port = cache_port};
}

metadata::replica_settings replica_settings_of(const config::settings& s, const metadata::metastore& store, std::uint16_t port,
                                               std::uint16_t cache_port) {
  return {.registration = registration_of(s, port, cache_port),
          .stale_after = s.read.log_stale_after,
          .holds_node_id = [&store] { return store.holds_node_id(); }};
}

ingest::write_buffer_settings write_settings_of(const config::settings& s,
                                                std::function<void(topic_id, const ingest::stored_share&)> stored) {
  return {.flush_interval = s.write.flush_interval,
          .flush_bytes = s.write.flush_bytes,
          .buffer_bytes_max = s.write.buffer_bytes_max,
          .upload_deadline = s.write.upload_deadline,
          .key_prefix = s.s3.prefix,
          .stored = std::move(stored)};
}

groups::desk_settings group_settings_of(const config::settings& s) {
  return {.initial_rebalance_delay = s.groups.initial_rebalance_delay,
          .session_timeout_min = s.groups.session_timeout_min,
          .session_timeout_max = s.groups.session_timeout_max,
          .members_max = std::uint32_t(s.groups.members_max),
          .offsets_retention = s.groups.offsets_retention,
          .home_heartbeat = s.cache_peers.heartbeat};
}

handlers::broker_settings broker_settings_of(const config::settings& s, const metadata::metastore& store, std::uint16_t port) {
  return {.cluster_id = store.cluster_id(),
          .advertised_host = s.listener.advertised_host,
          .advertised_port = port,
          .zone = s.process.zone,
          .auto_create_topics = s.topics.auto_create,
          .default_partitions = s.topics.default_partitions,
          .message_bytes_max = std::uint32_t(s.topics.message_bytes_max),
          .flush_interval_ms = std::chrono::duration_cast<std::chrono::milliseconds>(s.write.flush_interval).count(),
          .retention_ms = s.upkeep.retention_ms,
          .retention_bytes = s.upkeep.retention_bytes};
}

server_settings server_settings_of(const config::settings& s) {
  return {.connections = {.request_bytes_max = s.listener.request_bytes_max, .idle_timeout = s.listener.idle_timeout},
          .connections_max = s.listener.connections_max};
}

console::own_numbers_settings numbers_settings_of(const config::settings& s, std::uint16_t port) {
  return {.version = version,
          .host = s.listener.advertised_host,
          .port = port,
          .zone = s.process.zone,
          .node = s.process.node_id,
          .always = s.console.port != 0};
}

// What a topic does not set has the cluster's default.
upkeep::merger_settings merger_settings_of(const config::settings& s) {
  const auto& u = s.upkeep;
  return {.key_prefix = s.s3.prefix,
          .interval = u.merge_interval,
          .bytes_per_second = std::uint64_t(u.merge_bytes_per_second),
          .write_ratio = u.merge_write_ratio,
          .limits = {.object_bytes = std::uint64_t(u.merge_object_bytes),
                     .runs_min = std::size_t(u.merge_min_runs),
                     .age_ms = u.merge_age.count(),
                     .live_ratio = u.merge_live_ratio}};
}

std::function<upkeep::retention_limits(const metadata::topic&)> retention_limits_of(const config::settings& s) {
  return [ms = s.upkeep.retention_ms, bytes = s.upkeep.retention_bytes](const metadata::topic& t) {
    // A topic that is compacted only keeps everything.
    if (!t.settings.deletes) return upkeep::retention_limits{};
    return upkeep::retention_limits{.ms = t.configs.contains("retention.ms") ? t.settings.retention_ms : ms,
                                    .bytes = t.configs.contains("retention.bytes") ? t.settings.retention_bytes : bytes};
  };
}

std::uint16_t advertised_port(const config::settings& s, const listener& serving) {
  return s.listener.advertised_port != 0 ? s.listener.advertised_port : serving.port();
}
}  // namespace

agent::agent(runtime& rt, std::unique_ptr<listener> serving, metadata::metastore& store, object_store& objects,
             const config::settings& s, metrics::registry& metrics, std::optional<peer_access> sharing)
    : rt_(rt),
      store_(store),
      objects_(objects),
      shutdown_timeout_(s.process.shutdown_timeout),
      log_(rt, store.log(), replica_settings_of(s, store, advertised_port(s, *serving), sharing ? sharing->at->port() : 0), metrics,
           [this](const metadata::changes& changes) { applied(changes); }),
      members_(rt, store, log_,
               {.self = registration_of(s, advertised_port(s, *serving), sharing ? sharing->at->port() : 0),
                .heartbeat = s.cache_peers.heartbeat,
                .lease_ttl = s.cache_peers.lease},
               metrics),
      snapshots_(rt, store, objects, log_, members_,
                 {.key_prefix = s.s3.prefix,
                  .entries = std::int64_t(s.materializer.snapshot_entries),
                  .log_kept = s.read.log_stale_after},
                 metrics),
      office_(rt, store, log_, members_, metrics),
      materializer_(rt, store, log_, office_,
                    {.interval = s.materializer.interval,
                     .chunks_max = std::size_t(s.materializer.batch_size),
                     .ranges_kept = std::size_t(s.materializer.chunk_ranges),
                     .ranges_per_chunk = std::size_t(s.materializer.chunk_ranges)},
                    metrics),
      read_model_(rt, store, log_, members_, {.interval = s.materializer.read_model_interval}, metrics),
      retention_(rt, store, log_, office_, retention_limits_of(s), {.interval = s.upkeep.retention_interval}, metrics),
      reclaimer_(rt, store, log_, objects, office_, {.key_prefix = s.s3.prefix, .grace = s.upkeep.delete_grace}, metrics),
      sweeper_(rt, store, log_, objects, office_, {.key_prefix = s.s3.prefix, .interval = s.upkeep.sweep_interval}, metrics),
      merger_(rt, store, log_, objects, office_, retention_limits_of(s), merger_settings_of(s), metrics),
      cache_(s.read.cache_bytes, metrics),
      buffer_(rt, objects, log_, cache_, write_settings_of(s, [this](topic_id topic, const auto& share) { stored(topic, share); }), metrics),
      peer_listener_(sharing ? std::move(sharing->at) : nullptr),
      peer_client_(!sharing ? std::nullopt
                            : std::optional<peers::peer_client>(
                                  std::in_place, rt, sharing->net, [this] { return log_.self(); }, [this] { return cache_peers(); },
                                  peers::peer_client_settings{.secret = sharing->secret, .avoid_for = s.cache_peers.poll}, metrics)),
      reader_(rt, objects, cache_,
              {.key_prefix = s.s3.prefix,
               .fresh_for = s.read.backfill_age,
               .log_time = [this] { return log_.log_time(); },
               .backfill = {.bytes_per_s = s.read.backfill_bytes_per_s},
               .scans = fetch::scan_settings::with(s.read.backfill_get_bytes, s.read.backfill_window_bytes),
               .settled = [this](object_id object) { return buffer_.settled(object); }},
              metrics, peer_client_ ? &*peer_client_ : nullptr),
      fetch_memory_(s.read.memory_bytes),
      index_(store.index(), log_, 200'000, metrics),  // about 15 MB
      fetcher_(rt, log_, reader_, index_, waiting_, fetch_memory_, std::uint32_t(s.read.response_bytes_max)),
      lookup_(rt, log_, reader_, index_, fetch_memory_),
      ids_(log_),
      topics_(metrics),
      groups_(rt, log_, members_, group_settings_of(s), metrics),
      services_{rt, log_, members_, buffer_, fetcher_, lookup_, ids_, topics_, groups_, broker_settings_of(s, store, advertised_port(s, *serving))},
      dispatcher_(services_, metrics),
      server_(rt, std::move(serving), dispatcher_, server_settings_of(s), metrics),
      numbers_(rt, metrics, log_, members_, numbers_settings_of(s, s.listener.advertised_port != 0 ? s.listener.advertised_port : server_.port())),
      topic_survey_(rt, log_),
      tasks_(rt.executor()) {
  if (sharing) {
    peer_server_.emplace(reader_, sharing->secret, metrics);
    peer_server_->add(std::string(console::numbers_path), [this](const http::server_request& request) -> http::server_response {
      auto asked = console::parse_query(request.query);
      if (!asked) return {.status = 400, .body = "not a question that is answered here\n"};
      return {.content_type = "application/json", .body = numbers_.numbers(*asked)};
    });
    peer_http_.emplace(
        rt, *peer_listener_, [this](const http::server_request& request) { return peer_server_->answer(request); },
        peers::peer_server::settings());
  } else {
    peers::peer_client_metrics names(metrics);
    peers::peer_client_metrics::add_peers(metrics, [] { return 0.0; });
  }
  metrics.add_callback("yaks_fetch_memory_bytes", "Memory that fetches hold, in bytes.",
                       [this] { return double(fetch_memory_.held()); });
  metrics.add_callback("yaks_fetch_memory_bytes_max", "Budget of fetches (YAKS_FETCH_MEMORY_BYTES), in bytes.",
                       [this] { return double(fetch_memory_.bytes_max()); });
  metrics.add_callback("yaks_fetch_memory_waiting", "Fetches that wait for memory.",
                       [this] { return double(fetch_memory_.waiting()); });
  metrics.add_callback("yaks_fetch_sessions", "Fetch sessions (KIP-227) of connected clients.",
                       [this] { return double(services_.fetch_sessions.sessions()); });
  metrics.add_callback("yaks_fetch_session_partitions", "Partitions that fetch sessions remember; bounded.",
                       [this] { return double(services_.fetch_sessions.partitions()); });
  metrics.add_callback("yaks_fetch_waiting", "Fetches that wait for data (long polls).", [this] { return double(waiting_.size()); });
  metrics.add_callback("yaks_ready", "1 while clients are served and the log is fresh.", [this] { return is_ready() ? 1.0 : 0.0; });
}

agent::~agent() = default;

std::vector<console::other_agent> agent::other_agents() const {
  std::vector<console::other_agent> all;
  for (const auto& [who, what] : members_.agents())
    if (who != log_.self())
      all.push_back({.who = who,
                     .node = what->node.value(),
                     .host = what->host,
                     .port = what->port,
                     .zone = what->zone,
                     .version = what->version,
                     .at = {.host = what->cache_host, .port = what->cache_port}});
  return all;
}

std::vector<peers::peer> agent::cache_peers() const {
  std::vector<peers::peer> all;
  for (const auto& [who, what] : members_.agents())
    if (what->cache_port != 0) all.push_back({.who = who, .host = what->cache_host, .port = what->cache_port});
  return all;
}

void agent::stored(topic_id topic, const ingest::stored_share& share) {
  if (const auto* found = log_.current().find_topic(topic)) topics_.stored(*found, share);  // else it is deleted since
}

void agent::applied(const metadata::changes& changes) {
  waiting_.wake(changes);
  materializer_.applied(changes);
  read_model_.applied(changes);
  groups_.applied(changes);
  for (auto id : changes.deleted) topics_.forget(id);
}

awaitable<void> agent::run(stop_request& stop) { return run_then_close(serve(stop), tasks_); }

awaitable<void> agent::load() {
  for (;;) {
    auto loaded = co_await upkeep::load_newest_snapshot(rt_, store_, objects_);
    if (!loaded) co_return;
    // Reading a large one takes a while: meanwhile newer ones may have been made, and the log trimmed beyond this one.
    auto tail = co_await store_.log().read_after(loaded->position());
    if (tail || tail.error() != metadata::log_error::trimmed) {
      log_.begin_from(std::move(*loaded));
      co_return;
    }
    spdlog::info("the metadata log has been trimmed beyond that snapshot: looking for a newer one");
  }
}

awaitable<void> agent::serve(stop_request& stop) {
  co_await first_of(load(), stop.wait());
  if (stop.is_asked()) co_return;
  tasks_.spawn(log_.run());
  tasks_.spawn(members_.run());
  tasks_.spawn(reader_.run());
  // Whatever comes first: a part that fails ends the agent (failed() throws), also while it starts.
  co_await first_of(first_of(log_.wait_until_ready(), tasks_.failed()), stop.wait());
  if (stop.is_asked()) co_return;
  tasks_.spawn(buffer_.run());
  tasks_.spawn(snapshots_.run());
  tasks_.spawn(office_.run());
  tasks_.spawn(materializer_.run());
  tasks_.spawn(retention_.run());
  tasks_.spawn(reclaimer_.run());
  tasks_.spawn(sweeper_.run());
  tasks_.spawn(merger_.run());
  tasks_.spawn(read_model_.run());
  tasks_.spawn(numbers_.run());
  tasks_.spawn(groups_.run());
  if (peer_http_) tasks_.spawn(peer_http_->run());
  tasks_.spawn(server_.run());
  serving_ = true;
  on_ready();
  co_await first_of(tasks_.failed(), stop.wait());
  serving_ = false;
  co_await shut_down();
}

awaitable<void> agent::shut_down() {
  auto deadline = rt_.now() + shutdown_timeout_;
  waiting_.stop();  // long polls answer with what there is
  groups_.stop();   // members in a rebalance go to another agent
  // Requests in flight wait for their flush, so both go on together.
  co_await first_of(finish(deadline), rt_.sleep_until(deadline + 100ms));
}

awaitable<void> agent::finish(time_point deadline) {
  using namespace asio::experimental::awaitable_operators;
  co_await (server_.stop(deadline) && buffer_.drain());
  co_await buffer_.drain();  // nobody waits for what came last with acks 0
  co_await members_.leave();
}
}  // namespace yaks
