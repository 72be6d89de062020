// s = k q for few rows: sixteen keys at a time are copied to where the products want them, while
// the sixteen before are multiplied.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/tiles/fetch.hpp"
#include "cpu/tiles/few_rows.hpp"
#include "cpu/tiles/tiling.hpp"

namespace strobe::cpu::STROBE_ISA {

/// Products of L rows, in sixteens of keys. Rows sit in the lanes of a vector of L lanes, and every
/// word of a key is broadcast to them; or, where a whole vector takes four keys of each row and the
/// instruction set can, four keys' words are broadcast at once: a quarter of the loads.
template <class C, int L>
struct FewKeys {
  static constexpr bool kWhole = whole_vectors<C>(L);
  static constexpr int kKeys = kWhole ? 4 : 1;  // of a vector
  using Vector = std::conditional_t<kWhole, typename C::Isa, typename C::Isa::template Few<L>>;
  static constexpr int kGroups = C::kChunk / kKeys;  // vectors of scores of sixteen keys
  static constexpr int kRegisters = C::kRows * C::kGroups >= 16 ? 16 : 8;
  static constexpr int kAtOnce = kGroups < kRegisters ? kGroups : kRegisters;
  static constexpr int kColumns = C::kLanes;      // words copied at a time
  static constexpr int kSpan = kColumns * kKeys;  // words that they take in a group

  static constexpr int kTogether = kColumns < 4 ? kColumns : 4;  // columns of one step
  /// Where column `i` of the step from column `c` on stands in a group: see interleave_columns.
  static constexpr int place(int c, int i) { return kWhole ? 16 * i + c : c + i; }
};

/// Rows that will be wanted later, on their way into L2, a line at a time in the order in which
/// they lie. A core has room for some 24 lines on their way; what is asked for beyond that is
/// forgotten, so requests are spread evenly over the work (bench/notes.md).
template <class C>
class Ahead {
 public:
  /// `count` rows of keys, and after them as many of values, each so many bytes after where it is
  /// said to be. At least one of each.
  void start(const KeptRow* keys, std::int64_t k_offset, std::int64_t k_bytes,
             const KeptRow* values, std::int64_t v_offset, std::int64_t v_bytes, int count) {
    for (int i = 0; i < count; ++i) {
      rows_[i] = keys[i].data + k_offset;
      rows_[count + i] = values[i].data + v_offset;
    }
    row_ = rows_;
    values_ = rows_ + count;
    last_ = rows_ + 2 * count - 1;
    k_bytes_ = k_bytes;
    v_bytes_ = v_bytes;
    at_ = *row_;
    end_ = at_ + k_bytes_;
  }

  /// Where a product is: it keeps this in registers.
  struct Cursor {
    const Ahead& all;
    const std::byte *at, *end;
    const std::byte* const* row;

    /// The next line; after the last row that one again, which costs less than asking.
    STROBE_INLINE void step() {
      Simd::prefetch_far(at);
      at += 64;
      if (__builtin_expect(at < end, 1)) return;
      row += row != all.last_ ? 1 : 0;
      at = *row;
      end = at + (row < all.values_ ? all.k_bytes_ : all.v_bytes_);
    }
  };
  STROBE_INLINE Cursor cursor() const { return {*this, at_, end_, row_}; }
  STROBE_INLINE void go_on(const Cursor& cursor) {
    at_ = cursor.at;
    end_ = cursor.end;
    row_ = cursor.row;
  }

  void finish() {
    Cursor rest = cursor();
    while (rest.row != last_ || rest.at + 64 < rest.end) rest.step();
    rest.step();
    go_on(rest);
  }

 private:
  const std::byte* rows_[2 * kTileK];
  const std::byte* const* row_ = nullptr;
  const std::byte* const* values_ = nullptr;  // the first row of values
  const std::byte* const* last_ = nullptr;
  const std::byte *at_ = nullptr, *end_ = nullptr;
  std::int64_t k_bytes_ = 0, v_bytes_ = 0;
};

/// Columns from `column` on of group `group` of the keys, [column block][group][kSpan]. `count`
/// elements of a row are there. Sixteen rows on, lines are asked for again: see kAgain.
template <class C, int L>
STROBE_INLINE void pack_group(WordOf<C>* packed, const KeptOf<C>* const* rows, int group,
                              int column, int count) {
  using Few = FewKeys<C, L>;
  VecOf<C> r[Few::kKeys];
  STROBE_UNROLL(4)
  for (int i = 0; i < Few::kKeys; ++i) {
    r[i] = load<C>(rows[group * Few::kKeys + i] + column * C::kPerWord, count);
    Simd::prefetch_far(rows[group * Few::kKeys + i + C::kChunk] + column * C::kPerWord);
  }
  if constexpr (Few::kWhole) C::Isa::interleave_columns(r);
  WordOf<C>* const to = packed + column * C::kChunk + group * Few::kSpan;
  STROBE_UNROLL(4)
  for (int i = 0; i < Few::kKeys; ++i) C::Isa::store(to + i * C::kLanes, r[i]);
}

/// Sums of kAtOnce groups, in registers.
template <class C, int L>
using FewSums = typename FewKeys<C, L>::Vector::Vec[FewKeys<C, L>::kAtOnce];

/// Lines of later rows that are fetched beside the first `columns` columns of a product: three in
/// four of those that a key and its value have, as the products with values take less time.
template <class C>
constexpr int lines_before(int columns) {
  constexpr int kBytes = C::kPerWord * int{sizeof(KeptOf<C>)};  // of a key in a column
  return columns * C::kChunk * kBytes * 2 * 3 / 4 / 64;
}

/// Columns [c, c + kTogether) of the sums of kAtOnce groups, of which `packed` is the first; later
/// rows are fetched beside. q is [word][L], each repeated kKeys times.
template <class C, int L>
STROBE_INLINE void few_columns(FewSums<C, L>& acc, const WordOf<C>* packed, const WordOf<C>* q,
                               int c, typename Ahead<C>::Cursor& later) {
  using Few = FewKeys<C, L>;
  using Vector = typename Few::Vector;
  STROBE_UNROLL(4)
  for (int i = 0; i < Few::kTogether; ++i) {
    const auto query = Vector::load(q + (c + i) * L * Few::kKeys);
    STROBE_UNROLL(16)
    for (int g = 0; g < Few::kAtOnce; ++g) {
      const WordOf<C>* const at = packed + g * Few::kSpan + Few::place(c, i);
      typename Vector::Vec keys;
      if constexpr (Few::kWhole)
        keys = Vector::broadcast_four(at);
      else
        keys = Vector::broadcast(at);
      if constexpr (C::kDot)
        acc[g] = Vector::dot(keys, query, acc[g]);
      else
        acc[g] = Vector::fma(keys, query, acc[g]);
    }
    for (int line = lines_before<C>(i); line < lines_before<C>(i + 1); ++line) later.step();
  }
}

/// One block of columns of the sums of kAtOnce groups from `first` on. With kNext the block before,
/// which is whole, is packed anew from the rows `next`.
template <class C, int L, bool kNext>
STROBE_INLINE void few_block(FewSums<C, L>& acc, WordOf<C>* packed, const WordOf<C>* q, int first,
                             int column, const KeptOf<C>* const* next,
                             typename Ahead<C>::Cursor& later) {
  using Few = FewKeys<C, L>;
  constexpr int kGroupsAStep = Few::kAtOnce * Few::kTogether / Few::kColumns;
  const WordOf<C>* const block = packed + column * C::kChunk + first * Few::kSpan;
  STROBE_UNROLL(1)
  for (int c = 0, g = first; c < Few::kColumns; c += Few::kTogether, g += kGroupsAStep) {
    few_columns<C, L>(acc, block, q + column * L * Few::kKeys, c, later);
    if constexpr (kNext) {
      STROBE_UNROLL(8)
      for (int i = 0; i < kGroupsAStep; ++i)
        pack_group<C, L>(packed, next, g + i, column - Few::kColumns, Few::kColumns * C::kPerWord);
    }
  }
}

/// s[key][L] of sixteen packed keys; `next`, where given, take their place, a block behind the
/// products, and later rows are fetched beside. `words` are whole blocks of columns. Sums run over
/// the dimensions in their order, as in score_product: the bits are the same.
template <class C, int L>
STROBE_NOINLINE void few_product(WordOf<C>* packed, const WordOf<C>* q, int words, RealOf<C>* s,
                                 const KeptOf<C>* const* next, int dims, Ahead<C>& ahead) {
  using Few = FewKeys<C, L>;
  using Vector = typename Few::Vector;
  const int last = words - Few::kColumns;
  typename Ahead<C>::Cursor later = ahead.cursor();
  for (int first = 0; first < Few::kGroups; first += Few::kAtOnce) {
    FewSums<C, L> acc;
    STROBE_UNROLL(16)
    for (int g = 0; g < Few::kAtOnce; ++g) acc[g] = Vector::zero();
    few_block<C, L, false>(acc, packed, q, first, 0, next, later);
    for (int column = Few::kColumns; column < words; column += Few::kColumns) {
      if (next != nullptr)
        few_block<C, L, true>(acc, packed, q, first, column, next, later);
      else
        few_block<C, L, false>(acc, packed, q, first, column, next, later);
    }
    for (int g = 0; g < Few::kAtOnce && next != nullptr; ++g)
      pack_group<C, L>(packed, next, first + g, last, dims - last * C::kPerWord);
    STROBE_UNROLL(16)
    for (int g = 0; g < Few::kAtOnce; ++g) {
      RealOf<C>* const at = s + (first + g) * L * Few::kKeys;
      if constexpr (Few::kWhole)
        Vector::store(at, Vector::keys_first(acc[g]));
      else
        Vector::store(at, acc[g]);
    }
  }
  ahead.go_on(later);
}

}  // namespace strobe::cpu::STROBE_ISA
