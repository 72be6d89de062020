// Vectors of four and eight lanes on x86: for score tiles of fewer rows than a vector has lanes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "semantics/inline.hpp"

namespace strobe::cpu::STROBE_ISA {

struct FourF32 {
  using Vec = __m128;
  static STROBE_INLINE Vec zero() { return _mm_setzero_ps(); }
  static STROBE_INLINE Vec load(const void* p) { return _mm_load_ps(static_cast<const float*>(p)); }
  static STROBE_INLINE void store(void* p, Vec x) { _mm_store_ps(static_cast<float*>(p), x); }
  static STROBE_INLINE Vec broadcast(const std::uint32_t* p) {
    return _mm_set1_ps(*reinterpret_cast<const float*>(p));
  }
  static STROBE_INLINE Vec add(Vec a, Vec b) { return _mm_add_ps(a, b); }
  static STROBE_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm_fmadd_ps(a, b, c); }
};

struct EightF32 {
  using Vec = __m256;
  static STROBE_INLINE Vec zero() { return _mm256_setzero_ps(); }
  static STROBE_INLINE Vec load(const void* p) {
    return _mm256_load_ps(static_cast<const float*>(p));
  }
  static STROBE_INLINE void store(void* p, Vec x) { _mm256_store_ps(static_cast<float*>(p), x); }
  static STROBE_INLINE Vec broadcast(const std::uint32_t* p) {
    return _mm256_set1_ps(*reinterpret_cast<const float*>(p));
  }
  static STROBE_INLINE Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
  static STROBE_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
};

struct FourF64 {
  using Vec = __m256d;
  static STROBE_INLINE Vec zero() { return _mm256_setzero_pd(); }
  static STROBE_INLINE Vec load(const void* p) {
    return _mm256_load_pd(static_cast<const double*>(p));
  }
  static STROBE_INLINE void store(void* p, Vec x) { _mm256_store_pd(static_cast<double*>(p), x); }
  static STROBE_INLINE Vec broadcast(const std::uint64_t* p) {
    return _mm256_set1_pd(*reinterpret_cast<const double*>(p));
  }
  static STROBE_INLINE Vec add(Vec a, Vec b) { return _mm256_add_pd(a, b); }
  static STROBE_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_pd(a, b, c); }
};

}  // namespace strobe::cpu::STROBE_ISA
