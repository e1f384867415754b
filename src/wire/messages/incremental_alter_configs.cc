#include "wire/messages/incremental_alter_configs.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(incremental_alter_configs);
}  // namespace yaks::wire
