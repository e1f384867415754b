#include "base/mutation.hpp"

#ifdef YAKS_MUTATIONS
#include <utility>

namespace yaks {
namespace {
std::string chosen;
}
bool mutated(std::string_view bug) { return bug == chosen; }
void choose_mutation(std::string bug) { chosen = std::move(bug); }
}  // namespace yaks
#endif
