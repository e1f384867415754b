#include "wire/messages/consumer_group_describe.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(consumer_group_describe);
}  // namespace yaks::wire
