// first_of(a, b): waits until one of the two has ended, by returning or by throwing, cancels and joins the other, and
// rethrows what the first one threw.
//
// Not Asio's `a || b`: that one waits for a success, so that a failure stays hidden until the other side has ended too,
// which may be never.
#pragma once
#include "runtime/runtime.hpp"

namespace yaks {
awaitable<void> first_of(awaitable<void> a, awaitable<void> b);
}  // namespace yaks
