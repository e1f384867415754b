// One agent in the real world: stores, ports, signals, metrics.
#pragma once
#include "config/settings.hpp"

namespace yaks {
// Runs until SIGTERM or SIGINT; a second signal ends the process at once. Throws what keeps the agent from starting or going
// on: what() is a sentence that says what to do.
void run_process(const config::settings& settings);
}  // namespace yaks
