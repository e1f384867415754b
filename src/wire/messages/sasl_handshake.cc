#include "wire/messages/sasl_handshake.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(sasl_handshake);
}  // namespace yaks::wire
