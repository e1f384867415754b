// The walks over a description: encode, measure, decode. Included by messages/*.cc only (each instantiates its own
// messages with YAKS_WIRE_MESSAGE); everybody else includes the message.
//
// Spellings, per https://kafka.apache.org/protocol and KIP-482 (flexible versions):
//
//                     classic                     flexible
//   length            int16 text, int32 others    unsigned varint of length + 1
//   null              length -1                   0
//   nullable struct   int8 -1, or 1 and fields    the same
//   after a struct    nothing                     varint count, then (varint tag, varint bytes, value)*
#pragma once
#include <bit>
#include <type_traits>

#include "base/endian.hpp"
#include "base/varint.hpp"
#include "wire/message.hpp"

namespace yaks::wire::codec {

struct shape {
  std::int16_t version;
  bool flexible;
};

// A Kafka string is at most this long in either spelling. Longer text cannot have come from a client (the reader
// refuses it), so only an error message of ours can be cut here.
inline constexpr std::size_t text_bytes_max = std::numeric_limits<std::int16_t>::max();

template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool is_text = std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>;
template <class T>
inline constexpr bool is_octets = std::is_same_v<T, octets> || std::is_same_v<T, octets_view>;
template <class T>
using length_of = std::conditional_t<is_text<T>, std::int16_t, std::int32_t>;

// The writer's twin that only counts.
struct counter {
  measured bytes;
  void put(const void*, std::size_t n) { bytes.inline_bytes += n; }
  void put_records(const record_segments& records) { bytes.record_bytes += records.size(); }
};

// ---- out: the sink is a writer or a counter ----

template <class T, class Sink>
void put(Sink& out, const T& value, shape s, rules r = {});

template <std::integral T>
void put_integer(auto& out, T value) {
  auto wire = big_endian(value);
  out.put(&wire, sizeof wire);
}
void put_uvarint(auto& out, std::uint64_t value) {
  std::byte bytes[varint_bytes_max];
  out.put(bytes, store_uvarint(bytes, value));
}
template <class Wide>
void put_length(auto& out, std::int64_t length, shape s) {
  if (s.flexible)
    put_uvarint(out, std::uint64_t(length + 1));
  else
    put_integer(out, Wide(length));
}

inline shape spelled(shape s, rules r) {
  return {s.version, s.flexible && !r.never_compact};
}

template <class Sink>
struct put_plain {
  Sink& out;
  shape s;
  template <class T>
  void operator()(std::string_view, const T& value, rules r = {}) const {
    if (r.tag < 0 && r.in.has(s.version)) put(out, value, spelled(s, r), r);
  }
};

// A tagged field is sent when it differs from the same place of a fresh message, which is Kafka's rule and not the same
// as differing from T{}: the high watermark of a Fetch defaults to the largest int64, a leader to (-1, -1).
template <described Message>
struct tagged_field {
  const Message& message;
  shape s;
  template <class T>
  bool is_sent(const T& value, rules r) const {
    if (r.tag < 0 || !r.in.has(s.version)) return false;
    static const Message fresh{};
    auto place = reinterpret_cast<const std::byte*>(&value) - reinterpret_cast<const std::byte*>(&message);
    return !(value == *reinterpret_cast<const T*>(reinterpret_cast<const std::byte*>(&fresh) + place));
  }
};
template <described Message>
struct count_tagged : tagged_field<Message> {
  std::uint32_t sent = 0;
  template <class T>
  void operator()(std::string_view, const T& value, rules r = {}) {
    if (r.tag >= 0) sent += this->is_sent(value, r);
  }
};
template <described Message, class Sink>
struct put_tagged : tagged_field<Message> {
  Sink& out;
  template <class T>
  void operator()(std::string_view, const T& value, rules r = {}) const {
    if (r.tag < 0 || !this->is_sent(value, r)) return;
    counter body;
    put(body, value, this->s, r);
    put_uvarint(out, std::uint64_t(r.tag));
    put_uvarint(out, body.bytes.total());
    put(out, value, this->s, r);
  }
};

template <described T, class Sink>
void put_fields(Sink& out, const T& what, shape s) {
  put_plain<Sink> plain{out, s};
  T::describe(what, plain);
  if (!s.flexible) return;
  count_tagged<T> count{{what, s}};
  T::describe(what, count);
  put_uvarint(out, count.sent);
  if (count.sent == 0) return;
  put_tagged<T, Sink> tagged{{what, s}, out};
  T::describe(what, tagged);
}

template <class T, class Sink>
void put(Sink& out, const T& value, shape s, rules r) {
  if constexpr (std::is_same_v<T, bool>)
    put_integer(out, std::uint8_t(value));
  else if constexpr (std::is_enum_v<T>)
    put_integer(out, std::underlying_type_t<T>(value));
  else if constexpr (std::is_integral_v<T>)
    put_integer(out, value);
  else if constexpr (std::is_same_v<T, double>)
    put_integer(out, std::bit_cast<std::uint64_t>(value));
  else if constexpr (std::is_same_v<T, uuid>)
    out.put(value.bytes.data(), value.bytes.size());
  else if constexpr (is_text<T>) {
    auto length = std::min(value.size(), text_bytes_max);
    put_length<std::int16_t>(out, std::int64_t(length), s);
    out.put(value.data(), length);
  } else if constexpr (std::is_same_v<T, blob>) {
    put_length<std::int32_t>(out, std::int64_t(value.bytes.size()), s);
    out.put(value.bytes.data(), value.bytes.size());
  } else if constexpr (is_octets<T>) {
    put_length<std::int32_t>(out, std::int64_t(value.value.size()), s);
    out.put(value.value.data(), value.value.size());
  } else if constexpr (std::is_same_v<T, record_segments>) {
    put_length<std::int32_t>(out, std::int64_t(value.size()), s);
    out.put_records(value);
  } else if constexpr (is_vector<T>) {
    put_length<std::int32_t>(out, std::int64_t(value.size()), s);
    for (const auto& element : value) put(out, element, s);
  } else if constexpr (is_optional<T>) {
    using inner = typename T::value_type;
    bool can_say_null = r.null.has(s.version);
    if constexpr (described<inner>) {
      if (can_say_null) put_integer(out, std::int8_t(value ? 1 : -1));
      if (value || !can_say_null) put(out, value ? *value : inner{}, s);
    } else if (value)
      put(out, *value, s);
    else if (can_say_null)
      put_length<length_of<inner>>(out, -1, s);
    else
      put(out, inner{}, s);  // this version has no null: empty is the nearest
  } else
    put_fields(out, value, s);
}

// ---- in ----

template <class T>
void get(reader& in, T& value, shape s, rules r = {});

template <std::integral T>
T get_integer(reader& in) {
  auto bytes = in.take(sizeof(T));
  return bytes.size() == sizeof(T) ? load_big_endian<T>(bytes.data()) : T{};
}
// At most 32 bits, as every varint of a message.
inline std::uint32_t get_uvarint(reader& in) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 35; shift += 7) {
    auto bits = std::uint64_t(get_integer<std::uint8_t>(in));
    if (!in.ok()) return 0;
    value |= (bits & 0x7f) << shift;
    if (bits >= 0x80) continue;
    if (value <= std::numeric_limits<std::uint32_t>::max()) return std::uint32_t(value);
    break;
  }
  in.fail(fault::bad_varint);
  return 0;
}
// -1 is null.
template <class Wide>
std::int64_t get_length(reader& in, shape s) {
  auto length = s.flexible ? std::int64_t(get_uvarint(in)) - 1 : std::int64_t(get_integer<Wide>(in));
  if (length < -1) in.fail(fault::bad_length);
  return in.ok() ? length : 0;
}

struct get_plain {
  reader& in;
  shape s;
  template <class T>
  void operator()(std::string_view, T& value, rules r = {}) const {
    if (r.tag < 0 && r.in.has(s.version)) get(in, value, spelled(s, r), r);
  }
};
struct get_tagged {
  reader& in;
  shape s;
  std::uint32_t tag;
  bool known = false;
  template <class T>
  void operator()(std::string_view, T& value, rules r = {}) {
    if (r.tag < 0 || std::uint32_t(r.tag) != tag || !r.in.has(s.version)) return;
    known = true;
    get(in, value, s, r);
  }
};

template <described T>
void get_fields(reader& in, T& what, shape s) {
  get_plain plain{in, s};
  T::describe(what, plain);
  if (!s.flexible) return;
  // The count needs no check: each field takes at least two bytes, so the input ends first.
  for (auto fields = get_uvarint(in); fields > 0 && in.ok(); --fields) {
    auto tag = get_uvarint(in);
    auto bytes = get_uvarint(in);
    in.within(bytes, [&] {
      get_tagged tagged{in, s, tag};
      T::describe(what, tagged);
      if (!tagged.known) in.take(in.left().size());  // of a newer peer: skipped, not refused (KIP-482)
    });
  }
}

// The fewest bytes a T takes: those of a fresh one, which has no tagged fields and only empty or null text and lists.
template <class T>
std::size_t bytes_min(shape s) {
  counter count;
  put(count, T{}, s);
  return std::max<std::size_t>(count.bytes.total(), 1);
}

template <class T>
void get_elements(reader& in, std::vector<T>& value, std::size_t length, shape s) {
  // A longer list cannot be in what is left: a lie, found before anything is allocated for it.
  if (length > in.left().size() / bytes_min<T>(s)) return in.fail(fault::bad_length);
  value.clear();
  if (length == 0 || !in.charge(length * sizeof(T) + 32)) return;  // 32: what an allocation costs besides
  value.reserve(length);
  for (; length > 0 && in.ok(); --length) get(in, value.emplace_back(), s);
}

template <class T>
void get_sized(reader& in, T& value, std::size_t length, shape s) {
  if constexpr (is_vector<T>)
    return get_elements(in, value, length, s);
  else {
    if (length > in.left().size() || (is_text<T> && length > text_bytes_max)) return in.fail(fault::bad_length);
    if constexpr (std::is_same_v<T, blob>)
      value.bytes = in.take(length);
    else if constexpr (std::is_same_v<T, octets_view>)
      value.value = as_text(in.take(length));
    else if constexpr (std::is_same_v<T, octets>) {
      if (in.charge(length)) value.value = as_text(in.take(length));
    } else if constexpr (std::is_same_v<T, record_segments>) {
      value.parts.clear();
      if (length > 0 && in.charge(length)) value.parts.push_back(shared_bytes::copy_of(in.take(length)));
    } else
      value = T(as_text(in.take(length)));
  }
}

template <class T>
void get(reader& in, T& value, shape s, rules r) {
  if constexpr (std::is_same_v<T, bool>)
    value = get_integer<std::uint8_t>(in) != 0;
  else if constexpr (std::is_enum_v<T>)
    value = T(get_integer<std::underlying_type_t<T>>(in));
  else if constexpr (std::is_integral_v<T>)
    value = get_integer<T>(in);
  else if constexpr (std::is_same_v<T, double>)
    value = std::bit_cast<double>(get_integer<std::uint64_t>(in));
  else if constexpr (std::is_same_v<T, uuid>) {
    if (auto bytes = in.take(value.bytes.size()); in.ok()) std::memcpy(value.bytes.data(), bytes.data(), bytes.size());
  } else if constexpr (described<T>)
    get_fields(in, value, s);
  else if constexpr (is_optional<T>) {
    using inner = typename T::value_type;
    bool can_say_null = r.null.has(s.version);
    if constexpr (described<inner>) {
      if (!can_say_null || get_integer<std::int8_t>(in) >= 0) return get_fields(in, value.emplace(inner{}), s);
    } else if (auto length = get_length<length_of<inner>>(in, s); length >= 0)
      return get_sized(in, value.emplace(), std::size_t(length), s);
    value.reset();
    if (!can_say_null) in.fail(fault::unexpected_null);
  } else {
    auto length = get_length<length_of<T>>(in, s);
    if (length < 0) return in.fail(fault::unexpected_null);
    get_sized(in, value, std::size_t(length), s);
  }
}

template <message T>
shape shape_of(std::int16_t version) {
  return {version, T::flexible.has(version)};
}
}  // namespace yaks::wire::codec

namespace yaks::wire {

template <message T>
measured measure(const T& what, std::int16_t version) {
  YAKS_CHECK(T::valid.has(version), "a message was measured for a version that it does not have");
  codec::counter count;
  codec::put_fields(count, what, codec::shape_of<T>(version));
  return count.bytes;
}

template <message T>
void encode(writer& out, std::int16_t version, const T& what) {
  YAKS_CHECK(T::valid.has(version), "a message was encoded in a version that it does not have");
  codec::put_fields(out, what, codec::shape_of<T>(version));
}

template <message T>
fault decode(reader& in, std::int16_t version, T& what) {
  what = T{};
  if (T::valid.has(version))
    codec::get_fields(in, what, codec::shape_of<T>(version));
  else
    in.fail(fault::unsupported_version);
  return in.why();
}
}  // namespace yaks::wire

// Instantiates the codec of a message; once, in its .cc, inside namespace yaks::wire.
#define YAKS_WIRE_MESSAGE(T)                             \
  template measured measure(const T&, std::int16_t);     \
  template void encode(writer&, std::int16_t, const T&); \
  template fault decode(reader&, std::int16_t, T&)

// The same for both halves of an API, which must agree with the table in wire/api.hpp.
#define YAKS_WIRE_API(name)                                                                     \
  static_assert(name##_request::api == api_key::name && name##_response::api == api_key::name); \
  static_assert(name##_request::valid == name##_response::valid);                               \
  static_assert(name##_request::flexible == name##_response::flexible);                         \
  static_assert(find_api(api_key::name)->flexible_since == name##_request::flexible.first);     \
  static_assert(name##_request::valid.has(find_api(api_key::name)->served.first) &&             \
                name##_request::valid.has(find_api(api_key::name)->served.last));               \
  YAKS_WIRE_MESSAGE(name##_request);                                                            \
  YAKS_WIRE_MESSAGE(name##_response)
