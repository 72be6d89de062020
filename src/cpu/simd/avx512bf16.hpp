// AVX-512 with bf16 dot products: a 32-bit word holds two bf16 along the contraction.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/simd/avx512.hpp"

namespace strobe::cpu::STROBE_ISA {

struct FourDot : FourF32 {
  static STROBE_INLINE Vec dot(Vec a, Vec b, Vec c) {
    return _mm_dpbf16_ps(c, reinterpret_cast<__m128bh>(a), reinterpret_cast<__m128bh>(b));
  }
};
struct EightDot : EightF32 {
  static STROBE_INLINE Vec dot(Vec a, Vec b, Vec c) {
    return _mm256_dpbf16_ps(c, reinterpret_cast<__m256bh>(a), reinterpret_cast<__m256bh>(b));
  }
};

struct Simd : Avx512 {
  static constexpr bool kHasDot = true;
  template <int L>
  using Few = std::conditional_t<L == 4, FourDot, std::conditional_t<L == 8, EightDot, Simd>>;

  /// c + a.low * b.low + a.high * b.high; denormals count as 0 (VDPBF16PS).
  static STROBE_INLINE Vec dot(Vec a, Vec b, Vec c) {
    return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
  /// Up to 32 elements as they lie, two a word; those past `count` are 0 and not touched.
  static STROBE_INLINE Vec load_pairs(const bfloat16* p, int count) {
    if (count >= 2 * kLanes) return _mm512_loadu_ps(p);
    const auto bits = static_cast<__mmask32>(count <= 0 ? 0u : (1u << count) - 1u);
    return _mm512_castsi512_ps(_mm512_maskz_loadu_epi16(bits, p));
  }
  /// Up to 32 codes as 16-bit integers, two a word; those past `count` are 0 and not touched.
  static STROBE_INLINE Vec load_pairs(const std::int8_t* p, int count) {
    if (count >= 2 * kLanes)
      return _mm512_castsi512_ps(
          _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
    const auto bits = static_cast<__mmask32>(count <= 0 ? 0u : (1u << count) - 1u);
    return _mm512_castsi512_ps(_mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(bits, p)));
  }
  /// 32 elements of two rows as words (row a low, row b high), a shuffle each, in whatever order
  /// the instruction leaves them: undo_pairs restores it.
  static STROBE_INLINE void pair_rows(const bfloat16* a, const bfloat16* b, Vec& first,
                                      Vec& second) {
    const __m512i x = _mm512_loadu_si512(a), y = _mm512_loadu_si512(b);
    first = _mm512_castsi512_ps(_mm512_unpacklo_epi16(x, y));
    second = _mm512_castsi512_ps(_mm512_unpackhi_epi16(x, y));
  }
  static STROBE_INLINE void pair_rows(const std::int8_t* a, const std::int8_t* b, Vec& first,
                                      Vec& second) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a));
    const __m256i y = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b));
    first = _mm512_castsi512_ps(_mm512_cvtepi8_epi16(_mm256_unpacklo_epi8(x, y)));
    second = _mm512_castsi512_ps(_mm512_cvtepi8_epi16(_mm256_unpackhi_epi8(x, y)));
  }
  template <class T>
  static STROBE_INLINE void undo_pairs(Vec& first, Vec& second) {
    const Vec a = first, b = second;
    if constexpr (sizeof(T) == 1) {  // columns 0 to 7, 16 to 23; 8 to 15, 24 to 31
      first = _mm512_shuffle_f32x4(a, b, 0x44);
      second = _mm512_shuffle_f32x4(a, b, 0xee);
    } else {  // columns 0 to 3, 8 to 11, ...; 4 to 7, 12 to 15, ...
      alignas(64) static constexpr std::int32_t kLow[16] = {0, 1, 2, 3, 16, 17, 18, 19,
                                                            4, 5, 6, 7, 20, 21, 22, 23};
      const __m512i low = _mm512_load_si512(kLow);
      const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
      first = _mm512_permutex2var_ps(a, low, b);
      second = _mm512_permutex2var_ps(a, high, b);
    }
  }
  /// c + a.low * b.low + a.high * b.high of 16-bit integers, exactly (VPDPWSSD).
  static STROBE_INLINE Vec dot_integers(Vec a, Vec b, Vec c) {
    return _mm512_castsi512_ps(_mm512_dpwssd_epi32(_mm512_castps_si512(c), _mm512_castps_si512(a),
                                                   _mm512_castps_si512(b)));
  }
  /// Sums of integers over every fourth lane: of a in lanes 0, 4, 8, 12, of b in the next, ...
  static STROBE_INLINE Vec add_lanes(Vec a, Vec b, Vec c, Vec d) {
    const Vec ab = add_integers(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const Vec cd = add_integers(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    return add_integers(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
  }
  /// Sums of integers over the quarters of a vector: those of a in the first quarter, of b in the
  /// next, ...
  static STROBE_INLINE Vec add_quarters(Vec a, Vec b, Vec c, Vec d) {
    const Vec ab = add_integers(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    const Vec cd = add_integers(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
    return add_integers(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
  }
  static STROBE_INLINE Vec add_integers(Vec a, Vec b) {
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
  }
  /// Four numbers each, `pitch` apart.
  static STROBE_INLINE void store_quarters(float* p, int pitch, Vec x) {
    if (pitch == 4) return store(p, x);
    _mm_store_ps(p, _mm512_castps512_ps128(x));
    _mm_store_ps(p + pitch, _mm512_extractf32x4_ps(x, 1));
    _mm_store_ps(p + 2 * pitch, _mm512_extractf32x4_ps(x, 2));
    _mm_store_ps(p + 3 * pitch, _mm512_extractf32x4_ps(x, 3));
  }
  static STROBE_INLINE Vec from_integers(Vec x) {
    return _mm512_cvtepi32_ps(_mm512_castps_si512(x));
  }
  /// a and b, of at most 32767 in magnitude, rounded to 16-bit integers: a low, b high.
  static STROBE_INLINE Vec pack_integers(Vec a, Vec b) {
    const __m512i low = _mm512_cvtps_epi32(a);
    const __m512i high = _mm512_slli_epi32(_mm512_cvtps_epi32(b), 16);
    return _mm512_castsi512_ps(_mm512_mask_blend_epi16(0xaaaaaaaau, low, high));
  }
  /// Pairs of bf16 times 2^exponent as pairs of 16-bit integers.
  static STROBE_INLINE Vec integer_pairs(Vec pairs, Vec exponent) {
    const __m512i word = _mm512_castps_si512(pairs);
    const Vec low = _mm512_castsi512_ps(_mm512_slli_epi32(word, 16));
    const Vec high = _mm512_castsi512_ps(
        _mm512_and_si512(word, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
    return pack_integers(times_power(low, exponent), times_power(high, exponent));
  }
  /// x * 2^exponent, whatever lies between.
  static STROBE_INLINE Vec times_power(Vec x, Vec exponent) {
    return _mm512_scalef_ps(x, exponent);
  }
  /// floor(log2 |x|) of what is not 0; -inf of 0.
  static STROBE_INLINE Vec exponent_of(Vec x) { return _mm512_getexp_ps(x); }
  static STROBE_INLINE Vec magnitude(Vec x) { return _mm512_abs_ps(x); }
  /// The first kLanes / L numbers at p, each L times.
  template <int L>
  static STROBE_INLINE Vec spread(const float* p) {
    alignas(64) static constexpr std::int32_t kOrder[2][16] = {
        {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3},
        {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1}};
    if constexpr (L == 4)
      return _mm512_permutexvar_ps(_mm512_load_si512(kOrder[0]), broadcast_four(p));
    if constexpr (L == 8) {
      const __m128d two = _mm_load_sd(reinterpret_cast<const double*>(p));
      return _mm512_permutexvar_ps(_mm512_load_si512(kOrder[1]),
                                   _mm512_castps128_ps512(_mm_castpd_ps(two)));
    }
    return set(*p);
  }
  /// Both halves times a power of two, with either sign, or 0.
  static STROBE_INLINE Vec scale_pairs(Vec pairs, float factor) {
    const __m512i word = _mm512_castps_si512(pairs);
    const Vec low = _mm512_castsi512_ps(_mm512_slli_epi32(word, 16));
    const Vec high = _mm512_castsi512_ps(
        _mm512_and_si512(word, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
    const __m512i lower = _mm512_srli_epi32(_mm512_castps_si512(mul(low, set(factor))), 16);
    const __m512i upper = _mm512_castps_si512(mul(high, set(factor)));
    return _mm512_castsi512_ps(_mm512_mask_blend_epi16(0xaaaaaaaau, lower, upper));
  }
  /// Rounds two vectors of non-negative f32 (or NaN) to bf16: a in the low halves, b in the high.
  static STROBE_INLINE Vec pack_pairs(Vec a, Vec b) {
    const __m512i half = _mm512_set1_epi32(0x8000);
    const __m512i low = _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(a), half), 16);
    const __m512i high = _mm512_add_epi32(_mm512_castps_si512(b), half);
    return _mm512_castsi512_ps(_mm512_mask_blend_epi16(0xaaaaaaaau, low, high));
  }
  /// 32 numbers, rounded to nearest; denormals become 0 (VCVTNE2PS2BF16).
  static STROBE_INLINE void store_rounded(bfloat16* p, Vec a, Vec b) {
    const __m512bh both = _mm512_cvtne2ps_pbh(b, a);
    _mm512_storeu_ps(p, reinterpret_cast<__m512>(both));
  }
  /// Of the keys of two vectors, L rows each: the even ones, the odd ones.
  template <int L>
  static STROBE_INLINE void split_keys(Vec a, Vec b, Vec& even, Vec& odd) {
    even = L == 4   ? _mm512_shuffle_f32x4(a, b, 0x88)
           : L == 8 ? _mm512_shuffle_f32x4(a, b, 0x44)
                    : a;
    odd = L == 4 ? _mm512_shuffle_f32x4(a, b, 0xdd) : L == 8 ? _mm512_shuffle_f32x4(a, b, 0xee) : b;
  }
  /// Two rows of up to 32 elements -> 32 words (row a low, row b high).
  static STROBE_INLINE void interleave(std::uint32_t* to, Vec a, Vec b) {
    Vec low, high;
    interleave(a, b, low, high);
    store(to, low);
    store(to + kLanes, high);
  }
  static STROBE_INLINE void interleave(Vec a, Vec b, Vec& first, Vec& second) {
    alignas(64) static constexpr std::uint16_t kOrder[32] = {
        0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
        8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
    const __m512i low = _mm512_load_si512(kOrder);
    const __m512i high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
    const __m512i x = _mm512_castps_si512(a), y = _mm512_castps_si512(b);
    first = _mm512_castsi512_ps(_mm512_permutex2var_epi16(x, low, y));
    second = _mm512_castsi512_ps(_mm512_permutex2var_epi16(x, high, y));
  }
  /// Halves of x where the half of the draws is at least `least`, 0 elsewhere. Lanes 0 to 7 have
  /// their draws at `low`, the others at `high`.
  static STROBE_INLINE Vec keep_halves(const std::uint32_t* low, const std::uint32_t* high,
                                       std::uint32_t least, Vec x) {
    const __m256i a = _mm256_load_si256(reinterpret_cast<const __m256i*>(low));
    const __m256i b = _mm256_load_si256(reinterpret_cast<const __m256i*>(high));
    const __m512i draws = _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1);
    const __mmask32 kept =
        _mm512_cmpge_epu16_mask(draws, _mm512_set1_epi16(static_cast<short>(least)));
    return _mm512_castsi512_ps(_mm512_maskz_mov_epi16(kept, _mm512_castps_si512(x)));
  }
  /// Does any half hold NaN or infinity?
  static STROBE_INLINE bool nonfinite_pairs(Vec pairs) {
    const __m512i exponent = _mm512_set1_epi16(0x7f80);
    const __m512i word = _mm512_and_si512(_mm512_castps_si512(pairs), exponent);
    return _mm512_cmpeq_epi16_mask(word, exponent) != 0;
  }
};

}  // namespace strobe::cpu::STROBE_ISA
