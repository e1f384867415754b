// Which agent is asked for an object's bytes: the one that wrote it, because it has them in memory already; where that
// one is gone, the winner of a rendezvous, so that everybody asks the same one and it reads the object store once.
// Pure.
#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "model/ids.hpp"

namespace yaks::peers {
struct peer {
  incarnation who;
  std::string host;
  std::uint16_t port = 0;
};
// Null where there is none.
const peer* owner_of(object_id object, std::span<const peer> among);
}  // namespace yaks::peers
