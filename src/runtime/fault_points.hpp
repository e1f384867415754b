// For simulations; elsewhere both functions do nothing.
//
//   maybe_fault   stands where a process that ends leaves the world in a state that somebody must be able to go on from: it may
//                 end there, and then this throws operation_aborted
//   reached       counts that a rare branch was taken: what no simulation takes is not tested
//
// They cost a cast: never on a path that runs for each record or request.
#pragma once
#include <string_view>

#include "runtime/runtime.hpp"

namespace yaks {
// What a runtime is, too, that has them.
class fault_points {
 public:
  virtual void maybe_fault(std::string_view where) = 0;
  virtual void reached(std::string_view branch) = 0;

 protected:
  ~fault_points() = default;
};

inline void maybe_fault(runtime& rt, std::string_view where) {
  if (auto* simulated = dynamic_cast<fault_points*>(&rt)) simulated->maybe_fault(where);
}
inline void reached(runtime& rt, std::string_view branch) {
  if (auto* simulated = dynamic_cast<fault_points*>(&rt)) simulated->reached(branch);
}
}  // namespace yaks
