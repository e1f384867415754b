// A range with the name of its object, so that it stays readable while the state moves on.
#pragma once
#include "cache/block_cache.hpp"
#include "metadata/state.hpp"

namespace yaks::fetch {
struct located_range {
  object_id object;
  metadata::range range;
  range_key key() const { return {object, range.position}; }
  std::uint64_t begin() const { return range.position; }
  std::uint64_t end() const { return std::uint64_t(range.position) + range.bytes; }  // in the object
  bool continues(const located_range& before) const { return object == before.object && begin() == before.end(); }
};
}  // namespace yaks::fetch
