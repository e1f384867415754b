#include "wire/messages/produce.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(produce);
}  // namespace yaks::wire
