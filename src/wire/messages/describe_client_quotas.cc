#include "wire/messages/describe_client_quotas.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(describe_client_quotas);
}  // namespace yaks::wire
