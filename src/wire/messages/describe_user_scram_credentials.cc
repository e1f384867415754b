#include "wire/messages/describe_user_scram_credentials.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(describe_user_scram_credentials);
}  // namespace yaks::wire
