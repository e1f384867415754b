#include "wire/messages/offset_fetch.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(offset_fetch);
}  // namespace yaks::wire
