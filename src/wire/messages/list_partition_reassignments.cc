#include "wire/messages/list_partition_reassignments.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(list_partition_reassignments);
}  // namespace yaks::wire
