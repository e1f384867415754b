#include "wire/messages/heartbeat.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(heartbeat);
}  // namespace yaks::wire
