#include "wire/messages/describe_quorum.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(describe_quorum);
}  // namespace yaks::wire
