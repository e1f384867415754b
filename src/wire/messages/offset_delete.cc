#include "wire/messages/offset_delete.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(offset_delete);
}  // namespace yaks::wire
