#include "wire/messages/list_offsets.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(list_offsets);
}  // namespace yaks::wire
