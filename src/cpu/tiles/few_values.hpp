// o += p v for few rows: dimensions sit in the lanes, values are read as they lie.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/tiles/few_scores.hpp"
#include "cpu/tiles/score_product.hpp"

namespace strobe::cpu::STROBE_ISA {

/// Values so many keys on are asked for again: requests for later rows that found no room are
/// forgotten, and this one still comes in time. With that of pack_group it gains 12 to 14 %.
inline constexpr int kAgain = 32;

/// What the value products of some rows read and write.
template <class C>
struct FewValues {
  const KeptOf<C>* const* v = nullptr;  // rows of values, of whole words of keys, and
                                        // kAgain more
  int begin = 0, end = 0;               // keys
  const WordOf<C>* p = nullptr;         // [key / per_word][pitch]
  int p_pitch = 0;
  RealOf<C>* o = nullptr;  // [row][o_pitch]
  int o_pitch = 0;
  int head_dim_v = 0;
  bool first = false;                 // o is stored, not added to
  const RealOf<C>* weight = nullptr;  // [row], of integers
};

/// kVectors vectors of the values of a word of keys, from dimension `dim` on: of pairs of keys in
/// another order, which undo_pairs undoes. `count` dimensions are left.
template <class C, int kVectors>
STROBE_INLINE void few_value_words(VecOf<C> (&value)[kVectors], const KeptOf<C>* const* v, int dim,
                                   int count) {
  constexpr int kElements = C::kLanes * C::kPerWord;
  const auto* const a = v[0] + dim;
  if constexpr (C::kDot && kVectors == 1) {  // half of an interleaved pair
    VecOf<C> other;
    C::Isa::interleave(load<C>(a, count), load<C>(v[1] + dim, count), value[0], other);
  } else if constexpr (C::kDot) {
    STROBE_UNROLL(4)
    for (int i = 0; i < kVectors; i += 2)
      C::Isa::pair_rows(a + i / 2 * kElements, v[1] + dim + i / 2 * kElements, value[i],
                        value[i + 1]);
  } else {
    STROBE_UNROLL(8)
    for (int i = 0; i < kVectors; ++i)
      value[i] = load<C>(a + i * kElements, kVectors == 1 ? count : kElements);
  }
}

/// Sums of a row over a block enter its o, in the order of the dimensions.
template <class C, int kVectors>
STROBE_INLINE void few_sums_to_o(VecOf<C> (&sum)[kVectors], RealOf<C>* o, bool first,
                                 const RealOf<C>* weight) {
  if constexpr (C::kDot && kVectors > 1) {
    STROBE_UNROLL(4)
    for (int i = 0; i < kVectors; i += 2)
      C::Isa::template undo_pairs<KeptOf<C>>(sum[i], sum[i + 1]);
  }
  STROBE_UNROLL(8)
  for (int i = 0; i < kVectors; ++i) {
    if constexpr (C::kIntegers)
      sum[i] = C::Isa::mul(C::Isa::from_integers(sum[i]), C::Isa::set(*weight));
    RealOf<C>* const at = o + i * C::kLanes;
    C::Isa::store(at, first ? sum[i] : C::Isa::add(C::Isa::load(at), sum[i]));
  }
}

/// The products of kVectors vectors of dimensions from `dim` on, for kRows rows from `row` on.
/// Sums run over the keys in their order, from zero, as in value_product: the bits are the same.
/// Later values are fetched beside.
template <class C, int kRows, int kVectors>
STROBE_INLINE void few_value_product(const FewValues<C>& t, int row, int dim, int count,
                                     typename Ahead<C>::Cursor& later) {
  using Vec = VecOf<C>;
  constexpr int kStep = C::kPerWord;  // keys of a word
  // Vectors of o whose values share a cache line.
  constexpr int kLine = 64 / int{sizeof(KeptOf<C>)} / C::kLanes;
  Vec acc[kRows][kVectors];
  STROBE_UNROLL(8)
  for (int r = 0; r < kRows; ++r) {
    STROBE_UNROLL(8)
    for (int i = 0; i < kVectors; ++i) acc[r][i] = C::Isa::zero();
  }
  const WordOf<C>* p = t.p + t.begin / kStep * t.p_pitch + row;
  for (int key = t.begin / kStep * kStep; key < t.end; key += kStep, p += t.p_pitch) {
    STROBE_UNROLL(8)
    for (int i = 0; i < kStep * kVectors; i += kLine * (C::kIntegers ? 1 : 2)) later.step();
    STROBE_UNROLL(2)
    for (int k = 0; k < kStep; ++k) {
      STROBE_UNROLL(8)
      for (int i = 0; i < kVectors; i += kLine)
        Simd::prefetch_far(t.v[key + k + kAgain] + dim + i * C::kLanes);
    }
    Vec value[kVectors];
    few_value_words<C, kVectors>(value, t.v + key, dim, count);
    STROBE_UNROLL(8)
    for (int r = 0; r < kRows; ++r) {
      const Vec prob = C::Isa::broadcast(p + r);
      STROBE_UNROLL(8)
      for (int i = 0; i < kVectors; ++i) acc[r][i] = multiply_add<C>(value[i], prob, acc[r][i]);
    }
  }
  STROBE_UNROLL(8)
  for (int r = 0; r < kRows; ++r)
    few_sums_to_o<C, kVectors>(acc[r], t.o + (row + r) * t.o_pitch + dim, t.first,
                               C::kIntegers ? t.weight + row + r : nullptr);
}

/// Dimensions from `dim` on, kVectors vectors at a time, then fewer.
template <class C, int kRows, int kVectors>
STROBE_INLINE void few_value_dims(const FewValues<C>& t, int row, int dim,
                                  typename Ahead<C>::Cursor& later) {
  constexpr int kLeast = kVectors == 1 ? 1 : kVectors * C::kLanes;  // dimensions that must be left
  for (; dim + kLeast <= t.head_dim_v; dim += kVectors * C::kLanes)
    few_value_product<C, kRows, kVectors>(t, row, dim, t.head_dim_v - dim, later);
  if constexpr (kVectors > 1) few_value_dims<C, kRows, kVectors / 2>(t, row, dim, later);
}

/// All dimensions of kRows rows from `row` on.
template <class C, int kRows>
STROBE_NOINLINE void few_value_rows(const FewValues<C>& t, int row, Ahead<C>& ahead) {
  constexpr int kSums = C::kRows * C::kGroups >= 16 ? 16 : 8;
  constexpr int kVectors = kSums / kRows < 8 ? kSums / kRows : 8;
  typename Ahead<C>::Cursor later = ahead.cursor();
  few_value_dims<C, kRows, kVectors>(t, row, 0, later);
  ahead.go_on(later);
}

/// o of `rows` rows; padding up to the next of 1, 2, 4 and multiples of 8 is computed with them.
template <class C>
STROBE_INLINE void few_values(const FewValues<C>& t, int rows, Ahead<C>& ahead) {
  if (rows == 1) return few_value_rows<C, 1>(t, 0, ahead);
  if (rows == 2) return few_value_rows<C, 2>(t, 0, ahead);
  if (rows <= 4) return few_value_rows<C, 4>(t, 0, ahead);
  few_value_rows<C, 8>(t, 0, ahead);
  if (rows > 8) few_value_rows<C, 8>(t, 8, ahead);
}

}  // namespace strobe::cpu::STROBE_ISA
