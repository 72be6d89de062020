// AVX2 with FMA: the operations that the kernels are written in, 4 lanes of f64.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstdint>

#include "cpu/simd/exp2_f64.hpp"
#include "semantics/inline.hpp"

namespace strobe::cpu::STROBE_ISA {

struct Simd64 {
  static constexpr int kLanes = 4;
  static constexpr int kGroups = 3;        // 4 x 3 sums, 3 queries and a key: 16 registers
  static constexpr bool kOverlap = false;  // as in f32
  static constexpr bool kHasDot = false;

  using Vec = __m256d;
  using Bits = __m256i;  // -1 or 0 a lane
  using Real = double;
  using Word = std::uint64_t;
  using Constants = Exp2ConstantsF64<kLanes>;
  static constexpr Real kHuge = 0.5e308;

  static constexpr int kLeastRows = kLanes;  // score tiles of few rows have a whole vector
  template <int>
  using Few = Simd64;

  static STROBE_INLINE Vec zero() { return _mm256_setzero_pd(); }
  static STROBE_INLINE Vec set(double x) { return _mm256_set1_pd(x); }
  static STROBE_INLINE Vec load(const void* p) {
    return _mm256_load_pd(static_cast<const double*>(p));
  }
  static STROBE_INLINE void store(void* p, Vec x) { _mm256_store_pd(static_cast<double*>(p), x); }
  static STROBE_INLINE Vec broadcast(const std::uint64_t* p) {
    return _mm256_broadcast_sd(reinterpret_cast<const double*>(p));
  }
  /// Keeps a loaded vector in its register: gcc 12 otherwise folds one load into several FMAs.
  static STROBE_INLINE Vec keep(Vec x) {
    asm("" : "+x"(x));
    return x;
  }

  static STROBE_INLINE Vec add(Vec a, Vec b) { return _mm256_add_pd(a, b); }
  static STROBE_INLINE Vec sub(Vec a, Vec b) { return _mm256_sub_pd(a, b); }
  static STROBE_INLINE Vec mul(Vec a, Vec b) { return _mm256_mul_pd(a, b); }
  static STROBE_INLINE Vec div(Vec a, Vec b) { return _mm256_div_pd(a, b); }
  static STROBE_INLINE Vec max(Vec a, Vec b) { return _mm256_max_pd(a, b); }
  static STROBE_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_pd(a, b, c); }

  static STROBE_INLINE Bits greater(Vec a, Vec b) {
    return _mm256_castpd_si256(_mm256_cmp_pd(a, b, _CMP_GT_OQ));
  }
  static STROBE_INLINE Bits equal(Vec a, Vec b) {
    return _mm256_castpd_si256(_mm256_cmp_pd(a, b, _CMP_EQ_OQ));
  }
  static STROBE_INLINE bool any(Bits bits) {
    return _mm256_movemask_pd(_mm256_castsi256_pd(bits)) != 0;
  }
  static STROBE_INLINE Bits either(Bits a, Bits b) { return _mm256_or_si256(a, b); }
  /// Lanes of a where the bits are set, of b elsewhere.
  static STROBE_INLINE Vec select(Bits bits, Vec a, Vec b) {
    return _mm256_blendv_pd(b, a, _mm256_castsi256_pd(bits));
  }
  /// Which of kLanes bytes are not 0.
  static STROBE_INLINE Bits nonzero(const std::uint8_t* p) {
    const __m256i bytes = _mm256_setr_epi64x(p[0], p[1], p[2], p[3]);
    return _mm256_cmpgt_epi64(bytes, _mm256_setzero_si256());
  }
  /// begin[lane] <= x < end[lane]
  static STROBE_INLINE Bits between(const std::int32_t* begin, std::int32_t x,
                                    const std::int32_t* end) {
    const __m128i value = _mm_set1_epi32(x);
    const __m128i before = _mm_cmpgt_epi32(load_words(begin), value);
    return _mm256_cvtepi32_epi64(_mm_andnot_si128(before, _mm_cmpgt_epi32(load_words(end), value)));
  }

  /// Up to 4 elements; the lanes past `count` are 0 and their memory is not touched.
  static STROBE_INLINE Vec load_row(const double* p, int count) {
    return count >= kLanes ? _mm256_loadu_pd(p) : _mm256_maskload_pd(p, first(count));
  }
  static STROBE_INLINE Vec load_row(const float* p, int count) {
    return _mm256_cvtps_pd(count >= kLanes ? _mm_loadu_ps(p)
                                           : _mm_maskload_ps(p, first_words(count)));
  }
  static STROBE_INLINE void store_row(double* p, Vec x, int count) {
    if (count >= kLanes)
      _mm256_storeu_pd(p, x);
    else
      _mm256_maskstore_pd(p, first(count), x);
  }
  static STROBE_INLINE void store_row(float* p, Vec x, int count) {
    if (count >= kLanes)
      _mm_storeu_ps(p, _mm256_cvtpd_ps(x));
    else
      _mm_maskstore_ps(p, first_words(count), _mm256_cvtpd_ps(x));
  }
  /// Does any lane hold NaN or infinity?
  static STROBE_INLINE bool nonfinite(Vec x) {
    return _mm256_movemask_pd(_mm256_cmp_pd(sub(x, x), zero(), _CMP_NEQ_UQ)) != 0;
  }

  static STROBE_INLINE void prefetch(const void* p) {
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
  }

  static STROBE_INLINE const Constants* exp2_constants() { return &kExp2F64<kLanes>; }
  static STROBE_INLINE Vec exp2(Vec x, const Constants* c) { return exp2_f64<Simd64>(x, c); }
  static STROBE_INLINE Vec exp2_exact_one(Vec x) { return exp2(x, exp2_constants()); }
  static STROBE_INLINE Vec exp2_less_one(Vec x) { return exp2_less_one_f64<Simd64>(x); }
  /// 2^n, of n + 1.5 * 2^52; 0 for n = -1023.
  static STROBE_INLINE Vec power(Vec shifted) {
    const __m256i exponent = _mm256_slli_epi64(_mm256_castpd_si256(shifted), 52);
    return _mm256_castsi256_pd(_mm256_add_epi64(exponent, _mm256_castpd_si256(set(1))));
  }
  /// Once for each row of the output.
  static STROBE_INLINE Vec log2(Vec x) {
    alignas(32) double lane[kLanes];
    store(lane, x);
    for (double& value : lane) value = ::log2(value);
    return load(lane);
  }

  /// r[i][j] <- r[j][i], 4 x 4
  static STROBE_INLINE void transpose(Vec* r) {
    const Vec a = _mm256_unpacklo_pd(r[0], r[1]), b = _mm256_unpackhi_pd(r[0], r[1]);
    const Vec c = _mm256_unpacklo_pd(r[2], r[3]), d = _mm256_unpackhi_pd(r[2], r[3]);
    r[0] = _mm256_permute2f128_pd(a, c, 0x20);
    r[1] = _mm256_permute2f128_pd(b, d, 0x20);
    r[2] = _mm256_permute2f128_pd(a, c, 0x31);
    r[3] = _mm256_permute2f128_pd(b, d, 0x31);
  }

 private:
  static STROBE_INLINE __m128i load_words(const std::int32_t* p) {
    return _mm_load_si128(reinterpret_cast<const __m128i*>(p));
  }
  static STROBE_INLINE __m128i first_words(int count) {
    return _mm_cmpgt_epi32(_mm_set1_epi32(count), _mm_setr_epi32(0, 1, 2, 3));
  }
  static STROBE_INLINE __m256i first(int count) {
    return _mm256_cvtepi32_epi64(first_words(count));
  }
};

}  // namespace strobe::cpu::STROBE_ISA
