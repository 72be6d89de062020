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

/// Rows that will be wanted later, on their way into L2: line after line, row after row, which is
/// what the machine's own prefetching understands. Asked for in any other order, memory gave half
/// (bench/notes.md).
template <class C>
class Ahead {
  using Element = typename C::Element;

 public:
  /// Some keys, and after them as many values.
  void start(const Element* const* keys, std::int64_t k_offset, std::int64_t head_dim,
             const Element* const* values, std::int64_t v_offset, std::int64_t head_dim_v,
             int count) {
    keys_ = {keys, k_offset, head_dim, count};
    values_ = {values, v_offset, head_dim_v, count};
    next_row();
  }

  /// The next line.
  STROBE_INLINE void step() {
    if (at_ >= end_) return;
    Simd::prefetch_far(at_);
    at_ += 64;
    if (at_ >= end_) next_row();
  }

  void finish() {
    while (at_ < end_) step();
  }

 private:
  struct Rows {
    const Element* const* row = nullptr;
    std::int64_t offset = 0, length = 0;
    int left = 0;
  };

  STROBE_INLINE void next_row() {
    Rows& rows = keys_.left > 0 ? keys_ : values_;
    if (rows.left == 0) return;
    --rows.left;
    const Element* const row = *rows.row++ + rows.offset;
    at_ = reinterpret_cast<const char*>(row);
    end_ = reinterpret_cast<const char*>(row + rows.length);
  }

  Rows keys_{}, values_{};
  const char *at_ = nullptr, *end_ = nullptr;
};

/// Columns from `column` on of group `group` of the keys, [column block][group][kSpan].
template <class C, int L>
STROBE_INLINE void pack_group(WordOf<C>* packed, const typename C::Element* const* rows, int group,
                              int column, int dims) {
  using Few = FewKeys<C, L>;
  const int dim = column * C::kPerWord;
  VecOf<C> r[Few::kKeys];
  STROBE_UNROLL(4)
  for (int i = 0; i < Few::kKeys; ++i)
    r[i] = load<C>(rows[group * Few::kKeys + i] + dim, dims - dim);
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

/// s[key][L] of sixteen packed keys; `next`, where given, are packed beside, and later ones
/// fetched. `words` are whole column blocks. Sums run over the dimensions in their order, as in
/// score_product: the bits are the same.
template <class C, int L>
STROBE_NOINLINE void few_product(const WordOf<C>* packed, const WordOf<C>* q, int words,
                                 RealOf<C>* s, const typename C::Element* const* next,
                                 WordOf<C>* next_packed, int dims, Ahead<C>& ahead) {
  using Few = FewKeys<C, L>;
  using Vector = typename Few::Vector;
  for (int first = 0; first < Few::kGroups; first += Few::kAtOnce) {
    typename Vector::Vec acc[Few::kAtOnce];
    STROBE_UNROLL(16)
    for (int g = 0; g < Few::kAtOnce; ++g) acc[g] = Vector::zero();
    int pack_g = first, pack_c = 0;  // row after row, as they lie
    for (int column = 0; column < words; column += Few::kColumns) {
      const WordOf<C>* const block = packed + column * C::kChunk;
      STROBE_UNROLL(16)
      for (int c = 0; c < Few::kColumns; ++c) {
        few_column<C, L>(acc, block, q + column * L * Few::kKeys, first, c);
        ahead.step();
        if (c % 2 == 0) ahead.step();
        for (int g = c * Few::kAtOnce / Few::kColumns; g < (c + 1) * Few::kAtOnce / Few::kColumns;
             ++g) {
          if (next != nullptr) pack_group<C, L>(next_packed, next, pack_g, pack_c, dims);
          pack_c += Few::kColumns;
          if (pack_c < words) continue;
          pack_c = 0;
          ++pack_g;
        }
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
