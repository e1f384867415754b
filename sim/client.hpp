// A Kafka client in a simulated world, up to what all clients share: connections, and what it knows of the cluster.
//
//   connection   one TCP connection: requests are pipelined, answers come back in their order
//   client       bootstrap, metadata, one connection per broker, back-off: as librdkafka and the Java client do it
//
// Everything runs in the one process of all clients and ends with its task group.
#pragma once
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/endian.hpp"
#include "net/network.hpp"
#include "runtime/event.hpp"
#include "runtime/task_group.hpp"
#include "sim/checker.hpp"
#include "sim/network.hpp"
#include "sim/world.hpp"
#include "wire/frame.hpp"
#include "wire/messages.hpp"

namespace yaks::sim {
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
YAKS_ANSWER(create_topics);
YAKS_ANSWER(delete_topics);
YAKS_ANSWER(delete_records);
YAKS_ANSWER(incremental_alter_configs);
YAKS_ANSWER(init_producer_id);
YAKS_ANSWER(find_coordinator);
YAKS_ANSWER(join_group);
YAKS_ANSWER(sync_group);
YAKS_ANSWER(heartbeat);
YAKS_ANSWER(leave_group);
YAKS_ANSWER(consumer_group_heartbeat);
#undef YAKS_ANSWER

class connection {
 public:
  connection(world& w, runtime& rt, std::unique_ptr<byte_stream> stream, std::int32_t broker)
      : world_(w), rt_(rt), host_(stream->peer()), stream_(std::move(stream)), broker_(broker) {
    host_.resize(std::min(host_.size(), host_.find(':')));
  }
  const std::string& host() const { return host_; }
  // Reads and writes until the connection is lost or closed. A task of the owner; `self` keeps this object.
  static awaitable<void> run(std::shared_ptr<connection> self);
  bool is_open() const { return !closed_; }
  std::int32_t broker() const { return broker_; }
  std::size_t in_flight() const { return waiting_.size(); }
  void close();

  // Nothing where the connection was lost, or where nothing came in time: then it is closed, as clients do.
  template <class Request>
  awaitable<std::optional<typename answer_to<Request>::type>> ask(std::int16_t version, const Request& request, duration patience) {
    return wait_for<typename answer_to<Request>::type>(version, send(version, request), patience);
  }
  struct waiting {
    std::int32_t correlation = 0;
    std::optional<std::string> frame;  // without its length
    event arrived;
  };
  // Sends at once; the answer can be waited for later.
  template <class Request>
  std::shared_ptr<waiting> send(std::int16_t version, const Request& request) {
    auto mine = std::make_shared<waiting>();
    mine->correlation = ++last_;
    if (closed_) return mine;
    outgoing_.push_back(wire::encode_request_frame(mine->correlation, "sim", version, request).segments);
    waiting_.push_back(mine);
    outgoing_changed_.notify_all();
    return mine;
  }
  template <class Answer>
  awaitable<std::optional<Answer>> wait_for(std::int16_t version, std::shared_ptr<waiting> mine, duration patience) {
    if (!co_await arrived(mine, rt_.now() + patience)) co_return std::nullopt;
    auto bytes = as_bytes(*mine->frame);
    std::size_t header = 4 + (wire::response_header_version(Answer::api, version) == 1 ? 1 : 0);
    if (bytes.size() < header) co_return broken();
    auto decoded = wire::decode_body<Answer>(bytes.subspan(header), version);
    if (!decoded) co_return broken();
    co_return std::move(*decoded);
  }

 private:
  awaitable<bool> arrived(std::shared_ptr<waiting> mine, time_point deadline);
  awaitable<void> read();
  awaitable<void> write();
  std::nullopt_t broken();

  world& world_;
  runtime& rt_;
  std::string host_;
  std::unique_ptr<byte_stream> stream_;
  std::int32_t broker_;
  bool closed_ = false;
  std::int32_t last_ = 0;
  std::deque<std::vector<shared_bytes>> outgoing_;
  std::deque<std::shared_ptr<waiting>> waiting_;
  event outgoing_changed_;
};

// What all clients of a run share.
struct client_world {
  world& w;
  simulated_runtime& rt;
  host& net;
  checker& check;
  task_group& tasks;
  std::vector<endpoint> bootstrap;
  std::vector<std::string> topics;         // those that stay
  std::uint64_t operations = 0;            // requests that were answered
  // That broker's agent has not applied the newest entry of the log.
  std::function<bool(const std::string& host)> is_behind;
  std::function<std::uint64_t()> kills = [] { return std::uint64_t(0); };  // of agents, so far
  time_point calm_since = time_point::max();
  bool stopping = false;                   // no new work
  event progress;                          // a client came to its end
  void did_one() { ++operations; }
  awaitable<void> think() {
    if (w.what.think > duration(0)) co_await rt.sleep_for(w.time.chance.between(duration(0), w.what.think));
  }
};

class client {
 public:
  struct partition_info {
    topic_partition where;
    std::int32_t leader = -1;
  };
  client(client_world& all, std::string name) : all_(all), name_(std::move(name)) {}

  // Learns where these topics are: false where no broker answered, or one does not know a topic.
  awaitable<bool> refresh(std::vector<std::string> topics);
  // An open connection to that broker; null where it cannot be reached now (after which metadata are stale).
  awaitable<std::shared_ptr<connection>> to(std::int32_t broker);
  // To any broker.
  awaitable<std::shared_ptr<connection>> to_any();
  awaitable<void> back_off() { return all_.rt.sleep_for(all_.w.time.chance.between(20ms, 200ms)); }
  const partition_info* find(const std::string& topic, std::int32_t partition) const;
  std::int32_t partitions(const std::string& topic) const;
  void forget(const std::string& topic) { known_.erase(topic); }
  void close();

 protected:
  awaitable<std::shared_ptr<connection>> connect(endpoint at, std::int32_t broker);
  std::uint64_t below(std::uint64_t bound) { return all_.rt.random() % bound; }
  bool one_of(std::uint64_t n) { return below(n) == 0; }

  client_world& all_;
  std::string name_;
  std::map<std::string, std::vector<partition_info>> known_;
  std::map<std::int32_t, endpoint> brokers_;
  std::map<std::int32_t, std::shared_ptr<connection>> connections_;
  std::shared_ptr<connection> any_;
};
}  // namespace yaks::sim
