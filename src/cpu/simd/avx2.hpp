// AVX2 with FMA and F16C: the operations that the kernels are written in, 8 lanes of f32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cpu/simd/codes.hpp"
#include "cpu/simd/few_rows_x86.hpp"
#include "semantics/inline.hpp"
#include "strobe/tensor.hpp"

namespace strobe::cpu::STROBE_ISA {

/// Numbers of exp2, kept in memory: the product loops leave few registers.
struct alignas(32) Exp2Constants {
  float table[8];                 // 2^(i/8), less i in the bits that the index takes
  float round = 12582912.0f / 8;  // adding it rounds to a multiple of 1/8
  float least = -127.0f;
  float c1 = 0.6931472142602971f;
  float c2 = 0.2402576297871598f;
  float c3 = 0.0554962217849455f;

  constexpr Exp2Constants() : table() {
    double power = 1.0;
    for (std::uint32_t i = 0; i < 8; ++i, power *= 1.0905077326652577) {
      const auto bits = __builtin_bit_cast(std::uint32_t, static_cast<float>(power));
      table[i] = __builtin_bit_cast(float, bits - (i << 20));
    }
  }
};
inline constexpr Exp2Constants kExp2{};

struct Avx2 {
  static constexpr int kLanes = 8;
  static constexpr int kGroups = 3;        // 4 x 3 sums, 3 queries and a key: 16 registers
  static constexpr bool kOverlap = false;  // would spill the sums: loses (bench/notes.md)
  static constexpr bool kHasDot = false;

  using Vec = __m256;
  using Bits = __m256i;  // -1 or 0 a lane
  using Real = float;
  using Word = std::uint32_t;
  using Constants = Exp2Constants;
  static constexpr Real kHuge = 1e38f;

  /// Vectors of L rows, from kLeastRows to kLanes, doubling.
  static constexpr int kLeastRows = 4;
  template <int L>
  using Few = std::conditional_t<L == 4, FourF32, Avx2>;
  static constexpr bool kPacks = false;

  static STROBE_INLINE Vec zero() { return _mm256_setzero_ps(); }
  static STROBE_INLINE Vec set(float x) { return _mm256_set1_ps(x); }
  static STROBE_INLINE Vec load(const void* p) {
    return _mm256_load_ps(static_cast<const float*>(p));
  }
  static STROBE_INLINE void store(void* p, Vec x) { _mm256_store_ps(static_cast<float*>(p), x); }
  static STROBE_INLINE Vec broadcast(const std::uint32_t* p) {
    return _mm256_broadcast_ss(reinterpret_cast<const float*>(p));
  }
  /// Keeps a loaded vector in its register: gcc 12 otherwise folds one load into several FMAs.
  static STROBE_INLINE Vec keep(Vec x) {
    asm("" : "+x"(x));
    return x;
  }

  static STROBE_INLINE Vec add(Vec a, Vec b) { return _mm256_add_ps(a, b); }
  static STROBE_INLINE Vec sub(Vec a, Vec b) { return _mm256_sub_ps(a, b); }
  static STROBE_INLINE Vec mul(Vec a, Vec b) { return _mm256_mul_ps(a, b); }
  static STROBE_INLINE Vec div(Vec a, Vec b) { return _mm256_div_ps(a, b); }
  static STROBE_INLINE Vec max(Vec a, Vec b) { return _mm256_max_ps(a, b); }
  /// a * b + c, a * b - c
  static STROBE_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a, b, c); }
  static STROBE_INLINE Vec fms(Vec a, Vec b, Vec c) { return _mm256_fmsub_ps(a, b, c); }

  static STROBE_INLINE Bits greater(Vec a, Vec b) {
    return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_GT_OQ));
  }
  static STROBE_INLINE Bits equal(Vec a, Vec b) {
    return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_EQ_OQ));
  }
  static STROBE_INLINE bool any(Bits bits) {
    return _mm256_movemask_ps(_mm256_castsi256_ps(bits)) != 0;
  }
  static STROBE_INLINE Bits either(Bits a, Bits b) { return _mm256_or_si256(a, b); }
  /// Lanes of a where the bits are set, of b elsewhere.
  static STROBE_INLINE Vec select(Bits bits, Vec a, Vec b) {
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(bits));
  }
  /// The two halves of the products of 32-bit words, lane by lane.
  static STROBE_INLINE void multiply_words(Vec x, Vec y, Vec& high, Vec& low) {
    const __m256i a = _mm256_castps_si256(x), b = _mm256_castps_si256(y);
    const __m256i even = _mm256_mul_epu32(a, b);
    const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), _mm256_srli_epi64(b, 32));
    high = _mm256_castsi256_ps(_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa));
    low = _mm256_castsi256_ps(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa));
  }
  /// a ^ b ^ c of the bits
  static STROBE_INLINE Vec exclusive_or(Vec a, Vec b, Vec c) {
    return _mm256_xor_ps(_mm256_xor_ps(a, b), c);
  }
  /// Which of kLanes bytes are not 0.
  static STROBE_INLINE Bits nonzero(const std::uint8_t* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return _mm256_cmpgt_epi32(_mm256_cvtepu8_epi32(bytes), _mm256_setzero_si256());
  }
  /// begin[lane] <= x < end[lane]
  static STROBE_INLINE Bits between(const std::int32_t* begin, std::int32_t x,
                                    const std::int32_t* end) {
    const __m256i value = _mm256_set1_epi32(x);
    const __m256i before = _mm256_cmpgt_epi32(load_words(begin), value);
    return _mm256_andnot_si256(before, _mm256_cmpgt_epi32(load_words(end), value));
  }

  /// Up to 8 elements as f32; the lanes past `count` are 0 and their memory is not touched.
  static STROBE_INLINE Vec load_row(const float* p, int count) {
    return count >= kLanes ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, first(count));
  }
  static STROBE_INLINE Vec load_row(const bfloat16* p, int count) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_halves(p, count)), 16));
  }
  static STROBE_INLINE Vec load_row(const float16* p, int count) {
    return _mm256_cvtph_ps(load_halves(p, count));
  }
  static STROBE_INLINE Vec load_row(const std::int8_t* p, int count) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load_bytes(p, count)));
  }
  static STROBE_INLINE Vec load_row(const Int4Pair* p, int count) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(nibbles(load_bytes(p, (count + 1) / 2, 4))));
  }
  /// The upper half of an f16.
  static STROBE_INLINE Vec load_row(const float8_e5m2* p, int count) {
    return _mm256_cvtph_ps(_mm_slli_epi16(_mm_cvtepu8_epi16(load_bytes(p, count)), 8));
  }
  /// An f16 with another bias, and NaN where that has 480.
  static STROBE_INLINE Vec load_row(const float8_e4m3* p, int count) {
    const __m128i code = _mm_cvtepu8_epi16(load_bytes(p, count));
    const __m128i size = _mm_slli_epi16(_mm_and_si128(code, _mm_set1_epi16(0x7f)), 7);
    const __m128i sign = _mm_slli_epi16(_mm_and_si128(code, _mm_set1_epi16(0x80)), 8);
    const Vec x = _mm256_mul_ps(_mm256_cvtph_ps(_mm_or_si128(size, sign)), set(256));
    const Vec largest = _mm256_andnot_ps(set(-0.0f), x);
    return _mm256_or_ps(x, _mm256_cmp_ps(largest, set(480), _CMP_EQ_OQ));
  }
  static STROBE_INLINE void store_row(float* p, Vec x, int count) {
    if (count >= kLanes)
      _mm256_storeu_ps(p, x);
    else
      _mm256_maskstore_ps(p, first(count), x);
  }
  /// Rounds to nearest, ties to even; NaN stays NaN.
  static STROBE_INLINE void store_row(bfloat16* p, Vec x, int count) {
    const __m256i word = _mm256_castps_si256(x), high = _mm256_srli_epi32(word, 16);
    const __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_srli_epi32(
        _mm256_add_epi32(word, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
    const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    const __m256i half = _mm256_blendv_epi8(rounded, quiet, nan);
    store_halves(p,
                 _mm_packus_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1)),
                 count);
  }
  static STROBE_INLINE void store_row(float16* p, Vec x, int count) {
    store_halves(p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT), count);
  }
  /// Does any lane hold NaN or infinity?
  static STROBE_INLINE bool nonfinite(Vec x) {
    return _mm256_movemask_ps(_mm256_cmp_ps(sub(x, x), zero(), _CMP_NEQ_UQ)) != 0;
  }

  static STROBE_INLINE void prefetch(const void* p) {
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
  }
  static STROBE_INLINE void prefetch_far(const void* p) {
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1);
  }
  static STROBE_INLINE void prefetch_write(const void* p) { __builtin_prefetch(p, 1, 3); }

  /// 2^x for x <= 8 or so, error 1.3 * 2^-23, exactly 1 at 0. The bits of x + round hold its whole
  /// eighths: the low three pick a factor from the table, the others move to that factor's
  /// exponent. Far below, -127 makes the factor 0. max() hands on its second operand where that is
  /// NaN, and a NaN stays one whatever it is multiplied by.
  static STROBE_INLINE Vec exp2(Vec x, const Exp2Constants* c) {
    const Vec bounded = max(set(c->least), x);
    const Vec index = add(bounded, set(c->round)), rest = sub(bounded, sub(index, set(c->round)));
    const __m256i bits = _mm256_castps_si256(index);
    const __m256i entry =
        _mm256_castps_si256(_mm256_permutevar8x32_ps(_mm256_load_ps(c->table), bits));
    const Vec factor = _mm256_castsi256_ps(_mm256_add_epi32(entry, _mm256_slli_epi32(bits, 20)));
    Vec p = fma(set(c->c3), rest, set(c->c2));
    p = fma(p, rest, set(c->c1));
    p = fma(p, rest, set(1.0f));
    return mul(p, factor);
  }
  static STROBE_INLINE Vec exp2_exact_one(Vec x) { return exp2(x, &kExp2); }
  static STROBE_INLINE const Constants* exp2_constants() { return &kExp2; }
  /// log2 of positive numbers: a line through the mantissa, three Newton steps on exp2.
  static STROBE_INLINE Vec log2(Vec x) {
    const __m256i word = _mm256_castps_si256(x), one = _mm256_castps_si256(set(1.0f));
    const __m256i fraction = _mm256_and_si256(word, _mm256_set1_epi32(0x7fffff));
    const Vec mantissa = _mm256_castsi256_ps(_mm256_or_si256(fraction, one));
    const Vec exponent =
        _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(word, 23), _mm256_set1_epi32(127)));
    Vec y = sub(mantissa, set(0.96f));
    for (int i = 0; i < 3; ++i)
      y = fma(fms(mantissa, exp2_exact_one(sub(zero(), y)), set(1)), set(1.44269504f), y);
    return add(add(exponent, y), sub(x, x));  // a NaN stays a NaN
  }

  /// r[i][j] <- r[j][i], 8 x 8
  static STROBE_INLINE void transpose(Vec* r) {
    Vec t[8];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
      t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
      t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
      r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
      r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
      r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
      r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
      t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) r[i] = t[i];
  }

 private:
  static STROBE_INLINE __m256i load_words(const std::int32_t* p) {
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(p));
  }
  static STROBE_INLINE __m256i first(int count) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lane);
  }
  /// Eight 16-bit elements. AVX2 has no masks for them: the few of a row's end go one by one.
  template <class T>
  static STROBE_INLINE __m128i load_halves(const T* p, int count) {
    if (count >= kLanes) return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    alignas(16) std::uint16_t half[kLanes] = {};
    for (int i = 0; i < count; ++i) half[i] = p[i].bits;
    return _mm_load_si128(reinterpret_cast<const __m128i*>(half));
  }
  /// Up to `most` bytes; those past `count` are 0 and not touched.
  static STROBE_INLINE __m128i load_bytes(const void* p, int count, int most = kLanes) {
    std::int64_t bytes = 0;
    if (count >= most)
      std::memcpy(&bytes, p, static_cast<std::size_t>(most));
    else if (count > 0)
      std::memcpy(&bytes, p, static_cast<std::size_t>(count));
    return _mm_cvtsi64_si128(bytes);
  }
  /// Both halves of every byte, the low one first, as signed bytes.
  static STROBE_INLINE __m128i nibbles(__m128i pairs) {
    const __m128i low = _mm_set1_epi8(0xf), eight = _mm_set1_epi8(8);
    const __m128i code =
        _mm_unpacklo_epi8(_mm_and_si128(pairs, low), _mm_and_si128(_mm_srli_epi16(pairs, 4), low));
    return _mm_sub_epi8(_mm_xor_si128(code, eight), eight);
  }
  template <class T>
  static STROBE_INLINE void store_halves(T* p, __m128i halves, int count) {
    if (count >= kLanes) return _mm_storeu_si128(reinterpret_cast<__m128i*>(p), halves);
    alignas(16) std::uint16_t half[kLanes];
    _mm_store_si128(reinterpret_cast<__m128i*>(half), halves);
    for (int i = 0; i < count; ++i) p[i].bits = half[i];
  }
};

}  // namespace strobe::cpu::STROBE_ISA
