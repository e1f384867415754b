#include "wire/messages/offset_for_leader_epoch.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(offset_for_leader_epoch);
}  // namespace yaks::wire
