// s = k q for few rows: sixteen keys at a time are copied to where the products want them, while
// the sixteen before are multiplied.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/tiles/fetch.hpp"
#include "cpu/tiles/score_product.hpp"
#include "cpu/tiles/tiling.hpp"

namespace strobe::cpu::STROBE_ISA {

/// Products of L rows, in sixteens of keys. Rows sit in the lanes of a vector of L lanes, and every
/// word of a key is broadcast to them; or, where a whole vector takes four keys of each row and the
/// instruction set can, four keys' words are broadcast at once: a quarter of the loads.
template <class C, int L>
struct FewKeys {
  static constexpr bool kWhole = C::Isa::kPacks && 4 * L == C::kLanes;
  static constexpr int kKeys = kWhole ? 4 : 1;  // of a vector
  using Vector = std::conditional_t<kWhole, typename C::Isa, typename C::Isa::template Few<L>>;
  static constexpr int kGroups = C::kChunk / kKeys;  // vectors of scores of sixteen keys
  static constexpr int kRegisters = C::kRows * C::kGroups >= 16 ? 16 : 8;
  static constexpr int kAtOnce = kGroups < kRegisters ? kGroups : kRegisters;
  static constexpr int kColumns = C::kLanes;      // words copied at a time
  static constexpr int kSpan = kColumns * kKeys;  // words that they take in a group
  static constexpr int kBlock = kSpan * kGroups;  // and in all groups

  /// Where the words of column `c` of a group stand: see interleave_columns.
  static constexpr int place(int c) { return kWhole ? 16 * (c % 4) + 4 * (c / 4) : c; }
};

/// Sixteen rows of keys, and those that will be wanted one head or block later.
template <class C>
struct FewRowsOfKeys {
  const typename C::Element* row[C::kChunk];
  const typename C::Element* later[C::kChunk];
};

/// Columns from `column` on of group `group` of the keys, [column block][group][kSpan].
template <class C, int L>
STROBE_INLINE void pack_group(WordOf<C>* packed, const FewRowsOfKeys<C>& keys, int group,
                              int column, int dims) {
  using Few = FewKeys<C, L>;
  const int dim = column * C::kPerWord;
  VecOf<C> r[Few::kKeys];
  STROBE_UNROLL(4)
  for (int i = 0; i < Few::kKeys; ++i) {
    const int key = group * Few::kKeys + i;
    r[i] = load<C>(keys.row[key] + dim, dims - dim);
    Simd::prefetch_far(keys.later[key] + dim);
  }
  if constexpr (Few::kWhole) C::Isa::interleave_columns(r);
  WordOf<C>* const to = packed + column * C::kChunk + group * Few::kSpan;
  STROBE_UNROLL(4)
  for (int i = 0; i < Few::kKeys; ++i) C::Isa::store(to + i * C::kLanes, r[i]);
}

/// One column of the sums of kAtOnce groups from `first` on. q is [word][L], each repeated kKeys
/// times.
template <class C, int L>
STROBE_INLINE void few_column(typename FewKeys<C, L>::Vector::Vec (&acc)[FewKeys<C, L>::kAtOnce],
                              const WordOf<C>* packed, const WordOf<C>* q, int first, int c) {
  using Few = FewKeys<C, L>;
  using Vector = typename Few::Vector;
  const auto query = Vector::load(q + c * L * Few::kKeys);
  STROBE_UNROLL(16)
  for (int g = 0; g < Few::kAtOnce; ++g) {
    const WordOf<C>* const at = packed + (first + g) * Few::kSpan + Few::place(c);
    const auto keys = [&] {
      if constexpr (Few::kWhole)
        return Vector::broadcast_four(at);
      else
        return Vector::broadcast(at);
    }();
    if constexpr (C::kDot)
      acc[g] = Vector::dot(keys, query, acc[g]);
    else
      acc[g] = Vector::fma(keys, query, acc[g]);
  }
}

/// s[key][L] of sixteen packed keys; `next`, where given, are packed beside. `words` are whole
/// column blocks. Sums run over the dimensions in their order, as in score_product: the bits are
/// the same.
template <class C, int L>
STROBE_NOINLINE void few_product(const WordOf<C>* packed, const WordOf<C>* q, int words,
                                 RealOf<C>* s, const FewRowsOfKeys<C>* next, WordOf<C>* next_packed,
                                 int dims) {
  using Few = FewKeys<C, L>;
  using Vector = typename Few::Vector;
  for (int first = 0; first < Few::kGroups; first += Few::kAtOnce) {
    typename Vector::Vec acc[Few::kAtOnce];
    STROBE_UNROLL(16)
    for (int g = 0; g < Few::kAtOnce; ++g) acc[g] = Vector::zero();
    for (int column = 0; column < words; column += Few::kColumns) {
      const WordOf<C>* const block = packed + column * C::kChunk;
      STROBE_UNROLL(16)
      for (int c = 0; c < Few::kColumns; ++c) {
        few_column<C, L>(acc, block, q + column * L * Few::kKeys, first, c);
        if (next != nullptr)
          for (int g = c * Few::kAtOnce / Few::kColumns; g < (c + 1) * Few::kAtOnce / Few::kColumns;
               ++g)
            pack_group<C, L>(next_packed, *next, first + g, column, dims);
      }
    }
    STROBE_UNROLL(16)
    for (int g = 0; g < Few::kAtOnce; ++g) {
      RealOf<C>* const at = s + (first + g) * L * Few::kKeys;
      if constexpr (Few::kWhole)
        Vector::store(at, Vector::keys_first(acc[g]));
      else
        Vector::store(at, acc[g]);
    }
  }
}

}  // namespace strobe::cpu::STROBE_ISA
