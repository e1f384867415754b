#include "wire/messages/describe_groups.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(describe_groups);
}  // namespace yaks::wire
