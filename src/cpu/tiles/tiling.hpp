// Sizes of the tiles, and what a word of the products holds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "cpu/forward_task.hpp"
#include "semantics/inline.hpp"

#define STROBE_PRAGMA(x) _Pragma(#x)
#if defined(__clang__)
#  define STROBE_UNROLL(n) STROBE_PRAGMA(clang loop unroll_count(n))
#else
#  define STROBE_UNROLL(n) STROBE_PRAGMA(GCC unroll n)
#endif
#define STROBE_NOINLINE __attribute__((noinline))

namespace strobe::cpu::STROBE_ISA {

struct Simd64;  // the same operations on f64, where an instruction set has kernels for it

/// Queries sit in SIMD lanes: s is [key][query] and o is [dim][query], so that keys and values are
/// broadcast from rows as they lie and the softmax never reduces across lanes.
template <class T, class K = T>
struct Tiling {
  using Element = T;  // of q in memory
  using Kept = K;     // of k and v, as they are read from memory or made from codes
  using Isa = std::conditional_t<std::is_same_v<T, double>, Simd64, Simd>;
  using Real = typename Isa::Real;  // of scores, sums, outputs: f32, for f64 f64
  /// One Real, or two bf16 along the contraction: what a product loads, broadcasts and multiplies.
  using Word = typename Isa::Word;
  static constexpr bool kDot = Isa::kHasDot && std::is_same_v<T, bfloat16>;
  static constexpr int kPerWord = kDot ? 2 : 1;
  /// Codes as they lie meet q and p of 16 bits: see cpu/tiles/integers.hpp.
  static constexpr bool kIntegers = kDot && std::is_same_v<K, std::int8_t>;
  static constexpr int kLanes = Isa::kLanes;
  static constexpr int kGroups = Isa::kGroups;
  static constexpr int kTileQ = kLanes * kGroups;
  static constexpr int kChunk = 16;  // keys at a time: softmax beside a product tile, mask edges
  static constexpr int kRows = 4;    // keys or dims of a product tile of all groups
  static constexpr int kNarrow = kGroups / 2;  // up to so many groups a run is an edge

  /// Keys of a product tile of an edge: fewer groups leave registers for more keys.
  static constexpr int edge_keys(int groups) {
    int keys = kRows;
    while (2 * keys * groups <= kRows * kGroups) keys *= 2;
    return keys;
  }

  /// Score of a masked pair: far below all others, and finite, because infinities would turn into
  /// NaN in exp2. Scores up to .15 of kHuge in magnitude (before the factor in [1, 2) that is left
  /// of the scale) are told from it.
  static constexpr Real kMasked = Real(-1.5) * Isa::kHuge;
  /// Maximum of a row that has seen nothing: kMasked never exceeds it, and is nothing against it.
  static constexpr Real kUnseen = Real(-0.7) * Isa::kHuge;
  /// A score that is seen is at least this much, whatever its bias: far above kMasked, and above
  /// kUnseen, so that a row of nothing but such scores still has a maximum.
  static constexpr Real kLeastScore = Real(-0.65) * Isa::kHuge;
};

/// What codes become for queries of T: a number of a large scale may exceed f16.
template <class T>
using FromCodes = std::conditional_t<std::is_same_v<T, float16>, float, T>;

/// Of what type the products see keys and values that are codes of T's queries, for int8 with a
/// scale a row: where an instruction set has dot products of 16-bit integers, the codes.
template <class T>
using FromInt8 = std::conditional_t<Tiling<T, std::int8_t>::kIntegers, std::int8_t, FromCodes<T>>;

template <class C>
using VecOf = typename C::Isa::Vec;
template <class C>
using BitsOf = typename C::Isa::Bits;
template <class C>
using ExpOf = typename C::Isa::Constants;  // numbers of exp2, kept in memory
template <class C>
using RealOf = typename C::Real;
template <class C>
using WordOf = typename C::Word;
template <class C>
using KeptOf = typename C::Kept;

constexpr std::int64_t round_up(std::int64_t x, std::int64_t to) { return (x + to - 1) / to * to; }

}  // namespace strobe::cpu::STROBE_ISA
