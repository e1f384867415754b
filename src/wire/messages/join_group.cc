#include "wire/messages/join_group.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(join_group);
}  // namespace yaks::wire
