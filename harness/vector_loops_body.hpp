// The bodies of the vector loops, for vectors of kBytes bytes: included by one file per instruction
// set, which defines STROBE_VECTOR_BYTES and STROBE_VECTOR_CHAINS. Everything here is static.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <utility>

#include "harness/vector_loops.hpp"

namespace strobe::harness {

constexpr std::int64_t kBytes = STROBE_VECTOR_BYTES;
/// Enough to hide latency (twice 6 cycles), few enough to stay in registers.
constexpr int kChains = STROBE_VECTOR_CHAINS;
constexpr std::int64_t kLanes = kBytes / 4;

using Floats = float __attribute__((vector_size(kBytes)));
using Doubles = double __attribute__((vector_size(kBytes)));
using Ints = std::int32_t __attribute__((vector_size(kBytes)));
using Words = std::uint64_t __attribute__((vector_size(kBytes)));

/// The compiler must take it that `value` changed here; it stays in its register.
#if defined(__x86_64__)
#  define STROBE_OPAQUE(value) asm volatile("" : "+v"(value))
#else
#  define STROBE_OPAQUE(value) asm volatile("" : "+w"(value))
#endif

#if defined(__FMA__) || defined(__aarch64__)

constexpr double kFlopsPerChain = 2.0;

/// a = a x + y in every chain, fused; it tends to 1, far from denormals.
template <class Vector, int... kChain>
static double mul_add_chains(std::int64_t iterations, std::integer_sequence<int, kChain...>) {
  Vector x = Vector{} + 0.9999f;
  Vector y = Vector{} + 0.0001f;
  Vector chains[] = {(Vector{} + 0.1f * kChain)...};
  for (std::int64_t i = 0; i < iterations; ++i) {
    ((chains[kChain] = chains[kChain] * x + y), ...);
    STROBE_OPAQUE(x);
    STROBE_OPAQUE(y);
  }
  Vector sum{};
  ((sum += chains[kChain]), ...);
  return static_cast<double>(sum[0]);
}

#else

constexpr double kFlopsPerChain = 1.0;

/// Every second chain multiplies, the others add: a chain that did both would wait for twice the
/// latency, and 16 registers do not hold enough of those.
template <class Vector, int... kChain>
static double mul_add_chains(std::int64_t iterations, std::integer_sequence<int, kChain...>) {
  Vector one = Vector{} + 1.0f;
  Vector zero{};
  Vector chains[] = {(one + 0.1f * kChain)...};
  for (std::int64_t i = 0; i < iterations; ++i) {
    ((chains[kChain] = kChain % 2 == 0 ? chains[kChain] * one : chains[kChain] + zero), ...);
    STROBE_OPAQUE(one);
    STROBE_OPAQUE(zero);
  }
  Vector sum{};
  ((sum += chains[kChain]), ...);
  return static_cast<double>(sum[0]);
}

#endif

static double mul_add_f32(std::int64_t iterations) {
  return mul_add_chains<Floats>(iterations, std::make_integer_sequence<int, kChains>{});
}

static double mul_add_f64(std::int64_t iterations) {
  return mul_add_chains<Doubles>(iterations, std::make_integer_sequence<int, kChains>{});
}

template <class Vector>
static Vector load(const void* from) {
  Vector value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

/// Two streams, half the bytes apart, read DRAM about 6 % faster than one on Zen 4.
static std::uint64_t read_all(const std::byte* data, std::int64_t bytes) {
  Words a{}, b{}, c{}, d{};
  const std::int64_t half = bytes / (4 * kBytes) * (2 * kBytes);
  for (std::int64_t at = 0; at < half; at += 2 * kBytes) {
    a ^= load<Words>(data + at);
    b ^= load<Words>(data + at + kBytes);
    c ^= load<Words>(data + half + at);
    d ^= load<Words>(data + half + at + kBytes);
  }
  a ^= b ^ c ^ d;
  std::uint64_t sum = 0;
  for (std::int64_t lane = 0; lane < kBytes / 8; ++lane) sum ^= a[lane];
  for (std::int64_t at = 2 * half; at < bytes; ++at) sum ^= static_cast<std::uint64_t>(data[at]);
  return sum;
}

/// Lanes of a vector.
template <class Vector>
constexpr std::int64_t kCount = kBytes / static_cast<std::int64_t>(sizeof(Vector{}[0]));

/// The first `count` of `from`, the rest `fill`.
template <class Vector, class Real>
static Vector load_some(const Real* from, std::int64_t count, Real fill) {
  Vector value = Vector{} + fill;
  for (std::int64_t lane = 0; lane < count; ++lane) value[lane] = from[lane];
  return value;
}

template <class Vector, class Real>
static void store_some(Real* to, Vector value, std::int64_t count) {
  for (std::int64_t lane = 0; lane < count; ++lane) to[lane] = value[lane];
}

/// Vectors in flight at once.
constexpr int kParts = 4;

template <class Vector, class Real>
static Real largest(const Real* x, std::int64_t n) {
  constexpr Real kNone = -__builtin_inff();
  Vector high[kParts];
  for (Vector& part : high) part = Vector{} + kNone;
  std::int64_t at = 0;
  for (; at + kParts * kCount<Vector> <= n; at += kParts * kCount<Vector>) {
    for (int part = 0; part < kParts; ++part) {
      const Vector value = load<Vector>(x + at + part * kCount<Vector>);
      high[part] = value > high[part] ? value : high[part];
    }
  }
  for (; at < n; at += kCount<Vector>) {
    const Vector value =
        n - at < kCount<Vector> ? load_some<Vector>(x + at, n - at, kNone) : load<Vector>(x + at);
    high[0] = value > high[0] ? value : high[0];
  }
  Real result = kNone;
  for (const Vector& part : high) {
    for (std::int64_t lane = 0; lane < kCount<Vector>; ++lane)
      result = part[lane] > result ? part[lane] : result;
  }
  return result;
}

/// exp of x <= 0 (NaN stays NaN): x = n ln 2 + r, |r| <= ln 2 / 2, exp(r) by its Taylor polynomial
/// of degree 7 (6e-9 from the truth), the power of two put into the exponent.
static inline __attribute__((always_inline)) Floats exp_of(Floats x) {
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Floats shifted = x * 1.44269504088896341f + kRound;
  const Floats whole = shifted - kRound;
  const Floats r = (x - whole * 0.693359375f) - whole * -2.12194440e-4f;  // Cody and Waite
  Floats power = Floats{} + 1.98412698e-4f;
  power = power * r + 1.38888889e-3f;
  power = power * r + 8.33333333e-3f;
  power = power * r + 4.16666667e-2f;
  power = power * r + 1.66666667e-1f;
  power = power * r + 0.5f;
  power = power * (r * r) + r + 1.0f;
  const Ints exponent = (reinterpret_cast<Ints>(shifted) - 0x4b400000 + 127) << 23;
  const Floats result = power * reinterpret_cast<Floats>(exponent);
  return x < -87.3f ? Floats{} : result;
}

/// The same in f64, by the polynomial of degree 13 (4e-18 from the truth).
static inline __attribute__((always_inline)) Doubles exp_of(Doubles x) {
  constexpr double kRound = 6755399441055744.0;  // 1.5 * 2^52
  const Doubles shifted = x * 1.4426950408889634 + kRound;
  const Doubles whole = shifted - kRound;
  const Doubles r = (x - whole * 0.693147180369123816490) - whole * 1.90821492927058770002e-10;
  Doubles power = Doubles{} + 1.0 / 6227020800;
  double factorial = 6227020800;
  for (int n = 13; n > 2; --n) {
    factorial /= n;
    power = power * r + 1.0 / factorial;
  }
  power = power * (r * r) + r + 1.0;
  const Words exponent = (reinterpret_cast<Words>(shifted) + 1023) << 52;
  const Doubles result = power * reinterpret_cast<Doubles>(exponent);
  return x < -708.0 ? Doubles{} : result;
}

template <class Vector, class Real>
static Real exp_sum(Real* x, std::int64_t n, Real shift) {
  Vector sum[kParts] = {};
  std::int64_t at = 0;
  for (; at + kParts * kCount<Vector> <= n; at += kParts * kCount<Vector>) {
    Vector p[kParts];
    for (int part = 0; part < kParts; ++part)
      p[part] = exp_of(load<Vector>(x + at + part * kCount<Vector>) - shift);
    for (int part = 0; part < kParts; ++part) sum[part] += p[part];
    __builtin_memcpy(x + at, p, sizeof p);
  }
  for (; at < n; at += kCount<Vector>) {
    const std::int64_t count = n - at < kCount<Vector> ? n - at : kCount<Vector>;
    constexpr Real kNone = -__builtin_inff();
    const Vector p = exp_of(load_some<Vector>(x + at, count, kNone) - shift);
    store_some(x + at, p, count);
    sum[0] += p;
  }
  sum[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  Real total = 0;
  for (std::int64_t lane = 0; lane < kCount<Vector>; ++lane) total += sum[0][lane];
  return total;
}

/// To nearest, ties to even; NaN stays as it is.
static inline __attribute__((always_inline)) Floats to_bf16(Floats x) {
  const Ints bits = reinterpret_cast<Ints>(x);
  const Ints rounded = (bits + 0x7fff + ((bits >> 16) & 1)) & -0x10000;
  return x == x ? reinterpret_cast<Floats>(rounded) : x;
}

/// The same for numbers from 0 to 1. Those below 2^-14 are whole multiples of 2^-24, which is what
/// adding .5 rounds to.
static inline __attribute__((always_inline)) Floats to_f16(Floats x) {
  const Ints bits = reinterpret_cast<Ints>(x);
  const Ints rounded = (bits + 0xfff + ((bits >> 13) & 1)) & -0x2000;
  const Floats tiny = (x + 0.5f) - 0.5f;
  return x < 0x1p-14f ? tiny : x == x ? reinterpret_cast<Floats>(rounded) : x;
}

static inline __attribute__((always_inline)) Floats rounded_to(DType type, Floats x) {
  return type == DType::bf16 ? to_bf16(x) : type == DType::f16 ? to_f16(x) : x;
}
static inline __attribute__((always_inline)) Doubles rounded_to(DType, Doubles x) { return x; }

template <class Vector, class Real>
static void scale(Real* x, std::int64_t n, Real factor, DType type) {
  std::int64_t at = 0;
  for (; at + kCount<Vector> <= n; at += kCount<Vector>) {
    const Vector value = rounded_to(type, load<Vector>(x + at) * factor);
    __builtin_memcpy(x + at, &value, sizeof value);
  }
  if (at == n) return;
  const Vector rest = load_some<Vector>(x + at, n - at, Real(0));
  store_some(x + at, rounded_to(type, rest * factor), n - at);
}

template <class Vector, class Real>
static constexpr RowLoops<Real> row_loops() {
  return {largest<Vector, Real>, exp_sum<Vector, Real>, scale<Vector, Real>};
}

/// Every loop of this width; the dot product is for those who have it.
static constexpr VectorLoops loops_named(const char* name, PeakLoop dot_bf16 = {}) {
  constexpr double kFlops = kFlopsPerChain * kChains * kLanes;
  return {.name = name,
          .mul_add_f32 = {mul_add_f32, kFlops},
          .mul_add_f64 = {mul_add_f64, kFlops / 2.0},
          .dot_bf16 = dot_bf16,
          .read = read_all,
          .f32 = row_loops<Floats, float>(),
          .f64 = row_loops<Doubles, double>()};
}

}  // namespace strobe::harness
