// One macro: code that kernels of several instruction sets share must never be emitted out of line.
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A copy of an inline function compiled for AVX-512 must not be what the linker gives to everyone.
#if defined(__GNUC__)
#  define STROBE_INLINE inline __attribute__((always_inline))
#else
#  define STROBE_INLINE inline
#endif
