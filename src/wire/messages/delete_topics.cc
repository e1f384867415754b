#include "wire/messages/delete_topics.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(delete_topics);
}  // namespace yaks::wire
