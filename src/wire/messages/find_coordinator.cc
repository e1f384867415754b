#include "wire/messages/find_coordinator.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(find_coordinator);
}  // namespace yaks::wire
