#include "wire/messages/delete_groups.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(delete_groups);
}  // namespace yaks::wire
