// Assertions for bugs, never for input. CHECK is always on and stands at module edges; DCHECK is
// compiled out of release builds and may stand on the packet path. Both abort: a node that has lost
// its invariants must not keep forwarding.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace ringway::detail {
[[noreturn]] inline void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, expression);
  std::abort();
}
}  // namespace ringway::detail

#define CHECK(expression)        \
  (static_cast<bool>(expression) \
       ? static_cast<void>(0)    \
       : ::ringway::detail::check_failed(#expression, __FILE__, __LINE__))

#ifdef NDEBUG
#define DCHECK(expression) static_cast<void>(sizeof(static_cast<bool>(expression)))
#else
#define DCHECK(expression) CHECK(expression)
#endif
