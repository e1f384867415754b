// Which operations a client may do, as the bit sets that Metadata and DescribeCluster answer when asked to (KIP-430). There is
// no authorizer yet: everybody may do everything, which is what a Kafka broker without one says.
#pragma once
#include <cstdint>
#include <initializer_list>

namespace yaks::handlers {
constexpr std::int32_t operation_bits(std::initializer_list<int> operations) {
  std::int32_t bits = 0;
  for (int o : operations) bits |= 1 << o;
  return bits;
}
// Kafka's AclOperation numbers.
inline constexpr std::int32_t all_topic_operations =
    operation_bits({3 /*read*/, 4 /*write*/, 5 /*create*/, 6 /*delete*/, 7 /*alter*/, 8 /*describe*/, 10 /*describe configs*/,
                    11 /*alter configs*/});
inline constexpr std::int32_t all_cluster_operations =
    operation_bits({5 /*create*/, 7 /*alter*/, 8 /*describe*/, 9 /*cluster action*/, 10 /*describe configs*/,
                    11 /*alter configs*/, 12 /*idempotent write*/});
inline constexpr std::int32_t all_group_operations =
    operation_bits({3 /*read*/, 6 /*delete*/, 8 /*describe*/, 10 /*describe configs*/, 11 /*alter configs*/});
}  // namespace yaks::handlers
