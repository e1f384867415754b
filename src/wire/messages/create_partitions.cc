#include "wire/messages/create_partitions.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(create_partitions);
}  // namespace yaks::wire
