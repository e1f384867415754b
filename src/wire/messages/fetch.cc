#include "wire/messages/fetch.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(fetch);
}  // namespace yaks::wire
