#include "wire/messages/delete_records.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(delete_records);
}  // namespace yaks::wire
