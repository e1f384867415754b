#include "metastores/faulty/faulty_log_store.hpp"

namespace yaks::metastores {
using metadata::append_id;
using metadata::log_error;
using metadata::log_position;
using metadata::log_tail;

faulty_log_store::faulty_log_store(runtime& rt, metadata::log_store& inner, fault_rates r)
    : rates(r), rt_(rt), inner_(inner), late_(rt.executor()) {}

awaitable<void> faulty_log_store::maybe_delay() {
  if (drawn(rates.delay_permille))
    co_await rt_.sleep_for(duration(std::int64_t(rt_.random_below(std::uint64_t(rates.delay_max.count()) + 1))));
}

awaitable<result<log_tail, log_error>> faulty_log_store::append(log_position applied, append_id id,
                                                                shared_bytes payload) {
  struct turn {  // ends however the call ends, also when it is cancelled in the queue
    faulty_log_store& store;
    std::list<std::monostate>::iterator place;
    ~turn() {
      store.appends_.erase(place);
      store.append_ended_.notify_all();
    }
    bool has_come() const { return place == store.appends_.begin(); }
  } mine{*this, appends_.emplace(appends_.end())};
  while (!mine.has_come()) co_await append_ended_.wait();
  co_await maybe_delay();
  if (drawn(rates.unavailable_permille)) co_return failure(log_error::unavailable);
  if (drawn(rates.unknown_not_done_permille)) co_return failure(log_error::unknown);
  if (drawn(rates.unknown_done_later_permille)) {
    late_.spawn(append_later(applied, id, std::move(payload)));
    co_return failure(log_error::unknown);
  }
  bool lose_answer = drawn(rates.unknown_done_permille);
  auto tail = co_await inner_.append(applied, id, std::move(payload));
  if (tail && lose_answer) co_return failure(log_error::unknown);
  co_return tail;
}

awaitable<void> faulty_log_store::append_later(log_position applied, append_id id, shared_bytes payload) {
  co_await rt_.sleep_for(duration(std::int64_t(rt_.random_below(std::uint64_t(rates.late_max.count()) + 1))));
  // Whatever comes of it: nobody waits for this answer.
  (void)co_await inner_.append(applied, id, std::move(payload));
}

awaitable<result<log_tail, log_error>> faulty_log_store::read_after(log_position applied) {
  co_await maybe_delay();
  if (drawn(rates.unavailable_permille)) co_return failure(log_error::unavailable);
  auto tail = co_await inner_.read_after(applied);
  co_await maybe_delay();
  co_return tail;
}

awaitable<void> faulty_log_store::wait_for_change() {
  do co_await inner_.wait_for_change();
  while (drawn(rates.lost_notification_permille));
  co_await maybe_delay();
}

namespace {
awaitable<void> nothing() {
  co_return;
}
}  // namespace

awaitable<void> faulty_log_store::close() {
  return run_then_close(nothing(), late_);
}
}  // namespace yaks::metastores
