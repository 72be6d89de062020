// s = k q for few rows of integers: exact sums may run in any order, so that dimensions sit in the
// lanes, codes are widened as they are read, and lanes are added up at the end.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/tiles/few_scores.hpp"
#include "cpu/tiles/few_softmax.hpp"
#include "cpu/tiles/integers.hpp"

namespace strobe::cpu::STROBE_ISA {

/// What the score products of some rows of integers read and write.
template <class C>
struct FewIntegers {
  const KeptOf<C>* const* keys = nullptr;  // rows of codes, and kChunk more
  int first = 0, end = 0;                  // whole chunks of keys
  const WordOf<C>* q = nullptr;            // [row][q_pitch]
  int q_pitch = 0;
  int dims = 0;
  const CodeScales* scales = nullptr;
  RealOf<C>* s = nullptr;  // [key][lanes]
};

/// acc[key][row] += k q of kKeys keys from `key` on and kRows rows of q, for `count` dimensions
/// from `dim` on. Keys sixteen on are asked for again (see kAgain), and later rows for the first
/// time: half of their lines.
template <class C, int kKeys, int kRows>
STROBE_INLINE void integer_dims(VecOf<C> (&acc)[kKeys][kRows], const FewIntegers<C>& t, int key,
                                const WordOf<C>* q, int dim, int count,
                                typename Ahead<C>::Cursor& later) {
  constexpr int kStep = 2 * C::kLanes;
  VecOf<C> codes[kKeys];
  STROBE_UNROLL(4)
  for (int i = 0; i < kKeys; ++i) codes[i] = C::Isa::load_pairs(t.keys[key + i] + dim, count);
  STROBE_UNROLL(4)
  for (int r = 0; r < kRows; ++r) {
    const auto query = C::Isa::load(q + r * t.q_pitch + dim / 2);
    STROBE_UNROLL(4)
    for (int i = 0; i < kKeys; ++i) acc[i][r] = C::Isa::dot_integers(codes[i], query, acc[i][r]);
  }
  STROBE_UNROLL(2)
  for (int i = 0; i < kKeys; i += 2) later.step();
  if (dim / kStep % 2 != 0) return;  // the same line
  STROBE_UNROLL(4)
  for (int i = 0; i < kKeys; ++i) Simd::prefetch_far(t.keys[key + i + C::kChunk] + dim);
}

template <class C, int kKeys, int kRows>
STROBE_INLINE void integer_sums(VecOf<C> (&acc)[kKeys][kRows], const FewIntegers<C>& t, int key,
                                const WordOf<C>* q, typename Ahead<C>::Cursor& later) {
  STROBE_UNROLL(4)
  for (int i = 0; i < kKeys; ++i) {
    STROBE_UNROLL(4)
    for (int r = 0; r < kRows; ++r) acc[i][r] = C::Isa::zero();
  }
  constexpr int kStep = 2 * C::kLanes;
  int dim = 0;
  for (; dim + kStep <= t.dims; dim += kStep)
    integer_dims<C, kKeys, kRows>(acc, t, key, q, dim, kStep, later);
  if (dim < t.dims) integer_dims<C, kKeys, kRows>(acc, t, key, q, dim, t.dims - dim, later);
}

/// Scores of one row, in all four lanes.
template <class C>
STROBE_NOINLINE void integer_scores_of_one(const FewIntegers<C>& t, const RealOf<C>* unit,
                                           Ahead<C>& ahead) {
  typename Ahead<C>::Cursor later = ahead.cursor();
  const VecOf<C> units = C::Isa::set(*unit);
  for (int key = t.first; key < t.end; key += C::kChunk) {
    VecOf<C> four[4];
    for (int i = 0; i < 4; ++i) {
      VecOf<C> acc[4][1];
      integer_sums<C, 4, 1>(acc, t, key + 4 * i, t.q, later);
      four[i] = C::Isa::add_lanes(acc[0][0], acc[1][0], acc[2][0], acc[3][0]);
    }
    const VecOf<C> sums = C::Isa::add_quarters(four[0], four[1], four[2], four[3]);
    alignas(64) RealOf<C> s[C::kChunk];
    C::Isa::store(s, scores_of_sums<C>(sums, C::Isa::load(t.scales->k + key), units));
    STROBE_UNROLL(4)
    for (int i = 0; i < C::kChunk; i += 4)
      C::Isa::store(t.s + (key + i) * 4, C::Isa::template spread<4>(s + i));
  }
  ahead.go_on(later);
}

/// Scores of four rows from `row` on.
template <class C, int L>
STROBE_NOINLINE void integer_scores_of_four(const FewIntegers<C>& t, int row, const RealOf<C>* unit,
                                            Ahead<C>& ahead) {
  typename Ahead<C>::Cursor later = ahead.cursor();
  const WordOf<C>* const q = t.q + row * t.q_pitch;
  const VecOf<C> units = C::Isa::broadcast_four(unit + row);
  for (int key = t.first; key < t.end; key += 4) {
    VecOf<C> four[4];
    STROBE_UNROLL(2)
    for (int i = 0; i < 4; i += 2) {
      VecOf<C> acc[2][4];
      integer_sums<C, 2, 4>(acc, t, key + i, q, later);
      STROBE_UNROLL(2)
      for (int j = 0; j < 2; ++j)
        four[i + j] = C::Isa::add_lanes(acc[j][0], acc[j][1], acc[j][2], acc[j][3]);
    }
    const VecOf<C> sums = C::Isa::add_quarters(four[0], four[1], four[2], four[3]);
    const VecOf<C> scales = C::Isa::template spread<4>(t.scales->k + key);
    C::Isa::store_quarters(t.s + key * L + row, L, scores_of_sums<C>(sums, scales, units));
  }
  ahead.go_on(later);
}

/// Scores of `rows` rows, in L lanes; what lies in the lanes of missing rows does not matter.
template <class C, int L>
STROBE_INLINE void integer_scores(const FewIntegers<C>& t, int rows, const RealOf<C>* unit,
                                  Ahead<C>& ahead) {
  if (L == 4 && rows == 1) return integer_scores_of_one<C>(t, unit, ahead);
  for (int row = 0; row < rows; row += 4) integer_scores_of_four<C, L>(t, row, unit, ahead);
}

}  // namespace strobe::cpu::STROBE_ISA
