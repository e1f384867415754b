#include "wire/messages/sasl_authenticate.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(sasl_authenticate);
}  // namespace yaks::wire
