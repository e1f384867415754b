#include "wire/messages/describe_topic_partitions.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(describe_topic_partitions);
}  // namespace yaks::wire
