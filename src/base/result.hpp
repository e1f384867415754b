// result<T, E>: an outcome that the caller must look at. For what is expected to happen (a key that is not there, a store
// that is away); bugs are YAKS_CHECK, cancelled or broken I/O is an exception.
#pragma once
#include <expected>

namespace yaks {
template <class T, class E>
using result = std::expected<T, E>;

template <class E>
[[nodiscard]] constexpr std::unexpected<std::decay_t<E>> failure(E&& error) {
  return std::unexpected<std::decay_t<E>>(std::forward<E>(error));
}
}  // namespace yaks
