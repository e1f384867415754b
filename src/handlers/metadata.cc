#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "handlers/authorized_operations.hpp"
#include "handlers/handlers.hpp"
#include "handlers/pieces.hpp"
#include "handlers/topics.hpp"
#include "model/topic_name.hpp"

namespace yaks::handlers {
namespace {
using wire::error_code;
using topic_answer = wire::metadata_response::topic_entry;

// Any broker would do as the leader of any partition: each partition's favourite is named, so that it is read where it lies
// in memory.
// What waits is between two pieces of a long answer, of about a millisecond each, in this order.
struct described_topic {
  std::size_t place;  // in the answer
  std::size_t partitions;
};
awaitable<void> describe_partitions(services& s, std::vector<membership::broker> near, wire::metadata_response& answer,
                                    std::vector<described_topic> topics) {
  std::size_t all = 0;
  pieces made(s);
  for (const auto& t : topics) all += t.partitions;
  std::optional<turnstile::turn> turn;
  if (all > partitions_per_piece) {  // one at a time: it takes memory
    turn.emplace(s.long_answers.next_turn());
    co_await turn->wait();
  }
  for (const auto& t : topics) {
    auto& out = answer.topics[t.place];
    topic_id id(out.topic_id);
    out.partitions.reserve(t.partitions);
    co_await made.next(1);
    for (std::size_t i = 0; i < t.partitions; ++i) {
      if (i % 100 == 99) co_await made.next(100);
      auto& p = out.partitions.emplace_back();
      p.partition_index = std::int32_t(i);
      p.leader_id = membership::favourite(near, membership::routing_key({id, partition_index(std::int32_t(i))})).id.value();
      p.leader_epoch = leader_epoch;
      p.replica_nodes = p.isr_nodes = {p.leader_id};
    }
  }
}

// The topic without its partitions.
topic_answer describe(const metadata::topic& topic, bool with_operations) {
  topic_answer answer;
  answer.name = topic.name;
  answer.topic_id = topic.id.value();
  if (with_operations) answer.topic_authorized_operations = all_topic_operations;
  return answer;
}

// Java names a topic whose id it gives "", not null.
bool has_name(const wire::metadata_request::topic_entry& wanted) { return wanted.name && wanted.topic_id.is_nil(); }

const metadata::topic* find(const services& s, const wire::metadata_request::topic_entry& wanted) {
  if (has_name(wanted)) return s.log.current().find_topic(*wanted.name);
  return s.log.current().find_topic(topic_id(wanted.topic_id));
}
}  // namespace

awaitable<wire::metadata_response> metadata(services& s, const wire::metadata_request& request, const request_context& context) {
  wire::metadata_response answer;
  auto brokers = s.members.brokers();
  for (const auto& b : brokers) {
    auto& out = answer.brokers.emplace_back();
    out.node_id = b.id.value();
    out.host = b.host;
    out.port = b.port;
    if (!b.zone.empty()) out.rack = b.zone;
  }
  auto near = membership::within_zone(brokers, membership::zone_of_client(context.client_id));
  answer.cluster_id = s.broker.cluster_id;
  answer.controller_id = s.members.self().value();
  if (request.include_cluster_authorized_operations) answer.cluster_authorized_operations = all_cluster_operations;

  // Version 0 cannot say null: there an empty list asks for everything.
  bool wants_all = !request.topics || (context.version == 0 && request.topics->empty());
  bool is_current = true;
  if (wants_all || std::ranges::any_of(*request.topics, [&](const auto& t) { return !find(s, t); }))
    is_current = co_await s.log.barrier_since(context.arrived);
  // What there is now; the state may go on while partitions are described.
  std::vector<described_topic> described;
  auto add = [&](const metadata::topic& topic) {
    described.push_back({answer.topics.size(), topic.partitions.size()});
    answer.topics.push_back(describe(topic, request.include_topic_authorized_operations));
  };
  if (wants_all) {
    pieces made(s);
    const auto& topics = s.log.current().topics_by_name();
    for (auto next = topics.begin(); next != topics.end();) {
      std::string last;  // of a piece; between two of them topics come and go
      for (std::size_t n = 0; n < partitions_per_piece && next != topics.end(); ++n, ++next) {
        add(*next->second);
        last = next->first;
      }
      if (next == topics.end()) break;
      co_await made.next(partitions_per_piece + 1);
      next = topics.upper_bound(last);
    }
    co_await describe_partitions(s, std::move(near), answer, std::move(described));
    co_return answer;
  }

  if (s.broker.auto_create_topics && request.allow_auto_topic_creation && is_current) {
    std::vector<metadata::create_topic> missing;
    std::set<std::string_view> names;
    for (const auto& t : *request.topics)
      if (has_name(t) && is_valid_topic_name(*t.name) && !find(s, t) && names.insert(*t.name).second)
        missing.push_back(new_topic(s, *t.name, s.broker.default_partitions));
    if (!missing.empty()) is_current = (co_await submit_until(s, std::move(missing), context.arrived + patience)).has_value();
  }
  // Each topic once, as in Kafka: a list of one large topic's name, again and again, would be answered with gigabytes.
  std::set<std::pair<std::optional<std::string_view>, topic_id>> answered;
  for (const auto& t : *request.topics) {
    if (!answered.emplace(has_name(t) ? t.name : std::nullopt, topic_id(t.topic_id)).second) continue;
    if (const auto* topic = find(s, t)) {
      add(*topic);
      continue;
    }
    auto& unknown = answer.topics.emplace_back();
    if (has_name(t)) {
      unknown.name = *t.name;
      // While the log cannot be read nobody knows whether it exists; clients ask again.
      unknown.error_code = !is_valid_topic_name(*t.name) ? error_code::invalid_topic_exception
                           : is_current                  ? error_code::unknown_topic_or_partition
                                                         : error_code::leader_not_available;
    } else {
      unknown.topic_id = t.topic_id;
      unknown.error_code = is_current ? error_code::unknown_topic_id : error_code::leader_not_available;
    }
  }
  co_await describe_partitions(s, std::move(near), answer, std::move(described));
  co_return answer;
}
}  // namespace yaks::handlers
