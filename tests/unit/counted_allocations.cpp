#include "tests/unit/counted_allocations.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

#include <openssl/crypto.h>

namespace {

std::atomic<std::uint64_t> allocation_count{0};
std::atomic<std::uint64_t> byte_count{0};

void* counted(void* memory, std::size_t size) {
  if (memory == nullptr) std::abort();
  ++allocation_count;
  byte_count += size;
  return memory;
}

void* aligned(std::size_t size, std::align_val_t alignment) {
  const auto unit = static_cast<std::size_t>(alignment);
  const std::size_t rounded = (size + unit - 1) / unit * unit;
  return counted(std::aligned_alloc(unit, rounded), rounded);
}

void* openssl_malloc(std::size_t size, const char*, int) {
  return counted(std::malloc(size), size);
}
void* openssl_realloc(void* memory, std::size_t size, const char*, int) {
  return counted(std::realloc(memory, size), size);
}
void openssl_free(void* memory, const char*, int) {
  std::free(memory);
}
const bool openssl_accepted =
    CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) == 1;

}  // namespace

// All forms, because a sanitizer has its own of those that a program leaves alone.
void* operator new(std::size_t size) {
  return counted(std::malloc(size), size);
}
void* operator new[](std::size_t size) {
  return counted(std::malloc(size), size);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return counted(std::malloc(size), size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return counted(std::malloc(size), size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return aligned(size, alignment);
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return aligned(size, alignment);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

namespace ringway::testing_support {

std::uint64_t allocations() {
  return allocation_count;
}
std::uint64_t allocated_bytes() {
  return byte_count;
}
bool openssl_is_counted() {
  return openssl_accepted;
}

}  // namespace ringway::testing_support
