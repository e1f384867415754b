// The vocabulary of Kafka messages: a message is a plain struct that describes its fields once (name, versions, who may
// be null, tag), and everything else walks that description: encoder, decoder, size counter, comparison with Kafka's
// own field lists. The walks live in wire/codec.hpp and are instantiated once, in the .cc of the message, so including
// a message is cheap.
//
// Pure: no I/O, no clock, no threads. Values may be moved between threads, nothing here locks.
//
// Ownership: a *request* borrows. Its text (std::string_view) and its record bytes (blob) point into the frame that it
// was decoded from, which must outlive it; that makes decoding a Produce cost one allocation per topic and none per
// record. A *response* owns its text and shares its record bytes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "base/uuid.hpp"
#include "wire/api.hpp"
#include "wire/error_code.hpp"

namespace yaks::wire {

// ---- what a field says about itself ----

inline constexpr versions every{0, std::numeric_limits<std::int16_t>::max()};
constexpr versions since(std::int16_t version) {
  return {version, every.last};
}
constexpr versions until(std::int16_t version) {
  return {0, version};
}
constexpr versions only(std::int16_t version) {
  return {version, version};
}

struct rules {
  versions in = every;         // on the wire in these versions; in others the field keeps its default
  versions null = every;       // std::optional only: versions that can spell null
  int tag = -1;                // >= 0: a tagged field (KIP-482), left out when it equals what a fresh message has there
  bool never_compact = false;  // keeps the int16 length in flexible versions: client_id alone does
};

// A described struct T has
//   static constexpr bool is_described = true;
//   static constexpr void describe(auto& m, auto& field) { field("Name", m.name, {.in = since(1)}); … }
// with the fields in wire order under Kafka's names. A whole message also has
//   static constexpr versions valid, flexible;   // of the request or response
//   static constexpr api_key api;                // not on headers
template <class T>
concept described = T::is_described;
template <class T>
concept message = described<T> && requires { T::valid, T::flexible; };

// Bytes of a request, borrowed from its frame. Equal when the bytes are.
struct blob {
  byte_view bytes;
  bool operator==(const blob& other) const { return as_text(bytes) == as_text(other.bytes); }
};

// Bytes that we pass on unread: those of a request point into its frame, those of a response are its own.
struct octets_view {
  std::string_view value;
  bool operator==(const octets_view&) const = default;
};
struct octets {
  std::string value;
  bool operator==(const octets&) const = default;
};

// Record batches of a Fetch response: slices that are sent as they lie, one after the other, never copied.
struct record_segments {
  std::vector<shared_bytes> parts;

  std::size_t size() const {
    std::size_t bytes = 0;
    for (const auto& part : parts) bytes += part.size();
    return bytes;
  }
  bool empty() const { return size() == 0; }
  bool operator==(const record_segments& other) const;  // by content; for tests
};

// ---- bytes in ----

enum class fault : std::uint8_t {
  none,
  short_input,          // the frame ends inside a field
  bad_length,           // a length below -1, past the end, or a string above 32767 bytes
  bad_varint,           // more than 32 bits
  unexpected_null,      // null where this version cannot say null
  over_budget,          // small on the wire, but its elements would take too much memory
  unsupported_version,  // outside the message's valid versions
};
std::string_view name(fault why);

// Reads the front of a frame. The first fault sticks: later reads yield zeroes and nothing, so callers look once, at
// the end.
//
// What decoding may allocate is bounded by the frame. A count that cannot be in what is left is refused before anything
// is allocated for it; and since an element can be some 20 times bigger in memory than on the wire (an empty topic name
// takes two bytes), lists are charged against a budget. It lets 100,000 topics of one partition pass in any request
// (the worst, Fetch 3, takes 15 MB); a frame of 100 MB, which can honestly only be a Produce, gets twice its own size.
class reader {
 public:
  static constexpr std::size_t budget_floor_bytes = std::size_t{16} << 20;
  static constexpr std::size_t budget_per_frame_byte = 2;

  explicit reader(byte_view frame)
      : left_(frame), budget_bytes_(budget_floor_bytes + budget_per_frame_byte * frame.size()) {}

  bool ok() const { return why_ == fault::none; }
  fault why() const { return why_; }
  byte_view left() const { return left_; }

  void fail(fault why) {
    if (ok()) why_ = why;
    left_ = {};
  }
  byte_view take(std::size_t bytes) {
    if (bytes > left_.size()) {
      fail(fault::short_input);
      return {};
    }
    auto front = left_.first(bytes);
    left_ = left_.subspan(bytes);
    return front;
  }
  // Asks for memory before it is allocated; false, and failed, when the frame does not justify it.
  bool charge(std::size_t bytes) {
    if (bytes > budget_bytes_) {
      fail(fault::over_budget);
      return false;
    }
    budget_bytes_ -= bytes;
    return true;
  }
  // Reads a part of the frame with the same budget, and takes over its fault; leftover bytes are a bad_length.
  template <class Read>
  void within(std::size_t bytes, Read&& read) {
    auto front = take(bytes);
    if (!ok()) return;
    auto after = left_;
    left_ = front;
    read();
    if (ok() && !left_.empty()) fail(fault::bad_length);
    if (ok()) left_ = after;
  }

 private:
  byte_view left_;
  std::size_t budget_bytes_;
  fault why_ = fault::none;
};

// ---- bytes out ----

// Record bytes that belong at a place of the encoded message without being copied there.
struct splice {
  std::size_t at;  // bytes encoded before it
  const record_segments* records;
};

// Writes into memory of exactly the measured size. With a splice list, record segments are noted there instead of
// copied.
class writer {
 public:
  explicit writer(mutable_byte_view to, std::vector<splice>* splices = nullptr)
      : begin_(to.data()), at_(to.data()), end_(to.data() + to.size()), splices_(splices) {}

  std::byte* claim(std::size_t bytes) {
    YAKS_CHECK(bytes <= std::size_t(end_ - at_), "a message was encoded into less memory than it was measured for");
    auto* here = at_;
    at_ += bytes;
    return here;
  }
  void put(const void* from, std::size_t bytes) {
    auto* here = claim(bytes);
    if (bytes > 0) std::memcpy(here, from, bytes);
  }
  void put_records(const record_segments& records) {
    if (splices_ != nullptr) return splices_->push_back({written(), &records});
    for (const auto& part : records.parts) put(part.data(), part.size());
  }
  std::size_t written() const { return std::size_t(at_ - begin_); }
  bool full() const { return at_ == end_; }

 private:
  std::byte* begin_;
  std::byte* at_;
  std::byte* end_;
  std::vector<splice>* splices_;
};

struct measured {
  std::size_t inline_bytes = 0;  // what an encoder with a splice list writes
  std::size_t record_bytes = 0;  // what it leaves out
  std::size_t total() const { return inline_bytes + record_bytes; }
};

// ---- the three uses; instantiated in the .cc of each message ----
// `version` must be valid for the message where bytes are written (a bug otherwise); a decoder reports it.

template <message T>
measured measure(const T& what, std::int16_t version);

template <message T>
void encode(writer& out, std::int16_t version, const T& what);

// Overwrites `what`. Bytes after the message are left in the reader: brokers have always tolerated them.
template <message T>
[[nodiscard]] fault decode(reader& in, std::int16_t version, T& what);

}  // namespace yaks::wire
