// AVX-512 (F, BW, DQ, VL): the operations that the kernels are written in, 8 lanes of f64.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstdint>

#include "cpu/simd/exp2_f64.hpp"
#include "semantics/inline.hpp"

namespace strobe::cpu::STROBE_ISA {

struct Simd64 {
  static constexpr int kLanes = 8;
  static constexpr int kGroups = 4;       // vectors of queries in a query tile
  static constexpr bool kOverlap = true;  // exp2 hides inside the products
  static constexpr bool kHasDot = false;

  using Vec = __m512d;
  using Bits = __mmask8;
  using Real = double;
  using Word = std::uint64_t;
  using Constants = Exp2ConstantsF64<kLanes>;
  static constexpr Real kHuge = 0.5e308;

  /// Vectors of L rows, from kLeastRows to kLanes, doubling.
  static constexpr int kLeastRows = 4;
  template <int L>
  using Few = std::conditional_t<L == 4, FourF64, Simd64>;

  static STROBE_INLINE Vec zero() { return _mm512_setzero_pd(); }
  static STROBE_INLINE Vec set(double x) { return _mm512_set1_pd(x); }
  static STROBE_INLINE Vec load(const void* p) { return _mm512_load_pd(p); }
  static STROBE_INLINE void store(void* p, Vec x) { _mm512_store_pd(p, x); }
  static STROBE_INLINE Vec broadcast(const std::uint64_t* p) {
    return _mm512_set1_pd(*reinterpret_cast<const double*>(p));
  }
  /// Keeps a loaded vector in its register: gcc 12 otherwise folds one load into several FMAs.
  static STROBE_INLINE Vec keep(Vec x) {
    asm("" : "+v"(x));
    return x;
  }

  static STROBE_INLINE Vec add(Vec a, Vec b) { return _mm512_add_pd(a, b); }
  static STROBE_INLINE Vec sub(Vec a, Vec b) { return _mm512_sub_pd(a, b); }
  static STROBE_INLINE Vec mul(Vec a, Vec b) { return _mm512_mul_pd(a, b); }
  static STROBE_INLINE Vec div(Vec a, Vec b) { return _mm512_div_pd(a, b); }
  static STROBE_INLINE Vec max(Vec a, Vec b) { return _mm512_max_pd(a, b); }
  static STROBE_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_pd(a, b, c); }

  static STROBE_INLINE Bits greater(Vec a, Vec b) { return _mm512_cmp_pd_mask(a, b, _CMP_GT_OQ); }
  static STROBE_INLINE Bits equal(Vec a, Vec b) { return _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ); }
  static STROBE_INLINE bool any(Bits bits) { return bits != 0; }
  static STROBE_INLINE Bits either(Bits a, Bits b) { return static_cast<Bits>(a | b); }
  /// Lanes of a where the bit is set, of b elsewhere.
  static STROBE_INLINE Vec select(Bits bits, Vec a, Vec b) {
    return _mm512_mask_mov_pd(b, bits, a);
  }
  /// Which of kLanes bytes are not 0.
  static STROBE_INLINE Bits nonzero(const std::uint8_t* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return static_cast<Bits>(_mm_test_epi8_mask(bytes, bytes));
  }
  /// begin[lane] <= x < end[lane]
  static STROBE_INLINE Bits between(const std::int32_t* begin, std::int32_t x,
                                    const std::int32_t* end) {
    const __m256i value = _mm256_set1_epi32(x);
    const Bits after = _mm256_cmpge_epi32_mask(value, load_words(begin));
    return _mm256_mask_cmplt_epi32_mask(after, value, load_words(end));
  }

  /// Up to 8 elements; the lanes past `count` are 0 and their memory is not touched.
  static STROBE_INLINE Vec load_row(const double* p, int count) {
    return count >= kLanes ? _mm512_loadu_pd(p) : _mm512_maskz_loadu_pd(first(count), p);
  }
  static STROBE_INLINE Vec load_row(const float* p, int count) {
    return _mm512_cvtps_pd(count >= kLanes ? _mm256_loadu_ps(p)
                                           : _mm256_maskz_loadu_ps(first(count), p));
  }
  static STROBE_INLINE void store_row(double* p, Vec x, int count) {
    if (count >= kLanes)
      _mm512_storeu_pd(p, x);
    else
      _mm512_mask_storeu_pd(p, first(count), x);
  }
  static STROBE_INLINE void store_row(float* p, Vec x, int count) {
    if (count >= kLanes)
      _mm256_storeu_ps(p, _mm512_cvtpd_ps(x));
    else
      _mm256_mask_storeu_ps(p, first(count), _mm512_cvtpd_ps(x));
  }
  /// Does any lane hold NaN or infinity?
  static STROBE_INLINE bool nonfinite(Vec x) {
    return _mm512_fpclass_pd_mask(x, 0x99) != 0;  // quiet NaN, +inf, -inf, signalling NaN
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
    const __m512i exponent = _mm512_slli_epi64(_mm512_castpd_si512(shifted), 52);
    return _mm512_castsi512_pd(_mm512_add_epi64(exponent, _mm512_castpd_si512(set(1))));
  }
  /// Once for each row of the output.
  static STROBE_INLINE Vec log2(Vec x) {
    alignas(64) double lane[kLanes];
    store(lane, x);
    for (double& value : lane) value = ::log2(value);
    return load(lane);
  }

  /// r[i][j] <- r[j][i], 8 x 8
  static STROBE_INLINE void transpose(Vec* r) {
    Vec t[8];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
      t[i] = _mm512_unpacklo_pd(r[i], r[i + 1]);      // columns 0 2 4 6 of two rows
      t[i + 1] = _mm512_unpackhi_pd(r[i], r[i + 1]);  // columns 1 3 5 7
    }
#pragma GCC unroll 2
    for (int odd = 0; odd < 2; ++odd) {
      const Vec a = _mm512_shuffle_f64x2(t[odd], t[odd + 2], 0x88);      // columns 0 4, rows 0 to 3
      const Vec b = _mm512_shuffle_f64x2(t[odd], t[odd + 2], 0xdd);      // columns 2 6
      const Vec c = _mm512_shuffle_f64x2(t[odd + 4], t[odd + 6], 0x88);  // rows 4 to 7
      const Vec d = _mm512_shuffle_f64x2(t[odd + 4], t[odd + 6], 0xdd);
      r[odd] = _mm512_shuffle_f64x2(a, c, 0x88);
      r[odd + 4] = _mm512_shuffle_f64x2(a, c, 0xdd);
      r[odd + 2] = _mm512_shuffle_f64x2(b, d, 0x88);
      r[odd + 6] = _mm512_shuffle_f64x2(b, d, 0xdd);
    }
  }

 private:
  static STROBE_INLINE __m256i load_words(const std::int32_t* p) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
  }
  static STROBE_INLINE __mmask8 first(int count) {
    return static_cast<__mmask8>((1u << count) - 1u);
  }
};

}  // namespace strobe::cpu::STROBE_ISA
