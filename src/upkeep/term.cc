#include "upkeep/term.hpp"

#include <spdlog/spdlog.h>

namespace yaks::upkeep {
namespace {
constexpr duration look_interval = 1s;
}  // namespace

term::term(runtime& rt, metadata::metastore& store, metadata::replica& log, const membership::members& members,
           metrics::registry& metrics)
    : rt_(rt),
      store_(store),
      log_(log),
      members_(members),
      taken_(metrics.add_counter("yaks_upkeep_terms_total", "Times that this agent has taken over what one agent does for all.")) {
  metrics.add_callback("yaks_upkeep_held", "1 while this agent does what one agent does for all.", [this] { return held() ? 1.0 : 0.0; });
}

std::optional<std::uint64_t> term::held() const {
  const auto& now = log_.current().upkeep();
  if (!log_.is_ready() || now.holder != log_.self() || now.number == 0 || now.number != told_) return std::nullopt;
  return now.number;
}

void term::doubt() {
  told_ = 0;
  is_in_doubt_ = true;
}

awaitable<void> term::run() {
  for (unsigned failures = 0;;) {
    bool is_done = true;
    if (log_.is_ready() && !held()) {
      auto holder = log_.current().upkeep().holder;
      if (holder == log_.self() && !is_in_doubt_)
        is_done = co_await tell_index();
      else if (holder == log_.self())
        is_done = co_await take();
      else if (members_.is_first() && !members_.is_alive(holder))
        is_done = co_await take();
    }
    failures = is_done ? 0 : failures + 1;
    co_await rt_.sleep_for(failures == 0 ? look_interval : backoff(rt_, failures, look_interval, 30s));
  }
}

awaitable<bool> term::take() {
  auto taken = co_await log_.submit(metadata::take_upkeep{log_.current().upkeep().number});
  if (!taken) co_return false;
  is_in_doubt_ = false;
  if (taken->error != metadata::apply_error::none) co_return true;  // another one was faster
  co_return co_await tell_index();
}

awaitable<bool> term::tell_index() {
  const auto now = log_.current().upkeep();
  if (now.holder != log_.self()) co_return true;
  auto told = co_await store_.index().begin_term(now.number);
  if (!told) {
    if (told.error() == metadata::log_error::old_term) co_return true;  // the log will say so too
    spdlog::warn("cannot begin the upkeep in the index ({}); trying again", name(told.error()));
    co_return false;
  }
  told_ = now.number;
  taken_.add();
  spdlog::info("this agent does the upkeep now (term {})", now.number);
  co_return true;
}
}  // namespace yaks::upkeep
