#include "handlers/dispatcher.hpp"

#include <spdlog/spdlog.h>

#include <utility>

#include "handlers/handlers.hpp"
#include "wire/frame.hpp"

namespace yaks::handlers {
namespace {
template <class Message>
reply encoded(std::int32_t correlation_id, std::int16_t version, const Message& message, std::shared_ptr<void> lease = {}) {
  auto frame = wire::encode_frame(correlation_id, version, message);
  return {.what = reply::kind::answer, .segments = std::move(frame.segments), .lease = std::move(lease)};
}

std::size_t place_of(wire::api_key key) {
  std::size_t i = 0;
  while (i < wire::apis.size() && wire::apis[i].key != key) ++i;
  return i;
}

// What a client says of itself goes into log lines: cut, and without anything that could forge a line.
std::string printable(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, 100)) out += c >= ' ' && c < 127 ? c : '?';
  return out;
}

// Decodes a request, asks its function, encodes the answer: the same for every API whose answer is just a message.
template <class Request, class Function>
awaitable<reply> respond(services& s, const wire::incoming_request& request, const request_context& context, Function function) {
  auto decoded = wire::decode_body<Request>(request.body, context.version);
  if (!decoded) co_return reply{};
  auto message = co_await function(s, *decoded, context);
  co_return encoded(request.header.correlation_id, context.version, message);
}
template <class Request, class Function>
reply respond_now(services& s, const wire::incoming_request& request, const request_context& context, Function function) {
  auto decoded = wire::decode_body<Request>(request.body, context.version);
  if (!decoded) return {};
  return encoded(request.header.correlation_id, context.version, function(s, *decoded, context));
}
}  // namespace

dispatcher::dispatcher(services& s, metrics::registry& metrics)
    : s_(s),
      unsupported_(metrics.add_counter("yaks_requests_refused_total", "Requests that closed their connection, by reason.",
                                       {{"reason", "unsupported"}})),
      malformed_(metrics.add_counter("yaks_requests_refused_total", "Requests that closed their connection, by reason.",
                                     {{"reason", "malformed"}})) {
  for (const auto& api : wire::apis) {
    metrics::labels with{{"api", std::string(api.name)}};
    by_api_.push_back({&metrics.add_counter("yaks_requests_total", "Requests, by API.", with),
                       &metrics.add_histogram("yaks_request_duration_seconds",
                                              "Time from the arrival of a request to its answer, by API. A Fetch waits for data.",
                                              metrics::latency_seconds_buckets(), with)});
  }
}

awaitable<reply> dispatcher::handle(incoming in, std::unique_ptr<produce_turn> turn) {
  auto out = co_await answer(in, *turn);
  turn->pass();
  co_return out;
}

awaitable<reply> dispatcher::answer(const incoming& in, produce_turn& turn) {
  auto request = wire::parse_request_header(in.frame.view());
  if (!request) {
    malformed_.add();
    spdlog::info("{} sent a request whose header is broken ({}); closing", in.peer, wire::name(request.error()));
    co_return reply{};
  }
  auto key = request->key();
  const auto* api = wire::find_api(key);
  request_context context{.version = request->version(),
                          .client_id = request->header.client_id.value_or(""),
                          .arrived = in.arrived,
                          .frame = in.frame};
  auto correlation_id = request->header.correlation_id;
  if (key != wire::api_key::produce) turn.pass();
  if (!api || !api->served.has(context.version)) {
    if (key == wire::api_key::api_versions) co_return encoded(correlation_id, 0, unsupported_api_versions());
    unsupported_.add();
    spdlog::info("{} ({}) sent {} version {}, which is not served; closing", in.peer, printable(context.client_id),
                 wire::name_of(key), context.version);
    co_return reply{};
  }

  reply out;
  switch (key) {
    case wire::api_key::produce: {
      auto decoded = wire::decode_body<wire::produce_request>(request->body, context.version);
      if (!decoded) break;
      co_await turn.wait();
      auto accepted = co_await accept_produce(s_, *decoded, context);
      turn.pass();
      if (decoded->acks == 0) {
        // There is no answer to carry an error (Kafka closes the connection then, too).
        if (accepted.has_error) {
          spdlog::info("{} ({}) produced with acks 0 what cannot be stored; closing", in.peer, printable(context.client_id));
          co_return reply{};
        }
        out.what = reply::kind::nothing;
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
    case wire::api_key::metadata: out = co_await respond<wire::metadata_request>(s_, *request, context, metadata); break;
    case wire::api_key::offset_commit: out = co_await respond<wire::offset_commit_request>(s_, *request, context, offset_commit); break;
    case wire::api_key::offset_fetch: out = co_await respond<wire::offset_fetch_request>(s_, *request, context, offset_fetch); break;
    case wire::api_key::find_coordinator: out = respond_now<wire::find_coordinator_request>(s_, *request, context, find_coordinator); break;
    case wire::api_key::api_versions:
      out = respond_now<wire::api_versions_request>(
          s_, *request, context,
          [](services&, const wire::api_versions_request& r, const request_context& c) { return api_versions(r, c); });
      break;
    case wire::api_key::create_topics: out = co_await respond<wire::create_topics_request>(s_, *request, context, create_topics); break;
    case wire::api_key::delete_topics: out = co_await respond<wire::delete_topics_request>(s_, *request, context, delete_topics); break;
    case wire::api_key::init_producer_id: out = co_await respond<wire::init_producer_id_request>(s_, *request, context, init_producer_id); break;
    case wire::api_key::describe_configs: out = co_await respond<wire::describe_configs_request>(s_, *request, context, describe_configs); break;
    case wire::api_key::create_partitions: out = co_await respond<wire::create_partitions_request>(s_, *request, context, create_partitions); break;
    case wire::api_key::describe_cluster: out = respond_now<wire::describe_cluster_request>(s_, *request, context, describe_cluster); break;
  }
  if (out.what == reply::kind::close) {
    malformed_.add();
    spdlog::info("{} ({}) sent a {} version {} request that is broken; closing", in.peer, printable(context.client_id), api->name,
                 context.version);
  }
  auto& m = by_api_[place_of(key)];
  m.requests->add();
  m.seconds->observe(std::chrono::duration<double>(s_.rt.now() - in.arrived).count());
  co_return out;
}
}  // namespace yaks::handlers
