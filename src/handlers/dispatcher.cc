#include "handlers/dispatcher.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <optional>
#include <utility>

#include "base/endian.hpp"
#include "base/printable.hpp"
#include "handlers/handlers.hpp"
#include "wire/frame.hpp"

namespace yaks::handlers {
namespace {
template <class Message>
response encoded(std::int32_t correlation_id, std::int16_t version, const Message& message, std::shared_ptr<void> lease = {}) {
  return response::of(wire::encode_frame(correlation_id, version, message).segments, std::move(lease));
}

std::size_t place_of(wire::api_key key) {
  std::size_t i = 0;
  while (i < wire::apis.size() && wire::apis[i].key != key) ++i;
  return i;
}

// Without the port. Kafka shows clients' addresses with a slash before them, where a name could be.
std::string host_of(std::string_view peer) {
  return "/" + std::string(peer.substr(0, peer.rfind(':')));
}

// Decodes a request, asks its function, encodes the answer: the same for every API whose answer is just a message. Nothing
// where the bytes are no such request.
template <class Request, class Function>
awaitable<std::optional<response>> respond(services& s, const wire::incoming_request& request, const request_context& context,
                                           Function function) {
  auto decoded = wire::decode_body<Request>(request.body, context.version);
  if (!decoded) co_return std::nullopt;
  auto message = co_await function(s, *decoded, context);
  co_return encoded(request.header.correlation_id, context.version, message);
}
template <class Request, class Function>
std::optional<response> respond_now(services& s, const wire::incoming_request& request, const request_context& context,
                                    Function function) {
  auto decoded = wire::decode_body<Request>(request.body, context.version);
  if (!decoded) return std::nullopt;
  return encoded(request.header.correlation_id, context.version, function(s, *decoded, context));
}
}  // namespace

dispatcher::dispatcher(services& s, metrics::registry& metrics)
    : s_(s),
      unsupported_(metrics.add_counter("yaks_requests_refused_total", "Requests that closed their connection, by reason.",
                                       {{"reason", "unsupported"}})),
      malformed_(metrics.add_counter("yaks_requests_refused_total", "Requests that closed their connection, by reason.",
                                     {{"reason", "malformed"}})),
      rejected_(metrics.add_counter("yaks_requests_refused_total", "Requests that closed their connection, by reason.",
                                    {{"reason", "acks_0_error"}})) {
  for (const auto& api : wire::apis) {
    metrics::labels with{{"api", std::string(api.name)}};
    by_api_.push_back({&metrics.add_counter("yaks_requests_total", "Requests, by API.", with),
                       &metrics.add_histogram("yaks_request_duration_seconds",
                                              "Time from the arrival of a request to its answer, by API. A Fetch waits for data.",
                                              metrics::latency_seconds_buckets(), with)});
  }
}

// Producers that were told to try again come on new connections: what they begin to send counts, not what they have sent.
bool dispatcher::admits(const connection_context& connection, byte_view begun) const {
  if (!s_.buffer.is_full()) return true;
  constexpr std::size_t key_at = 4;  // behind the length
  if (begun.size() < key_at + 2) return !connection.has_produced;
  return load_big_endian<std::int16_t>(begun.data() + key_at) != std::int16_t(wire::api_key::produce);
}

awaitable<void> dispatcher::admission(connection_context&) { return s_.buffer.admission(); }

response dispatcher::refuse(const request& in, metrics::counter& reason, std::string why) {
  reason.add();
  spdlog::info("{} {}; closing", in.connection.peer, why);
  return response::close(std::move(why));
}

awaitable<response> dispatcher::handle(request in) {
  auto turn = in.connection.produce_turns.next_turn();  // before anything waits
  auto memory_turn = in.connection.memory_turns.next_turn();  // passes with its request's end, a fetch's earlier
  auto request = wire::parse_request_header(in.frame.view());
  if (!request)
    co_return refuse(in, malformed_, fmt::format("sent a request whose header is broken ({})", wire::name(request.error())));
  auto key = request->key();
  const auto* api = wire::find_api(key);
  request_context context{.version = request->version(),
                          .client_id = request->header.client_id.value_or(""),
                          .client_host = host_of(in.connection.peer),
                          .arrived = in.arrived_at,
                          .frame = in.frame,
                          .connection = &in.connection,
                          .memory_turn = &memory_turn};
  auto correlation_id = request->header.correlation_id;
  if (key != wire::api_key::produce) turn.pass();
  if (!api || !api->served.has(context.version)) {
    if (key == wire::api_key::api_versions) co_return encoded(correlation_id, 0, unsupported_api_versions());
    co_return refuse(in, unsupported_, fmt::format("({}) sent {} version {}, which is not served",
                                                   printable(context.client_id), wire::name_of(key), context.version));
  }

  std::optional<response> out;
  switch (key) {
    case wire::api_key::produce: {
      auto decoded = wire::decode_body<wire::produce_request>(request->body, context.version);
      if (!decoded) break;
      in.connection.has_produced = true;
      co_await turn.wait();
      auto accepted = co_await accept_produce(s_, *decoded, context);
      turn.pass();
      if (decoded->acks == 0) {
        // There is no answer to carry an error (Kafka closes the connection then, too).
        if (accepted.has_error)
          co_return refuse(in, rejected_, fmt::format("({}) produced with acks 0 what cannot be stored", printable(context.client_id)));
        out = response::none();
      } else {
        out = encoded(correlation_id, context.version, co_await finish_produce(s_, std::move(accepted)));
      }
      break;
    }
    case wire::api_key::fetch: {
      auto decoded = wire::decode_body<wire::fetch_request>(request->body, context.version);
      if (!decoded) break;
      auto got = co_await fetch(s_, *decoded, context);
      out = encoded(correlation_id, context.version, got.response, std::move(got.lease));
      break;
    }
    case wire::api_key::list_offsets: out = co_await respond<wire::list_offsets_request>(s_, *request, context, list_offsets); break;
    case wire::api_key::metadata: {
      auto decoded = wire::decode_body<wire::metadata_request>(request->body, context.version);
      if (!decoded) break;
      auto message = co_await metadata(s_, *decoded, context);
      std::size_t partitions = 0;
      for (const auto& t : message.topics) partitions += t.partitions.size();
      auto encode = [&] {
        out = encoded(correlation_id, context.version, message);
        message = {};  // its memory takes as long to give back as it took to fill
      };
      if (partitions > partitions_per_piece)
        co_await s_.rt.run_blocking(encode);
      else
        encode();
      break;
    }
    case wire::api_key::offset_commit: out = co_await respond<wire::offset_commit_request>(s_, *request, context, offset_commit); break;
    case wire::api_key::offset_fetch: out = co_await respond<wire::offset_fetch_request>(s_, *request, context, offset_fetch); break;
    case wire::api_key::find_coordinator: out = respond_now<wire::find_coordinator_request>(s_, *request, context, find_coordinator); break;
    case wire::api_key::join_group: out = co_await respond<wire::join_group_request>(s_, *request, context, join_group); break;
    case wire::api_key::heartbeat: out = co_await respond<wire::heartbeat_request>(s_, *request, context, heartbeat); break;
    case wire::api_key::leave_group: out = co_await respond<wire::leave_group_request>(s_, *request, context, leave_group); break;
    case wire::api_key::sync_group: out = co_await respond<wire::sync_group_request>(s_, *request, context, sync_group); break;
    case wire::api_key::describe_groups: out = co_await respond<wire::describe_groups_request>(s_, *request, context, describe_groups); break;
    case wire::api_key::list_groups: out = co_await respond<wire::list_groups_request>(s_, *request, context, list_groups); break;
    case wire::api_key::api_versions:
      if (auto r = wire::decode_body<wire::api_versions_request>(request->body, context.version)) {
        in.connection.client_software_name = printable(r->client_software_name);
        in.connection.client_software_version = printable(r->client_software_version);
      }
      out = respond_now<wire::api_versions_request>(
          s_, *request, context,
          [](services&, const wire::api_versions_request& r, const request_context& c) { return api_versions(r, c); });
      break;
    case wire::api_key::create_topics: out = co_await respond<wire::create_topics_request>(s_, *request, context, create_topics); break;
    case wire::api_key::delete_topics: out = co_await respond<wire::delete_topics_request>(s_, *request, context, delete_topics); break;
    case wire::api_key::init_producer_id: out = co_await respond<wire::init_producer_id_request>(s_, *request, context, init_producer_id); break;
    case wire::api_key::describe_configs: out = co_await respond<wire::describe_configs_request>(s_, *request, context, describe_configs); break;
    case wire::api_key::alter_configs: out = co_await respond<wire::alter_configs_request>(s_, *request, context, alter_configs); break;
    case wire::api_key::incremental_alter_configs: out = co_await respond<wire::incremental_alter_configs_request>(s_, *request, context, incremental_alter_configs); break;
    case wire::api_key::list_config_resources: out = co_await respond<wire::list_config_resources_request>(s_, *request, context, list_config_resources); break;
    case wire::api_key::delete_records: out = co_await respond<wire::delete_records_request>(s_, *request, context, delete_records); break;
    case wire::api_key::offset_for_leader_epoch: out = co_await respond<wire::offset_for_leader_epoch_request>(s_, *request, context, offset_for_leader_epoch); break;
    case wire::api_key::describe_acls: out = respond_now<wire::describe_acls_request>(s_, *request, context, describe_acls); break;
    case wire::api_key::describe_log_dirs: out = co_await respond<wire::describe_log_dirs_request>(s_, *request, context, describe_log_dirs); break;
    case wire::api_key::elect_leaders: out = co_await respond<wire::elect_leaders_request>(s_, *request, context, elect_leaders); break;
    case wire::api_key::alter_partition_reassignments: out = co_await respond<wire::alter_partition_reassignments_request>(s_, *request, context, alter_partition_reassignments); break;
    case wire::api_key::list_partition_reassignments: out = respond_now<wire::list_partition_reassignments_request>(s_, *request, context, list_partition_reassignments); break;
    case wire::api_key::sasl_handshake: out = respond_now<wire::sasl_handshake_request>(s_, *request, context, sasl_handshake); break;
    case wire::api_key::sasl_authenticate: out = respond_now<wire::sasl_authenticate_request>(s_, *request, context, sasl_authenticate); break;
    case wire::api_key::describe_client_quotas: out = respond_now<wire::describe_client_quotas_request>(s_, *request, context, describe_client_quotas); break;
    case wire::api_key::describe_user_scram_credentials: out = respond_now<wire::describe_user_scram_credentials_request>(s_, *request, context, describe_user_scram_credentials); break;
    case wire::api_key::describe_quorum: out = respond_now<wire::describe_quorum_request>(s_, *request, context, describe_quorum); break;
    case wire::api_key::describe_producers: out = co_await respond<wire::describe_producers_request>(s_, *request, context, describe_producers); break;
    case wire::api_key::describe_topic_partitions: out = co_await respond<wire::describe_topic_partitions_request>(s_, *request, context, describe_topic_partitions); break;
    case wire::api_key::create_partitions: out = co_await respond<wire::create_partitions_request>(s_, *request, context, create_partitions); break;
    case wire::api_key::delete_groups: out = co_await respond<wire::delete_groups_request>(s_, *request, context, delete_groups); break;
    case wire::api_key::offset_delete: out = co_await respond<wire::offset_delete_request>(s_, *request, context, offset_delete); break;
    case wire::api_key::describe_cluster: out = respond_now<wire::describe_cluster_request>(s_, *request, context, describe_cluster); break;
    case wire::api_key::consumer_group_heartbeat: out = co_await respond<wire::consumer_group_heartbeat_request>(s_, *request, context, consumer_group_heartbeat); break;
    case wire::api_key::consumer_group_describe: out = co_await respond<wire::consumer_group_describe_request>(s_, *request, context, consumer_group_describe); break;
  }
  if (!out)
    co_return refuse(in, malformed_, fmt::format("({}) sent a {} version {} request that is broken", printable(context.client_id),
                                                 api->name, context.version));
  auto& m = by_api_[place_of(key)];
  m.requests->add();
  m.seconds->observe(std::chrono::duration<double>(s_.rt.now() - in.arrived_at).count());
  co_return std::move(*out);
}
}  // namespace yaks::handlers
