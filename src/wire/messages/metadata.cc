#include "wire/messages/metadata.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(metadata);
}  // namespace yaks::wire
