// Counts every allocation that a test program makes through C++ or OpenSSL: link
// counted_allocations.cpp and compare before and after.
#pragma once

#include <cstdint>

namespace ringway::testing_support {

[[nodiscard]] std::uint64_t allocations();
[[nodiscard]] std::uint64_t allocated_bytes();
// OpenSSL takes another allocator only before its first allocation.
[[nodiscard]] bool openssl_is_counted();

}  // namespace ringway::testing_support
