#include "wire/messages/describe_producers.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(describe_producers);
}  // namespace yaks::wire
