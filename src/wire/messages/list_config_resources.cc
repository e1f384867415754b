#include "wire/messages/list_config_resources.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(list_config_resources);
}  // namespace yaks::wire
