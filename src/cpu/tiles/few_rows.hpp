// Rows of queries of a decode task: what they see, their q as the products want it, their state.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cpu/decode_task.hpp"
#include "cpu/tiles/integers.hpp"
#include "cpu/tiles/tiling.hpp"

namespace strobe::cpu::STROBE_ISA {

/// Up to kLanes rows of one key head of one sequence and their state over the open leaf. Numbers of
/// a row that are held against score vectors are repeated for every key of the vector.
template <class C>
struct FewRows {
  using Real = RealOf<C>;
  const DecodeMember* of = nullptr;  // whose rows they are
  std::int64_t kv_head = 0;
  std::int64_t first = 0;  // row of the key head
  int count = 0;
  int lanes = 0;      // count, rounded up to what Few takes
  bool seen = false;  // some key of the open leaf
  Keys keys[C::kLanes];
  RowBounds bounds;
  WordOf<C>* q = nullptr;               // [words][lanes]
  Real* o = nullptr;                    // [lanes][o_pitch]
  alignas(64) Real unit[C::kLanes];     // of q as integers, repeated
  alignas(64) Real row_max[C::kLanes];  // repeated
  alignas(64) Real row_sum[C::kLanes];
};

/// Scores of the keys of one block.
template <class C>
struct FewTile {
  std::int64_t block_begin = 0;
  int begin = 0, end = 0;               // keys that some row sees
  int first_chunk = 0, chunks_end = 0;  // the same, rounded to kChunk: what s holds
  RealOf<C>* s = nullptr;               // [key][lanes]
};

/// a[lane] for lanes up to `lanes`, repeated over the vector.
template <class C>
STROBE_INLINE void repeat(RealOf<C>* a, int lanes) {
  for (int i = lanes; i < C::kLanes; ++i) a[i] = a[i - lanes];
}

/// Can a vector of scores hold four keys of so many rows? See cpu/tiles/few_scores.hpp.
template <class C>
constexpr bool whole_vectors(int lanes) {
  return C::Isa::kPacks && 4 * lanes == C::kLanes;
}

/// kLanes words of a row of q times the power of two of the scale, from dimension `dim` on.
template <class C>
STROBE_INLINE VecOf<C> q_words(const typename C::Element* q, int dim, int head_dim,
                               RealOf<C> factor, const QueryUnit& unit) {
  if constexpr (C::kIntegers)
    return C::Isa::integer_pairs(C::Isa::load_pairs(q + dim, head_dim - dim),
                                 C::Isa::set(unit.exponent));
  else if constexpr (C::kDot)
    return C::Isa::scale_pairs(C::Isa::load_pairs(q + dim, head_dim - dim), factor);
  else
    return C::Isa::mul(C::Isa::load_row(q + dim, head_dim - dim), C::Isa::set(factor));
}

/// q of a group times the power of two of the scale: [words][lanes], each as often as the products
/// want it, or [lanes][words] of integers. Lanes without a row are 0. `pitch` words a row.
template <class C>
STROBE_NOINLINE void load_few(FewRows<C>& rows, const ForwardParams& p, RealOf<C> factor,
                              int pitch) {
  const int repeats = whole_vectors<C>(rows.lanes) ? 4 : 1, step = rows.lanes * repeats;
  const int head_dim = static_cast<int>(p.head_dim);
  for (int i = 0; i < pitch * C::kLanes; ++i) rows.q[i] = 0;
  for (int r = 0; r < C::kLanes; ++r) rows.unit[r] = 0;
  const Sequence& n = rows.of->sequence;
  alignas(64) WordOf<C> some[C::kLanes];
  for (int r = 0; r < rows.count; ++r) {
    const DecodeRow row = decode_row(p, rows.kv_head, rows.first + r);
    const auto* const q = static_cast<const typename C::Element*>(p.q) +
                          p.q_strides.offset(n.batch, n.first_q + row.query, row.head);
    QueryUnit unit;
    if constexpr (C::kIntegers) unit = query_unit(q, head_dim, factor);
    rows.unit[r] = unit.unit;
    for (int word = 0; word * C::kPerWord < head_dim; word += C::kLanes) {
      C::Isa::store(some, q_words<C>(q, word * C::kPerWord, head_dim, factor, unit));
      for (int i = 0; i < C::kLanes; ++i)
        if constexpr (C::kIntegers)
          rows.q[r * pitch + word + i] = some[i];
        else
          for (int j = 0; j < repeats; ++j) rows.q[(word + i) * step + r * repeats + j] = some[i];
    }
  }
  repeat<C>(rows.unit, rows.lanes);
}

}  // namespace strobe::cpu::STROBE_ISA
