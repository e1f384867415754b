#include "wire/messages/describe_acls.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(describe_acls);
}  // namespace yaks::wire
