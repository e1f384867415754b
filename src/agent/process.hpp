// One agent in the real world: stores, ports, signals, metrics.
#pragma once
#include <functional>

#include "config/settings.hpp"
#include "metadata/metastore.hpp"
#include "objects/object_store.hpp"
#include "runtime/runtime.hpp"

namespace yaks {
// Runs until SIGTERM or SIGINT; a second signal ends the process at once. Throws what keeps the agent from starting or going
// on: what() is a sentence that says what to do.
void run_process(const config::settings& settings);

// Opens the stores that the settings name, without an agent, for as long as `work` takes. Throws what keeps them from opening, and
// what `work` throws.
void run_with_stores(const config::settings& settings, std::function<awaitable<void>(runtime&, metadata::metastore&, object_store&)> work);
}  // namespace yaks
