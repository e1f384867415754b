#include "wire/messages/elect_leaders.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(elect_leaders);
}  // namespace yaks::wire
