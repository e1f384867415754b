#include "wire/messages/alter_configs.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(alter_configs);
}  // namespace yaks::wire
