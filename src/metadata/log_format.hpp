// What the metadata log may hold grows with versions of yaks, and agents of two versions write one log while an installation is
// upgraded. So every agent registers with the newest format that it understands, and a format is enabled, by a command, once all
// registered agents understand it (membership::members proposes that). What came with a format is written only after that.
//
// An agent that meets a format above its own stops with a sentence: it was started after the upgrade was complete.
#pragma once
#include <cstdint>

namespace yaks::metadata {
inline constexpr std::uint32_t oldest_log_format = 1;
inline constexpr std::uint32_t merging_log_format = 2;  // merge_object
inline constexpr std::uint32_t assignment_epochs_log_format = 3;  // commits of an older epoch, of what a consumer still has (KIP-1251)
inline constexpr std::uint32_t newest_log_format = 3;
}  // namespace yaks::metadata
