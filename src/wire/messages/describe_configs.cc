#include "wire/messages/describe_configs.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(describe_configs);
}  // namespace yaks::wire
