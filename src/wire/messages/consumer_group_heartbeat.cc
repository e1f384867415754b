#include "wire/messages/consumer_group_heartbeat.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(consumer_group_heartbeat);
}  // namespace yaks::wire
