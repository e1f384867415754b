#include "wire/messages/sync_group.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(sync_group);
}  // namespace yaks::wire
