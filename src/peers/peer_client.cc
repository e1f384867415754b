#include "peers/peer_client.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/error.hpp>

#include "runtime/first_of.hpp"

namespace yaks::peers {
// One question under way.
struct peer_client::call {
  const peer& whom;
  const question& asked;
  time_point begun;
  std::unique_ptr<http::client_connection> connection;
  std::optional<http::response> got;
  std::string problem;  // why nothing was got, unless the time was up
};

peer_client_metrics::peer_client_metrics(metrics::registry& metrics)
    : loads(metrics.add_counter("yaks_groupcache_peer_loads_total", "Ranges that another agent had, or read for us.")),
      bytes(metrics.add_counter("yaks_groupcache_peer_load_bytes_total", "Bytes of these.")),
      errors(metrics.add_counter("yaks_groupcache_peer_errors_total",
                                 "Questions to other agents that came to nothing: each costs a GET.")),
      seconds(metrics.add_histogram("yaks_groupcache_peer_load_duration_seconds",
                                    "Time of a question to another agent.", metrics::latency_seconds_buckets())) {}

void peer_client_metrics::add_peers(metrics::registry& metrics, std::function<double()> count) {
  metrics.add_callback("yaks_groupcache_peers", "Other agents that can be asked for cached data.", std::move(count));
}

peer_client::peer_client(runtime& rt, network& net, std::function<incarnation()> self,
                         std::function<std::vector<peer>()> live, peer_client_settings settings,
                         metrics::registry& metrics)
    : rt_(rt),
      net_(net),
      self_(std::move(self)),
      live_(std::move(live)),
      settings_(std::move(settings)),
      metrics_(metrics) {
  peer_client_metrics::add_peers(metrics, [this] {
    auto all = live_();
    return double(std::ranges::count_if(all, [&](const peer& p) { return p.who != self_(); }));
  });
}

std::optional<peer> peer_client::owner_of(object_id object) const {
  auto candidates = live_();
  auto now = rt_.now();
  std::erase_if(candidates, [&](const peer& p) {
    auto known = relations_.find(p.who);
    return known != relations_.end() && now < known->second.avoided_until;
  });
  const peer* owner = peers::owner_of(object, candidates);
  if (!owner || owner->who == self_()) return std::nullopt;
  return *owner;
}

awaitable<std::optional<std::vector<shared_bytes>>> peer_client::ask(peer whom, question q) {
  if (!co_await take_turn(whom.who)) co_return std::nullopt;
  struct turn {  // given back also when cancelled
    relation& of;
    ~turn() {
      --of.under_way;
      of.changed.notify_all();
    }
  } mine{relations_[whom.who]};
  call c{.whom = whom, .asked = q, .begun = rt_.now(), .connection = nullptr, .got = {}, .problem = {}};
  co_await first_of(talk(c), watch(c));
  metrics_.seconds.observe(std::chrono::duration<double>(rt_.now() - c.begun).count());
  auto& with = relations_[whom.who];
  if (!c.got) {
    metrics_.errors.add();
    bool is_silent = c.problem.empty() && !(c.connection && c.connection->answered());
    if (!c.problem.empty())
      avoid(whom, c.problem);
    else if (is_silent && ++with.silences >= settings_.silences_max)
      avoid(whom, "it does not answer");
    co_return std::nullopt;
  }
  with.silences = 0;
  auto status = c.got->head.status;
  auto body = std::move(c.got->body);
  if (c.connection->reusable() && with.idle.size() < settings_.idle_max)
    with.idle.push_back({std::move(c.connection), rt_.now()});
  if (status != 200 || body.size() != q.bytes()) {
    metrics_.errors.add();
    if (status == 403) avoid(whom, "it has another YAKS_GROUPCACHE_SECRET");
    co_return std::nullopt;
  }
  metrics_.loads.add(double(q.ranges.size()));
  metrics_.bytes.add(double(body.size()));
  std::vector<shared_bytes> parts;
  parts.reserve(q.ranges.size());
  std::size_t at = 0;
  for (const auto& r : q.ranges) {
    parts.push_back(body.slice(at, r.bytes));
    at += r.bytes;
  }
  co_return parts;
}

// False where the object store is the better way. What is true counts as under way.
awaitable<bool> peer_client::take_turn(incarnation who) {
  auto& with = relations_[who];
  auto due = rt_.now() + settings_.queue_max;
  struct waiter {  // also when cancelled
    std::size_t& n;
    explicit waiter(std::size_t& of) : n(of) { ++n; }
    ~waiter() { --n; }
  } here(with.waiting);
  while (with.under_way >= settings_.at_once_max)
    if (!co_await with.changed.wait_until(rt_, due) || rt_.now() < with.avoided_until) co_return false;
  ++with.under_way;
  co_return true;
}

std::unique_ptr<http::client_connection> peer_client::take_idle(incarnation who) {
  auto& idle = relations_[who].idle;
  std::erase_if(idle, [&](const idle_connection& i) { return rt_.now() - i.since > settings_.idle_for; });
  if (idle.empty()) return nullptr;
  auto taken = std::move(idle.back().connection);
  idle.pop_back();
  return taken;
}

awaitable<void> peer_client::talk(call& c) {
  auto head = http::request_text(
      "GET", target_of(c.asked),
      {{"Host", fmt::format("{}:{}", c.whom.host, c.whom.port)}, {std::string(secret_header), settings_.secret}});
  for (;;) {
    c.connection = take_idle(c.whom.who);
    bool was_idle = c.connection != nullptr;
    try {
      if (!was_idle)
        c.connection = std::make_unique<http::client_connection>(
            co_await net_.connect({.host = c.whom.host, .port = c.whom.port}));
      std::vector<shared_bytes> none;
      c.got =
          co_await c.connection->exchange(head, std::move(none), true, std::max(c.asked.bytes(), std::uint64_t(4096)));
      co_return;
    } catch (const boost::system::system_error& error) {
      if (error.code() == asio::error::operation_aborted) throw;
      c.problem = error.code().message();
    } catch (const http::protocol_error& error) {
      c.problem = error.what();
    }
    // The other side may have closed a connection that nobody used.
    if (!was_idle || c.connection->answered()) co_return;
    c.problem.clear();
  }
}

awaitable<void> peer_client::watch(const call& c) {
  co_await rt_.sleep_until(c.begun + settings_.first_byte);
  if (!c.connection || !c.connection->answered()) co_return;
  co_await rt_.sleep_until(c.begun + settings_.whole);
}

void peer_client::report_damage(const peer& whom) {
  metrics_.errors.add();
  avoid(whom, "the bytes that it sends do not match their checksums");
}

void peer_client::avoid(const peer& whom, const std::string& why) {
  auto& with = relations_[whom.who];
  if (rt_.now() >= with.avoided_until)
    spdlog::warn("cannot get cached data from the agent at {}:{}: {}; not asking it for {} s", whom.host, whom.port,
                 why, std::chrono::duration<double>(settings_.avoid_for).count());
  with.avoided_until = rt_.now() + settings_.avoid_for;
  with.silences = 0;
  with.idle.clear();
  with.changed.notify_all();
  forget_gone();
}

// Of incarnations that are gone nothing is kept.
void peer_client::forget_gone() {
  auto live = live_();
  std::erase_if(relations_, [&](const auto& r) {
    return r.second.under_way + r.second.waiting == 0 &&
           std::ranges::none_of(live, [&](const peer& p) { return p.who == r.first; });
  });
}
}  // namespace yaks::peers
