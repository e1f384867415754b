// Deliberate bugs, to see that the simulator's checkers find such ones (sim/README.md, scripts/mutations). Only the build with
// YAKS_MUTATIONS has them, one at a time, chosen when a run begins; in every other one `mutated` is false while compiling.
//
//     if (mutated("barrier skipped")) co_return true;
#pragma once
#include <string>
#include <string_view>

namespace yaks {
#ifdef YAKS_MUTATIONS
bool mutated(std::string_view bug);
// "" for none. Before anything runs.
void choose_mutation(std::string bug);
#else
constexpr bool mutated(std::string_view) { return false; }
#endif
}  // namespace yaks
