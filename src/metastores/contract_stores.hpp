// The stores that the contract is tried on, and how to do to each what only an accident does.
#pragma once
#include <memory>
#include <ostream>
#include <string>

#include "metadata/metastore.hpp"
#include "metrics/registry.hpp"
#include "runtime/runtime.hpp"

namespace yaks::metastores {
enum class store_kind { memory, sqlite, postgres };
inline void PrintTo(store_kind kind, std::ostream* out) {
  *out << (kind == store_kind::memory ? "memory" : kind == store_kind::sqlite ? "sqlite" : "postgres");
}

// One fresh log. Sessions must be closed before it ends.
class store_under_test {
 public:
  virtual ~store_under_test() = default;
  // A session as another agent would have it. A log that is not shared has one at a time.
  virtual std::unique_ptr<metadata::metastore> make_session() = 0;
  virtual bool is_shared() const = 0;
  // Behind the back of all sessions (a log that is not shared: between two). The log then ends at `last`.
  virtual void lose_after(log_sequence last) = 0;
  virtual void trim_to(log_sequence last) = 0;
};

// Empty with a reason where the machine lacks what it needs.
std::unique_ptr<store_under_test> make_store(store_kind kind, runtime& rt, std::string& why_not);
}  // namespace yaks::metastores
