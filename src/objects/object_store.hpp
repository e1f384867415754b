// Immutable objects under unique keys: what yaks needs of S3, and no more.
#pragma once
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "runtime/runtime.hpp"

namespace yaks {
enum class object_error {
  not_found,    // no object of that key (or the range lies outside it)
  unavailable,  // surely not done: refused, not connected, 5xx before the body was taken. Trying again is right.
  slow_down,    // 503: as unavailable, and the store asks for less
  unknown,      // the request went out and its answer is lost: a PUT may have happened, or may still happen
  corrupt,      // the store refused the bytes for their checksum, or what came back does not match it
  denied,       // credentials, bucket or policy: trying again does not help until somebody changes something
};
std::string_view name(object_error error);

// What every store takes as a key: components between single slashes, none of them empty, "." or "..", of at most 255
// bytes, no control characters or backslashes, 1,024 bytes in all. And never a key that is a folder of another one ("a"
// and "a/b"): on several S3 servers one of them hides the other. Other keys are a bug of the caller.
bool is_object_key(std::string_view key);

// A store that cannot be opened, with a sentence for the operator that says what to do.
class object_store_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct object_info {
  std::string key;
  std::uint64_t bytes = 0;
};

// Bytes of an object, one piece after the other: what is not asked for yet takes no memory and holds nobody up. One
// reader; must not outlive its store. It may be let go of at any byte.
class object_stream {
 public:
  virtual ~object_stream() = default;
  // The next `bytes`, exactly; never more in all than the stream was made for. After a failure it is of no more use:
  // make another one from where this one ended. Nothing is repeated here.
  virtual awaitable<result<shared_bytes, object_error>> next(std::uint64_t bytes, time_point deadline) = 0;
};

// Failures that an operator must see are logged by the implementation, with a sentence, at most once every few seconds.
// All calls may run concurrently. Implementations retry what is worth it within the deadline that they are given and
// bound what they have in flight; what still fails after that is answered.
class object_store {
 public:
  virtual ~object_store() = default;
  // Stores the segments as one object. `crc32c` is of all bytes and travels with them, so that a body that is cut short
  // or changed on the way never becomes an object. Repeating a put of the same key with the same bytes is harmless.
  virtual awaitable<result<void, object_error>> put(std::string key, std::vector<shared_bytes> body,
                                                    std::uint32_t crc32c, time_point deadline) = 0;
  // Exactly bytes [position, position + bytes).
  virtual awaitable<result<shared_bytes, object_error>> get(std::string key, std::uint64_t position,
                                                            std::uint64_t bytes, time_point deadline) = 0;
  // The same, to be taken in pieces, however slowly: one request of those that the store charges for. Where a store
  // cannot do that, each piece is a get.
  virtual awaitable<result<std::unique_ptr<object_stream>, object_error>> stream(std::string key,
                                                                                 std::uint64_t position,
                                                                                 std::uint64_t bytes,
                                                                                 time_point deadline);
  // Every key that begins with `prefix`, in no order. For tests and upkeep.
  virtual awaitable<result<std::vector<object_info>, object_error>> list(std::string prefix, time_point deadline) = 0;
  // Keys that are not there are fine. At most 1,000 at a time.
  virtual awaitable<result<void, object_error>> remove(std::vector<std::string> keys, time_point deadline) = 0;
};
}  // namespace yaks
