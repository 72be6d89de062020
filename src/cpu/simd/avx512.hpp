// AVX-512 (F, BW, DQ, VL): the operations that the kernels are written in, 16 lanes of f32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <limits>
#include <type_traits>

#include "cpu/simd/codes.hpp"
#include "cpu/simd/few_rows_x86.hpp"
#include "semantics/inline.hpp"
#include "strobe/tensor.hpp"

namespace strobe::cpu::STROBE_ISA {

/// Numbers of exp2, kept in memory: the product loops leave few registers.
struct alignas(64) Exp2Constants {
  float fine[32];                  // c2 * 2^(i/32)
  float coarse[32];                // c1 * 2^(i/32)
  float round = 12582912.0f / 32;  // adding it rounds to a multiple of 1/32
  float fine_a = 1.4427302996666032f;
  float fine_b = 2.0813079286674686f;
  float coarse_a = 1.4427585139689754f;

  constexpr Exp2Constants() : fine(), coarse() {
    double power = 1.0;
    for (int i = 0; i < 32; ++i, power *= 1.0218971486541166782) {
      fine[i] = static_cast<float>(power * 0.24022415938075753);
      coarse[i] = static_cast<float>(power * 0.69313702);
    }
    coarse[0] = 1 / coarse_a;  // 2^0 is 1: a row that sees one key is that key's value
  }
};
inline constexpr Exp2Constants kExp2{};

struct Avx512 {
  static constexpr int kLanes = 16;
  static constexpr int kGroups = 4;       // vectors of queries in a query tile
  static constexpr bool kOverlap = true;  // exp2 hides inside the products
  static constexpr bool kHasDot = false;

  using Vec = __m512;
  using Bits = __mmask16;
  using Real = float;
  using Word = std::uint32_t;
  using Constants = Exp2Constants;
  static constexpr Real kHuge = 1e38f;

  /// Vectors of L rows, from kLeastRows to kLanes, doubling.
  static constexpr int kLeastRows = 4;
  template <int L>
  using Few = std::conditional_t<L == 4, FourF32, std::conditional_t<L == 8, EightF32, Avx512>>;
  /// Can a vector hold four keys of four rows? See cpu/tiles/few_scores.hpp.
  static constexpr bool kPacks = true;

  static STROBE_INLINE Vec zero() { return _mm512_setzero_ps(); }
  static STROBE_INLINE Vec set(float x) { return _mm512_set1_ps(x); }
  static STROBE_INLINE Vec load(const void* p) { return _mm512_load_ps(p); }
  static STROBE_INLINE void store(void* p, Vec x) { _mm512_store_ps(p, x); }
  static STROBE_INLINE Vec broadcast(const std::uint32_t* p) {
    return _mm512_set1_ps(*reinterpret_cast<const float*>(p));
  }
  /// Keeps a loaded vector in its register: gcc 12 otherwise folds one load into several FMAs.
  static STROBE_INLINE Vec keep(Vec x) {
    asm("" : "+v"(x));
    return x;
  }

  static STROBE_INLINE Vec add(Vec a, Vec b) { return _mm512_add_ps(a, b); }
  static STROBE_INLINE Vec sub(Vec a, Vec b) { return _mm512_sub_ps(a, b); }
  static STROBE_INLINE Vec mul(Vec a, Vec b) { return _mm512_mul_ps(a, b); }
  static STROBE_INLINE Vec div(Vec a, Vec b) { return _mm512_div_ps(a, b); }
  static STROBE_INLINE Vec max(Vec a, Vec b) { return _mm512_max_ps(a, b); }
  /// a * b + c, a * b - c
  static STROBE_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a, b, c); }
  static STROBE_INLINE Vec fms(Vec a, Vec b, Vec c) { return _mm512_fmsub_ps(a, b, c); }

  static STROBE_INLINE Bits greater(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
  static STROBE_INLINE Bits equal(Vec a, Vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
  static STROBE_INLINE bool any(Bits bits) { return bits != 0; }
  static STROBE_INLINE Bits either(Bits a, Bits b) { return a | b; }
  /// Lanes of a where the bit is set, of b elsewhere.
  static STROBE_INLINE Vec select(Bits bits, Vec a, Vec b) {
    return _mm512_mask_mov_ps(b, bits, a);
  }
  /// The two halves of the products of 32-bit words, lane by lane.
  static STROBE_INLINE void multiply_words(Vec x, Vec y, Vec& high, Vec& low) {
    const __m512i a = _mm512_castps_si512(x), b = _mm512_castps_si512(y);
    const __m512i even = _mm512_mul_epu32(a, b);
    const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), _mm512_srli_epi64(b, 32));
    high = _mm512_castsi512_ps(_mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd));
    low = _mm512_castsi512_ps(_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32)));
  }
  /// a ^ b ^ c of the bits
  static STROBE_INLINE Vec exclusive_or(Vec a, Vec b, Vec c) {
    return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(
        _mm512_castps_si512(a), _mm512_castps_si512(b), _mm512_castps_si512(c), 0x96));
  }
  /// Which of kLanes bytes are not 0.
  static STROBE_INLINE Bits nonzero(const std::uint8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm_test_epi8_mask(bytes, bytes);
  }
  /// begin[lane] <= x < end[lane]
  static STROBE_INLINE Bits between(const std::int32_t* begin, std::int32_t x,
                                    const std::int32_t* end) {
    const __m512i value = _mm512_set1_epi32(x);
    const __mmask16 after = _mm512_cmpge_epi32_mask(value, _mm512_load_si512(begin));
    return _mm512_mask_cmplt_epi32_mask(after, value, _mm512_load_si512(end));
  }
  /// Pairs of 16-bit halves: low where `low` is set, high where `high` is; 0 elsewhere.
  static STROBE_INLINE Vec select_halves(Bits low, Bits high, Vec x) {
    const __m512i word = _mm512_castps_si512(x);
    const __m512i lower = _mm512_maskz_and_epi32(low, word, _mm512_set1_epi32(0xffff));
    const __m512i upper =
        _mm512_maskz_and_epi32(high, word, _mm512_set1_epi32(static_cast<int>(0xffff0000u)));
    return _mm512_castsi512_ps(_mm512_or_si512(lower, upper));
  }

  /// Up to 16 elements as f32; the lanes past `count` are 0 and their memory is not touched.
  static STROBE_INLINE Vec load_row(const float* p, int count) {
    return count >= kLanes ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(first(count), p);
  }
  static STROBE_INLINE Vec load_row(const bfloat16* p, int count) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_halves(p, count)), 16));
  }
  static STROBE_INLINE Vec load_row(const float16* p, int count) {
    return _mm512_cvtph_ps(load_halves(p, count));
  }
  static STROBE_INLINE Vec load_row(const std::int8_t* p, int count) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load_bytes(p, count)));
  }
  /// Both halves of every byte, the low one first, as signed bytes.
  static STROBE_INLINE Vec load_row(const Int4Pair* p, int count) {
    const int bytes = count >= kLanes ? kLanes / 2 : (count + 1) / 2;
    const __m128i low = _mm_set1_epi8(0xf), eight = _mm_set1_epi8(8);
    const __m128i pairs = load_bytes(p, bytes);
    const __m128i code =
        _mm_unpacklo_epi8(_mm_and_si128(pairs, low), _mm_and_si128(_mm_srli_epi16(pairs, 4), low));
    return _mm512_cvtepi32_ps(
        _mm512_cvtepi8_epi32(_mm_sub_epi8(_mm_xor_si128(code, eight), eight)));
  }
  /// The upper half of an f16.
  static STROBE_INLINE Vec load_row(const float8_e5m2* p, int count) {
    return _mm512_cvtph_ps(_mm256_slli_epi16(_mm256_cvtepu8_epi16(load_bytes(p, count)), 8));
  }
  /// An f16 with another bias, and NaN where that has 480.
  static STROBE_INLINE Vec load_row(const float8_e4m3* p, int count) {
    const __m256i code = _mm256_cvtepu8_epi16(load_bytes(p, count));
    const __m256i size = _mm256_slli_epi16(_mm256_and_si256(code, _mm256_set1_epi16(0x7f)), 7);
    const __m256i sign = _mm256_slli_epi16(_mm256_and_si256(code, _mm256_set1_epi16(0x80)), 8);
    const Vec x = mul(_mm512_cvtph_ps(_mm256_or_si256(size, sign)), set(256));
    const Bits nan = _mm512_cmp_ps_mask(_mm512_abs_ps(x), set(480), _CMP_EQ_OQ);
    return _mm512_mask_mov_ps(x, nan, set(std::numeric_limits<float>::quiet_NaN()));
  }
  static STROBE_INLINE void store_row(float* p, Vec x, int count) {
    if (count >= kLanes)
      _mm512_storeu_ps(p, x);
    else
      _mm512_mask_storeu_ps(p, first(count), x);
  }
  /// Rounds to nearest, ties to even; NaN stays NaN.
  static STROBE_INLINE void store_row(bfloat16* p, Vec x, int count) {
    const __m512i word = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(word, 16), _mm512_set1_epi32(1));
    __m512i half = _mm512_srli_epi32(
        _mm512_add_epi32(word, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    half = _mm512_mask_or_epi32(half, nan, _mm512_srli_epi32(word, 16), _mm512_set1_epi32(0x40));
    store_halves(p, _mm512_cvtepi32_epi16(half), count);
  }
  static STROBE_INLINE void store_row(float16* p, Vec x, int count) {
    store_halves(p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT), count);
  }
  /// Does any lane hold NaN or infinity?
  static STROBE_INLINE bool nonfinite(Vec x) {
    return _mm512_fpclass_ps_mask(x, 0x99) != 0;  // quiet NaN, +inf, -inf, signalling NaN
  }

  static STROBE_INLINE void prefetch(const void* p) {
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
  }
  static STROBE_INLINE void prefetch_far(const void* p) {
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1);
  }
  static STROBE_INLINE void prefetch_write(const void* p) { __builtin_prefetch(p, 1, 3); }

  static STROBE_INLINE const Constants* exp2_constants() { return &kExp2; }
  /// 2^x for x <= 8 or so, error 4.2 * 2^-24; 0 far below. The table carries the leading
  /// coefficient, so that one FMA and one multiplication are all that the product pipes see.
  static STROBE_INLINE Vec exp2(Vec x, const Exp2Constants* c) {
    const Vec round = set(c->round), index = add(x, round), whole = sub(index, round);
    const Vec rest = add(sub(x, whole), set(c->fine_a));
    const Vec poly = fma(rest, rest, set(c->fine_b));
    return _mm512_scalef_ps(mul(poly, table(c->fine, index)), whole);
  }
  /// 2^x with error 3e-5 (6e-5 beside 0), exactly 1 at 0: for probabilities that are rounded to 16
  /// bits.
  static STROBE_INLINE Vec exp2_coarse(Vec x, const Exp2Constants* c) {
    const Vec round = set(c->round), index = add(x, round), whole = sub(index, round);
    const Vec poly = add(sub(x, whole), set(c->coarse_a));
    return _mm512_scalef_ps(mul(poly, table(c->coarse, index)), whole);
  }
  /// 2^x for any x <= 0, exactly 1 at 0: factors of the running state.
  static STROBE_INLINE Vec exp2_exact_one(Vec x) {
    const Vec whole = _mm512_roundscale_ps(x, 8), rest = sub(x, whole);
    Vec p = set(0.0013276472167676081f);
    p = fma(p, rest, set(0.009675541331021798f));
    p = fma(p, rest, set(0.0555071327287601f));
    p = fma(p, rest, set(0.24022119723969185f));
    p = fma(p, rest, set(0.6931469670652642f));
    return _mm512_scalef_ps(fma(p, rest, set(1.0f)), whole);
  }
  /// log2 of positive numbers: a line through the mantissa, three Newton steps on exp2.
  static STROBE_INLINE Vec log2(Vec x) {
    const Vec mantissa = _mm512_getmant_ps(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src);
    const Vec exponent = _mm512_getexp_ps(x);
    Vec y = sub(mantissa, set(0.96f));
    for (int i = 0; i < 3; ++i)
      y = fma(fms(mantissa, exp2_exact_one(sub(zero(), y)), set(1)), set(1.44269504f), y);
    return add(exponent, y);
  }

  /// Sixteen columns of four rows to columns of four words: column 4 i + j goes to words 16 j + 4 i
  /// and on.
  static STROBE_INLINE void interleave_columns(Vec* r) {
    const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(r[0], r[1]));
    const __m512d b = _mm512_castps_pd(_mm512_unpackhi_ps(r[0], r[1]));
    const __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(r[2], r[3]));
    const __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(r[2], r[3]));
    r[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
    r[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
    r[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
    r[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
  }
  /// Four words, four times.
  static STROBE_INLINE Vec broadcast_four(const std::uint32_t* p) {
    return broadcast_four(reinterpret_cast<const float*>(p));
  }
  static STROBE_INLINE Vec broadcast_four(const float* p) {
    return _mm512_broadcast_f32x4(_mm_load_ps(p));
  }
  /// From [row][four keys] to [key][four rows].
  static STROBE_INLINE Vec keys_first(Vec x) {
    alignas(64) static constexpr std::int32_t kOrder[16] = {0, 4, 8,  12, 1, 5, 9,  13,
                                                            2, 6, 10, 14, 3, 7, 11, 15};
    return _mm512_permutexvar_ps(_mm512_load_si512(kOrder), x);
  }

  /// r[i][j] <- r[j][i], 16 x 16
  static STROBE_INLINE void transpose(Vec* r) {
    Vec t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
      t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
      t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
      const __m512d a = _mm512_castps_pd(t[i]), b = _mm512_castps_pd(t[i + 1]);
      const __m512d c = _mm512_castps_pd(t[i + 2]), d = _mm512_castps_pd(t[i + 3]);
      r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
      r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
      r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
      r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
      t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
      t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
      t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
      r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
      r[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
      r[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
  }

 private:
  static STROBE_INLINE __mmask16 first(int count) {
    return static_cast<__mmask16>((1u << count) - 1u);
  }
  /// Sixteen 16-bit elements; those past `count` are 0 or not written.
  static STROBE_INLINE __m256i load_halves(const void* p, int count) {
    return count >= kLanes ? _mm256_loadu_si256(static_cast<const __m256i*>(p))
                           : _mm256_maskz_loadu_epi16(first(count), p);
  }
  static STROBE_INLINE __m128i load_bytes(const void* p, int count) {
    return count >= kLanes ? _mm_loadu_si128(static_cast<const __m128i*>(p))
                           : _mm_maskz_loadu_epi8(first(count), p);
  }
  static STROBE_INLINE void store_halves(void* p, __m256i halves, int count) {
    if (count >= kLanes)
      _mm256_storeu_si256(static_cast<__m256i*>(p), halves);
    else
      _mm256_mask_storeu_epi16(p, first(count), halves);
  }
  /// entry[low five bits of the rounded number]
  static STROBE_INLINE Vec table(const float* entry, Vec rounded) {
    return _mm512_permutex2var_ps(load(entry), _mm512_castps_si512(rounded), load(entry + 16));
  }
};

}  // namespace strobe::cpu::STROBE_ISA
