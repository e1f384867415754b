#include "peers/ownership.hpp"

#include "base/endian.hpp"
#include "objects/object_name.hpp"

namespace yaks::peers {
namespace {
// The finaliser of splitmix64.
std::uint64_t mix(std::uint64_t n) {
  n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9ull;
  n = (n ^ n >> 27) * 0x94d049bb133111ebull;
  return n ^ n >> 31;
}

std::uint64_t hash(const uuid& id) {
  return mix(load_big_endian<std::uint64_t>(id.bytes.data()) ^
             mix(load_big_endian<std::uint64_t>(id.bytes.data() + 8)));
}
}  // namespace

const peer* owner_of(object_id object, std::span<const peer> among) {
  const peer* best = nullptr;
  std::uint64_t best_score = 0, key = hash(object.value());
  for (const auto& p : among) {
    if (may_be_written_by(object, p.who)) return &p;
    auto score = mix(key ^ hash(p.who.value()));
    if (!best || score > best_score) best = &p, best_score = score;
  }
  return best;
}
}  // namespace yaks::peers
