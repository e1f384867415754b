// The assignors of the consumer protocol (KIP-848): which partitions each member of a group is to have. Pure.
//
//   range     each topic by itself: consecutive partitions to members in the order of their names, so that topics with equal
//             numbers of partitions and equal subscribers are assigned alike
//   uniform   all partitions as evenly as the subscriptions allow; who has a partition keeps it where that is even
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/ids.hpp"

namespace yaks::metadata {
struct assignor_member {
  std::string id;
  std::optional<std::string> instance;
  std::vector<topic_id> topics;                   // that it subscribes to and that exist; without doubles
  const std::set<topic_partition>* has = nullptr;  // so far; outlives the call
};
using assignment = std::map<std::string, std::set<topic_partition>>;  // by member, each of them

inline constexpr std::string_view assignor_names[] = {"uniform", "range"};  // the first one is the default

assignment assign_range(std::span<const assignor_member> members, const std::map<topic_id, std::int32_t>& partitions);
assignment assign_uniform(std::span<const assignor_member> members, const std::map<topic_id, std::int32_t>& partitions);
}  // namespace yaks::metadata
