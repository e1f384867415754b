#include "wire/messages/offset_commit.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(offset_commit);
}  // namespace yaks::wire
