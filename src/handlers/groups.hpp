// What the handlers of consumer groups share.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "handlers/services.hpp"
#include "metadata/commands.hpp"
#include "wire/error_code.hpp"

namespace yaks::handlers {
inline wire::error_code code_of(metadata::group_error error) {
  using metadata::group_error;
  using wire::error_code;
  switch (error) {
    case group_error::none: return error_code::none;
    case group_error::unknown_member_id: return error_code::unknown_member_id;
    case group_error::illegal_generation: return error_code::illegal_generation;
    case group_error::rebalance_in_progress: return error_code::rebalance_in_progress;
    case group_error::fenced_instance_id: return error_code::fenced_instance_id;
    case group_error::inconsistent_group_protocol: return error_code::inconsistent_group_protocol;
    case group_error::member_id_required: return error_code::member_id_required;
    case group_error::group_max_size_reached: return error_code::group_max_size_reached;
    case group_error::group_id_not_found: return error_code::group_id_not_found;
    case group_error::non_empty_group: return error_code::non_empty_group;
    case group_error::fenced_member_epoch: return error_code::fenced_member_epoch;
    case group_error::stale_member_epoch: return error_code::stale_member_epoch;
    case group_error::unreleased_instance_id: return error_code::unreleased_instance_id;
  }
  return error_code::unknown_server_error;
}

// For the field of an answer that has one.
inline std::string_view text_of(metadata::group_error error) {
  using metadata::group_error;
  switch (error) {
    case group_error::none: return "";
    case group_error::unknown_member_id: return "The group has no such member.";
    case group_error::illegal_generation: return "The group has another generation.";
    case group_error::rebalance_in_progress: return "The group rebalances.";
    case group_error::fenced_instance_id: return "Another member has this instance id.";
    case group_error::inconsistent_group_protocol: return "The members of the group have no protocol in common with this one.";
    case group_error::member_id_required: return "The member must come again with the id that it is given.";
    case group_error::group_max_size_reached: return "The group is full.";
    case group_error::group_id_not_found: return "The group is not found, or is no consumer group.";
    case group_error::non_empty_group: return "The group has members.";
    case group_error::fenced_member_epoch: return "The member's epoch is not the one that it was given last: it must join again.";
    case group_error::stale_member_epoch: return "The member has another epoch by now.";
    case group_error::unreleased_instance_id: return "The instance id is in use by a member that has not left.";
  }
  return "";
}

// A member's metadata or assignment above this is refused: it is kept in every agent's memory, and travels in one entry of the
// log, whose size is limited.
inline constexpr std::size_t member_bytes_max = std::size_t(1) << 20;

inline std::optional<std::string> owned(const std::optional<std::string_view>& text) {
  return text ? std::optional<std::string>(*text) : std::nullopt;
}
}  // namespace yaks::handlers
