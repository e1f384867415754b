// What this build calls itself: in the log, in metrics and to other agents.
#pragma once

namespace yaks {
inline constexpr const char* version = "0.1.0";
}  // namespace yaks
