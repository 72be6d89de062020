// Plain C++ for any machine: two lanes of f64 that a compiler maps to SSE2, NEON or scalars.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>

#include "cpu/simd/exp2_f64.hpp"
#include "semantics/inline.hpp"

namespace strobe::cpu::STROBE_ISA {

#if defined(__GNUC__) && !defined(STROBE_PLAIN_LANES)
using Lanes64 = double __attribute__((vector_size(16)));
using LaneBits64 = std::int64_t __attribute__((vector_size(16)));
#else
template <class T>
struct TwoOf {
  T lane[2];
  T& operator[](int i) { return lane[i]; }
  const T& operator[](int i) const { return lane[i]; }
};
using Lanes64 = TwoOf<double>;
using LaneBits64 = TwoOf<std::int64_t>;
#  define STROBE_LANEWISE(op)                                 \
    STROBE_INLINE Lanes64 operator op(Lanes64 a, Lanes64 b) { \
      return {{a[0] op b[0], a[1] op b[1]}};                  \
    }
STROBE_LANEWISE(+)
STROBE_LANEWISE(-)
STROBE_LANEWISE(*)
STROBE_LANEWISE(/)
#  undef STROBE_LANEWISE
#endif

struct Simd64 {
  static constexpr int kLanes = 2;
  static constexpr int kGroups = 2;        // eight accumulators: what 16 registers can hold
  static constexpr bool kOverlap = false;  // too few registers to hide exp2 in the products
  static constexpr bool kHasDot = false;

  using Vec = Lanes64;
  using Bits = LaneBits64;  // -1 or 0 a lane
  using Real = double;
  using Word = std::uint64_t;
  using Constants = Exp2ConstantsF64<kLanes>;
  static constexpr Real kHuge = 0.5e308;

  static constexpr int kLeastRows = kLanes;  // score tiles of few rows have a whole vector
  template <int>
  using Few = Simd64;
  static constexpr bool kPacks = false;

  static STROBE_INLINE Vec zero() { return set(0.0); }
  static STROBE_INLINE Vec set(double x) { return Vec{x, x}; }
  static STROBE_INLINE Vec load(const void* p) { return *static_cast<const Vec*>(p); }
  static STROBE_INLINE void store(void* p, Vec x) { *static_cast<Vec*>(p) = x; }
  static STROBE_INLINE Vec broadcast(const std::uint64_t* p) {
    return set(*reinterpret_cast<const double*>(p));
  }
  static STROBE_INLINE Vec keep(Vec x) { return x; }

  static STROBE_INLINE Vec add(Vec a, Vec b) { return a + b; }
  static STROBE_INLINE Vec sub(Vec a, Vec b) { return a - b; }
  static STROBE_INLINE Vec mul(Vec a, Vec b) { return a * b; }
  static STROBE_INLINE Vec div(Vec a, Vec b) { return a / b; }
  static STROBE_INLINE Vec max(Vec a, Vec b) { return select(greater(a, b), a, b); }
#if defined(__ARM_FEATURE_FMA)  // as in f32
  static STROBE_INLINE Vec fma(Vec a, Vec b, Vec c) {
    return Vec{__builtin_fma(a[0], b[0], c[0]), __builtin_fma(a[1], b[1], c[1])};
  }
#else
  static STROBE_INLINE Vec fma(Vec a, Vec b, Vec c) { return a * b + c; }
#endif

  static STROBE_INLINE Bits greater(Vec a, Vec b) { return bits(a[0] > b[0], a[1] > b[1]); }
  static STROBE_INLINE Bits equal(Vec a, Vec b) { return bits(a[0] == b[0], a[1] == b[1]); }
  static STROBE_INLINE bool any(Bits b) { return (b[0] | b[1]) != 0; }
  static STROBE_INLINE Bits either(Bits a, Bits b) { return Bits{a[0] | b[0], a[1] | b[1]}; }
  static STROBE_INLINE Vec select(Bits b, Vec x, Vec y) {
    return Vec{b[0] != 0 ? x[0] : y[0], b[1] != 0 ? x[1] : y[1]};
  }
  static STROBE_INLINE Bits nonzero(const std::uint8_t* p) { return bits(p[0] != 0, p[1] != 0); }
  static STROBE_INLINE Bits between(const std::int32_t* begin, std::int32_t x,
                                    const std::int32_t* end) {
    return bits(begin[0] <= x && x < end[0], begin[1] <= x && x < end[1]);
  }

  template <class T>
  static STROBE_INLINE Vec load_row(const T* p, int count) {
    return Vec{count > 0 ? double{p[0]} : 0.0, count > 1 ? double{p[1]} : 0.0};
  }
  template <class T>
  static STROBE_INLINE void store_row(T* p, Vec x, int count) {
    for (int i = 0; i < kLanes && i < count; ++i) p[i] = static_cast<T>(x[i]);
  }
  static STROBE_INLINE bool nonfinite(Vec x) {
    const Vec y = x - x;  // NaN where x is not finite
    return !(y[0] == 0.0 && y[1] == 0.0);
  }

  static STROBE_INLINE void prefetch(const void*) {}

  static STROBE_INLINE const Constants* exp2_constants() { return &kExp2F64<kLanes>; }
  static STROBE_INLINE Vec exp2(Vec x, const Constants* c) { return exp2_f64<Simd64>(x, c); }
  static STROBE_INLINE Vec exp2_exact_one(Vec x) { return exp2(x, exp2_constants()); }
  static STROBE_INLINE Vec exp2_less_one(Vec x) { return exp2_less_one_f64<Simd64>(x); }
  /// 2^n, of n + 1.5 * 2^52; 0 for n = -1023.
  static STROBE_INLINE Vec power(Vec shifted) { return Vec{power(shifted[0]), power(shifted[1])}; }
  static STROBE_INLINE Vec log2(Vec x) { return Vec{::log2(x[0]), ::log2(x[1])}; }

  static STROBE_INLINE void transpose(Vec* r) {
    const double x = r[0][1];
    r[0][1] = r[1][0];
    r[1][0] = x;
  }

 private:
  static STROBE_INLINE Bits bits(bool a, bool b) {
    return Bits{-std::int64_t{a}, -std::int64_t{b}};
  }
  static STROBE_INLINE double power(double shifted) {
    const std::uint64_t one = 0x3ff0000000000000u;
    return __builtin_bit_cast(double, (__builtin_bit_cast(std::uint64_t, shifted) << 52) + one);
  }
};

}  // namespace strobe::cpu::STROBE_ISA
