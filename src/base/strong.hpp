// strong<Tag, Rep>: a number or id that does not mix with others of the same representation. Conversions are explicit;
// arithmetic exists only where the tag asks for it (struct offset_tag { static constexpr bool is_countable = true; };).
#pragma once
#include <compare>
#include <cstddef>
#include <functional>

namespace yaks {
template <class Tag, class Rep>
class strong {
 public:
  using representation = Rep;
  constexpr strong() = default;
  constexpr explicit strong(Rep value) : value_(value) {}
  constexpr const Rep& value() const { return value_; }
  constexpr auto operator<=>(const strong&) const = default;

  // Countable: the difference of two is a Rep, and a Rep can be added.
  constexpr strong operator+(Rep n) const requires(Tag::is_countable) { return strong(Rep(value_ + n)); }
  constexpr strong operator-(Rep n) const requires(Tag::is_countable) { return strong(Rep(value_ - n)); }
  constexpr Rep operator-(strong other) const requires(Tag::is_countable) { return Rep(value_ - other.value_); }
  constexpr strong& operator+=(Rep n) requires(Tag::is_countable) { value_ = Rep(value_ + n); return *this; }
  constexpr strong& operator++() requires(Tag::is_countable) { ++value_; return *this; }

 private:
  Rep value_{};
};
}  // namespace yaks

template <class Tag, class Rep>
struct std::hash<yaks::strong<Tag, Rep>> {
  std::size_t operator()(const yaks::strong<Tag, Rep>& s) const noexcept { return std::hash<Rep>{}(s.value()); }
};
