// What agents say to each other: ranges of one object, asked for over HTTP.
//
//   GET /range?object=UUID&at=POSITION.BYTES.BASE_OFFSET.RECORDS[.APPEND_TIME]&at=…     x-yaks-secret: …
//   200   the ranges' bytes, one after the other, in the order of the question; offsets and append times are already the log's
//   102   first, where the bytes are not in memory and the object store is being asked
//   403   wrong secret    503   cannot be had here: ask the object store
//
// Whoever asks checks the bytes as if they came from the object store. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "model/ids.hpp"
#include "runtime/runtime.hpp"

namespace yaks::peers {
inline constexpr std::string_view range_path = "/range";
inline constexpr std::string_view secret_header = "x-yaks-secret";
// In one question: 256 of them are at most 20 KiB of text.
inline constexpr std::size_t ranges_max = 256;
inline constexpr std::uint64_t answer_bytes_max = std::uint64_t(32) << 20;
inline constexpr std::size_t head_bytes_max = std::size_t(32) << 10;

struct wanted_range {
  std::uint32_t position = 0, bytes = 0;  // in the object
  offset base_offset;
  std::uint32_t records = 0;
  std::optional<timestamp_ms> append_time = {};  // of records that have the time at which they were stored
  bool operator==(const wanted_range&) const = default;
};
struct question {
  object_id object;
  std::vector<wanted_range> ranges;
  std::uint64_t bytes() const;
  bool operator==(const question&) const = default;
};

// Path and query.
std::string target_of(const question& q);
// Nothing where it is not well formed or asks for more than the limits above.
std::optional<question> parse_query(std::string_view query);
// Takes as long for a wrong secret as for the right one. An empty secret matches nothing.
bool secrets_match(std::string_view given, std::string_view right);

// Where an agent takes what its peers ask for.
class range_source {
 public:
  virtual ~range_source() = default;
  // The bytes of all ranges, in order, where all of them are in memory.
  virtual std::optional<std::vector<shared_bytes>> in_memory(const question& q) = 0;
  // The same from the object store where need be, never from another peer: two that took each other for the owner would
  // wait for each other.
  virtual awaitable<std::optional<std::vector<shared_bytes>>> load(question q) = 0;
};
}  // namespace yaks::peers
