#include "wire/messages/describe_cluster.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(describe_cluster);
}  // namespace yaks::wire
