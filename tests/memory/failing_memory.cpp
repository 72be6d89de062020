// Lets one allocation of this program fail, or all from one on; and counts those that are alive.
// SPDX-License-Identifier: Apache-2.0
#include "failing_memory.hpp"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <new>

// Sanitizers bring their own malloc; and the build for aarch64 is linked statically, where malloc
// cannot be replaced.
#if defined(__has_feature)
#  if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#    define STROBE_SANITIZED 1
#  endif
#endif
#if defined(__GLIBC__) && defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__) && !defined(STROBE_SANITIZED)
#  define STROBE_REPLACES_MALLOC 1
#endif

namespace {

std::atomic<long> live{0};
std::atomic<long> left{-1};  // allocations that succeed before the next fails; -1: none fails
std::atomic<bool> for_good{false};
std::atomic<bool> failed{false};

/// Counts one allocation down; is it the one to fail?
bool is_to_fail() {
  if (left.load() < 0) return false;
  if (left.load() > 0 && left.fetch_sub(1) > 0) return false;
  if (!for_good) left = -1;
  failed = true;
  return true;
}

void* counted(void* memory) {
  if (memory != nullptr) ++live;
  return memory;
}

}  // namespace

namespace strobe::testing {

FailingMemory::FailingMemory(long nth, Fails fails) {
  failed = false;
  for_good = fails == Fails::from_then_on;
  left = nth - 1;
}
FailingMemory::~FailingMemory() { left = -1; }
bool FailingMemory::happened() { return failed; }

long live_allocations() { return live; }

}  // namespace strobe::testing

#if defined(STROBE_REPLACES_MALLOC)
bool strobe::testing::replaces_malloc() { return true; }

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

static void* refused() {
  errno = ENOMEM;
  return nullptr;
}
void* malloc(std::size_t bytes) { return is_to_fail() ? refused() : counted(__libc_malloc(bytes)); }
void* calloc(std::size_t count, std::size_t bytes) {
  return is_to_fail() ? refused() : counted(__libc_calloc(count, bytes));
}
void* realloc(void* old, std::size_t bytes) {
  if (is_to_fail()) return refused();
  return old == nullptr ? counted(__libc_malloc(bytes)) : __libc_realloc(old, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  return is_to_fail() ? refused() : counted(__libc_memalign(alignment, bytes));
}
void free(void* memory) {
  if (memory != nullptr) --live;
  __libc_free(memory);
}
}

namespace {
void* allocate(std::size_t bytes) { return std::malloc(bytes > 0 ? bytes : 1); }
void release(void* memory) { std::free(memory); }
}  // namespace
#else
bool strobe::testing::replaces_malloc() { return false; }

namespace {
void* allocate(std::size_t bytes) {
  return is_to_fail() ? nullptr : counted(std::malloc(bytes > 0 ? bytes : 1));
}
void release(void* memory) {
  if (memory != nullptr) --live;
  std::free(memory);
}
}  // namespace
#endif

void* operator new(std::size_t bytes) {
  if (void* const memory = allocate(bytes)) return memory;
  throw std::bad_alloc();
}
void* operator new[](std::size_t bytes) { return operator new(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { release(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { release(memory); }
