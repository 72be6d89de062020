// Codes of a quantised cache become the numbers that products read: code * scale, in f32.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/tiles/key_source.hpp"
#include "cpu/tiles/tiling.hpp"

namespace strobe::cpu::STROBE_ISA {

/// Codes that become numbers together; they share a scale.
inline constexpr int kUnpack = 2 * Simd::kLanes;
static_assert(kScaleGroup % kUnpack == 0);

/// Elements that an unpacked row takes.
constexpr std::int64_t unpacked(std::int64_t dims) { return round_up(dims, kUnpack); }

/// S defers the look-up of store_rounded, which only some instruction sets have.
template <class T, class S = Simd>
STROBE_INLINE void store_unpacked(T* to, Simd::Vec a, Simd::Vec b) {
  if constexpr (std::is_same_v<T, double>) {
    alignas(64) float single[kUnpack];
    Simd::store(single, a);
    Simd::store(single + Simd::kLanes, b);
    for (int i = 0; i < kUnpack; ++i) to[i] = single[i];
  } else if constexpr (std::is_same_v<T, bfloat16> && Simd::kHasDot) {
    S::store_rounded(to, a, b);
  } else {
    Simd::store_row(to, a, Simd::kLanes);
    Simd::store_row(to + Simd::kLanes, b, Simd::kLanes);
  }
}

/// kUnpack numbers, of which the first `count` have codes.
template <class T, class Code>
STROBE_INLINE void unpack_some(T* to, const Code* codes, float scale, int count) {
  const Simd::Vec factor = Simd::set(scale);
  const int rest = count > Simd::kLanes ? count - Simd::kLanes : 0;
  const Simd::Vec a = Simd::load_row(codes, count);
  const Simd::Vec b = Simd::load_row(codes + Simd::kLanes / codes_in<Code>, rest);
  store_unpacked(to, Simd::mul(a, factor), Simd::mul(b, factor));
}

/// `dims` numbers, and zeros up to unpacked(dims).
template <class T, class Code>
STROBE_NOINLINE void unpack_codes(T* to, const KeptRow& from, std::int64_t group, int dims) {
  const auto* const codes = reinterpret_cast<const Code*>(from.data);
  int d = 0;
  for (; d + kUnpack <= dims; d += kUnpack)
    unpack_some(to + d, codes + d / codes_in<Code>, from.scales[d / kScaleGroup * group], kUnpack);
  if (d < dims)
    unpack_some(to + d, codes + d / codes_in<Code>, from.scales[d / kScaleGroup * group], dims - d);
}

/// One row of codes of type `codes`.
template <class T>
STROBE_INLINE void unpack_row(T* to, DType codes, const KeptRow& from, std::int64_t group,
                              int dims) {
  switch (codes) {
    case DType::e4m3: return unpack_codes<T, float8_e4m3>(to, from, group, dims);
    case DType::e5m2: return unpack_codes<T, float8_e5m2>(to, from, group, dims);
    case DType::i8: return unpack_codes<T, std::int8_t>(to, from, group, dims);
    default: return unpack_codes<T, Int4Pair>(to, from, group, dims);
  }
}

}  // namespace strobe::cpu::STROBE_ISA
