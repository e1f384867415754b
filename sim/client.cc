#include "sim/client.hpp"

#include <fmt/format.h>

#include "runtime/first_of.hpp"

namespace yaks::sim {
using wire::error_code;

// ---- one connection

awaitable<void> connection::run(std::shared_ptr<connection> self) {
  try {
    co_await first_of(self->read(), self->write());
  } catch (const boost::system::system_error&) {  // lost; or cancelled, and then nobody asks any more
  }
  self->close();
}

void connection::close() {
  if (std::exchange(closed_, true)) return;
  stream_->close();
  outgoing_changed_.notify_all();
  for (auto& w : std::exchange(waiting_, {})) w->arrived.notify_all();
}

awaitable<void> connection::write() {
  for (;;) {
    while (outgoing_.empty()) {
      if (closed_) co_return;
      co_await outgoing_changed_.wait();
    }
    auto next = std::move(outgoing_.front());
    outgoing_.pop_front();
    co_await stream_->write_all(std::move(next));
  }
}

awaitable<void> connection::read() {
  std::string bytes;
  std::size_t begin = 0, end = 0;
  for (;;) {
    while (end - begin < 4 || end - begin < 4 + std::size_t(load_big_endian<std::int32_t>(as_bytes(bytes).data() + begin))) {
      if (begin > 0) {
        bytes.erase(0, begin);
        end -= begin;
        begin = 0;
      }
      if (bytes.size() < end + 4096) bytes.resize(end + 32768);
      end += co_await stream_->read_some(std::as_writable_bytes(std::span(bytes.data() + end, bytes.size() - end)));
    }
    auto size = std::size_t(load_big_endian<std::int32_t>(as_bytes(bytes).data() + begin));
    if (size < 4 || waiting_.empty()) {
      broken();
      co_return;
    }
    auto mine = waiting_.front();
    waiting_.pop_front();
    mine->frame = bytes.substr(begin + 4, size);
    begin += 4 + size;
    if (load_big_endian<std::int32_t>(as_bytes(*mine->frame).data()) != mine->correlation) {
      world_.violation("wrong answer: answers come in another order than their requests");
      co_return;
    }
    mine->arrived.notify_all();
  }
}

std::nullopt_t connection::broken() {
  world_.violation("wrong answer: an answer is no message of its version");
  close();
  return std::nullopt;
}

awaitable<bool> connection::arrived(std::shared_ptr<waiting> mine, time_point deadline) {
  while (!mine->frame && !closed_)
    if (!co_await mine->arrived.wait_until(rt_, deadline) && !mine->frame) {
      world_.reached("a request that timed out at its client");
      close();
    }
  co_return mine->frame.has_value();
}

// ---- the cluster

awaitable<std::shared_ptr<connection>> client::connect(endpoint at, std::int32_t broker) {
  try {
    auto c = std::make_shared<connection>(all_.w, all_.rt, co_await all_.net.connect(at), broker);
    all_.tasks.spawn(connection::run(c));
    co_return c;
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) throw;
    co_return nullptr;
  }
}

awaitable<std::shared_ptr<connection>> client::to(std::int32_t broker) {
  if (auto open = connections_.find(broker); open != connections_.end()) {
    if (open->second->is_open()) co_return open->second;
    connections_.erase(open);
  }
  auto at = brokers_.find(broker);
  if (at == brokers_.end()) co_return nullptr;
  auto c = co_await connect(at->second, broker);
  if (c) connections_[broker] = c;
  co_return c;
}

awaitable<std::shared_ptr<connection>> client::to_any() {
  if (any_ && any_->is_open()) co_return any_;
  auto first = below(all_.bootstrap.size());
  for (std::size_t i = 0; i < all_.bootstrap.size(); ++i) {
    any_ = co_await connect(all_.bootstrap[(first + i) % all_.bootstrap.size()], -1);
    if (any_) break;
  }
  co_return any_;
}

awaitable<bool> client::refresh(std::vector<std::string> topics) {
  auto c = co_await to_any();
  if (!c) co_return false;
  wire::metadata_request request{.allow_auto_topic_creation = false};
  request.topics.emplace();
  std::map<std::string, std::int32_t> promised;
  for (const auto& t : topics) {
    request.topics->push_back({.name = t});
    if (all_.check.is_known(t)) promised[t] = all_.check.partitions_known(t);
  }
  auto answer = co_await c->ask(12, request, 4s);
  if (!answer) co_return false;
  all_.did_one();
  brokers_.clear();
  for (const auto& b : answer->brokers) brokers_[b.node_id] = {.host = b.host, .port = std::uint16_t(b.port)};
  bool all_known = true;
  for (const auto& t : answer->topics) {
    const auto& name = t.name.value_or("");
    auto known_since = promised.find(name);
    // What was made before the question, and is there still.
    bool must_know = known_since != promised.end() && all_.check.is_known(name);
    if (t.error_code == error_code::unknown_topic_or_partition && must_know)
      all_.w.violation(fmt::format("unseen: {} asks for topic {}, which is there, and is told that it is not", name_, name));
    if (t.error_code != error_code::none) {
      if (t.error_code != error_code::unknown_topic_or_partition && t.error_code != error_code::leader_not_available)
        all_.w.violation(fmt::format("wrong answer: metadata of {} is {}", name, wire::name(t.error_code)));
      all_known = false;
      continue;
    }
    auto& known = known_[name];
    known.clear();
    for (const auto& p : t.partitions)
      known.push_back({.where = {topic_id(t.topic_id), partition_index(p.partition_index)}, .leader = p.leader_id});
  }
  // Now and then another broker is asked next time.
  if (one_of(8)) {
    any_->close();
    any_ = nullptr;
  }
  co_return all_known;
}

const client::partition_info* client::find(const std::string& topic, std::int32_t partition) const {
  auto known = known_.find(topic);
  if (known == known_.end() || partition >= std::int32_t(known->second.size())) return nullptr;
  return &known->second[std::size_t(partition)];
}

std::int32_t client::partitions(const std::string& topic) const {
  auto known = known_.find(topic);
  return known == known_.end() ? 0 : std::int32_t(known->second.size());
}

void client::close() {
  for (auto& [broker, c] : connections_) c->close();
  connections_.clear();
  if (any_) any_->close();
  any_ = nullptr;
}
}  // namespace yaks::sim
