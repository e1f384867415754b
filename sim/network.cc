#include "sim/network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "base/check.hpp"
#include "runtime/event.hpp"

namespace yaks::sim {
namespace {
using boost::system::system_error;
constexpr std::size_t window_bytes = 64 << 10, part_bytes = 16 << 10, backlog = 256;
constexpr duration connect_patience = 3s;
}  // namespace

// Two pipes, pipes[i] towards end i.
struct wires::connection {
  struct pipe {
    std::string arrived;
    std::size_t begin = 0;  // of what is not read yet, in `arrived`
    std::size_t in_flight = 0;
    time_point last_arrival{};
    bool ended = false, silent = false;
    event changed;
    std::size_t readable() const { return arrived.size() - begin; }
  } pipes[2];
  bool reset = false;
  bool closed[2] = {false, false};
  host* ends[2] = {nullptr, nullptr};  // null where that process is gone
  duration extra{};                    // each part takes this much longer

  void wake() {
    for (auto& p : pipes) p.changed.notify_all();
  }
  void cut() {
    reset = true;
    wake();
  }
};

struct wires::listening {
  host* owner;
  bool closed = false;
  std::deque<std::unique_ptr<byte_stream>> waiting;
  event changed;
};

class sim_stream final : public byte_stream {
 public:
  sim_stream(world& w, simulated_runtime& rt, std::shared_ptr<wires::connection> c, int end, std::string peer)
      : world_(w), rt_(rt), c_(std::move(c)), end_(end), peer_(std::move(peer)) {}
  ~sim_stream() override { close(); }

  awaitable<std::size_t> read_some(mutable_byte_view to) override {
    YAKS_CHECK(!to.empty(), "reads have room");
    auto c = c_;  // outlives this stream while the coroutine is parked in it
    auto& in = c->pipes[end_];
    for (;;) {
      if (c->closed[end_]) throw system_error(asio::error::operation_aborted);
      rt_.check_alive();
      if (c->reset) throw system_error(asio::error::connection_reset);
      if (in.readable() > 0) {
        auto count = std::min(to.size(), in.readable());
        if (count > 1 && world_.time.chance.below(8) == 0) count = 1 + world_.time.chance.below(count);  // in parts, as TCP may
        std::memcpy(to.data(), in.arrived.data() + in.begin, count);
        in.begin += count;
        if (in.readable() == 0) in.arrived.clear(), in.begin = 0;
        in.changed.notify_all();
        co_return count;
      }
      if (in.ended) throw system_error(asio::error::eof);
      co_await in.changed.wait();
    }
  }

  awaitable<void> write_all(std::vector<shared_bytes> segments) override {
    auto c = c_;
    auto& out = c->pipes[1 - end_];
    std::string part;
    for (const auto& segment : segments) {
      byte_view rest = segment.view();
      while (!rest.empty()) {
        auto count = std::min(rest.size(), part_bytes - part.size());
        part += as_text(rest.first(count));
        rest = rest.subspan(count);
        if (part.size() == part_bytes) co_await send(*c, out, std::exchange(part, {}));
      }
    }
    if (!part.empty()) co_await send(*c, out, std::move(part));
  }

  void shutdown_write() override { end_output(); }
  void close() override {
    if (std::exchange(c_->closed[end_], true)) return;
    c_->wake();
    end_output();
  }
  std::string peer() const override { return peer_; }

 private:
  awaitable<void> send(wires::connection& c, wires::connection::pipe& out, std::string part) {
    while (usable(c) && !peer_has_closed(c, out) && out.readable() + out.in_flight >= window_bytes) co_await out.changed.wait();
    if (c.closed[end_]) throw system_error(asio::error::operation_aborted);
    rt_.check_alive();
    if (c.reset) throw system_error(asio::error::connection_reset);
    if (peer_has_closed(c, out)) throw system_error(asio::error::broken_pipe);
    out.in_flight += part.size();
    auto now = world_.time.now();
    // 1 Gbit/s; parts never overtake each other.
    auto least = out.last_arrival + duration(std::int64_t(part.size() * 8));
    out.last_arrival = std::max(least, now + world_.time.chance.between(50us, 1ms) + c.extra);
    world_.time.after(out.last_arrival - now, [c = c_, &out, part = std::move(part)] {
      if (out.silent || c->reset) return;  // silent: the window fills, then the writer waits for ever
      out.in_flight -= part.size();
      out.arrived += part;
      out.changed.notify_all();
    });
  }
  // Of one that is silent nobody hears.
  bool peer_has_closed(const wires::connection& c, const wires::connection::pipe& out) const {
    return c.closed[1 - end_] && !out.silent;
  }
  bool usable(const wires::connection& c) const { return !c.closed[end_] && !c.reset && !rt_.is_dying(); }
  // The end travels behind the bytes.
  void end_output() {
    if (rt_.is_dying() || std::exchange(output_ended_, true)) return;
    auto& out = c_->pipes[1 - end_];
    out.last_arrival = std::max(out.last_arrival, world_.time.now() + 100us);
    world_.time.after(out.last_arrival - world_.time.now(), [c = c_, &out] {
      if (out.silent) return;
      out.ended = true;
      out.changed.notify_all();
    });
  }

  world& world_;
  simulated_runtime& rt_;
  std::shared_ptr<wires::connection> c_;
  int end_;
  bool output_ended_ = false;
  std::string peer_;
};

namespace {
class sim_listener final : public listener {
 public:
  sim_listener(std::map<std::pair<std::string, std::uint16_t>, wires::listening*>& all, simulated_runtime& rt, std::string name,
               std::uint16_t port, host* owner)
      : all_(all), rt_(rt), name_(std::move(name)), port_(port), state_(std::make_shared<wires::listening>()) {
    state_->owner = owner;
    all_[{name_, port_}] = state_.get();
  }
  ~sim_listener() override { close(); }
  awaitable<std::unique_ptr<byte_stream>> accept() override {
    auto state = state_;  // shared with a coroutine that is parked in it
    while (!state->closed && state->waiting.empty()) co_await state->changed.wait();
    rt_.check_alive();
    if (state->closed) throw system_error(asio::error::operation_aborted);
    auto stream = std::move(state->waiting.front());
    state->waiting.pop_front();
    co_return stream;
  }
  std::uint16_t port() const override { return port_; }
  void close() override {
    if (std::exchange(state_->closed, true)) return;
    all_.erase({name_, port_});
    state_->waiting.clear();
    state_->changed.notify_all();
  }

 private:
  std::map<std::pair<std::string, std::uint16_t>, wires::listening*>& all_;
  simulated_runtime& rt_;
  std::string name_;
  std::uint16_t port_;
  std::shared_ptr<wires::listening> state_;
};
}  // namespace

// ---- faults

void wires::forget_closed() {
  std::erase_if(connections_, [](const auto& c) { return c->closed[0] && c->closed[1]; });
}

std::size_t wires::open() {
  forget_closed();
  return connections_.size();
}

std::shared_ptr<wires::connection> wires::any() {
  forget_closed();
  if (connections_.empty()) return nullptr;
  return connections_[std::size_t(world_.time.chance.below(connections_.size()))];
}

bool wires::cut_one() {
  auto c = any();
  if (c) c->cut();
  return c != nullptr;
}

bool wires::silence_one() {
  auto c = any();
  if (c) c->pipes[world_.time.chance.below(2)].silent = true;
  return c != nullptr;
}

bool wires::slow_one_down(duration extra, duration how_long) {
  auto c = any();
  if (!c) return false;
  c->extra = extra;
  world_.time.after(how_long, [c] { c->extra = {}; });
  return true;
}

// ---- one process

host::~host() {
  for (auto& c : wires_.connections_)
    for (auto& end : c->ends)
      if (end == this) end = nullptr;
}

void host::die(bool power_lost) {
  for (auto& c : wires_.connections_)
    if (c->ends[0] == this || c->ends[1] == this) {
      if (power_lost)
        c->pipes[0].silent = c->pipes[1].silent = true;
      else
        c->cut();
    }
  if (power_lost) wires_.unreachable_.insert(name_);
}

awaitable<std::unique_ptr<byte_stream>> host::connect(endpoint to) {
  auto& w = wires_.world_;
  co_await rt_.sleep_for(w.time.chance.between(100us, 2ms));
  rt_.check_alive();  // whoever was resumable when it was killed still runs
  auto found = wires_.listeners_.find({to.host, to.port});
  if (found == wires_.listeners_.end() || found->second->waiting.size() >= backlog) {
    if (wires_.unreachable_.contains(to.host)) {
      co_await rt_.sleep_for(connect_patience);
      throw system_error(asio::error::timed_out, to.host);
    }
    throw system_error(asio::error::connection_refused, to.host);
  }
  wires_.forget_closed();
  auto& listening = *found->second;
  auto c = std::make_shared<wires::connection>();
  c->ends[0] = this, c->ends[1] = listening.owner;
  wires_.connections_.push_back(c);
  listening.waiting.push_back(std::make_unique<sim_stream>(w, listening.owner->rt_, c, 1, name_));
  listening.changed.notify_all();
  co_return std::make_unique<sim_stream>(w, rt_, c, 0, fmt::format("{}:{}", to.host, to.port));
}

std::unique_ptr<listener> host::listen(endpoint at) {
  if (wires_.listeners_.contains({name_, at.port})) throw system_error(asio::error::address_in_use, name_);
  wires_.unreachable_.erase(name_);
  return std::make_unique<sim_listener>(wires_.listeners_, rt_, name_, at.port, this);
}
}  // namespace yaks::sim
