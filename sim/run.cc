#include "sim/run.hpp"

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "sim/admin.hpp"
#include "sim/cluster.hpp"
#include "sim/consumer.hpp"
#include "sim/crowd.hpp"
#include "sim/producer.hpp"
#include "sim/tenant.hpp"

namespace yaks::sim {
namespace {
constexpr duration settling = 60s, look = 50ms;

// Everything in the order in which it is made; it ends in reverse.
class one_run {
 public:
  explicit one_run(const run_settings& s)
      : w_(s.seed, s.what, s.prints),
        wires_(w_),
        servers_(w_),
        cluster_(w_, wires_, servers_),
        rt_(w_.time),
        net_(wires_, rt_, "clients"),
        tasks_(rt_.executor()),
        clients_{.w = w_, .rt = rt_, .net = net_, .check = servers_.check, .tasks = tasks_, .bootstrap = cluster_.bootstrap(), .topics = {},
                 .is_behind = [this](const std::string& name) { return cluster_.is_behind(name); },
                 .kills = [this] { return cluster_.kills(); }},
        groups_(w_, servers_.check) {
    w_.time.on_branch = [this](std::string_view branch) { w_.reached(branch); };
  }

  void play() {
    rt_.run(run_then_close(main(), tasks_), 48h);
    if (!w_.failed()) {
      cluster_.stop_all();
      for (auto deadline = w_.time.now() + settling; !cluster_.all_stopped();)
        if (!w_.time.step() || w_.time.now() > deadline) {
          w_.violation("not live: an agent that was asked to stop does not");
          break;
        }
    }
  }

  run_report report(std::uint64_t seed) {
    return {.seed = seed,
            .hash = w_.hash(),
            .operations = clients_.operations,
            .acknowledgements = servers_.check.acknowledgements(),
            .records = servers_.check.records_stored(),
            .entries = std::uint64_t(servers_.log.head().sequence.value()),
            .steps = w_.time.steps(),
            .simulated = w_.time.now().time_since_epoch() - 1h,
            .violations = w_.violations(),
            .marks = w_.marks()};
  }
  ~one_run() { w_.time.on_branch = {}; }

  void shut_down() {
    cluster_.end();
    servers_.shut_down();
    w_.time.end();
  }

 private:
  awaitable<void> main();
  awaitable<void> until_nothing_is_left();
  awaitable<void> until_members_end();
  awaitable<void> until(std::string what, std::function<bool()> is_so, duration patience);
  template <class Client>
  awaitable<void> live(Client& c) {
    co_await c.run();
    ++ended_;
  }

  world w_;
  wires wires_;
  servers servers_;
  cluster cluster_;
  simulated_runtime rt_;
  host net_;
  task_group tasks_;
  client_world clients_;
  group_checker groups_;
  std::deque<producer> producers_;
  std::deque<consumer> consumers_;
  std::deque<admin> admins_;
  std::deque<tenant> tenants_;
  std::optional<crowd> crowd_;
  std::size_t ended_ = 0;
};

awaitable<void> one_run::until(std::string what, std::function<bool()> is_so, duration patience) {
  auto deadline = rt_.now() + patience;
  while (!w_.failed() && !is_so()) {
    if (rt_.now() >= deadline) {
      w_.violation(fmt::format("not live: {}", what));
      co_return;
    }
    co_await rt_.sleep_for(look);
    cluster_.check_all();
  }
}

// Orphans are told by their age, and whoever frees space may have backed off.
awaitable<void> one_run::until_nothing_is_left() {
  auto deadline = rt_.now() + w_.what.upload_deadline + 2 * w_.what.sweep_interval + w_.what.delete_grace + 10min;
  for (std::string left; !w_.failed() && !(left = servers_.check.left_behind()).empty(); co_await rt_.sleep_for(1s)) {
    servers_.check.check_references();
    if (rt_.now() >= deadline) {
      w_.violation("left behind: " + left);
      co_return;
    }
  }
}

awaitable<void> one_run::main() {
  const auto& s = w_.what;
  cluster_.begin_faults();
  admin first(clients_, "first");
  for (std::uint64_t i = 0; i < s.topics; ++i) {
    auto name = fmt::format("topic{}", i);
    std::map<std::string, std::string> configs;
    if (s.retention_bytes > 0 && i % 2 == 0) configs["retention.bytes"] = std::to_string(s.retention_bytes);
    if (s.retention_time > duration(0) && i % 2 == 1)
      configs["retention.ms"] = std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(s.retention_time).count());
    (void)co_await first.make_topic(name, std::int32_t(s.partitions), configs);
    clients_.topics.push_back(name);
  }
  first.close();
  for (std::uint64_t i = 0; i < s.idempotent_producers; ++i) producers_.emplace_back(clients_, fmt::format("idempotent{}", i), true);
  for (std::uint64_t i = 0; i < s.plain_producers; ++i) producers_.emplace_back(clients_, fmt::format("plain{}", i), false);
  for (std::uint64_t i = 0; i < s.consumers; ++i) consumers_.emplace_back(clients_, fmt::format("consumer{}", i), i % 2 == 1);
  for (std::uint64_t i = 0; i < s.admins; ++i) admins_.emplace_back(clients_, fmt::format("admin{}", i));
  for (std::uint64_t i = 0; i < s.tenants; ++i) tenants_.emplace_back(clients_, fmt::format("tenant{}", i));
  for (auto& p : producers_) tasks_.spawn(live(p));
  for (auto& c : consumers_) tasks_.spawn(live(c));
  for (auto& a : admins_) tasks_.spawn(live(a));
  for (auto& t : tenants_) tasks_.spawn(live(t));
  crowd_.emplace(clients_, groups_);
  if (s.groups > 0) tasks_.spawn(crowd_->run());
  auto all = producers_.size() + consumers_.size() + admins_.size() + tenants_.size();

  co_await until("clients come to nothing", [&] { return clients_.operations >= s.operations; }, 1h);
  if (w_.failed()) co_return;
  // The faults are over: everything must come to its end.
  cluster_.calm_down();
  clients_.stopping = true;
  clients_.calm_since = rt_.now();
  co_await until("clients do not come to their end", [&] { return ended_ == all; }, s.patience);
  co_await until_members_end();
  co_await until("agents do not come to rest", [&] { return cluster_.is_settled(); }, settling);
  if (w_.failed()) co_return;
  cluster_.check_all();
  co_await rt_.sleep_for(6s);  // the last requests of clients that gave up
  cluster_.check_at_rest();
  if (s.sweep_interval > duration(0)) co_await until_nothing_is_left();
  co_await servers_.check.finish(servers_.any_session);
  crowd_->finish();
}

// Groups converge when the faults are over, consume everything, and stay as they are then.
awaitable<void> one_run::until_members_end() {
  if (w_.what.groups == 0) co_return;
  co_await until("groups do not converge", [&] { return crowd_->is_whole() && crowd_->is_done(); }, w_.what.patience);
  if (w_.failed()) {
    w_.violation(fmt::format("not live: {}", crowd_->what_lacks()));
    co_return;
  }
  w_.note("groups are whole");
  co_await crowd_->rest([&] { cluster_.kill_another(); });
  if (w_.failed()) co_return;
  crowd_->leave();
  co_await until("members do not come to their end", [&] { return crowd_->has_ended(); }, w_.what.patience);
}
}  // namespace

run_report run(const run_settings& settings) {
  auto it = std::make_unique<one_run>(settings);
  it->play();
  auto report = it->report(settings.seed);
  it->shut_down();
  return report;
}
}  // namespace yaks::sim
