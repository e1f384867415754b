#include "wire/messages/alter_partition_reassignments.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(alter_partition_reassignments);
}  // namespace yaks::wire
