#include "wire/messages/api_versions.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(api_versions);
}  // namespace yaks::wire
