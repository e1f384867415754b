#include "wire/messages/create_topics.hpp"

#include "wire/codec.hpp"

namespace yaks::wire {
YAKS_WIRE_API(create_topics);
}  // namespace yaks::wire
