// Plain C++ for any machine: four lanes of f32 that a compiler maps to SSE, NEON or scalars.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "cpu/simd/codes.hpp"
#include "semantics/inline.hpp"
#include "strobe/tensor.hpp"

namespace strobe::cpu::STROBE_ISA {

#if defined(__GNUC__) && !defined(STROBE_PLAIN_LANES)
using Lanes = float __attribute__((vector_size(16)));
using LaneBits = std::int32_t __attribute__((vector_size(16)));
#else
template <class T>
struct FourOf {
  T lane[4];
  T& operator[](int i) { return lane[i]; }
  const T& operator[](int i) const { return lane[i]; }
};
using Lanes = FourOf<float>;
using LaneBits = FourOf<std::int32_t>;
#  define STROBE_LANEWISE(op)                                            \
    STROBE_INLINE Lanes operator op(Lanes a, Lanes b) {                  \
      return {{a[0] op b[0], a[1] op b[1], a[2] op b[2], a[3] op b[3]}}; \
    }
STROBE_LANEWISE(+)
STROBE_LANEWISE(-)
STROBE_LANEWISE(*)
STROBE_LANEWISE(/)
#  undef STROBE_LANEWISE
#endif

/// Numbers that other instruction sets keep in memory; none here.
struct Exp2Constants {};
inline constexpr Exp2Constants kExp2{};

struct Simd {
  static constexpr int kLanes = 4;
  static constexpr int kGroups = 2;        // eight accumulators: what 16 registers can hold
  static constexpr bool kOverlap = false;  // too few registers to hide exp2 in the products
  static constexpr bool kHasDot = false;

  using Vec = Lanes;
  using Bits = LaneBits;  // -1 or 0 a lane
  using Real = float;
  using Word = std::uint32_t;
  using Constants = Exp2Constants;
  static constexpr Real kHuge = 1e38f;

  static constexpr int kLeastRows = kLanes;  // score tiles of few rows have a whole vector
  template <int>
  using Few = Simd;
  static constexpr bool kPacks = false;

  static STROBE_INLINE Vec zero() { return set(0.0f); }
  static STROBE_INLINE Vec set(float x) { return Vec{x, x, x, x}; }
  static STROBE_INLINE Vec load(const void* p) { return *static_cast<const Vec*>(p); }
  static STROBE_INLINE void store(void* p, Vec x) { *static_cast<Vec*>(p) = x; }
  static STROBE_INLINE Vec broadcast(const std::uint32_t* p) {
    return set(*reinterpret_cast<const float*>(p));
  }
  static STROBE_INLINE Vec keep(Vec x) { return x; }

  static STROBE_INLINE Vec add(Vec a, Vec b) { return a + b; }
  static STROBE_INLINE Vec sub(Vec a, Vec b) { return a - b; }
  static STROBE_INLINE Vec mul(Vec a, Vec b) { return a * b; }
  static STROBE_INLINE Vec div(Vec a, Vec b) { return a / b; }
  static STROBE_INLINE Vec max(Vec a, Vec b) { return select(greater(a, b), a, b); }
  /// Fused where the machine has it, and nowhere else: the compiler is told not to choose
  /// (src/CMakeLists.txt), as the bits of a row would depend on what it chose in which loop.
#if defined(__ARM_FEATURE_FMA)
  static STROBE_INLINE Vec fma(Vec a, Vec b, Vec c) {
    return lanes([&](int i) { return __builtin_fmaf(a[i], b[i], c[i]); });
  }
  static STROBE_INLINE Vec fms(Vec a, Vec b, Vec c) {
    return lanes([&](int i) { return __builtin_fmaf(a[i], b[i], -c[i]); });
  }
#else
  static STROBE_INLINE Vec fma(Vec a, Vec b, Vec c) { return a * b + c; }
  static STROBE_INLINE Vec fms(Vec a, Vec b, Vec c) { return a * b - c; }
#endif

  static STROBE_INLINE Bits greater(Vec a, Vec b) {
    return bits([&](int i) { return a[i] > b[i]; });
  }
  static STROBE_INLINE Bits equal(Vec a, Vec b) {
    return bits([&](int i) { return a[i] == b[i]; });
  }
  static STROBE_INLINE bool any(Bits b) { return (b[0] | b[1] | b[2] | b[3]) != 0; }
  static STROBE_INLINE Bits either(Bits a, Bits b) {
    return Bits{a[0] | b[0], a[1] | b[1], a[2] | b[2], a[3] | b[3]};
  }
  static STROBE_INLINE Vec select(Bits b, Vec x, Vec y) {
    return lanes([&](int i) { return b[i] != 0 ? x[i] : y[i]; });
  }
  /// The two halves of the products of 32-bit words, lane by lane.
  static STROBE_INLINE void multiply_words(Vec x, Vec y, Vec& high, Vec& low) {
    high = lanes([&](int i) {
      return value(static_cast<std::uint32_t>((std::uint64_t{word(x[i])} * word(y[i])) >> 32));
    });
    low = lanes([&](int i) { return value(word(x[i]) * word(y[i])); });
  }
  /// a ^ b ^ c of the bits
  static STROBE_INLINE Vec exclusive_or(Vec a, Vec b, Vec c) {
    return lanes([&](int i) { return value(word(a[i]) ^ word(b[i]) ^ word(c[i])); });
  }
  static STROBE_INLINE Bits nonzero(const std::uint8_t* p) {
    return bits([&](int i) { return p[i] != 0; });
  }
  static STROBE_INLINE Bits between(const std::int32_t* begin, std::int32_t x,
                                    const std::int32_t* end) {
    return bits([&](int i) { return begin[i] <= x && x < end[i]; });
  }

  static STROBE_INLINE Vec load_row(const float* p, int count) {
    return lanes([&](int i) { return i < count ? p[i] : 0.0f; });
  }
  static STROBE_INLINE Vec load_row(const bfloat16* p, int count) {
    return lanes([&](int i) { return i < count ? widen(p[i].bits) : 0.0f; });
  }
  static STROBE_INLINE Vec load_row(const float16* p, int count) {
    return lanes([&](int i) { return i < count ? widen_f16(p[i].bits) : 0.0f; });
  }
  static STROBE_INLINE Vec load_row(const std::int8_t* p, int count) {
    return lanes([&](int i) { return i < count ? static_cast<float>(p[i]) : 0.0f; });
  }
  static STROBE_INLINE Vec load_row(const Int4Pair* p, int count) {
    return lanes([&](int i) {
      const int code = i < count ? p[i / 2].bits >> (4 * (i % 2)) & 0xf : 0;
      return static_cast<float>(code < 8 ? code : code - 16);
    });
  }
  template <int kFraction, int kBias, std::uint8_t kLargest>
  static STROBE_INLINE Vec load_row(const Float8<kFraction, kBias, kLargest>* p, int count) {
    return lanes([&](int i) { return i < count ? static_cast<float>(p[i]) : 0.0f; });
  }
  static STROBE_INLINE void store_row(float* p, Vec x, int count) {
    for (int i = 0; i < kLanes && i < count; ++i) p[i] = x[i];
  }
  static STROBE_INLINE void store_row(bfloat16* p, Vec x, int count) {
    for (int i = 0; i < kLanes && i < count; ++i) p[i].bits = narrow(x[i]);
  }
  static STROBE_INLINE void store_row(float16* p, Vec x, int count) {
    for (int i = 0; i < kLanes && i < count; ++i) p[i].bits = narrow_f16(x[i]);
  }
  static STROBE_INLINE bool nonfinite(Vec x) {
    const Vec y = x - x;  // NaN where x is not finite
    return !(y[0] == 0.0f && y[1] == 0.0f && y[2] == 0.0f && y[3] == 0.0f);
  }

  static STROBE_INLINE void prefetch(const void*) {}
  static STROBE_INLINE void prefetch_far(const void*) {}
  static STROBE_INLINE void prefetch_write(const void*) {}

  static STROBE_INLINE const Constants* exp2_constants() { return &kExp2; }
  static STROBE_INLINE Vec exp2(Vec x, const Exp2Constants*) { return exp2_exact_one(x); }
  /// 2^x, 0 below 2^-126, exactly 1 at 0, error 2.1e-7; minimax polynomial on [-.5, .5].
  static STROBE_INLINE Vec exp2_exact_one(Vec x) {
    constexpr float kLeast = -126.0f;
    const Vec clamped = lanes([&](int i) { return x[i] < kLeast ? kLeast : x[i]; });
    const Vec magic = set(12582912.0f);  // 1.5 * 2^23: adding it rounds to whole numbers
    const Vec shifted = clamped + magic, rest = clamped - (shifted - magic);
    Vec p = set(0.0013276472167676081f);
    p = fma(p, rest, set(0.009675541331021798f));
    p = fma(p, rest, set(0.0555071327287601f));
    p = fma(p, rest, set(0.24022119723969185f));
    p = fma(p, rest, set(0.6931469670652642f));
    p = fma(p, rest, set(1.0f));
    return lanes([&](int i) {
      const std::uint32_t exponent = word(shifted[i]) << 23;  // modulo 2^32: the sign comes along
      return x[i] < kLeast ? 0.0f : value(word(p[i]) + exponent);
    });
  }
  static STROBE_INLINE Vec log2(Vec x) {
    return lanes([&](int i) { return ::log2f(x[i]); });
  }

  static STROBE_INLINE void transpose(Vec* r) {
    for (int i = 0; i < kLanes; ++i)
      for (int j = i + 1; j < kLanes; ++j) {
        const float x = r[i][j];
        r[i][j] = r[j][i];
        r[j][i] = x;
      }
  }

 private:
  template <class F>
  static STROBE_INLINE Vec lanes(F f) {
    return Vec{f(0), f(1), f(2), f(3)};
  }
  template <class F>
  static STROBE_INLINE Bits bits(F f) {
    return Bits{-int{f(0)}, -int{f(1)}, -int{f(2)}, -int{f(3)}};
  }
  static STROBE_INLINE std::uint32_t word(float x) { return __builtin_bit_cast(std::uint32_t, x); }
  static STROBE_INLINE float value(std::uint32_t x) { return __builtin_bit_cast(float, x); }
  static STROBE_INLINE float widen(std::uint16_t half) { return value(std::uint32_t{half} << 16); }
  static STROBE_INLINE std::uint16_t narrow(float x) {
    const std::uint32_t bits = word(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>(bits >> 16 | 0x40u);
    return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
  }
  // As float16 of strobe/tensor.hpp, whose functions may not be called: they are not always
  // inlined.
  static STROBE_INLINE float widen_f16(std::uint16_t half) {
    const std::uint32_t size = (half & 0x7fffu) << 13, sign = (half & 0x8000u) << 16;
    const std::uint32_t tiny = word(static_cast<float>(half & 0x3ffu) * 0x1p-24f);
    const std::uint32_t large = size | 0x7f800000u, usual = size + 0x38000000u;
    return value(sign | (size < 0x00800000u ? tiny : size < 0x0f800000u ? usual : large));
  }
  static STROBE_INLINE std::uint16_t narrow_f16(float x) {
    const std::uint32_t bits = word(x), size = bits & 0x7fffffffu;
    const std::uint32_t usual = (size - 0x38000000u + 0xfffu + ((size >> 13) & 1u)) >> 13;
    const std::uint32_t tiny = word(value(size) + 0.5f) - word(0.5f);  // adding rounds to 2^-24
    const std::uint32_t large = size > 0x7f800000u ? 0x7e00u : 0x7c00u;
    const std::uint32_t half = size >= 0x477ff000u ? large : size < 0x38800000u ? tiny : usual;
    return static_cast<std::uint16_t>((bits >> 16 & 0x8000u) | half);
  }
};

}  // namespace strobe::cpu::STROBE_ISA
