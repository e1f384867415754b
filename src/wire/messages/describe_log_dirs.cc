#include "wire/messages/describe_log_dirs.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(describe_log_dirs);
}  // namespace yaks::wire
