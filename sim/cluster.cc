#include "sim/cluster.hpp"

#include <fmt/format.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <algorithm>

#include "config/load.hpp"
#include "runtime/first_of.hpp"

namespace yaks::sim {
namespace {
constexpr std::uint16_t kafka_port = 9092, peer_port = 7878;

std::chrono::milliseconds ms(duration d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d); }

config::settings settings_of(const scenario& s, std::int32_t node, const std::string& name) {
  static const auto defaults = config::load({}, {});
  auto c = defaults->values;
  c.process.node_id = node;
  c.process.shutdown_timeout = 10s;
  c.listener.host = name;
  c.listener.advertised_host = name;
  c.listener.port = c.listener.advertised_port = kafka_port;
  c.listener.request_bytes_max = 1 << 20;
  c.listener.connections_max = 1000;
  c.listener.idle_timeout = 600s;
  c.groups.initial_rebalance_delay = 500ms;
  c.groups.session_timeout_min = 2s;
  c.topics.auto_create = false;
  c.topics.default_partitions = 1;
  c.topics.message_bytes_max = 1 << 20;
  c.write.flush_interval = ms(s.flush_interval);
  c.write.flush_bytes = s.flush_bytes;
  c.write.buffer_bytes_max = s.buffer_bytes;
  c.write.upload_deadline = ms(s.upload_deadline);
  c.read.response_bytes_max = 1 << 20;
  c.read.memory_bytes = s.fetch_bytes;
  c.read.cache_bytes = s.cache_bytes;
  c.read.log_stale_after = ms(s.stale_after);
  c.read.backfill_age = ms(s.backfill_age);
  c.read.backfill_window_bytes = s.backfill_window;
  c.cache_peers.enabled = s.peers;
  c.cache_peers.port = peer_port;
  c.cache_peers.heartbeat = ms(s.heartbeat);
  c.cache_peers.lease = ms(s.lease);
  c.materializer.interval = 100ms;
  c.materializer.batch_size = 100;
  c.materializer.read_model_interval = 1s;
  c.upkeep.merge_bytes_per_second = s.merge_interval > duration(0) ? 10'000'000 : 0;
  c.upkeep.merge_interval = ms(s.merge_interval);
  c.upkeep.merge_age = ms(s.merge_age);
  c.upkeep.merge_object_bytes = std::int64_t(s.merge_object_bytes);
  c.upkeep.merge_min_runs = 3;
  c.upkeep.merge_write_ratio = 10;
  c.materializer.snapshot_entries = std::int64_t(s.snapshot_entries);
  if (s.chunk_ranges > 0) c.materializer.chunk_ranges = std::int64_t(s.chunk_ranges);
  c.upkeep.retention_interval = ms(s.retention_interval);
  c.upkeep.delete_grace = ms(s.delete_grace);
  c.upkeep.sweep_interval = ms(s.sweep_interval);
  return c;
}

// A gauge without labels, as an operator would read it.
std::size_t metric(const std::string& text, std::string_view name) {
  auto at = text.find(fmt::format("\n{} ", name));
  YAKS_CHECK(at != std::string::npos, "an agent has the metrics that it is judged by");
  return std::size_t(std::strtod(text.c_str() + at + 2 + name.size(), nullptr));
}
}  // namespace

// One run of an agent's process. Members end in reverse: the runtime last.
struct cluster::life {
  life(cluster& all, node& n)
      : rt(all.w_.time),
        net(all.wires_, rt, n.name),
        store(all.servers_, rt, fmt::format("{} life {}", n.name, n.lives)),
        objects(all.servers_, rt),
        settings(settings_of(all.w_.what, n.id, n.name)) {
    if (n.is_of_older_version) settings.process.log_format_max = metadata::oldest_log_format;
  }

  awaitable<void> main() {
    auto serving = net.listen({.host = settings.listener.host, .port = kafka_port});
    co_await store.open();
    co_await store.hold_node_id(node_id(settings.process.node_id), settings.cache_peers.lease);
    if (!stop.is_asked()) {
      std::optional<peer_access> sharing;
      if (settings.cache_peers.enabled)
        sharing.emplace(net, net.listen({.host = settings.listener.host, .port = peer_port}), store.peer_secret());
      agent.emplace(rt, std::move(serving), store, objects, settings, metrics, std::move(sharing));
      co_await agent->run(stop);
      agent.reset();
    }
    co_await store.close();
  }

  // As a signal does.
  void ask_to_stop() {
    asio::post(rt.executor(), [this] { stop.ask(); });
  }

  simulated_runtime rt;
  host net;
  sim_metastore store;
  sim_objects objects;
  config::settings settings;
  metrics::registry metrics;
  stop_request stop;
  asio::cancellation_signal cancel;
  std::optional<yaks::agent> agent;
  bool done = false;
  std::exception_ptr failure;
};

cluster::cluster(world& w, wires& all, servers& s) : w_(w), wires_(all), servers_(s) {
  for (std::uint64_t i = 1; i <= w.what.agents; ++i)
    nodes_.push_back({.id = std::int32_t(i), .name = fmt::format("agent{}", i), .current = nullptr, .is_of_older_version = w.what.upgrade > 0s});
  servers_.check.who_reads_by = [this](metadata::object_number object) -> std::string {
    for (const auto& n : nodes_) {
      if (!n.current || !n.current->agent || n.current->done) continue;
      const auto& log = n.current->agent->log();
      if (log.current().objects().contains(object) && servers_.check.state().agents().contains(log.self())) return n.name;
    }
    return "";
  };
  servers_.check.who_is_before = [this](log_sequence entry) -> std::string {
    for (const auto& n : nodes_) {
      if (!n.current || !n.current->agent || n.current->done) continue;
      const auto& log = n.current->agent->log();
      const auto& agents = servers_.check.state().agents();
      auto registered = agents.find(log.self());
      // What it began to read before it was fenced, and came again, nobody waits for: it would ask the log once more.
      if (log.is_ready() && log.oldest_read() < entry && registered != agents.end() && registered->second.registration.as_of < entry) return n.name;
    }
    return "";
  };
  w_.after_handler = [this](simulated_runtime& ran) { after_handler(ran); };
  w_.time.on_fault_point = [this](simulated_runtime& who, std::string_view where) { return at_fault_point(who, where); };
  for (auto& n : nodes_) start_later(n, w_.time.chance.between(0ms, 50ms));
}

void cluster::end() {
  stopping_ = true;
  for (auto& n : nodes_)
    if (n.current) kill(n, "the end of the run");
}

cluster::~cluster() {
  end();
  servers_.check.who_reads_by = {};
  servers_.check.who_is_before = {};
  w_.after_handler = {};
  w_.time.on_fault_point = {};
}

std::vector<endpoint> cluster::bootstrap() const {
  std::vector<endpoint> all;
  for (const auto& n : nodes_) all.push_back({.host = n.name, .port = kafka_port});
  return all;
}

// ---- lives

void cluster::start_later(node& n, duration pause) {
  if (std::exchange(n.starting, true)) return;
  w_.time.after(pause, [this, &n] {
    n.starting = false;
    if (!stopping_ && !n.current) start(n);
  });
}

void cluster::start(node& n) {
  auto which = ++n.lives;
  n.current = std::make_unique<life>(*this, n);
  auto& l = *n.current;
  w_.note(n.name + " starts", which, l.rt.number());
  asio::co_spawn(l.rt.executor(), l.main(), asio::bind_cancellation_slot(l.cancel.slot(), [this, &n, &l, which](std::exception_ptr e) {
                   l.done = true;
                   l.failure = e;
                   if (!l.rt.is_dying()) w_.time.after(0ns, [this, &n, which] { ended(n, which); });
                 }));
}

// By itself: asked to stop, or it had to.
void cluster::ended(node& n, std::uint64_t which) {
  if (!n.current || n.lives != which) return;
  auto& l = *n.current;
  if (l.failure) {
    auto why = what(l.failure);
    w_.note(n.name + " ends: " + why);
    bool was_refused = false;
    // It stood still while the log was trimmed past it: it ends, and begins again from a snapshot.
    if (l.agent && l.agent->log().current().position().sequence < servers_.log.trimmed_to()) {
      w_.reached("an agent that the log was trimmed past");
      was_refused = true;
    }
    try {
      std::rethrow_exception(l.failure);
    } catch (const metadata::metastore_error&) {
      was_refused = true;  // its node id is still held: it is started again
    } catch (const metadata::replica_stopped&) {
      // It was down, or stood still, when the others agreed upon what it does not know: somebody reads what it says, and upgrades it.
      if (l.settings.process.log_format_max != 0 && servers_.check.state().format() > metadata::oldest_log_format) {
        w_.reached("an older version that is told to be upgraded");
        was_refused = true;
        n.is_of_older_version = false;
      }
    } catch (...) {
    }
    if (!was_refused) w_.violation(fmt::format("ended: {} gave up: {}", n.name, why));
  } else if (!l.stop.is_asked()) {
    w_.violation(fmt::format("ended: {} stopped, and nobody had asked it to", n.name));
  }
  l.net.die(false);
  l.store.died(w_.time.chance.between(0ms, 100ms));
  l.rt.kill([] {});  // what was posted last
  n.current.reset();
  if (!stopping_) start_later(n, w_.time.chance.between(0ms, w_.what.down_most));
}

void cluster::kill(node& n, std::string_view why, bool may_lose_power) {
  ++kills_;
  auto& l = *n.current;
  w_.note(fmt::format("{} is killed: {}", n.name, why), l.rt.handlers());
  bool power_lost = w_.time.chance.below(4) == 0 && may_lose_power;
  l.net.die(power_lost);
  l.store.died(power_lost ? w_.time.chance.between(0ms, w_.what.lease) : w_.time.chance.between(0ms, 50ms));
  bool was_done = l.done;
  l.rt.kill([&l] { l.cancel.emit(asio::cancellation_type::terminal); });
  YAKS_CHECK(was_done || l.done, "a process that is killed leaves no task behind");
  if (l.failure && !is_cancellation(l.failure)) w_.note(n.name + " unwinds: " + what(l.failure));
  n.current.reset();
  if (!stopping_) start_later(n, w_.calm ? 10ms : w_.time.chance.between(1ms, w_.what.down_most));
}

cluster::node* cluster::node_of(const simulated_runtime& rt) {
  for (auto& n : nodes_)
    if (n.current && &n.current->rt == &rt) return &n;
  return nullptr;
}

void cluster::after_handler(simulated_runtime& ran) {
  if (ran.is_dying()) {
    if (auto* n = node_of(ran)) kill(*n, "at a fault point");
  } else if (victim_ == ran.number() && ran.handlers() >= victim_handlers_) {
    victim_ = 0;
    if (auto* n = node_of(ran)) kill(*n, "between two handlers");
  }
}

bool cluster::at_fault_point(simulated_runtime&, std::string_view where) {
  w_.reached(where);
  if (!w_.drawn(w_.what.kill_at_point)) return false;
  w_.reached(fmt::format("killed {}", where));
  return true;
}

cluster::node* cluster::any_running() {
  std::vector<node*> running;
  for (auto& n : nodes_)
    if (n.current && !n.current->done && !n.current->rt.is_paused()) running.push_back(&n);
  return running.empty() ? nullptr : running[std::size_t(w_.time.chance.below(running.size()))];
}

// ---- faults

// Every `mean`, on average, until calm.
void cluster::every(duration mean, void (cluster::*fault)()) {
  if (mean == duration(0)) return;
  w_.time.after(w_.time.chance.between(duration(0), 2 * mean), [this, mean, fault] {
    if (w_.calm) return;
    (this->*fault)();
    every(mean, fault);
  });
}

void cluster::begin_faults() {
  const auto& s = w_.what;
  every(s.kill, &cluster::kill_one);
  every(s.stop, &cluster::stop_one);
  every(s.upgrade, &cluster::upgrade_one);
  every(s.pause, &cluster::pause_one);
  every(s.cut, &cluster::cut_one);
  every(s.half_open, &cluster::silence_one);
  every(s.slow_link, &cluster::slow_one_down);
  every(s.clock_jump, &cluster::move_a_clock);
  every(s.log_outage, &cluster::lose_the_log);
  every(s.objects_outage, &cluster::lose_the_objects);
}

void cluster::kill_one() {
  auto* n = any_running();
  if (!n) return;
  w_.reached("an agent killed");
  victim_ = n->current->rt.number();
  victim_handlers_ = n->current->rt.handlers() + w_.time.chance.below(400);
}

void cluster::kill_another() {
  w_.time.after(0ns, [this] {
    if (auto* n = any_running(); n && !stopping_) kill(*n, "while all is quiet", false);
  });
}

void cluster::stop_one() {
  auto* n = any_running();
  if (!n) return;
  w_.reached("an agent stopped in order");
  n->current->ask_to_stop();
}

// What runs is stopped in order; what is down comes up as the new version.
void cluster::upgrade_one() {
  auto old = std::ranges::find_if(nodes_, &node::is_of_older_version);
  if (old == nodes_.end()) return;
  old->is_of_older_version = false;
  w_.reached("an agent upgraded");
  w_.note(old->name + " is upgraded");
  if (old->current && !old->current->done && !old->current->rt.is_dying()) old->current->ask_to_stop();
}

void cluster::pause_one() {
  auto* n = any_running();
  if (!n) return;
  w_.reached("an agent paused");
  auto how_long = w_.time.chance.between(100ms, w_.what.pause_most);
  if (how_long > w_.what.lease) w_.reached("an agent paused for longer than its lease");
  if (how_long > w_.what.upload_deadline) w_.reached("an agent paused for longer than the upload deadline");
  if (how_long > w_.what.stale_after) w_.reached("an agent paused for longer than the log may be stale");
  n->current->rt.pause(true);
  w_.note(n->name + " pauses", std::uint64_t(how_long.count()));
  w_.time.after(how_long, [n, which = n->lives] {
    if (n->current && n->lives == which) n->current->rt.pause(false);
  });
}

void cluster::cut_one() {
  if (wires_.cut_one()) w_.reached("a connection cut");
}

void cluster::silence_one() {
  if (wires_.silence_one()) w_.reached("a connection half open");
}

void cluster::slow_one_down() {
  if (wires_.slow_one_down(w_.time.chance.between(10ms, 500ms), w_.time.chance.between(1s, 10s))) w_.reached("a connection slowed down");
}

void cluster::move_a_clock() {
  auto* n = any_running();
  if (!n) return;
  w_.reached("a clock jumped");
  auto most = ms(w_.what.clock_jump_most).count();
  n->current->rt.set_wall_clock_error(std::int64_t(w_.time.chance.below(std::uint64_t(2 * most))) - most);
}

void cluster::lose_the_log() {
  w_.reached("the log store away");
  w_.note("the log store is away");
  servers_.log_is_away = true;
  w_.time.after(w_.time.chance.between(100ms, w_.what.outage_most), [this] { servers_.log_is_away = false; });
}

void cluster::lose_the_objects() {
  w_.reached("the object store away");
  w_.note("the object store is away");
  servers_.objects_are_away = true;
  w_.time.after(w_.time.chance.between(100ms, w_.what.outage_most), [this] { servers_.objects_are_away = false; });
}

void cluster::calm_down() {
  w_.calm = true;
  w_.note("calm");
  victim_ = 0;
  servers_.log_is_away = servers_.objects_are_away = false;
  for (auto& n : nodes_)
    if (n.current) n.current->rt.pause(false);
}

// ---- what must be true of them

bool cluster::all_ready() const {
  return std::ranges::all_of(nodes_, [](const node& n) { return n.current && n.current->agent && n.current->agent->is_ready(); });
}

bool cluster::is_settled() const {
  return all_ready() && std::ranges::all_of(nodes_, [&](const node& n) {
           return n.current->agent->log().current().position().sequence == servers_.log.head().sequence;
         });
}

void cluster::check(const node& n) const {
  const auto& l = *n.current;
  servers_.check.replica_is_at(n.name, l.agent->log().current());
  if (checks_ % 16 != 0) return;  // rendering all metrics costs more than all the rest
  // What is counted stays within the limits: a buffer may be over by what was received before it was full.
  auto within = [&](std::string_view what, std::size_t bytes, std::size_t most) {
    if (bytes > most) w_.violation(fmt::format("memory: {} holds {} bytes of {}, and {} is the most", n.name, bytes, what, most));
  };
  auto text = l.metrics.text();
  if (w_.what.peers) {
    if (metric(text, "yaks_groupcache_peer_loads_total") > 0) w_.reached("a range from another agent's cache");
    if (metric(text, "yaks_groupcache_peer_errors_total") > 0) w_.reached("another agent asked in vain");
  }
  within("write buffer", metric(text, "yaks_buffer_bytes"), l.settings.write.buffer_bytes_max + (std::size_t(4) << 20));
  within("cache", metric(text, "yaks_cache_bytes"), l.settings.read.cache_bytes);
  within("fetches", metric(text, "yaks_fetch_memory_bytes"), l.settings.read.memory_bytes);
}

void cluster::check_at_rest() {
  for (const auto& n : nodes_) {
    auto text = n.current->metrics.text();
    for (std::string_view what : {"yaks_buffer_bytes", "yaks_buffer_uploads", "yaks_fetch_memory_bytes", "yaks_fetch_memory_waiting",
                                  "yaks_fetch_waiting", "yaks_log_pending_commands"})
      if (auto left = metric(text, what); left > 0)
        w_.violation(fmt::format("left over: {} of {} is {}, and there are no clients", what, n.name, left));
  }
}

bool cluster::is_behind(const std::string& name) const {
  for (const auto& n : nodes_)
    if (n.name == name)
      return n.current && n.current->agent && n.current->agent->log().current().position().sequence < servers_.log.head().sequence;
  return false;
}

void cluster::check_all() {
  ++checks_;
  if (checks_ % 40 == 0 && w_.what.sweep_interval > duration(0)) servers_.check.check_references();
  for (const auto& n : nodes_)
    if (n.current && n.current->agent && !n.current->done) check(n);
}

void cluster::stop_all() {
  stopping_ = true;
  for (auto& n : nodes_)
    if (n.current) n.current->ask_to_stop();
}

bool cluster::all_stopped() const {
  return std::ranges::none_of(nodes_, [](const node& n) { return n.current != nullptr; });
}
}  // namespace yaks::sim
