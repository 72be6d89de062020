// Sizes of the tiles, and what a 32-bit word of the products holds.
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

/// One f32, or two bf16 along the contraction: what a product loads, broadcasts and multiplies.
using Word = std::uint32_t;

/// Queries sit in SIMD lanes: s is [key][query] and o is [dim][query], so that keys and values are
/// broadcast from rows as they lie and the softmax never reduces across lanes.
template <class T>
struct Tiling {
  using Element = T;  // of q, k, v in memory
  using Isa = Simd;   // for operations that not every instruction set has
  static constexpr bool kDot = Simd::kHasDot && std::is_same_v<T, bfloat16>;
  static constexpr int kPerWord = kDot ? 2 : 1;
  static constexpr int kLanes = Simd::kLanes;
  static constexpr int kGroups = Simd::kGroups;
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
};

/// Score of a masked pair: far below all others, and finite, because infinities would turn into NaN
/// in exp2. Scores up to .15e38 in magnitude (before the factor in [1, 2) that is left of the
/// scale) are told from it.
inline constexpr float kMasked = -1.5e38f;
/// Maximum of a row that has seen nothing: kMasked never exceeds it, and is nothing against it.
inline constexpr float kUnseen = -0.7e38f;

constexpr std::int64_t round_up(std::int64_t x, std::int64_t to) { return (x + to - 1) / to * to; }

}  // namespace strobe::cpu::STROBE_ISA
