// A log store that fails as real ones do, at random: the decorator that tests and simulations put around any store.
// What it answers is always true by log_store.hpp's terms; it only chooses the unpleasant ones.
#pragma once
#include <list>
#include <variant>

#include "metadata/log_store.hpp"
#include "runtime/runtime.hpp"
#include "runtime/task_group.hpp"

namespace yaks::metastores {
// Chances of 1,000 per call, drawn from runtime::random; what is left is a call that goes well.
struct fault_rates {
  unsigned unavailable_permille = 0;         // appends and reads: refused at once
  unsigned unknown_done_permille = 0;        // appends: stored, the answer is lost
  unsigned unknown_not_done_permille = 0;    // appends: lost on the way
  unsigned unknown_done_later_permille = 0;  // appends: stored after the answer, within late_max
  unsigned lost_notification_permille = 0;
  unsigned delay_permille = 0;  // any call: takes up to delay_max longer
  duration delay_max = 100ms, late_max = 5s;
};

class faulty_log_store final : public metadata::log_store {
 public:
  faulty_log_store(runtime& rt, metadata::log_store& inner, fault_rates rates);
  // May be changed at any time; all zero is calm.
  fault_rates rates;

  // The order of the calls is kept: an append waits until those before it have ended.
  awaitable<result<metadata::log_tail, metadata::log_error>> append(metadata::log_position applied,
                                                                    metadata::append_id id,
                                                                    shared_bytes payload) override;
  awaitable<result<metadata::log_tail, metadata::log_error>> read_after(metadata::log_position applied) override;
  awaitable<void> wait_for_change() override;
  bool is_shared() const override { return inner_.is_shared(); }
  // Gives up on appends that were to come later. Must be called before destruction.
  awaitable<void> close();

 private:
  bool drawn(unsigned permille) { return permille > 0 && rt_.random_below(1000) < permille; }
  awaitable<void> maybe_delay();
  awaitable<void> append_later(metadata::log_position applied, metadata::append_id id, shared_bytes payload);

  runtime& rt_;
  metadata::log_store& inner_;
  std::list<std::monostate> appends_;  // one place per append, in the order of the calls; the first one is under way
  event append_ended_;
  task_group late_;
};
}  // namespace yaks::metastores
