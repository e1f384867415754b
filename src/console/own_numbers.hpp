// This agent's numbers. They are collected for as long as somebody asks for them: an agent that nobody looks at does
// nothing. On the agent's executor only.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "console/agent_numbers.hpp"
#include "console/history.hpp"
#include "membership/members.hpp"
#include "metadata/replica.hpp"
#include "metrics/registry.hpp"
#include "runtime/event.hpp"
#include "runtime/runtime.hpp"

namespace yaks::console {
struct own_numbers_settings {
  std::string version;
  std::string host;  // advertised
  std::uint16_t port = 0;
  std::string zone;
  std::int32_t node = 0;
  bool always = false;      // collect from the start: this agent serves the dashboard itself
  duration forget = 15min;  // without a question for so long, collecting ends
};

class own_numbers final : public agent_numbers {
 public:
  // References outlive it.
  own_numbers(runtime& rt, const metrics::registry& metrics, const metadata::replica& log,
              const membership::members& members, own_numbers_settings settings);
  // Collects until cancelled.
  awaitable<void> run();
  std::string numbers(const numbers_request& request) override;
  bool is_collecting() const { return history_.has_value(); }

 private:
  bool is_wanted() const;
  runtime& rt_;
  const metrics::registry& metrics_;
  const metadata::replica& log_;
  const membership::members& members_;
  own_numbers_settings settings_;
  time_point started_;
  std::optional<time_point> asked_;
  std::optional<history> history_;
  event wanted_;
};
}  // namespace yaks::console
