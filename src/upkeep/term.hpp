// The term of office: which agent does what one agent does for all (metadata::upkeep_term), and the order in which it does it.
//
// A term is taken by an entry of the log, so that all agents agree on who holds it, and the metastore's index is told before the
// holder writes there: writes of an earlier holder that are still under way, or that an agent makes which was paused and believes
// itself to be in office, are refused. Within a term the index is written by one task at a time (index_turns).
//
// The term is taken by the first of the live agents where nobody alive holds it, and kept until its holder is gone.
#pragma once
#include <cstdint>
#include <optional>

#include "membership/members.hpp"
#include "metadata/metastore.hpp"
#include "metadata/replica.hpp"
#include "metrics/registry.hpp"
#include "runtime/runtime.hpp"
#include "runtime/turnstile.hpp"

namespace yaks::upkeep {
class term {
 public:
  term(runtime& rt, metadata::metastore& store, metadata::replica& log, const membership::members& members,
       metrics::registry& metrics);
  // Takes the term when nobody has it, until cancelled.
  awaitable<void> run();
  // Takes it now, whoever holds it. False where the log or the index could not be told.
  awaitable<bool> take();
  // The term's number while this agent holds it and the index knows. To be asked again after each wait.
  std::optional<std::uint64_t> held() const;
  // A write into the index failed in a way that does not tell whether it was done, or is yet to be done: it must not happen after
  // what this agent writes next. The term is over, and another one is taken.
  void doubt();
  // Who writes into the index, or decides by what it reads there, does so in its turn and asks held() in it.
  turnstile& index_turns() { return turns_; }

 private:
  awaitable<bool> tell_index();

  runtime& rt_;
  metadata::metastore& store_;
  metadata::replica& log_;
  const membership::members& members_;
  std::uint64_t told_ = 0;  // the term that the index knows to be ours
  bool is_in_doubt_ = false;
  turnstile turns_;
  metrics::counter& taken_;
};
}  // namespace yaks::upkeep
