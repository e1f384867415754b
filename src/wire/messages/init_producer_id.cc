#include "wire/messages/init_producer_id.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(init_producer_id);
}  // namespace yaks::wire
