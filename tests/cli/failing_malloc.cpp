// Preloaded into the tool: the allocation whose number STROBE_TEST_FAILS holds fails, or with a
// minus before it all from that one on.
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
}

namespace {

/// Counted from the program's own start on: what the loader and the C++ library take before main is
/// theirs to lose.
std::atomic<bool> counting{false};
std::atomic<long> count{0};
long fails = 0;

bool is_to_fail() {
  if (!counting) return false;
  const long nth = ++count;
  const bool fail = fails > 0 ? nth == fails : fails < 0 && nth >= -fails;
  if (fail) errno = ENOMEM;
  return fail;
}

}  // namespace

extern "C" {
void* malloc(std::size_t bytes) { return is_to_fail() ? nullptr : __libc_malloc(bytes); }
void* calloc(std::size_t many, std::size_t bytes) {
  return is_to_fail() ? nullptr : __libc_calloc(many, bytes);
}
void* realloc(void* old, std::size_t bytes) {
  return is_to_fail() ? nullptr : __libc_realloc(old, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  return is_to_fail() ? nullptr : __libc_memalign(alignment, bytes);
}

using Main = int (*)(int, char**, char**);
static Main program = nullptr;
static int counted_main(int argc, char** argv, char** environment) {
  const char* const number = std::getenv("STROBE_TEST_FAILS");
  fails = number != nullptr ? std::strtol(number, nullptr, 10) : 0;
  counting = true;
  const int status = program(argc, argv, environment);
  counting = false;
  return status;
}

using Start = int (*)(Main, int, char**, void (*)(), void (*)(), void (*)(), void*);
int __libc_start_main(Main main, int argc, char** argv, void (*init)(), void (*fini)(),
                      void (*loader_fini)(), void* stack_end) {
  program = main;
  const auto start = reinterpret_cast<Start>(dlsym(RTLD_NEXT, "__libc_start_main"));
  return start(counted_main, argc, argv, init, fini, loader_fini, stack_end);
}
}
