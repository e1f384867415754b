#include "wire/messages/list_groups.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(list_groups);
}  // namespace yaks::wire
