#include "wire/messages/leave_group.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(leave_group);
}  // namespace yaks::wire
